"""Degrading samples while they are extracted: what is drawn for a sample hangs on its id and the seed alone."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ambidex.base.errors import ParamsError
from ambidex.base.progress import watched
from ambidex.base.registry import nearest
from ambidex.configuration.degrade import Degrade
from ambidex.data.kinds import Absent, Degradation, Wants
from ambidex.data.manifest import Row
from ambidex.data.media.limits import Limits
from ambidex.data.moments import Moments
from ambidex.data.store.manifest import Manifest

When = Literal["decoded", "sample"]
Weaken = Callable[[When, str, NDArray[Any]], NDArray[Any]]
"""(what it is, modality, array) -> the array weakened"""


def untouched(when: When, modality: str, x: NDArray[Any]) -> NDArray[Any]:
    """x itself: of a sample that nobody weakens."""
    return x


@dataclass(frozen=True)
class Weakening:
    """What `extract.degrade` does to samples; nothing by default."""

    degrade: Degrade = field(default_factory=Degrade)
    deviations: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """modality -> deviations of its undegraded training samples, where a step asks for them"""

    @classmethod
    def of(
        cls, degrade: Degrade, rows: Sequence[Row], wants: Wants, root: Path, limits: Limits
    ) -> "Weakening":
        """With the deviations that the steps ask for, measured on the training samples among `rows`."""
        steps = degrade.steps if degrade.active else ()
        names = dict.fromkeys(step.modality for step in steps if step.needs_deviation)
        measured = {name: _deviation(name, rows, wants, root, limits) for name in names}
        return cls(degrade, {name: value for name, value in measured.items() if value is not None})

    def of_row(self, row: Row) -> Weaken:
        """What is done to the sample of `row`."""
        if not self.degrade.active:
            return untouched
        numbers: Counter[tuple[str, str]] = Counter()
        steps: list[tuple[Degradation, str]] = []
        for step in self.degrade.steps:
            key = step.modality, step.name
            if row.split in step.splits:
                steps.append((step, f"{self.degrade.seed}/{row.sample_id}/{'/'.join(key)}/{numbers[key]}"))
            numbers[key] += 1

        def weaken(when: When, modality: str, x: NDArray[Any]) -> NDArray[Any]:
            for step, key in steps:
                if (step.acts_on, step.modality) == (when, modality):
                    x = step.apply(x, self.degrade.severity, _generator(key), self.deviations.get(modality))
            return x

        return weaken

    @property
    def key(self) -> dict[str, list[float]]:
        """What was measured on other samples than those of a shard."""
        return {name: value.tolist() for name, value in self.deviations.items()}


def degraded(manifest: Manifest, degrade: Degrade) -> Manifest:
    """`manifest` without the cells that `absent` takes, its facts saying what is degraded; itself where nothing is.

    Raises ParamsError where `absent` names a class that the manifest does not have.
    """
    if not degrade.active:
        return manifest
    _check_classes(degrade, manifest.classes)
    rows = list(manifest.rows)
    for step in degrade.steps:
        if isinstance(step, Absent):
            lacking = step.lacking(rows, degrade.severity, degrade.seed)
            rows = [_without(row, step.modality) if row.sample_id in lacking else row for row in rows]
    protocol = "; ".join(filter(None, (manifest.facts.get("protocol"), degrade.words)))
    return replace(
        manifest, rows=rows, facts={**manifest.facts, "protocol": protocol, "degraded": degrade.words}
    )


def _check_classes(degrade: Degrade, classes: Sequence[str]) -> None:
    for index, step in enumerate(degrade.steps):
        names = step.classes if isinstance(step, Absent) else ()
        if wrong := [name for name in names if name not in classes]:
            raise ParamsError(
                f"extract.degrade.steps.{index}.classes: no class '{wrong[0]}'; {nearest(wrong[0], sorted(classes))}"
            )


def _without(row: Row, modality: str) -> Row:
    return replace(row, paths={name: path for name, path in row.paths.items() if name != modality})


def _generator(key: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(sha256(key.encode()).digest()[:16]))


def _deviation(
    name: str, rows: Sequence[Row], wants: Wants, root: Path, limits: Limits
) -> NDArray[np.float64] | None:
    """Per channel, over the training samples that can be read; None where none can."""
    own = [row for row in rows if row.split == "train" and name in row.paths]
    total: Moments | None = None
    for row in watched(own, f"deviations of {name}", len(own), "samples"):
        try:
            part = wants[name].moments(wants[name].read(row.paths[name], root, limits))
        except Exception:  # extraction rejects it and says why
            continue
        total = Moments.total([one for one in (total, part) if one])
    return None if total is None else np.array(total.std)
