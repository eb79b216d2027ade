"""What a reader must know before believing a number, and the verdict in a few words."""

from collections.abc import Mapping
from typing import Any

from ambidex.allocation import Allocation
from ambidex.report.html import Html, notice
from ambidex.report.result import Result

WILD = 0.15
"""validation and test accuracy further apart than this hint at leaked labels or at a shift"""


def notices(result: Result, metrics: Mapping[str, Any]) -> list[Html]:
    """Boxes for the top of the page, the gravest first; often there is none."""
    card = result.evaluation.card
    found: list[Html] = []
    if result.store.get("leaky"):
        found.append(
            notice(
                f"leaky protocol ({result.store.get('protocol') or 'not described'}): the same groups stand on both "
                "sides of the split, so every accuracy here is higher than it would be on unseen ones.",
                "danger",
            )
        )
    if card.get("selection") == "oracle":
        found.append(
            notice(
                "oracle selection: the epoch that was kept was chosen by looking at the test split. "
                "Such a number is an upper bound and must not be compared with honest ones.",
                "danger",
            )
        )
    if far := _far_apart(metrics):
        found.append(
            notice(
                f"validation and test accuracy are more than {100 * WILD:.0f} points apart for {', '.join(far)}. "
                "Features that have seen the validation labels, or a shift between the splits, can do that; what is "
                "fitted on validation may then not hold on test.",
            )
        )
    if refusal := result.allocation(result.asked).refusal:
        found.append(
            notice(
                f"the allocator '{result.asked}' was refused, the headline is the plain sum: it {refusal}."
            )
        )
    return found


def _far_apart(metrics: Mapping[str, Any]) -> list[str]:
    sources = [(f"{m} branch", s) for m, s in metrics["branches"].items()]
    sources += [(f"{m} trained alone", s) for m, s in metrics["unimodal"].items()]
    pairs = [(name, s["val"]["accuracy"], s["test"]["accuracy"]) for name, s in sources if "val" in s]
    return [f"{name} ({100 * v:.0f} % against {100 * t:.0f} %)" for name, v, t in pairs if abs(v - t) > WILD]


def verdict(result: Result, metrics: Mapping[str, Any]) -> str:
    """The outcome in two or three sentences, each with its numbers."""
    return " ".join([_accuracy(result, metrics), _repair(result), _gap(metrics)]).strip()


def _accuracy(result: Result, metrics: Mapping[str, Any]) -> str:
    fused = 100 * metrics["accuracy"]
    alone = metrics["unimodal"] or metrics["branches"]
    if len(result.evaluation.modalities) < 2 or not alone:
        return f"The model recognises {fused:.1f} % of the test samples."
    how = "trained alone" if metrics["unimodal"] else "deciding alone"
    best = max(alone, key=lambda m: float(alone[m]["test"]["accuracy"]))
    other = 100 * alone[best]["test"]["accuracy"]
    relation = "more than" if fused > other else "less than" if fused < other else "exactly as much as"
    return (
        f"Fused, the model recognises {fused:.1f} % of the test samples, {relation} the best modality {how} "
        f"({best}, {other:.1f} %)."
    )


def _repair(result: Result) -> str:
    """What the headline changed; other allocators that differ clearly are named, and why not to pick by that."""
    found = []
    if headline := _change(result.headline):
        how, change = headline
        found.append(
            f"Re-weighting the modalities ({result.headline.name}) changed the plain sum's accuracy by {change}, "
            f"{'no clear difference' if how == 'same' else f'a clear {how}'}."
        )
    others = [(a.name, told) for a in result.fitted if a is not result.headline and (told := _change(a))]
    for kind in ("gain", "loss"):
        if clear := [f"{name} {change}" for name, (how, change) in others if how == kind]:
            advice = "; to pick it for that would be to pick on test" if kind == "gain" else ""
            found.append(f"Another allocator shows a clear {kind} ({', '.join(clear)}){advice}.")
    return " ".join(found)


def _change(allocation: Allocation) -> tuple[str, str] | None:
    """`gain`, `loss` or `same` by the 95 % interval of the accuracy, and the change in words."""
    test = allocation.against_uniform.get("accuracy")
    if not test:
        return None
    low, high = 100 * test["low"], 100 * test["high"]
    how = "gain" if low > 0 else "loss" if high < 0 else "same"
    return how, f"{100 * test['difference']:+.1f} points (95 % interval {low:+.1f} to {high:+.1f})"


def _gap(metrics: Mapping[str, Any]) -> str:
    gap, low, high = (metrics[key] for key in ("decision_gap", "decision_gap_low", "decision_gap_high"))
    if gap is None:
        return ""
    if low > 0:
        return (
            f"A linear probe on the same features is {100 * gap:.1f} points better than the trained head: that much is "
            "lost at the decision layer, not in the encoders."
        )
    if high < 0:
        return (
            f"The trained head is {-100 * gap:.1f} points better than a linear probe on the same features: nothing is "
            "lost at the decision layer."
        )
    return (
        f"A linear probe on the same features differs from the trained head by {100 * gap:+.1f} points, which may be "
        "chance: no loss at the decision layer can be shown."
    )
