"""The one judge of a difference: every mark, colour and word of pages, tables and terminal comes from here.

A difference is `better` or `worse` where it is clear after correction for the comparisons that it is one of, `alone`
where only its own interval leaves 0 out, and `same` where its own interval holds 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ambidex.base.statistics import Comparison, holm

Clarity = Literal["better", "worse", "alone", "same"]
SAME = "no clear difference"
ALONE = "clear on its own, not after correction"
ALONE_MANY = ALONE.replace("its", "their")
SYMBOLS: Mapping[Clarity, str] = {"better": "+", "worse": "-", "alone": "~", "same": "="}
"""in plain text"""
LEVEL = 0.05
"""of the comparisons of one run, whose intervals are of 95 %"""


@dataclass(frozen=True)
class Judgement:
    """What may be said of one difference."""

    clarity: Clarity
    comparisons: int = 1
    """how many comparisons it was corrected for"""
    up: bool = True
    """whether the difference, clear or not, is to the better"""

    @property
    def words(self) -> str:
        """`clearly better`, or why not."""
        if self.clarity == "same":
            return SAME
        if self.clarity == "alone":
            return f"{ALONE} for {self.comparisons} comparisons"
        return f"clearly {self.clarity}"

    @property
    def change(self) -> str:
        """`a clear gain`, `a clear loss`, or why neither."""
        return {"better": "a clear gain", "worse": "a clear loss"}.get(self.clarity, self.words)

    @property
    def sign(self) -> int:
        """1: clearly better, -1: clearly worse, 0: neither."""
        return {"better": 1, "worse": -1}.get(self.clarity, 0)


def judged(test: Mapping[str, Any], higher_is_better: bool = True) -> Judgement:
    """Judge a test of a study: `mark`, `difference`, `low`, `high`, `comparisons` (see `study.rows.Comparison`)."""
    up = (float(test["difference"]) > 0) == higher_is_better
    count = int(test.get("comparisons", 1))
    if test["mark"] != "same":
        return Judgement(test["mark"], count, up)
    return Judgement("alone" if count > 1 and _leaves_out_0(test["low"], test["high"]) else "same", count, up)


def judge_changes(
    changes: Mapping[str, Comparison], planned: str, higher_is_better: bool = True
) -> dict[str, Judgement]:
    """Judge every change of one run: allocator -> judgement.

    `planned` was named before anyone looked at test, so it is one comparison by itself, and so is an allocator that
    does the very same (the one that `auto` chose). The others, of which a reader picks, are corrected among
    themselves (Holm).
    """
    others = {name: change for name, change in changes.items() if name != planned}
    corrected = dict(zip(others, holm([change.p for change in others.values()]), strict=True))
    judgements = {}
    for name, change in changes.items():
        up, clear = (change.difference > 0) == higher_is_better, _leaves_out_0(change.low, change.high)
        count = 1 if change == changes.get(planned) else len(others)
        significant = count == 1 or corrected[name] < LEVEL
        judgements[name] = Judgement(_clarity(clear, significant, up), count, up)
    return judgements


def _clarity(clear: bool, significant: bool, up: bool) -> Clarity:
    if not clear:
        return "same"
    if not significant:
        return "alone"
    return "better" if up else "worse"


def _leaves_out_0(low: float, high: float) -> bool:
    return low > 0 or high < 0
