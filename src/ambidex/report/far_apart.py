"""Validation and test accuracy that lie far apart: labels that leaked into features, or a shift between the groups."""

from collections.abc import Mapping
from typing import Any

from ambidex.base.statistics import two_proportions
from ambidex.decide.fitting import REFERENCE

WILD = 0.10
"""validation and test accuracy further apart than this, and than chance allows, hint at leaked labels or a shift"""
REASONS = {
    "above": "Features that have seen the validation labels, or a shift between the groups of the two splits, can do "
    "that; what is fitted on validation may then not hold on test.",
    "below": "The test split is easier, or holds samples that were trained on; what is fitted on validation may not "
    "suit it.",
}


def far_apart(details: Mapping[str, Any]) -> list[str]:
    """A sentence or two for each side on which validation and test accuracy of a classifier differ wildly.

    Wildly: by more than WILD, and beyond a 99 % interval. Looked at are the plain sum, each branch, and each modality
    trained alone.
    """
    whole = details.get("allocators", {}).get(REFERENCE, {})
    sources = [("the plain sum", {"val": whole["val"], "test": whole})] if "val" in whole else []
    sources += [(f"{m} branch", s) for m, s in details["branches"].items()]
    sources += [(f"{m} trained alone", s) for m, s in details["unimodal"].items()]
    wild: dict[str, list[str]] = {}
    for name, by_split in sources:
        if not {"val", "test"} <= by_split.keys():
            continue
        val, test = (by_split[split]["accuracy"] for split in ("val", "test"))
        low, high = two_proportions(val, details["samples"]["val"], test, details["samples"]["test"])
        if abs(val - test) > WILD and not low <= 0 <= high:
            side = "above" if val > test else "below"
            wild.setdefault(side, []).append(f"{name} ({100 * val:.0f} % against {100 * test:.0f} %)")
    return [
        f"validation accuracy is more than {100 * WILD:.0f} points, and beyond chance, {side} test accuracy for "
        f"{', '.join(names)}. {REASONS[side]}"
        for side, names in wild.items()
    ]
