"""The fixed jobs: each is a params.yaml and commands of `ambidex` that are run with it in an empty folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path("../shared/data")
"""beside the checkout; jobs that need what is not there are skipped"""
STUDY = ("study",)
PREDICT = "predict-clips"
"""the step that predicts the first test clips of the manifest with the model of a report"""
_LOOP = {"epochs": 1, "batch_size": 32, "optimizer": "adam", "learning_rate": 0.003}
_CPU = {"accelerator": "cpu", "threads": 1}
_SMALL_CNNS = {"audio": {"name": "small_cnn"}, "visual": {"name": "small_cnn"}}
_QUICK = {"allocators": ["uniform"], "allocator": "uniform", "diagnostics": ["performance"], "resamples": 100}
_FITTED = {"allocators": ["uniform", "category"], "allocator": "auto", "resamples": 100, "save": True} | {
    "options": {"auto": {"candidates": ["modality", "calibrated", "confusion"]}}
}
_SPEAKERS = {"train_speakers": 6, "val_speakers": 4, "test_speakers": 4}


@dataclass(frozen=True)
class Job:
    """What is run. Two jobs with equal fields give equal files under equal code."""

    params: Mapping[str, Any]
    steps: tuple[tuple[str, ...], ...] = (STUDY,)
    """words of the command line after `ambidex`, one after the other"""
    data: str | None = None
    """the file or folder in DATA that `prepare.source` is set to"""
    every_method: bool = False
    """the study is of all methods that the tree's own params.yaml names"""

    def skipped(self, root: Path) -> str | None:
        """Why the job cannot run for the checkout `root`; None where it can."""
        if self.data is None or (root / DATA / self.data).exists():
            return None
        return f"{DATA / self.data} is missing"


def _synthetic(samples_per_class: int, **sections: Any) -> dict[str, Any]:
    """Parameters of a run on small synthetic clips; `sections` replace those of the same name."""
    return {
        "prepare": {
            "dataset": "synthetic",
            "options": {"samples_per_class": samples_per_class, "size": 16, "fps": 4, **_SPEAKERS},
        },
        "extract": {
            "shard_size": 64,
            "modalities": {
                "audio": {
                    "kind": "log_mel",
                    "sample_rate": 8000,
                    "seconds": 1.0,
                    "n_fft": 256,
                    "hop": 128,
                    "n_mels": 16,
                },
                "visual": {"kind": "frames", "count": 2, "size": 16},
            },
        },
        "augment": {"visual": {"kind": "frames", "min_area": 0.7, "flip": 0.5}},
        "model": {"encoders": _SMALL_CNNS, "fusion": {"name": "concat"}},
        "pretrain": _LOOP,
        "train": _LOOP,
        "evaluate": _FITTED,
        "runtime": _CPU,
        **sections,
    }


def _cells(methods: list[str], regimes: list[str]) -> dict[str, Any]:
    return {"methods": methods, "regimes": regimes, "seeds": [0]}


def _head(fusion: dict[str, Any], allocator: str) -> Job:
    """A cell on frozen encoders, saved with `allocator`, which then predicts clips."""
    evaluate = {**_FITTED, "allocators": ["uniform", allocator], "allocator": allocator}
    params = _synthetic(
        18,
        model={"encoders": _SMALL_CNNS, "fusion": fusion},
        evaluate=evaluate,
        study=_cells(["joint"], ["frozen"]),
    )
    return Job(params, (STUDY, (PREDICT, "joint-frozen-0")))


_METHOD_OPTIONS = {
    "relearning": {"every": 1},
    "reconboost": {"epochs_per_stage": 1, "correct_epochs": 1},
    "inforeg": {"unimodal_losses": True},
    "exchanging": {"use": "greedy", "mode": "plain"},
}
"""options under which a method acts within two epochs; `exchanging` is joint training of encoders with an MMTM"""
_CELL = ("--method", "multi_task", "--regime", "scratch", "--seed", "0")
_DIGITS = {
    "audio": {"kind": "log_mel", "sample_rate": 8000, "seconds": 1.0, "n_fft": 256, "hop": 160, "n_mels": 20},
    "visual": {"kind": "frames", "count": 1, "size": 28},
}
_VIEWS = ("pix240", "fou76", "fac216", "zer47", "kar64", "mor6")

JOBS: dict[str, Job] = {
    "small": Job(_synthetic(18), (("prepare",), ("extract",), ("train", *_CELL))),
    "embedded": Job(
        _synthetic(
            24,
            evaluate={**_FITTED, "diagnostics": ["performance", "capability", "shapley"]},
            study=_cells(["joint", "multi_task"], ["scratch", "pretrained", "frozen"]),
        ),
        (STUDY, (PREDICT, "multi_task-pretrained-0"), (PREDICT, "joint-scratch-0")),
    ),
    "methods": Job(
        _synthetic(
            18,
            train={**_LOOP, "epochs": 2},
            evaluate=_QUICK,
            methods=_METHOD_OPTIONS,
            study=_cells([], ["scratch"]),
        ),
        every_method=True,
    ),
    "crossfit": Job(
        _synthetic(
            18,
            crossfit={"folds": 2},
            evaluate={**_FITTED, "fit_on": "crossfit"},
            study=_cells(["multi_task"], ["scratch"]),
        ),
        (
            ("prepare",),
            ("extract",),
            ("train", *_CELL),
            ("crossfit", *_CELL),
            ("evaluate", *_CELL),
            (PREDICT, "multi_task-scratch-0"),
        ),
    ),
    "film": _head({"name": "film"}, "modality"),
    "gated": _head({"name": "gated"}, "pooled"),
    "av_digits": Job(
        {
            "prepare": {"dataset": "av_digits"},
            "extract": {"modalities": _DIGITS},
            "augment": {"audio": {"kind": "spectrogram", "frequency_mask": 0.15, "time_mask": 0.15}},
            "model": {"encoders": _SMALL_CNNS, "fusion": {"name": "concat"}},
            "pretrain": {**_LOOP, "batch_size": 64},
            "train": {**_LOOP, "batch_size": 64},
            "evaluate": _QUICK,
            "study": _cells(["joint", "multi_task"], ["scratch"]),
            "runtime": _CPU,
        },
        data="av_digits",
    ),
    "mfeat6": Job(
        {
            "prepare": {"dataset": "npz", "options": {"test": "test"}, "shared_content": "allow"},
            "extract": {"modalities": {name: {"kind": "vector"} for name in _VIEWS}},
            "model": {"encoders": {name: {"name": "mlp"} for name in _VIEWS}, "fusion": {"name": "concat"}},
            "pretrain": {**_LOOP, "batch_size": 64},
            "train": {**_LOOP, "batch_size": 64},
            "evaluate": _QUICK,
            "study": _cells(["multi_task"], ["scratch"]),
            "runtime": _CPU,
        },
        data="mfeat6.npz",
    ),
}
USUAL = tuple(name for name in JOBS if name != "small")
"""what is run where no jobs are named: `small` is a part of `embedded`"""
