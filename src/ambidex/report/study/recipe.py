"""The shipped recipe against what a user would have had to search for: joint training at its own best step size.

A loss with more terms takes larger steps, so a method may win by its step size alone. A study may hold joint training
at several learning rates, as named variants in `methods`: `joint_3: {use: joint, train: {learning_rate: 0.003}}`. In
each regime the one with the best mean accuracy on validation stands for joint training (ties: the lower NLL there,
then the order of the study); the test split has no say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from ambidex.configuration.optimisation import Train
from ambidex.configuration.params import Compare, Evaluate, Params
from ambidex.report.study.measured import Measured, Samples
from ambidex.report.study.rows import PLAIN_SUM, Comparison, Row
from ambidex.report.study.significance import best_single, compare_pairs
from ambidex.resolve.cell import Cell

JOINT = "joint"
DEFAULT_METHOD = str(Train.model_fields["method"].default)
DEFAULT_ALLOCATOR = str(Evaluate.model_fields["allocator"].default)
RECIPE = f"{DEFAULT_METHOD} + {DEFAULT_ALLOCATOR}"


@dataclass(frozen=True)
class Recipe:
    """What the shipped recipe is worth in each regime; every field is JSON."""

    name: str
    """method + allocator"""
    variants: list[str]
    """methods of the study that are joint training, whatever their step size"""
    best_step: dict[str, str] = field(default_factory=dict)
    """regime -> the variant with the best accuracy on validation"""
    against_joint: dict[str, Comparison] = field(default_factory=dict)
    """regime -> the recipe against that variant with the plain sum; Holm-corrected over the regimes"""
    against_single: dict[str, Comparison] = field(default_factory=dict)
    """regime -> the recipe against the best single modality; Holm-corrected over the regimes"""

    def to_json(self) -> dict[str, object]:
        """As JSON-serialisable values."""
        return asdict(self)


def judge_recipe(measured: Measured, params: Params, methods: Sequence[Cell]) -> Recipe:
    """Choose joint's step size in each regime and test the recipe against it and against the best single modality.

    `methods`: those of the study, resolved.
    """
    rows = [row for row, _ in measured]
    samples = {(row.method, row.regime, row.allocator): results for row, results in measured}
    variants = joint_variants(methods)
    best_step: dict[str, str] = {
        regime: best for regime in params.study.regimes if (best := best_variant(rows, variants, regime))
    }
    own: dict[str, Samples] = {
        regime: results
        for regime in params.study.regimes
        if (results := samples.get((DEFAULT_METHOD, regime, DEFAULT_ALLOCATOR)))
    }
    joint = {regime: samples[method, regime, PLAIN_SUM] for regime, method in best_step.items()}
    place = best_single(rows)
    single = {} if place is None else dict.fromkeys(own, measured[place][1])
    return Recipe(
        RECIPE,
        variants,
        best_step,
        _family(own, joint, params.compare),
        _family(own, single, params.compare),
    )


def joint_variants(methods: Sequence[Cell]) -> list[str]:
    """Labels of those that are joint training and differ in nothing but the step size, if in that."""
    return [cell.label for cell in methods if cell.plugin == JOINT and cell.own <= {"learning_rate"}]


def best_variant(rows: Sequence[Row], variants: Sequence[str], regime: str) -> str | None:
    """The variant whose plain sum is best on validation; None where no report has numbers from there."""
    candidates = []
    for order, variant in enumerate(variants):
        for row in rows:
            if (row.method, row.regime, row.allocator) == (variant, regime, PLAIN_SUM):
                accuracy, nll = row.validation.get("accuracy"), row.validation.get("nll")
                if accuracy is not None and nll is not None:
                    candidates.append((-accuracy, nll, order, variant))
    return min(candidates)[-1] if candidates else None


def _family(
    ours: Mapping[str, Samples], theirs: Mapping[str, Samples], compare: Compare
) -> dict[str, Comparison]:
    return compare_pairs({r: (ours[r], theirs[r]) for r in ours if r in theirs}, compare)
