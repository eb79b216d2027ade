"""A study's table as plain text, for the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ambidex.base.errors import one_line
from ambidex.base.readers.schema import build
from ambidex.report.clarity import SYMBOLS
from ambidex.report.study.choice import Candidate, Choice
from ambidex.report.study.choice_text import choice_sentence
from ambidex.report.study.detectable import Power, power_text
from ambidex.report.study.rows import ALONE, PLAIN_SUM, TESTED, Comparison, Row, judgement
from ambidex.report.study.study_file import read_study, source_of

PAGE_FILE = "compare.html"
TABLE_FILE = "compare.csv"
FEW = 4
"""up to this many allocators, a short table shows them all"""
_COLUMNS: Mapping[str, tuple[str, float, int]] = {
    # metric -> heading, factor, decimals
    "accuracy": ("accuracy %", 100.0, 1),
    "macro_f1": ("macro-F1 %", 100.0, 1),
    "nll": ("NLL nats", 1.0, 3),
    "ece": ("ECE %", 100.0, 1),
    "brier": ("Brier", 1.0, 3),
    "decision_gap": ("gap points", 100.0, 1),
    "decision_imbalance": ("DI", 1.0, 2),
}
_SHOWN = [metric for metric in _COLUMNS if metric != "brier"]  # a terminal is narrow; page and CSV have it
_SOURCES = {
    "own_heads": "weighs own heads",
    "probes": "weighs probes",
    "both": "weighs head and probes",
    "typicality": "weighs head and probes by typicality",
    "opinions": "mixes head and probes",
}


def render_study(study: Path) -> str:
    """The table that compare wrote into `study`, and the smallest difference that it could have shown.

    Raises DataError where there is no comparison.
    """
    content = read_study(study)
    powers = [power for power in (content.get("power"),) if power is not None]
    text = "".join(power_text(power) for power in build(Power, powers, source_of(study), "power"))
    return render(_rows(study, content)) + (f"\n\n{text}" if text else "")


def render(rows: Sequence[Row]) -> str:
    """The table of `rows`: a line each, grouped by regime; its notes name missing seeds and refused allocators.

    Of many allocators only the plain sum, the headline, the reference and the best one are shown.
    """
    chosen = main_rows(rows)
    head = ["", *(title(metric) for metric in _SHOWN), "sum", "one", "notes"]
    lines: list[list[str]] = []
    regime = ""
    for row in chosen:
        if row.regime != regime:
            regime = row.regime
            lines.append([f"{regime}:" if regime != ALONE else "each modality alone:"])
        numbers = [cell(row, metric) for metric in _SHOWN]
        lines.append([f"  {row.name}", *numbers, _short(row.repair), _short(single_tests(row)), notes(row)])
    text = aligned([head, *lines])
    if rest := len(rows) - len(chosen):
        text += f"\n{rest} more rows (other allocators) stand in {TABLE_FILE} and {PAGE_FILE}."
    return f"{text}\n\n{LEGEND}"


LEGEND = (
    "Mean ± standard deviation over seeds, on test. + better, - worse, = no clear difference to the reference of\n"
    "the same regime (ref), for new seeds on new samples (paired, seeds x samples crossed), Holm-corrected: plain\n"
    "sums and the headline among themselves, other allocators over the whole table; ~ clear on its own, not after\n"
    "that correction.\n"
    "sum, one: the same marks, accuracy then NLL, against the plain sum of the same model (what the repair does) and\n"
    "against the best single modality. gap: what a linear probe on the same features gains; DI: decision imbalance,\n"
    "0 is balanced. best step: joint training at the step size that is best on validation."
)


def main_rows(rows: Sequence[Row], few: int = FEW) -> list[Row]:
    """The rows worth a line where there are many allocators: plain sum, headline, reference, best; singles."""
    if len({row.allocator for row in rows if row.kind == "fused"}) <= few:
        return list(rows)
    best: dict[tuple[str, str], Row] = {}
    for row in rows:
        leader = best.get((row.regime, row.method))
        if row.mean.get("accuracy") is not None and (leader is None or _rank(row) > _rank(leader)):
            best[row.regime, row.method] = row
    return [
        row
        for row in rows
        if row.kind == "single" or row.reference or row.headline or row.allocator == PLAIN_SUM
        or row is best.get((row.regime, row.method))
    ]  # fmt: skip


def _rank(row: Row) -> float:
    return row.mean["accuracy"] or 0.0


def read_rows(study: Path) -> list[Row]:
    """The rows that compare wrote. Raises DataError where there is no comparison."""
    return _rows(study, read_study(study))


def _rows(study: Path, content: Mapping[str, Any]) -> list[Row]:
    return build(Row, content["rows"], source_of(study), "rows")


def warnings(study: Path) -> list[str]:
    """What compare says of the whole study in a line each: what is degraded; few groups that validate; validation far
    from test."""
    content = read_study(study)
    lines = [content.get("degraded"), *content.get("few_groups", []), content.get("far_apart")]
    return [one_line(line) for line in lines if line]


def advice(study: Path) -> str:
    """Which method and regime to take, in a line; empty where there is one cell alone.

    Raises DataError where the chosen one is none of the candidates.
    """
    content, source = read_study(study).get("choice"), source_of(study)
    if not content:
        return ""
    content = {"chosen": None, "samples": 0, "groups": 0, "candidates": [], "left_out": [], **content}
    candidates = build(Candidate, content["candidates"], source, "choice.candidates")
    names = [f"{c.method} ({c.regime})" for c in candidates]
    if content["chosen"] is not None and content["chosen"] not in names:
        raise source.wrong(
            f"choice.chosen: got '{content['chosen']}', expected one of {', '.join(names) or 'none'}"
        )
    keys = ("chosen", "samples", "groups", "left_out")
    counted = content.get("pretraining_counted", True)
    choice = Choice(**{key: content[key] for key in keys}, candidates=candidates, pretraining_counted=counted)
    return one_line(choice_sentence(choice))


def cell(row: Row, metric: str) -> str:
    """One cell: `71.2 ± 1.3 +`, or a dash where there is no value."""
    value, spread = row.mean.get(metric), row.std.get(metric)
    _, factor, digits = _COLUMNS[metric]
    if value is None:
        return "-"
    text = f"{factor * value:.{digits}f}"
    if spread is not None:
        text += f" ± {factor * spread:.{digits}f}"
    outcome = judgement(row.tests, metric)
    mark = SYMBOLS[outcome.clarity] if outcome else " "
    return f"{text} {mark}" if metric in TESTED else text


def title(metric: str) -> str:
    """The heading of a metric's column, with its unit."""
    return _COLUMNS[metric][0]


def single_tests(row: Row) -> Comparison:
    """The row's tests against the best single modality; empty where there are none."""
    tests: Comparison = row.single.get("tests", {})
    return tests


def notes(row: Row) -> str:
    """What must be known about a row: reference, leaky protocol, oracle selection, missing and refused seeds."""
    remarks = []
    if row.reference:
        remarks.append("ref")
    if row.best_step:
        remarks.append("best step")
    if row.leaky:
        remarks.append("LEAKY")
    if row.oracle:
        remarks.append("ORACLE")
    if row.missing:
        remarks.append(f"missing seed {', '.join(map(str, row.missing))}")
    if row.refused:
        remarks.append(f"refused in seed {', '.join(row.refused)}")
    return "; ".join([*remarks, *replaced(row)])


def replaced(row: Row) -> list[str]:
    """What the allocator weighs in place of the head's contributions, and in which seeds where not in all."""
    sources = []
    for source in dict.fromkeys(row.sources.values()):
        seeds = [seed for seed, name in row.sources.items() if name == source]
        where = "" if len(seeds) == len(row.per_seed) else f" in seed {', '.join(seeds)}"
        sources.append(_SOURCES.get(source, source) + where)
    return sources


def footnotes(rows: Sequence[Row]) -> list[str]:
    """Why allocators were refused, or weigh something else than the head's contributions: a line for each."""
    lines = []
    for name in dict.fromkeys(row.allocator for row in rows if row.refused or row.sources):
        own = [row for row in rows if row.allocator == name]
        reasons = [(row, row.refused) for row in own if row.refused]
        lines += [f"{name} was refused in {_cells(reasons)}"] if reasons else []
        reasons = [(row, row.sources_why) for row in own if row.sources]
        lines += [f"{name} does not weigh the head's contributions in {_cells(reasons)}"] if reasons else []
    return lines


def _cells(reasons: Sequence[tuple[Row, Mapping[str, str]]]) -> str:
    """The cells and seeds, and the reason of the first as an example."""
    cells = "; ".join(f"{row.method} ({row.regime}) seed {', '.join(why)}" for row, why in reasons)
    row, why = reasons[0]
    seed, reason = next(iter(why.items()))
    return f"{cells}. {row.method} ({row.regime}), seed {seed}: {reason}." if reason else f"{cells}."


def _short(tests: Comparison) -> str:
    """`+ =`: the marks of accuracy and NLL."""
    outcomes = (judgement(tests, metric) for metric in ("accuracy", "nll"))
    return " ".join(SYMBOLS[outcome.clarity] for outcome in outcomes if outcome)


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Cells in columns as wide as the first line has them: the first and the last to the left, numbers to the right.

    A shorter line (the name of a group) stands as it is.
    """
    widths = [max(len(line[i]) for line in lines if i < len(line)) for i in range(len(lines[0]))]
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    last = len(widths) - 1
    padded = [
        text.ljust(width) if i in (0, last) else text.rjust(width)
        for i, (text, width) in enumerate(zip(cells, widths, strict=False))
    ]
    return "  ".join(padded).rstrip()
