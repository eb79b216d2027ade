"""A study's table as plain text, for the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ambidex.errors import DataError
from ambidex.files import read_json
from ambidex.report.rows import ALONE, Row

STUDY_FILE = "compare.json"
PAGE_FILE = "compare.html"
MARKS = {"better": "+", "worse": "-", "same": "="}
_COLUMNS: Mapping[str, tuple[str, float, int]] = {
    # metric -> heading, factor, decimals
    "accuracy": ("accuracy %", 100.0, 1),
    "macro_f1": ("macro-F1 %", 100.0, 1),
    "nll": ("NLL nats", 1.0, 3),
    "ece": ("ECE %", 100.0, 1),
    "decision_gap": ("gap points", 100.0, 1),
    "decision_imbalance": ("DI", 1.0, 2),
}


def render(rows: Sequence[Row]) -> str:
    """The table of `rows`: a line each, grouped by regime; missing cells and refused allocators are said so."""
    head = ["", *(title(metric) for metric in _COLUMNS), "notes"]
    lines: list[list[str]] = []
    regime = ""
    for row in rows:
        if row.regime != regime:
            regime = row.regime
            lines.append([f"{regime}:" if regime != ALONE else "each modality alone:"])
        lines.append([f"  {row.name}", *(cell(row, metric) for metric in _COLUMNS), notes(row)])
    widths = [max(len(line[i]) for line in [head, *lines] if i < len(line)) for i in range(len(head))]
    return "\n".join(_line(line, widths) for line in [head, *lines]) + "\n\n" + LEGEND


LEGEND = (
    "Mean ± standard deviation over seeds, on test. + better, - worse, = no clear difference to the reference of\n"
    "the same regime (ref), by paired bootstrap over test samples, Holm-corrected over the table.\n"
    "gap: what a linear probe on the same features gains; DI: decision imbalance, 0 is balanced."
)


def read_rows(study: Path) -> list[Row]:
    """The rows that compare wrote. Raises DataError where there is no comparison."""
    try:
        return [Row(**row) for row in read_json(study / STUDY_FILE)["rows"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{study / STUDY_FILE}: is not a readable comparison; run compare first") from None


def cell(row: Row, metric: str) -> str:
    """One cell: `71.2 ± 1.3 +`, or a dash where there is no value."""
    value, spread = row.mean.get(metric), row.std.get(metric)
    _, factor, digits = _COLUMNS[metric]
    if value is None:
        return "-"
    text = f"{factor * value:.{digits}f}"
    if spread is not None:
        text += f" ± {factor * spread:.{digits}f}"
    mark = MARKS.get(row.tests.get(metric, {}).get("mark", ""), " ")
    return f"{text} {mark}" if metric in ("accuracy", "nll") else text


def title(metric: str) -> str:
    """The heading of a metric's column, with its unit."""
    return _COLUMNS[metric][0]


def notes(row: Row) -> str:
    """What must be known about a row: reference, leaky protocol, oracle selection, missing and refused seeds."""
    found = []
    if row.reference:
        found.append("ref")
    if row.leaky:
        found.append("LEAKY")
    if row.oracle:
        found.append("ORACLE")
    if row.missing:
        found.append(f"missing seed {', '.join(map(str, row.missing))}")
    if row.refused:
        found.append(f"refused in seed {', '.join(row.refused)}")
    return "; ".join(found)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    last = len(widths) - 1
    padded = [
        text.ljust(width) if i in (0, last) else text.rjust(width)
        for i, (text, width) in enumerate(zip(cells, widths, strict=False))
    ]
    return "  ".join(padded).rstrip()
