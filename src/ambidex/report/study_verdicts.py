"""A study's outcome in words, wins, nulls and losses alike."""

from collections.abc import Sequence

from ambidex.params import Params
from ambidex.report.rows import Row


def verdicts(rows: Sequence[Row], params: Params) -> list[str]:
    """Sentences with their numbers: against the best single modality, against the reference, on imbalance."""
    fused = [row for row in rows if row.kind == "fused"]
    return [
        *_against_single(fused, params),
        *_against_reference(fused, params),
        *_repair(fused, params),
        *_persistence(fused, params),
        *_gaps(rows),
    ]


def _against_single(rows: Sequence[Row], params: Params) -> list[str]:
    """The headline of each method, and the reference, against the best single modality, seed by seed."""
    found = []
    for row in rows:
        single = row.single
        if not (row.reference or row.headline) or not single.get("seeds"):
            continue
        found.append(
            f"{row.name} ({row.regime}) is at least as accurate as the best single modality in "
            f"{single['seeds_at_least']} of {_seeds(single['seeds'])}, by {100 * single['mean_difference']:+.1f} "
            "points on average" + _interval(single) + "."
        )
    return found


def _interval(single: dict[str, object]) -> str:
    if "low" not in single:
        return ""
    difference, low, high = (100 * float(str(single[key])) for key in ("difference", "low", "high"))
    return f" (against {single['modality']}: {difference:+.1f}, 95 % interval {low:+.1f} to {high:+.1f})"


def _against_reference(rows: Sequence[Row], params: Params) -> list[str]:
    compare = params.compare
    name = f"{compare.reference_method} + {compare.reference_allocator}"
    found = []
    for metric, word in (("accuracy", "accuracy"), ("nll", "NLL")):
        marks = [row.tests[metric]["mark"] for row in rows if metric in row.tests]
        if marks:
            counts = {mark: marks.count(mark) for mark in ("better", "worse", "same")}
            found.append(
                f"In {word}, of {len(marks)} rows compared with {name} in the same regime, {counts['better']} are "
                f"significantly better, {counts['worse']} significantly worse, and {counts['same']} show no clear "
                f"difference (paired bootstrap, Holm-corrected, level {compare.significance:g})."
            )
    without = sorted({r.regime for r in rows if r.reference and not r.per_seed})
    if without:
        found.append(f"In {', '.join(without)} the reference {name} is missing, so nothing is tested there.")
    if not any(row.reference for row in rows):
        found.append(f"The reference {name} is not in this study, so no difference is tested.")
    return found


def _repair(rows: Sequence[Row], params: Params) -> list[str]:
    """Per method and regime: what the headline allocator does to the plain sum."""
    found = []
    plain = {(r.method, r.regime): r for r in rows if r.allocator == params.compare.reference_allocator}
    for row in rows:
        other = plain.get((row.method, row.regime))
        if not row.headline or other is None or other is row:
            continue
        points, nats = _change(row, other, "accuracy"), _change(row, other, "nll")
        if points is None or nats is None:
            continue
        found.append(
            f"Repair at the decision layer alone ({row.allocator} instead of {other.allocator}) changes {row.method} "
            f"({row.regime}) by {100 * points:+.1f} points of accuracy and {nats:+.3f} nats of NLL."
        )
    return found


def _change(after: Row, before: Row, metric: str) -> float | None:
    a, b = after.mean[metric], before.mean[metric]
    return None if a is None or b is None else a - b


def _persistence(rows: Sequence[Row], params: Params) -> list[str]:
    """Decision imbalance of the plain sum, by regime and by method."""
    plain = [
        (row, value)
        for row in rows
        if row.allocator == params.compare.reference_allocator
        and (value := row.mean["decision_imbalance"]) is not None
    ]
    if not plain:
        return []
    listed = "; ".join(f"{row.regime} {row.method} {value:.2f}" for row, value in plain)
    return [f"Decision imbalance of the plain sum (0 is balanced): {listed}."]


def _gaps(rows: Sequence[Row]) -> list[str]:
    """What is missing from the table."""
    found = []
    missing = {(r.regime, r.method, tuple(r.missing)) for r in rows if r.kind == "fused" and r.missing}
    if missing:
        listed = "; ".join(f"{m} ({r}) seed {', '.join(map(str, seeds))}" for r, m, seeds in sorted(missing))
        found.append(f"The study is unfinished; missing: {listed}.")
    refused = [r for r in rows if r.refused]
    if refused:
        listed = "; ".join(f"{r.name} ({r.regime}) in seed {', '.join(r.refused)}" for r in refused)
        found.append(f"Allocators that were refused: {listed}. The reasons stand in compare.json.")
    return found


def _seeds(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"
