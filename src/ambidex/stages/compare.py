"""compare: all evaluated models of a study in one table, tested against a reference, nulls and losses included."""

from collections.abc import Sequence
from typing import Any

from ambidex.base.files import write_csv, write_json, write_text
from ambidex.base.outputs import whole_folder
from ambidex.configuration.params import Params
from ambidex.report import theme
from ambidex.report.chart import draw, rounded
from ambidex.report.study.bias import COLUMNS
from ambidex.report.study.cells import Reports, read_reports
from ambidex.report.study.charts import study_charts
from ambidex.report.study.far_apart import far_apart_line
from ambidex.report.study.judge import Study, judge
from ambidex.report.study.methods import METHODS_FILE
from ambidex.report.study.page import study_page
from ambidex.report.study.rows import METRICS, TESTED, Comparison, Row
from ambidex.report.study.significance import best_single
from ambidex.report.study.study_file import STUDY_FILE
from ambidex.report.study.table import PAGE_FILE, TABLE_FILE, single_tests
from ambidex.report.study.units import unit_words
from ambidex.report.tensorboard import write_tensorboard
from ambidex.resolve.run_card import provenance, write_records
from ambidex.stages import Paths

BIAS_FILE = "bias.csv"


def run(params: Params, inputs: Paths, outputs: Paths) -> dict[str, Any]:
    """inputs: reports (a folder per evaluated model), encoders (optional: `<seed>/<modality>`). outputs: study.

    Returns the headline numbers. Raises DataError where reports may not be compared (the two are named).
    """
    reports = read_reports(inputs["reports"], params.study)
    study = judge(reports, params, inputs.get("encoders"))
    facts = _facts(reports, params)
    metrics = run_numbers(study, reports)
    with whole_folder(outputs["study"]) as folder:
        write_records(folder, "compare", params, metrics, **facts)
        write_json(folder / STUDY_FILE, {**study.to_json(), **facts})
        write_csv(folder / TABLE_FILE, [rounded(flat(row)) for row in study.rows])
        write_csv(
            folder / BIAS_FILE, [rounded(point) for bias in study.biases for point in bias.flat()], COLUMNS
        )
        lines = [rounded(row.flat()) for row in study.methods]
        write_csv(folder / METHODS_FILE, lines, list(dict.fromkeys(k for line in lines for k in line)))
        with theme.style():
            drawn = [draw(chart, folder / "plots") for chart in study_charts(study, reports)]
        write_tensorboard(folder, drawn, _scalars(study.rows))
        write_text(folder / PAGE_FILE, study_page(study, drawn, {**provenance(), **facts}))
    return metrics


def flat(row: Row) -> dict[str, Any]:
    """One line of compare.csv. `accuracy_...` against the reference, `accuracy_sum_...` against the plain sum of the
    same model, `accuracy_single_...` against the best single modality; the same for nll and brier."""
    line: dict[str, Any] = {
        "row": f"{row.regime}: {row.name}",
        "kind": row.kind,
        "method": row.method,
        "regime": row.regime,
        "allocator": row.allocator,
        "seeds": len(row.per_seed),
        "missing": len(row.missing),
        "refused": len(row.refused),
        "replaced": len(row.sources),
    }
    for metric in METRICS:
        line |= {metric: row.mean.get(metric), f"{metric}_std": row.std.get(metric)}
    for against, tests in (("", row.tests), ("sum_", row.repair), ("single_", single_tests(row))):
        line |= _tested(against, tests)
    line["single_difference"] = row.single.get("mean_difference")
    line |= {f"val_{metric}": row.validation.get(metric) for metric in ("accuracy", "nll")}
    return line | {
        "reference": row.reference,
        "best_step": row.best_step,
        "leaky": row.leaky,
        "oracle": row.oracle,
    }


def _tested(against: str, tests: Comparison) -> dict[str, Any]:
    names = ("difference", "low", "high", "p", "p_models", "p_holm", "mark")
    line = {f"{m}_{against}{name}": tests.get(m, {}).get(name) for m in TESTED for name in names}
    return line | {f"mcnemar_{against}{name}": tests.get("mcnemar", {}).get(name) for name in ("p", "p_holm")}


def _facts(reports: Reports, params: Params) -> dict[str, Any]:
    first = reports.any
    compare = params.compare
    return {
        "seeds": list(params.study.seeds),
        "samples": len(first.predictions.labels),
        "independent": unit_words(first.predictions.groups),
        "classes": list(first.predictions.classes),
        "features": first.card.get("features"),
        "protocol": first.card.get("protocol"),
        "leaky": bool(first.card.get("leaky")),
        "degraded": first.card.get("degraded"),
        "reference": f"{compare.reference_method} + {compare.reference_allocator}",
        "resamples": compare.resamples,
        "significance": compare.significance,
        "few_groups": list(
            dict.fromkeys(line for r in reports.found.values() if (line := r.card.get("few_groups")))
        ),
        "far_apart": far_apart_line({cell: r.card.get("far_apart") for cell, r in reports.found.items()}),
        "missing": [list(cell) for cell in reports.missing],
        "ignored": reports.ignored,
    }


def run_numbers(study: Study, reports: Reports) -> dict[str, Any]:
    """metrics.json: the headline numbers, as many for any number of methods and allocators; the rest: compare.json.

    By regime the reference, and the row of the shipped recipe or else of the first method with the headline allocator.
    """
    rows = [row for row in study.rows if row.kind == "fused"]
    marks = [row.tests["accuracy"]["mark"] for row in rows if row.tests]
    best = best_single(study.rows)
    power = study.power
    numbers: dict[str, Any] = {
        "rows": len(study.rows),
        "missing": len(reports.missing),
        **{mark: marks.count(mark) for mark in ("better", "worse", "same")},
        "best_single": None if best is None else study.rows[best].mean["accuracy"],
        "choice": study.choice.chosen,
        "detectable": {metric: power.corrected[metric] if power else None for metric in ("accuracy", "nll")},
    }
    for regime in dict.fromkeys(row.regime for row in rows):
        own = [row for row in rows if row.regime == regime]
        leading = next(
            (r for r in own if r.name == study.recipe.name), next((r for r in own if r.headline), None)
        )
        roles = {"reference": next((row for row in own if row.reference), None), "headline": leading}
        numbers[regime] = {name: _few(row) for name, row in roles.items() if row is not None}
    return numbers


def _few(row: Row) -> dict[str, float | None]:
    return {metric: row.mean.get(metric) for metric in ("accuracy", "nll", "decision_imbalance")}


def _scalars(rows: Sequence[Row]) -> dict[str, float | None]:
    """`<metric>/<regime>/<method>/<allocator>` -> mean over seeds, for TensorBoard."""
    return {
        f"{metric}/{row.regime}/{row.method}/{row.allocator}": row.mean.get(metric)
        for row in rows
        for metric in METRICS
    }
