"""The stages, declared once each: what a stage reads and writes, and what its output depends on.

From this table come the places of the command line and of `study`, whether an output is up to date, the code
fingerprint in run cards and checkpoints, and the stages of dvc.yaml. Only the standard library is imported here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ambidex.base.layout import Layout
    from ambidex.configuration.params import Params

Place = Callable[["Params", "Layout"], Path]


@dataclass(frozen=True)
class Artefact:
    """A folder that one stage writes and others read."""

    name: str
    about: str
    place: Place
    """where it stands for the parameters of one call"""
    tells: tuple[str, ...] = ()
    """its files that change whenever its content does, where that is fewer than all: what DVC watches"""
    why: str = ""
    """why these are enough"""
    holds: str = ""
    """the artefact of which it has a folder each, where no stage writes it itself"""


@dataclass(frozen=True)
class Read:
    """An input of a stage."""

    artefact: Artefact
    wanted: Callable[[Any], bool] = lambda work: True
    """whether the stage's work, a cell or parameters, asks for it"""
    optional: bool = False
    """named only where it exists; the stage itself says so where it cannot do without"""


@dataclass(frozen=True)
class Stage:
    """The declaration of one stage: a file `stages/NAME.py` with `run(params, inputs, outputs)`."""

    about: str
    reads: tuple[Read, ...]
    writes: Artefact
    sections: tuple[str, ...]
    """the sections of params.yaml that shape its output"""
    packages: tuple[str, ...]
    """the rooms of the library that its result depends on, and the modules of `base` and `judge`, besides those that
    only carry values (`code.CARRIES`). What counts is what the imports reach; a test holds this list against it"""
    chosen: tuple[str, ...] = ()
    """the registries, by their package, of which only the plug-ins count that the parameters choose"""
    unused: tuple[str, ...] = ()
    """the registries that its imports reach, but whose plug-ins change nothing; of all others every plug-in counts"""
    without: tuple[str, ...] = ()
    """keys of its sections that change no result, `extract.workers`, besides those that `Runtime.UNFINISHED` names"""
    also: tuple[str, ...] = ()
    """single keys of other sections that shape its output, `evaluate.seed`"""
    of_method: bool = False
    """whether it trains the method of `train`: it works with the cell, in which that method's `train` values stand"""
    matrix: str = ""
    """what DVC runs it for: "cells" of the study, "classifiers" of all seeds; empty: once"""
    flags: tuple[tuple[str, str], ...] = ()
    """(flag, key): `--flag VALUE` is short for `--set key=VALUE`"""
    distributed: bool = False
    """whether several devices work on it together"""
    shipped: bool = True
    """whether dvc.yaml has it as it is shipped"""
    source: str = ""
    """the parameter that names what it reads from outside"""
    in_dvc: tuple[str, ...] = ()
    """words that DVC adds to the command"""
    persists: bool = False
    """whether DVC leaves the old output where it is: the stage takes over what is the user's in it"""


@dataclass(frozen=True)
class _Cell:
    """Places of one cell of a study."""

    of: Callable[["Layout"], Callable[[str, str, int], Path]]

    def __call__(self, params: "Params", layout: "Layout") -> Path:
        train = params.train
        return self.of(layout)(train.method, train.regime, train.seed)


def _features_or_part(params: "Params", layout: "Layout") -> Path:
    part = params.extract.part
    return layout.part(part.index) if part else layout.features


MANIFEST = Artefact(
    "manifest",
    "folder with manifest.csv: the samples, their labels and splits",
    lambda params, layout: layout.manifest,
    ("manifest.csv", "dataset.json"),
    "these two change whenever a sample does",
)
PARTS = Artefact(
    "parts",
    "folder with the parts of a feature store, a folder each",
    lambda params, layout: layout.parts,
    holds="features",
)
FEATURES = Artefact(
    "features",
    "folder with the feature store: tensors made from the media",
    lambda params, layout: layout.features,
    ("index.json",),
    "names the sha256 of every shard",
)
ENCODER = Artefact(
    "encoder",
    "folder of one pretrained unimodal classifier",
    lambda params, layout: layout.encoder(str(params.pretrain.modality), params.pretrain.seed),
)
ENCODERS = Artefact(
    "encoders",
    "folder with a pretrained classifier per modality",
    lambda params, layout: layout.encoders(params.train.seed),
    holds="encoder",
)
ALL_ENCODERS = replace(ENCODERS, place=lambda params, layout: layout.all_encoders)
MODEL = Artefact("model", "folder of one trained model", _Cell(lambda layout: layout.model))
CROSSFIT = Artefact(
    "crossfit",
    "folder with the training split as models say it that were trained without it",
    _Cell(lambda layout: layout.crossfit),
)
REPORT = Artefact(
    "report",
    "folder of one evaluation: report.html, metrics.json, tables",
    _Cell(lambda layout: layout.report),
)
REPORTS = Artefact(
    "reports",
    "folder with one evaluation per cell of the study",
    lambda params, layout: layout.reports,
    holds="report",
)
STUDY = Artefact(
    "study", "folder of the comparison: compare.html, compare.csv", lambda params, layout: layout.study
)

_CELL = (("method", "train.method"), ("regime", "train.regime"), ("seed", "train.seed"))
_TRAINED = ("model", "augment", "runtime")
_TRAINING = ("data", "learn", "net")
_KINDS = ("ambidex.data.kinds",)
_TRAINED_WITH = (
    *_KINDS,
    "ambidex.net.additions",
    "ambidex.net.encoders",
    "ambidex.net.fusion",
    "ambidex.learn.methods",
)
_SHAPES = ("evaluate.absent", "evaluate.permutations", "evaluate.seed")

TABLE: dict[str, Stage] = {
    "prepare": Stage(
        "find or make the samples, and split them",
        reads=(),
        writes=MANIFEST,
        sections=("prepare",),
        source="prepare.source",
        packages=("base.few_groups", "data"),
        chosen=("ambidex.data.datasets",),
    ),
    "extract": Stage(
        "decode the media into tensors of fixed shape",
        reads=(Read(MANIFEST),),
        writes=replace(FEATURES, place=_features_or_part),
        sections=("extract",),
        packages=("data",),
        chosen=_KINDS,
        without=("extract.workers",),
        flags=(("part", "extract.part"),),
    ),
    "merge": Stage(
        "join the parts of a feature store",
        reads=(Read(PARTS),),
        writes=FEATURES,
        sections=("extract",),
        packages=("data",),
        chosen=_KINDS,
        without=("extract.workers",),
        shipped=False,
    ),
    "pretrain": Stage(
        "one classifier per modality, alone",
        reads=(Read(FEATURES),),
        writes=ENCODER,
        sections=("pretrain", *_TRAINED),
        packages=("base.statistics", *_TRAINING),
        chosen=(*_KINDS, "ambidex.net.encoders"),
        unused=("ambidex.learn.methods", "ambidex.net.additions", "ambidex.net.fusion"),
        matrix="classifiers",
        flags=(("modality", "pretrain.modality"), ("seed", "pretrain.seed")),
        distributed=True,
    ),
    "train": Stage(
        "one model, all modalities together",
        reads=(Read(FEATURES), Read(ENCODERS, lambda cell: cell.starts_from_encoders, optional=True)),
        writes=MODEL,
        sections=("train", *_TRAINED),
        packages=_TRAINING,
        chosen=_TRAINED_WITH,
        of_method=True,
        matrix="cells",
        flags=_CELL,
        distributed=True,
    ),
    "crossfit": Stage(
        "the training split as models say it that were trained without it",
        reads=(Read(FEATURES),),
        writes=CROSSFIT,
        sections=("crossfit", "pretrain", "train", *_TRAINED),
        packages=(
            "base.convex",
            "base.folds",
            "base.lbfgsb",
            "base.statistics",
            "decide",
            "judge.evaluation",
            "judge.held_out",
            "judge.imbalance",
            "judge.memo",
            "judge.probes",
            *_TRAINING,
        ),
        chosen=_TRAINED_WITH,
        unused=("ambidex.decide.allocators",),
        also=_SHAPES,
        of_method=True,
        matrix="cells",
        flags=_CELL,
        shipped=False,
    ),
    "evaluate": Stage(
        "diagnose one model and repair its decision layer",
        reads=(
            Read(FEATURES),
            Read(MODEL),
            Read(ENCODERS, optional=True),
            Read(CROSSFIT, lambda params: params.evaluate.fit_on == "crossfit", optional=True),
        ),
        writes=REPORT,
        sections=("evaluate",),
        packages=(
            "base.convex",
            "base.few_groups",
            "base.folds",
            "base.lbfgsb",
            "base.statistics",
            "base.working_set",
            "data",
            "decide",
            "judge.cross_validated",
            "judge.diagnose",
            "judge.evaluation",
            "judge.held_out",
            "judge.imbalance",
            "judge.memo",
            "judge.probes",
            "learn",
            "net",
            "predict",
            "report",
        ),
        chosen=_KINDS,
        without=("evaluate.save",),
        matrix="cells",
        flags=(*_CELL, ("allocator", "evaluate.allocator")),
        persists=True,
    ),
    "compare": Stage(
        "all evaluated models in one table",
        reads=(Read(REPORTS), Read(ALL_ENCODERS, optional=True)),
        writes=STUDY,
        sections=("compare", "study", "methods"),
        packages=("base.folds", "base.statistics", "judge.cross_validated", "judge.imbalance", "report"),
        in_dvc=("--quiet",),
    ),
}
