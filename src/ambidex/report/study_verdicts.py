"""A study's outcome in words: wins, nulls and losses in the same tone."""

from collections.abc import Iterable, Sequence

from ambidex.params import Params
from ambidex.report.rows import Row


def verdicts(rows: Sequence[Row], params: Params) -> list[str]:
    """Sentences with their numbers: against the best single modality, against the reference, repair, imbalance."""
    fused = [row for row in rows if row.kind == "fused"]
    return [
        *_against_single(fused),
        *_against_reference(fused, params),
        *_repair(fused, params),
        *_imbalance(fused, params),
        *_missing(fused),
    ]


def _against_single(rows: Sequence[Row]) -> list[str]:
    """The reference and the headline of each method against the best single modality, seed by seed."""
    judged = [row for row in rows if (row.reference or row.headline) and row.single.get("seeds")]
    found = []
    for name in dict.fromkeys(row.name for row in judged):
        parts = []
        for row in judged:
            if row.name == name:
                won, of = row.single["seeds_at_least"], row.single["seeds"]
                difference = 100 * row.single["mean_difference"]
                parts.append(
                    f"{won} of {of} seed{'s' * (of > 1)} ({row.regime}, {difference:+.1f} points on average)"
                )
        found.append(f"{name} is at least as accurate as the best single modality in {_and(parts)}.")
    return found


def _against_reference(rows: Sequence[Row], params: Params) -> list[str]:
    compare = params.compare
    name = f"{compare.reference_method} + {compare.reference_allocator}"
    found = []
    for metric, word in (("accuracy", "accuracy"), ("nll", "NLL")):
        marks = [row.tests[metric]["mark"] for row in rows if metric in row.tests]
        if marks:
            better, worse, same = (marks.count(mark) for mark in ("better", "worse", "same"))
            found.append(
                f"In {word}, of {len(marks)} rows compared with {name} of the same regime, {better} are significantly "
                f"better, {worse} significantly worse, and {same} show no clear difference (paired bootstrap, "
                f"Holm-corrected, level {compare.significance:g})."
            )
    if without := sorted({row.regime for row in rows if row.reference and not row.per_seed}):
        found.append(f"The reference {name} is missing in {_and(without)}, so nothing is tested there.")
    if not any(row.reference for row in rows):
        found.append(f"The reference {name} is not in this study, so no difference is tested.")
    return found


def _repair(rows: Sequence[Row], params: Params) -> list[str]:
    """Per method: what the headline allocator does to the plain sum, in each regime."""
    plain = {(r.method, r.regime): r for r in rows if r.allocator == params.compare.reference_allocator}
    parts: dict[str, list[str]] = {}
    for row in rows:
        other = plain.get((row.method, row.regime))
        if not row.headline or other is None or other is row:
            continue
        points, nats = _change(row, other, "accuracy"), _change(row, other, "nll")
        if points is not None and nats is not None:
            text = f"{100 * points:+.1f} points of accuracy and {nats:+.3f} nats of NLL ({row.regime})"
            start = f"({row.allocator} instead of {other.allocator}) changes {row.method}"
            parts.setdefault(start, []).append(text)
    return [
        f"Repair at the decision layer alone {start} by {_and(changes)}." for start, changes in parts.items()
    ]


def _change(after: Row, before: Row, metric: str) -> float | None:
    a, b = after.mean[metric], before.mean[metric]
    if a is None or b is None:
        return None
    return a - b if abs(a - b) >= 5e-4 else 0.0  # what prints as zero has no sign


def _imbalance(rows: Sequence[Row], params: Params) -> list[str]:
    """Decision imbalance of the plain sum, by method and regime."""
    parts: dict[str, list[str]] = {}
    for row in rows:
        value = row.mean["decision_imbalance"]
        if row.allocator == params.compare.reference_allocator and value is not None:
            parts.setdefault(row.method, []).append(f"{value:.2f} ({row.regime})")
    if not parts:
        return []
    listed = "; ".join(f"{method} {', '.join(values)}" for method, values in parts.items())
    return [f"Decision imbalance of the plain sum, 0 being balanced: {listed}."]


def _missing(rows: Sequence[Row]) -> list[str]:
    """What is not in the table, and why."""
    found = []
    if missing := {(r.regime, r.method, tuple(r.missing)) for r in rows if r.missing}:
        listed = "; ".join(f"{m} ({r}) seed {', '.join(map(str, seeds))}" for r, m, seeds in sorted(missing))
        found.append(f"The study is unfinished; missing: {listed}.")
    if refused := [r for r in rows if r.refused]:
        listed = "; ".join(f"{r.name} ({r.regime}) in seed {', '.join(r.refused)}" for r in refused)
        found.append(f"Allocators that were refused: {listed}. The reasons stand in compare.json.")
    return found


def _and(parts: Iterable[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
