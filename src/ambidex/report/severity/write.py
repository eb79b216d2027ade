"""The folder of a study over severities: severities.html, severities.csv, table.txt, the chart."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ambidex.base.errors import DataError
from ambidex.base.files import write_csv, write_text
from ambidex.base.outputs import whole_folder
from ambidex.base.outputs.claim import claimed
from ambidex.configuration.params import Params
from ambidex.report import html, theme
from ambidex.report.chart import draw, rounded
from ambidex.report.severity.chart import severity_chart
from ambidex.report.severity.points import ACCURACY, IMBALANCE, NLL, Line, alone, flat, lines, share_of
from ambidex.report.severity.text import sentences, table
from ambidex.report.study.cells import read_reports
from ambidex.resolve.run_card import write_records

NAME = "severities"
"""what its card says it is an output of"""
PAGE_FILE = "severities.html"
TABLE_FILE = "severities.csv"
CAPTION = "Means over seeds on test, in brackets 95 % intervals, not corrected for their number."
TEXT_FILE = "severities.txt"


def write_severities(output: Path, params: Params, folders: Mapping[float, Path]) -> None:
    """Write what the reports in `folders` (severity -> evaluations) say together.

    Raises DataError where there are none, or where they do not fit together.
    """
    reports = {severity: read_reports(folder, params.study) for severity, folder in folders.items()}
    first = next(iter(reports.values())).any
    for one in reports.values():
        if one.any.predictions.classes != first.predictions.classes:
            raise DataError(f"{one.any.folder} and {first.folder}: have other classes; run the study again")
    order = _degraded_first(params, next(iter(reports.values())).modalities)
    names = [ACCURACY, NLL, IMBALANCE, *map(share_of, order)]
    measured, singles = lines(reports), alone(reports)
    card: dict[str, Any] = {
        "protocol": first.card.get("protocol"),
        "severities": list(folders),
        "degraded": degraded_words(params),
    }
    with claimed(NAME, {}, {"study": output}), whole_folder(output) as folder:
        write_records(folder, NAME, params, {"lines": len(measured)}, **card)
        write_csv(
            folder / TABLE_FILE, [rounded(row) for line in [*measured, *singles] for row in flat(line, names)]
        )
        with theme.style():
            drawn = draw(severity_chart(measured, singles, order, names), folder / "plots")
        words = sentences(measured, singles, order[0])
        text = f"{table(measured, singles, order[0])}\n\ndegraded: {card['degraded']}\n\n" + "\n".join(words)
        write_text(folder / TEXT_FILE, text + "\n")
        blocks = {
            "words": [html.paragraph(f"Degraded: {card['degraded']}."), html.bullets(words)],
            "chart": [html.picture(drawn)],
            "table": [_table([*measured, *singles], names)],
        }
        titles = {"words": "In words", "chart": "Chart", "table": "Table"}
        sections = [html.section(anchor, titles[anchor], *own) for anchor, own in blocks.items()]
        levels, protocol = ", ".join(f"{s:g}" for s in folders), card["protocol"] or "not described"
        subtitle = f"Severities {levels}. Protocol: {protocol}."
        write_text(
            folder / PAGE_FILE, html.page("Study over severities of degradation", subtitle, titles, *sections)
        )


def degraded_words(params: Params) -> str:
    """What is degraded at severity 1."""
    return "; ".join(step.words for step in params.extract.degrade.steps)


def _degraded_first(params: Params, modalities: Sequence[str]) -> list[str]:
    """The modalities, the one that the first step degrades before the others."""
    weak = dict.fromkeys(step.modality for step in params.extract.degrade.steps)
    return [m for m in [*weak, *(m for m in modalities if m not in weak)] if m in modalities]


def _table(measured: Sequence[Line], names: Sequence[str]) -> html.Html:
    body: list[Sequence[Any]] = []
    for line in measured:
        for row in flat(line, names):
            cells = [_cell(row, name) for name in names]
            body.append([f"{line.regime}: {line.method} + {line.allocator}", f"{row['severity']:g}", *cells])
    heads = ["accuracy %", "NLL nats", "DI", *(name.replace("share_", "share % of ") for name in names[3:])]
    return html.table(["row", "severity", *heads], body, CAPTION)


def _cell(row: Mapping[str, Any], name: str) -> str:
    factor, digits = (1, 3) if name in (NLL, IMBALANCE) else (100, 1)
    if row[name] is None:
        return "-"
    text = f"{factor * row[name]:.{digits}f}"
    if row[f"{name}_low"] is None:
        return text
    return f"{text} ({factor * row[f'{name}_low']:.{digits}f} to {factor * row[f'{name}_high']:.{digits}f})"
