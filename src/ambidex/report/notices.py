"""What a reader must know before believing a number."""

from collections.abc import Mapping, Sequence
from typing import Any

from ambidex.base.few_groups import few_groups
from ambidex.decide.fitting import held_out
from ambidex.judge.held_out import CROSS_FITTED, VALIDATION
from ambidex.report.far_apart import far_apart
from ambidex.report.html import Html, notice
from ambidex.report.result import Result

FALLBACK = "fallback_classes"


def notices(result: Result, details: Mapping[str, Any]) -> list[Html]:
    """Boxes for the top of the page, the gravest first; often there is none."""
    card = result.evaluation.card
    boxes: list[Html] = []
    if result.store.get("leaky"):
        boxes.append(
            notice(
                f"leaky protocol ({result.store.get('protocol') or 'not described'}): the same groups stand on both "
                "sides of the split, so every accuracy here is higher than it would be on unseen ones.",
                "danger",
            )
        )
    if card.get("selection") == "oracle":
        boxes.append(
            notice(
                "oracle selection: the epoch that was kept was chosen by looking at the test split. "
                "Such a number is an upper bound and must not be compared with honest ones.",
                "danger",
            )
        )
    if words := result.store.get("degraded"):
        boxes.append(notice(f"{words}.", "note"))
    boxes += [notice(line) for line in far_apart(details)]
    if line := card.get("remark"):
        boxes.append(notice(f"{line}."))
    if refusal := result.allocation(result.asked).refusal:
        boxes.append(
            notice(
                f"the allocator '{result.asked}' was refused, the headline is the plain sum: it {refusal}."
            )
        )
    if any(allocation is not result.uniform for allocation in result.fitted):
        boxes += _not_on_validation(result)
    if line := few_groups_line(result):
        boxes.append(notice(f"{line}."))
    boxes += _fallbacks(result)
    return boxes


def _not_on_validation(result: Result) -> list[Html]:
    """Where allocators were fitted on a cross-fitted training split, alone or with validation."""
    samples = held_out(result.evaluation)
    if samples.origin == VALIDATION:
        return []
    instead = ", not on validation" if samples.origin == CROSS_FITTED else ""
    text = (
        f"the allocators were fitted on {samples.origin} ({len(samples.labels)} samples, {_groups(samples.groups)})"
        f"{instead}: what is said there about a training sample comes from a model that never saw its group, "
        "trained on fewer samples than the one that is judged here."
    )
    return [notice(text, "note")]


def few_groups_line(result: Result) -> str | None:
    """One line where what allocators were fitted on is of one or two groups; None also where none was fitted."""
    if all(allocation is result.uniform for allocation in result.fitted):
        return None
    samples = held_out(result.evaluation)
    of_training = result.evaluation.train.groups if samples.origin == VALIDATION else None
    return few_groups(samples.origin, samples.groups, of_training)


def _groups(groups: Sequence[str]) -> str:
    count = len(set(groups))
    return f"{count} group{'s' * (count > 1)}"


def _fallbacks(result: Result) -> list[Html]:
    """Classes with too few samples to fit a weight of their own, by allocator."""
    classes = result.evaluation.classes
    by_classes: dict[tuple[str, ...], list[str]] = {}
    for allocation in result.fitted:
        names = tuple(classes[c] for c in sorted(_fallback_classes(allocation.record)))
        if names:
            by_classes.setdefault(names, []).append(allocation.name)
    return [
        notice(
            f"no or one held-out sample for {', '.join(names)}: {' and '.join(allocators)} could fit no weight for "
            "that and used the modality's own weight there.",
            "note",
        )
        for names, allocators in by_classes.items()
    ]


def _fallback_classes(record: Mapping[str, Any]) -> set[int]:
    """The classes named anywhere in the record of a fit, also in that of an allocator that another one chose."""
    classes = set(record.get(FALLBACK, ()))
    for value in record.values():
        if isinstance(value, Mapping):
            classes |= _fallback_classes(value)
    return classes
