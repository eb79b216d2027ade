"""Parameters of training: what pretrain and train share, and what is their own."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import (
    Field,
    field_validator,
)

from ambidex.base.section import Fraction as Fraction
from ambidex.base.section import Section as Section
from ambidex.configuration.values import Label, ModalityName, Regime, Seed

ENCODERS_GROUP, HEAD_GROUP = "encoders", "head"
"""groups of parameters that every model has"""

PLAIN_LOOP: Mapping[str, Any] = {
    "schedule": "constant",
    "schedule_per": "epoch",
    "warmup": 0.0,
    "warmup_steps": 0,
    "clip_norm": None,
    "label_smoothing": 0.0,
    "patience": None,
}
"""the loop without what our defaults add to it: what published settings mean where they name nothing else"""


class Group(Section):
    """A group of parameters with settings of its own; what is missing is that of all."""

    learning_rate: float | None = Field(None, gt=0, le=1e30, description="at the start")
    weight_decay: float | None = Field(None, ge=0, le=1_000, description="as torch.optim defines it")


class Optimisation(Section):
    """What pretraining and training share: the loop's parameters."""

    epochs: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="passes over the training split; missing: 40, or more until `min_steps`, or fewer by `max_steps`",
    )
    min_steps: int = Field(
        300,
        ge=0,
        le=1_000_000_000,
        description="where `epochs` is missing: at least so many optimiser steps, in whole epochs",
    )
    max_steps: int = Field(
        100_000,
        ge=1,
        le=1_000_000_000,
        description="where `epochs` is missing: at most so many optimiser steps, and one epoch at least",
    )
    batch_size: int = Field(
        32, ge=1, le=1_000_000, description="samples per optimiser step, over all devices"
    )
    accumulate: int = Field(1, ge=1, le=10_000, description="micro-batches per optimiser step")
    optimizer: Literal["sgd", "adam", "adamw"] = Field("adam", description="the rule of a step")
    learning_rate: float = Field(1e-3, gt=0, le=1e30, description="at the start; the schedule lowers it")
    momentum: float = Field(0.9, ge=0, lt=1, description="sgd only")
    weight_decay: float = Field(
        1e-4, ge=0, le=1_000, description="as torch.optim defines it for the optimiser"
    )
    groups: dict[ModalityName, Group] = Field(
        default_factory=dict,
        max_length=100,
        description="by name: `encoders`, a modality (its encoder), `head` (all else), or a group that the method has",
    )
    schedule: Literal["constant", "step", "cosine"] = Field("cosine", description="of the learning rate")
    schedule_per: Literal["epoch", "step"] = Field(
        "step", description="how often the schedule moves the rate"
    )
    warmup: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="share of all optimiser steps in which the rate grows linearly to what the schedule says",
    )
    warmup_steps: int = Field(
        0,
        ge=0,
        le=1_000_000_000,
        description="at least so many optimiser steps of `warmup`",
    )
    step_epochs: int = Field(70, ge=1, le=1_000_000, description="schedule step: epochs between two drops")
    step_factor: float = Field(0.1, gt=0, le=1, description="schedule step: factor of each drop")
    clip_norm: float | None = Field(
        1.0, gt=0, le=1_000_000_000, description="largest norm of all gradients together; null: any"
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="of the task's cross-entropy: this share of each target is spread over all classes",
    )
    patience: int | None = Field(
        5,
        ge=1,
        le=100_000,
        description="training ends after so many epochs without a lower validation NLL, its mean over groups where "
        "there are groups; null: it never ends early",
    )
    patience_steps: int = Field(
        50, ge=0, le=1_000_000_000, description="`patience` lasts at least so many optimiser steps"
    )
    precision: Literal["32", "bf16", "16"] = Field(
        "32", description="bf16: mixed precision; 16: for devices without bf16, with loss scaling"
    )
    selection: Literal["val_accuracy", "val_nll", "last", "oracle"] = Field(
        "val_nll",
        description="which epoch is kept; val_nll is a mean over groups where there are groups; oracle looks at the "
        "test split and is marked as such",
    )
    log_every: int = Field(
        20, ge=1, le=1_000_000_000, description="optimiser steps between two TensorBoard points"
    )

    @field_validator("precision", mode="before")
    @classmethod
    def _bits_as_text(cls, value: Any) -> Any:
        """YAML reads `precision: 32` as a number."""
        return str(value) if type(value) is int else value


class Pretrain(Optimisation):
    """pretrain: one unimodal classifier per modality."""

    calibrate: bool = Field(
        True,
        description="divide the classifier's weights by the temperature that fits validation best, so that a sum of "
        "classifiers is not over-confident",
    )
    modality: ModalityName | None = Field(None, description="missing: each one in turn")
    seed: Seed = Field(0, description="of initial weights and data order")


class Train(Optimisation):
    """train: one method, one regime, one seed."""

    method: Label = Field("multi_task", description="a name in `methods`, see `ambidex methods`")
    regime: Regime = Field(
        "pretrained", description="where the encoders come from; frozen: they stay as they are"
    )
    head: Literal["classifiers", "new"] = Field(
        "classifiers",
        description="pretrained and frozen, fusions concat and sum: the head starts as the unimodal classifiers' "
        "own, side by side, or with new weights",
    )
    seed: Seed = Field(0, description="of initial weights and data order")
    preset: str | None = Field(
        None,
        description="published settings of the method, by data set (`ambidex methods NAME` lists them); what is set "
        "beside it or with `--set` wins",
    )
