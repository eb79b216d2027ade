"""A small run with everything that stages read, and for each stage two calls that give different outputs."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from ambidex.base.layout import Layout
from ambidex.configuration.params import Params
from chaos.child import Child, Work
from helpers.runs import small_params, write_manifest

NAMES = {
    "prepare": "manifest", "extract": "features", "merge": "features", "pretrain": "encoder", "train": "model",
    "crossfit": "crossfit", "evaluate": "report", "compare": "study",
}  # fmt: skip
_CLIPS = {"samples_per_class": 9, "classes": 3, "seconds": 0.2, "size": 16}
_SPEAKERS = {"train_speakers": 3, "val_speakers": 3, "test_speakers": 3}
_UNSTABLE = ("timing", "seconds", "revision")
"""what differs in the cards of two equal runs"""


class World:
    """Inputs of every stage, made once; `work` gives variant 0 or 1 of a stage with an output of the caller's."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)
        root.mkdir(parents=True)
        write_manifest(self.layout)
        for stage, values, output in (
            ("extract", {}, self.layout.features),
            ("extract", {"extract": {"part": "0/2"}}, self.layout.part(0)),
            ("extract", {"extract": {"part": "1/2"}}, self.layout.part(1)),
            ("train", {}, self.layout.model("joint", "scratch", 0)),
            ("evaluate", {}, self.layout.report("joint", "scratch", 0)),
        ):
            work = Work(stage, _params(0, **values), self._inputs(stage), {NAMES[stage]: output})
            child = Child(work, root / "setup.log")
            assert child.wait() == 0, child.said()
        (root / "setup.log").unlink()

    def work(self, stage: str, variant: int, output: Path, checkpoints: Path | None = None) -> Work:
        """One call of `stage`."""
        runtime = {"checkpoints": None if checkpoints is None else str(checkpoints)}
        return Work(stage, _params(variant, runtime=runtime), self._inputs(stage), {NAMES[stage]: output})

    def _inputs(self, stage: str) -> dict[str, Path]:
        features = {"features": self.layout.features}
        return {
            "prepare": {},
            "extract": {"manifest": self.layout.manifest},
            "merge": {"parts": self.layout.parts},
            "evaluate": {**features, "model": self.layout.model("joint", "scratch", 0)},
            "compare": {"reports": self.layout.reports},
        }.get(stage, features)


def _params(variant: int, **sections: Any) -> Params:
    small = {"diagnostics": [], "allocators": ["uniform"], "allocator": "modality", "folds": 2}
    given: dict[str, Any] = {
        "prepare": {"options": {**_CLIPS, **_SPEAKERS}, "seed": variant},
        "extract": {"max_rejected_fraction": 0.02 + variant / 100, "shard_size": 20},
        "pretrain": {"modality": "left", "epochs": 4 + variant},
        "train": {"method": "joint", "epochs": 4 + variant},
        "crossfit": {"folds": 2, "seed": variant},
        "evaluate": {**small, "bins": 15 + variant},
        "compare": {"seed": variant},
        "study": {"methods": ["joint"], "regimes": ["scratch"], "seeds": [0]},
    }
    for name, values in sections.items():
        given[name] = {**given.get(name, {}), **values}
    return small_params(**given)


def content(output: Path) -> dict[str, str] | None:
    """File -> digest, but for times and for the names of TensorBoard's files; None where there is no output."""
    if not output.is_dir():
        return None
    found = {}
    for path in sorted(output.rglob("*")):
        name = str(path.relative_to(output))
        if path.is_dir() or "tfevents" in path.name:
            continue
        if path.name == "card.json":
            card = json.loads(path.read_text())
            found[name] = json.dumps({key: value for key, value in card.items() if key not in _UNSTABLE})
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def restore(source: Path, target: Path) -> None:
    """Make `target` a fresh copy of the output `source`, alone in its folder."""
    shutil.rmtree(target.parent, ignore_errors=True)
    target.parent.mkdir(parents=True)
    shutil.copytree(source, target)
