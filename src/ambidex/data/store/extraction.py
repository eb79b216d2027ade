"""What is done with rows of the manifest, one by one: each becomes tensors, or a reason why not."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ambidex.data.kinds import MediaKind, Wants
from ambidex.data.manifest import Row
from ambidex.data.media.decode import decode
from ambidex.data.media.foreign import check_file
from ambidex.data.media.limits import DEFAULT, Limits
from ambidex.data.media.reasons import reason_of
from ambidex.data.moments import Moments
from ambidex.data.store.degrading import Weaken, Weakening, untouched

Sample = dict[str, NDArray[Any]]
Begin = Callable[[tuple[str, str]], None]
"""called with (modality, cell) before a file is opened"""


@dataclass(frozen=True)
class Rejected:
    """A sample that was left out, and why."""

    sample_id: str
    modality: str
    path: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What became of one row: its tensors, or why there are none."""

    sample_id: str
    sample: Sample | None = None
    rejected: Rejected | None = None
    moments: dict[str, Moments] = field(default_factory=dict)
    """of a training sample"""
    silent: tuple[str, ...] = ()
    """modalities whose sound is muted"""


@dataclass
class Batch:
    """Some rows' samples in their order; `moments` are those of the training samples among them."""

    samples: list[Sample] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    moments: dict[str, list[Moments]] = field(default_factory=dict)
    silent: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> "Batch":
        """The batch of one task's rows; their moments are added up."""
        batch = cls()
        for outcome in outcomes:
            if outcome.rejected is not None:
                batch.rejected.append(outcome.rejected)
            elif outcome.sample is not None:
                batch.samples.append(outcome.sample)
                batch.accepted.append(outcome.sample_id)
            batch.silent.update(outcome.silent)
            for name, moments in outcome.moments.items():
                batch.moments.setdefault(name, []).append(moments)
        batch.moments = {
            name: [total] for name, parts in batch.moments.items() if (total := Moments.total(parts))
        }
        return batch

    def add(self, other: "Batch") -> None:
        """Append the samples of the rows that follow."""
        self.samples += other.samples
        self.accepted += other.accepted
        self.rejected += other.rejected
        self.silent += other.silent
        for name, parts in other.moments.items():
            self.moments.setdefault(name, []).extend(parts)


class _SampleError(Exception):
    """Why a sample cannot be used, and which modality and file that is about."""

    def __init__(self, modality: str, path: str, cause: Exception) -> None:
        super().__init__(str(cause))
        self.modality, self.path, self.cause = modality, path, cause


def _unheard(_: tuple[str, str]) -> None:
    pass


def extract_rows(
    rows: Sequence[Row],
    wants: Wants,
    root: Path,
    limits: Limits = DEFAULT,
    weakening: Weakening | None = None,
) -> Batch:
    """Turn `rows` into tensors in this process. A row with a file that cannot be used is rejected with a reason.

    A file that kills its process ends this one; see `pool.extracted`.
    """
    return Batch.of(extract_row(row, _unheard, wants, root, limits, weakening) for row in rows)


def extract_row(
    row: Row, begin: Begin, wants: Wants, root: Path, limits: Limits, weakening: Weakening | None = None
) -> Outcome:
    """One row's tensors, or the reason why there are none, whatever goes wrong."""
    weaken = untouched if weakening is None else weakening.of_row(row)
    try:
        with np.errstate(all="ignore"):  # numbers that are not finite are refused with a reason
            sample, silent = _extract(row.paths, wants, root, limits, begin, weaken)
    except _SampleError as error:
        reason = reason_of(error.cause, limits)
        return Outcome(row.sample_id, rejected=Rejected(row.sample_id, error.modality, error.path, reason))
    moments = {}
    if row.split == "train":
        moments = {name: wants[name].moments(value) for name, value in sample.items() if name in row.paths}
    return Outcome(row.sample_id, sample, None, moments, silent)


def extract_sample(cells: Mapping[str, str], wants: Wants, root: Path, limits: Limits = DEFAULT) -> Sample:
    """One sample's tensor per modality, zeros of one that `cells` does not name. A file of several is decoded once.

    Raises MediaError where a file cannot be used.
    """
    try:
        return _extract(cells, wants, root, limits, _unheard)[0]
    except _SampleError as error:
        raise error.cause from None


def _extract(
    cells: Mapping[str, str],
    wants: Wants,
    root: Path,
    limits: Limits,
    begin: Begin,
    weaken: Weaken = untouched,
) -> tuple[Sample, tuple[str, ...]]:
    """The tensors, and the modalities whose sound is silent. Raises _SampleError."""
    files: dict[str, dict[str, MediaKind]] = {}
    sample: Sample = {}
    silent: list[str] = []
    for name, kind in wants.items():
        if name not in cells:
            sample[name] = np.zeros(kind.shape, kind.dtype)
            continue
        if isinstance(kind, MediaKind) and kind.decodes(cells[name]):
            files.setdefault(cells[name], {})[name] = kind
            continue
        begin((name, cells[name]))
        try:
            sample[name] = weaken("sample", name, kind.read(cells[name], root, limits))
        except Exception as error:
            raise _SampleError(name, cells[name], error) from None
    for cell, kinds in files.items():
        begin(("+".join(kinds), cell))
        try:
            check_file(root / cell, limits.bytes)
            sample.update(_media(root / cell, kinds, silent, weaken))
        except Exception as error:
            raise _SampleError("+".join(kinds), cell, error) from None
    return {name: sample[name] for name in wants}, tuple(silent)


def _media(path: Path, kinds: Mapping[str, MediaKind], silent: list[str], weaken: Weaken) -> Sample:
    """The samples of one file, which is decoded once; `silent` gets the modalities whose sound is muted."""
    decoded = decode(path, [kind.request() for kind in kinds.values()])
    silent += [
        name for (name, kind), array in zip(kinds.items(), decoded, strict=True) if kind.is_silent(array)
    ]
    return {
        name: weaken("sample", name, kind.made(weaken("decoded", name, array)))
        for (name, kind), array in zip(kinds.items(), decoded, strict=True)
    }
