"""The shipped recipe in one small table: a line for each regime, against joint training and the best modality alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ambidex.base.readers.schema import build
from ambidex.report.clarity import SYMBOLS
from ambidex.report.study.recipe import DEFAULT_METHOD, Recipe
from ambidex.report.study.rows import ALONE, PLAIN_SUM, Comparison, Row, judgement
from ambidex.report.study.study_file import read_study, source_of
from ambidex.report.study.table import aligned
from ambidex.report.words import number

LEGEND = (
    "Accuracy in per cent / NLL in nats on test, means over seeds. joint: at the step size that is best on\n"
    "validation, with the plain sum. alone: the best single modality. -joint, -alone: the recipe less these, with\n"
    "95 % intervals for new seeds on new samples; + better, - worse, = no clear difference after Holm's correction\n"
    "over the regimes; ~ clear on its own, not after that correction."
)


def recipe_text(study: Path) -> str:
    """The table of what compare wrote. Raises DataError where there is no comparison, or a damaged one."""
    content, source = read_study(study), source_of(study)
    rows = build(Row, content["rows"], source, "rows")
    (recipe,) = build(Recipe, [content["recipe"]], source, "recipe")
    return render_recipe(recipe, rows)


def render_recipe(recipe: Recipe, rows: Sequence[Row]) -> str:
    """A line for each regime in which the recipe was run."""
    means = {(row.method, row.regime, row.allocator): row.mean for row in rows}
    single = next((row.single["modality"] for row in rows if row.name == recipe.name and row.single), None)
    alone = next((row.mean for row in rows if row.regime == ALONE and row.allocator == single), {})
    head = ["", "joint", f"{DEFAULT_METHOD}, plain sum", recipe.name, f"alone ({single or '-'})"]
    lines = [[*head, "points -joint", "nats -joint", "points -alone", "nats -alone"]]
    for own in (row for row in rows if row.name == recipe.name):
        step = recipe.best_step.get(own.regime)
        joint = means.get((step, own.regime, PLAIN_SUM), {}) if step else {}
        plain = means.get((own.method, own.regime, PLAIN_SUM), {})
        tests = [family.get(own.regime, {}) for family in (recipe.against_joint, recipe.against_single)]
        lines.append([own.regime, *map(_both, (joint, plain, own.mean, alone)), *_differences(tests)])
    return f"{aligned(lines)}\n\n{LEGEND}"


def _both(mean: Mapping[str, float | None]) -> str:
    accuracy, nll = mean.get("accuracy"), mean.get("nll")
    return "-" if accuracy is None or nll is None else f"{100 * accuracy:.1f} / {nll:.3f}"


def _differences(tests: Sequence[Comparison]) -> list[str]:
    return [
        _difference(test, metric, factor, digits)
        for test in tests
        for metric, factor, digits in (("accuracy", 100.0, 1), ("nll", 1.0, 3))
    ]


def _difference(test: Comparison, metric: str, factor: float, digits: int) -> str:
    """`+1.0 [-0.7, +2.8] =`, or a dash where nothing was compared."""
    values: Mapping[str, Any] | None = test.get(metric)
    outcome = judgement(test, metric)
    if values is None or outcome is None:
        return "-"
    difference, low, high = (
        number(factor * values[name], digits, sign=True) for name in ("difference", "low", "high")
    )
    return f"{difference} [{low}, {high}] {SYMBOLS[outcome.clarity]}"
