"""The schema of params.yaml: one section per stage, unknown keys refused, every number bounded.

Options of plug-ins (a data set, an encoder, a method ...) are validated by the plug-in's own nested `Config`;
`ambidex.configuration` reads the file, applies `--set`, and turns every mistake into one line.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from ambidex.base.errors import ParamsError
from ambidex.base.section import Fraction as Fraction
from ambidex.base.section import Section as Section
from ambidex.configuration.degrade import Degrade
from ambidex.configuration.optimisation import Pretrain, Train
from ambidex.configuration.platform import Platform
from ambidex.configuration.values import Choice, Label, ModalityName, Named, Regime, Seed
from ambidex.data.kinds import AugmentConfig, Kind, KindConfig, any_augment, any_config, kind_of

MOST_PARTS = 100_000
if TYPE_CHECKING:
    Input = KindConfig
    Augment = AugmentConfig
else:
    Input, Augment = any_config(), any_augment()


class Prepare(Section):
    """prepare: from what is on disk to a manifest."""

    dataset: str = Field("synthetic", description="the reader, see `ambidex datasets`")
    source: str = Field("", description="manifest CSV or folder that the data set reads; DVC watches it")
    options: dict[str, Any] = Field(default_factory=dict, description="the data set's own parameters")
    val_fraction: float = Field(
        0.15,
        ge=0,
        lt=1,
        description="share of the groups, where the data have no split; 0: make no val split",
    )
    test_fraction: float = Field(
        0.25, gt=0, lt=1, description="share of the groups, where the data have no split"
    )
    min_groups: int = Field(
        3,
        ge=1,
        le=50,
        description="groups that val and test get at least where they are drawn, as long as train keeps two thirds of "
        "its share; else two, as long as it keeps half; else one",
    )
    allow_missing: tuple[ModalityName, ...] = Field(
        (), max_length=1_000, description="modalities that a sample may lack: their cells may be empty"
    )
    allow_shared_groups: bool = Field(False, description="accept a group (speaker) that stands in two splits")
    shared_content: Literal["refuse", "drop", "allow"] = Field(
        "refuse",
        description="where listed splits hold the same file or vector; drop: leave out copies in the earlier split; "
        "allow: content joins no groups, and what is shared makes the result leaky",
    )
    seed: Seed = Field(0, description="of the split, and of a data set that is made up")

    @model_validator(mode="after")
    def _something_left_to_train_on(self) -> "Prepare":
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction + test_fraction must stay below 1: nothing is left to train on")
        return self


class Part(Section):
    """One of several shares of the shards, extracted on its own, for `merge` to join; missing: everything.

    `part: 1/4` is short for `part: {index: 1, of: 4}`.
    """

    index: int = Field(ge=0, lt=MOST_PARTS, description="which share, counted from 0")
    of: int = Field(ge=1, le=MOST_PARTS, description="shares in all")

    @model_validator(mode="before")
    @classmethod
    def _as_fraction(cls, value: Any) -> Any:
        """`0/4` is short for {index: 0, of: 4}."""
        index, slash, of = value.partition("/") if isinstance(value, str) else ("", "", "")
        return {"index": index, "of": of} if slash else value

    @model_validator(mode="after")
    def _one_of_them(self) -> "Part":
        if self.index >= self.of:
            raise ValueError(f"index is {self.index}, and the last of {self.of} parts is {self.of - 1}")
        return self


class Extract(Section):
    """extract: from media to the feature store."""

    modalities: dict[ModalityName, Input]
    shard_size: int = Field(256, ge=1, le=1_000_000, description="samples in a shard")
    workers: int = Field(0, ge=0, le=256, description="processes; 0: one per core")
    max_rejected_fraction: Fraction = Field(
        0.02, description="share of broken clips above which extract fails"
    )
    seconds_per_file: float = Field(
        120.0, gt=0, le=86_400, description="time that a sample may take, beyond which it is rejected"
    )
    megabytes_per_file: int = Field(
        4_096,
        ge=64,
        le=2**20,
        description="MiB of memory that a sample may take, beyond which it is rejected",
    )
    degrade: Degrade = Degrade()
    part: Part | None = Field(
        None, description="extract this share only (`0/4`: the first of four), for `merge` to join"
    )

    @property
    def kinds(self) -> dict[str, Kind]:
        """What the samples of each modality are."""
        return {name: kind_of(config) for name, config in self.modalities.items()}


class Model(Section):
    """The model: an encoder per modality and the decision layer."""

    encoders: dict[ModalityName, Choice]
    fusion: Choice = Field(Choice(name="concat"), description="the decision layer, see `ambidex fusions`")
    fill: Literal["zero", "mean", "learned"] = Field(
        "zero",
        description="what stands for the feature of a modality that a sample lacks: zeros, the running mean of "
        "training, or a learned feature; changes nothing with an additive fusion or `attention`",
    )


class Evaluate(Section):
    """evaluate: diagnosis and repair of one trained model."""

    SHAPES_CONTRIBUTIONS: ClassVar[tuple[str, ...]] = ("absent", "permutations", "seed")
    """the keys on which the contributions of a head that is not additive depend"""

    diagnostics: list[str] | None = Field(None, description="names; missing: all of them")
    allocators: list[str] | None = Field(
        None, description="names, fitted on held-out samples; missing: all of them"
    )
    allocator: str = Field("auto", description="the one whose result is the model's headline")
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="allocators' own parameters by name, see `ambidex allocators`"
    )
    batch_size: int = Field(
        256, ge=1, le=1_000_000, description="samples at a time; changes speed, not results"
    )
    folds: int = Field(
        5, ge=2, le=100, description="cross-validation folds of fitted allocators and probes, by group"
    )
    resamples: int = Field(1_000, ge=100, le=100_000, description="bootstrap samples")
    fit_on: Literal["val", "crossfit"] = Field(
        "val",
        description="what allocators are fitted on: the validation split, or also the training split as `crossfit` "
        "scored it",
    )
    standalone: Literal["probes", "refuse"] = Field(
        "probes",
        description="where an allocator needs classifiers, and neither the head's parts nor own heads are such: it "
        "reads linear probes, or it is refused",
    )
    charts: bool = Field(
        True, description="draw the charts of the report; a study of many cells is faster without"
    )
    save: bool = Field(False, description="write the model with the headline allocator inside: report/model")
    absent: Literal["zero", "mean", "permuted"] = Field("mean", description="feature of an absent modality")
    permutations: int = Field(
        64, ge=2, le=10_000, description="orders of the modalities drawn for Shapley values of more than six"
    )
    bins: int = Field(15, ge=2, le=1_000, description="calibration bins")
    seed: Seed = Field(0, description="of resampling, folds and permutations")


class Crossfit(Section):
    """crossfit: score the training split by models that never saw the samples they score."""

    folds: int = Field(
        5, ge=2, le=100, description="models to train; each scores the groups that the others trained on"
    )
    seed: Seed = Field(0, description="of the folds: the same for all cells of a study")


class Compare(Section):
    """compare: many evaluated models in one table."""

    reference_method: str = Field("joint", description="every other method is tested against it")
    reference_allocator: str = Field("uniform", description="the allocator of the reference")
    resamples: int = Field(2_000, ge=100, le=100_000, description="bootstrap samples")
    significance: float = Field(
        0.05, gt=0, lt=1, description="largest chance of a false mark in a family of tests"
    )
    seed: Seed = Field(0, description="of the resampling")


class Study(Section):
    """The cells of a study: every method in every regime with every seed."""

    methods: list[Label] = Field(["multi_task", "joint"], max_length=1_000, description="names in `methods`")
    regimes: list[Regime] = Field(["scratch", "pretrained"], description="see train.regime")
    seeds: list[Seed] = Field(
        [0, 1, 2], max_length=10_000, description="one run of every cell for each; fewer than 3 prove nothing"
    )

    degrade: tuple[Fraction, ...] = Field(
        (),
        max_length=100,
        description="severities of extract.degrade.steps: all cells at each, side by side; empty: none of this",
    )

    @field_validator("degrade")
    @classmethod
    def _each_once(cls, severities: tuple[float, ...]) -> tuple[float, ...]:
        if len({f"{severity:g}" for severity in severities}) < len(severities):
            raise ValueError(f"got {list(severities)}, expected each severity once")
        if len(severities) == 1:
            raise ValueError("got one severity, expected two or more; extract.degrade.severity sets one")
        return severities


class Runtime(Section):
    """Where it runs."""

    UNFINISHED: ClassVar[tuple[str, ...]] = ("checkpoints", "checkpoint_minutes", "loggers")
    """the keys that say where and how often unfinished work and logs are kept: no result depends on them"""

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="auto: CUDA where there is one"
    )
    devices: int = Field(1, ge=1, le=1_024, description="processes of distributed training, a device each")
    checkpoints: str | None = Field(
        None,
        description="folder where unfinished training stands, for example on a volume that outlives a pod; "
        "missing: beside the output",
    )
    checkpoint_minutes: float = Field(
        10.0,
        ge=0,
        le=1e6,
        allow_inf_nan=False,
        description="a checkpoint within an epoch, where so much time has passed since the last one; 0: after epochs "
        "alone",
    )
    loggers: tuple[Named, ...] = Field(
        (Choice(name="tensorboard"), Choice(name="history")),
        max_length=32,
        description="where the numbers of a training go, see `ambidex loggers`: names, or blocks of a name and options",
    )
    threads: int = Field(0, ge=0, le=4_096, description="CPU threads; 0: torch decides")
    deterministic: bool = Field(True, description="the same numbers in every run, a little slower")


class Params(Section):
    """All parameters of a run."""

    prepare: Prepare = Prepare()
    extract: Extract
    augment: dict[ModalityName, Augment] = Field(default_factory=dict)
    model: Model
    pretrain: Pretrain = Pretrain()
    train: Train = Train()
    methods: dict[Label, dict[str, Any]] = Field(default_factory=dict, description="options by method")
    crossfit: Crossfit = Crossfit()
    evaluate: Evaluate = Evaluate()
    compare: Compare = Compare()
    study: Study = Study()
    runtime: Runtime = Runtime()
    platform: Platform = Platform()

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in the order of `extract.modalities`."""
        return tuple(self.extract.modalities)

    def check_modalities(self) -> None:
        """Raise ParamsError where a section speaks of a modality that `extract` does not produce."""
        modalities = set(self.modalities)
        for path, names in (("model.encoders", self.model.encoders), ("augment", self.augment)):
            for name in names:
                if name not in modalities:
                    raise ParamsError(
                        f"{path}.{name}: no such modality; extract.modalities has {sorted(modalities)}"
                    )
        for name in self.modalities:
            if name not in self.model.encoders:
                raise ParamsError(
                    f"model.encoders.{name}: missing; every modality of extract needs an encoder"
                )
        for name, augment in self.augment.items():
            produced = self.extract.kinds[name].tensor
            if augment.kind != produced:
                raise ParamsError(f"augment.{name}.kind: got '{augment.kind}', expected '{produced}'")
        self.extract.degrade.check(self.extract.kinds)
        if any(self.study.degrade) and not self.extract.degrade.steps:
            raise ParamsError(
                "study.degrade: there is nothing to scale; extract.degrade.steps says what is degraded"
            )


def refuse_severities(params: Params, who: str) -> None:
    """Raise ParamsError where several severities are asked for at a door that does not know them, which `who` names."""
    if params.study.degrade:
        raise ParamsError(
            f"study.degrade: {who} severity; `ambidex study` alone runs several, and --set study.degrade=[] takes "
            "them out"
        )
