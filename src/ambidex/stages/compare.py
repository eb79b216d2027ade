"""compare: all evaluated models of a study in one table, tested against a reference, nulls and losses included."""

from typing import Any

from ambidex.files import whole_folder, write_csv, write_json, write_text
from ambidex.params import Params
from ambidex.records import provenance, write_records
from ambidex.report import theme
from ambidex.report.cells import Reports, read_reports
from ambidex.report.chart import draw, rounded
from ambidex.report.rows import METRICS, Row, build_rows
from ambidex.report.study_charts import study_charts
from ambidex.report.study_page import study_page
from ambidex.report.study_reasons import reasons
from ambidex.report.study_verdicts import verdicts
from ambidex.report.table import PAGE_FILE, STUDY_FILE
from ambidex.stages import Paths

TABLE_FILE = "compare.csv"


def run(params: Params, inputs: Paths, outputs: Paths) -> dict[str, Any]:
    """inputs: reports (a folder per evaluated model), encoders (optional: `<seed>/<modality>`). outputs: study.

    Returns mean accuracy by row. Raises DataError where reports may not be compared (the two are named).
    """
    reports = read_reports(inputs["reports"], params.study)
    rows = build_rows(reports, params, inputs.get("encoders"))
    sentences = [*verdicts(rows, params), *reasons(reports, rows)]
    facts = _facts(reports, params)
    metrics = _metrics(rows)
    with whole_folder(outputs["study"]) as folder:
        write_records(folder, "compare", params, metrics, **facts)
        study = {"rows": [row.to_json() for row in rows], "verdicts": sentences, **facts}
        write_json(folder / STUDY_FILE, study)
        write_csv(folder / TABLE_FILE, [rounded(flat(row)) for row in rows])
        with theme.style():
            drawn = [draw(chart, folder / "plots") for chart in study_charts(rows)]
        write_text(folder / PAGE_FILE, study_page(rows, sentences, drawn, {**provenance(), **facts}))
    return metrics


def flat(row: Row) -> dict[str, Any]:
    """One line of compare.csv."""
    line: dict[str, Any] = {
        "kind": row.kind,
        "method": row.method,
        "regime": row.regime,
        "allocator": row.allocator,
        "seeds": len(row.per_seed),
        "missing": len(row.missing),
        "refused": len(row.refused),
    }
    for metric in METRICS:
        line |= {metric: row.mean.get(metric), f"{metric}_std": row.std.get(metric)}
    for metric in ("accuracy", "nll"):
        test = row.tests.get(metric, {})
        names = ("difference", "low", "high", "p", "p_holm", "mark")
        line |= {f"{metric}_{name}": test.get(name) for name in names}
    line["single_difference"] = row.single.get("mean_difference")
    return line | {"reference": row.reference, "leaky": row.leaky, "oracle": row.oracle}


def _facts(reports: Reports, params: Params) -> dict[str, Any]:
    first = reports.any
    compare = params.compare
    return {
        "seeds": list(params.study.seeds),
        "samples": len(first.predictions.labels),
        "classes": len(first.predictions.classes),
        "features": first.card.get("features"),
        "protocol": first.card.get("protocol"),
        "leaky": bool(first.card.get("leaky")),
        "reference": f"{compare.reference_method} + {compare.reference_allocator}",
        "resamples": compare.resamples,
        "significance": compare.significance,
        "missing": [list(cell) for cell in reports.missing],
        "ignored": reports.ignored,
    }


def _metrics(rows: list[Row]) -> dict[str, Any]:
    """Mean numbers of every row, by regime, method and allocator, for `dvc metrics`."""
    found: dict[str, Any] = {}
    for row in rows:
        numbers = {metric: row.mean.get(metric) for metric in METRICS}
        found.setdefault(row.regime, {}).setdefault(row.method, {})[row.allocator] = numbers
    return found
