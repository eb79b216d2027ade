"""Outcomes of many cells as a table: in how many a variant is better or worse than the sum, and by how much."""

from collections import Counter
from collections.abc import Sequence

from benchmarks.allocators.cells import Outcome

LEVEL = 0.05
"""uncorrected: among many cells about one in forty is 'better', and one in forty 'worse', by chance"""
HEAD = ("variant", "accuracy +", "accuracy -", "NLL +", "NLL -", "points", "nats")


def table(title: str, outcomes: Sequence[Outcome]) -> str:
    """One row per variant, in the order of their first outcome; below it what `auto` picked."""
    by_variant: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_variant.setdefault(outcome.variant, []).append(outcome)
    cells = max(map(len, by_variant.values()))
    rows = [HEAD, *(_row(name, found) for name, found in by_variant.items())]
    lines = [f"{row[0]:<18}" + "".join(f"{entry:>12}" for entry in row[1:]) for row in rows]
    return "\n".join([f"{title}: {cells} cells", *lines, *_picked(outcomes)])


def _row(name: str, found: Sequence[Outcome]) -> tuple[str, ...]:
    """More is better in accuracy, less in NLL."""
    accuracy = [o.accuracy for o in found if o.accuracy_p < LEVEL]
    nll = [-o.nll for o in found if o.nll_p < LEVEL]
    counts = [str(sum(sign * x > 0 for x in side)) for side in (accuracy, nll) for sign in (1, -1)]
    means = [sum(values) / len(found) for values in ([o.accuracy for o in found], [o.nll for o in found])]
    return name, *counts, f"{means[0]:+.2f}", f"{means[1]:+.3f}"


def _picked(outcomes: Sequence[Outcome]) -> list[str]:
    counts = Counter(o.chosen for o in outcomes if o.chosen is not None)
    if not counts:
        return []
    return ["auto picked " + ", ".join(f"{name} {count}" for name, count in counts.most_common())]
