"""The rows of a study's table: what is known of one method with one allocator in one regime."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ambidex.report.clarity import Judgement, judged

METRICS = ("accuracy", "macro_f1", "nll", "ece", "brier", "decision_gap", "decision_imbalance")
HIGHER_IS_BETTER = {"accuracy": True, "macro_f1": True, "nll": False, "ece": False, "brier": False}
TESTED = ("accuracy", "nll", "brier")
"""metrics that are means over samples, and so are tested in pairs"""
SINGLE = "single modality"
ALONE = "alone"
PLAIN_SUM = "uniform"
"""the allocator that repairs nothing"""
Numbers = dict[str, float | None]
Comparison = dict[str, dict[str, Any]]
"""metric -> difference, low, high, p, p_models (of these trained models alone), p_holm, comparisons (that it was
corrected over), mark (better, worse, same; after correction); `mcnemar` -> seeds (seed -> exact p), won and lost
(samples that only one has right, summed over seeds), p, p_holm, comparisons"""


def judgement(tests: Comparison, metric: str) -> Judgement | None:
    """What may be said of one metric's difference; None where it was not tested."""
    test = tests.get(metric)
    return judged(test, HIGHER_IS_BETTER[metric]) if test else None


@dataclass(frozen=True)
class Row:
    """One line of the table; every field is JSON."""

    kind: str
    """`fused` or `single`"""
    method: str
    regime: str
    allocator: str
    """the allocator, or the modality of a `single` row"""
    per_seed: dict[str, Numbers]
    """seed -> metric -> value on test"""
    missing: list[int] = field(default_factory=list)
    """seeds of the study without a report"""
    refused: dict[str, str] = field(default_factory=dict)
    """seed -> why the allocator was refused there"""
    mean: Numbers = field(default_factory=dict)
    std: Numbers = field(default_factory=dict)
    """sample standard deviation over seeds; None below two seeds"""
    tests: Comparison = field(default_factory=dict)
    """against the reference of the same regime"""
    repair: Comparison = field(default_factory=dict)
    """against the plain sum of the same method and regime"""
    single: dict[str, Any] = field(default_factory=dict)
    """against the best single modality: modality, seeds (compared), seeds_at_least, mean_difference (to the best of
    each seed), tests (a Comparison with the modality that is best on average)"""
    reference: bool = False
    headline: bool = False
    best_step: bool = False
    """joint training with the plain sum, at the step size that is best on validation in this regime"""
    leaky: bool = False
    oracle: bool = False
    sources: dict[str, str] = field(default_factory=dict)
    """seed -> what the allocator weighs, where that is not the head's contributions: `own_heads`, `probes` or `both`"""
    sources_why: dict[str, str] = field(default_factory=dict)
    """seed -> why"""
    validation: Numbers = field(default_factory=dict)
    """mean over seeds on validation: accuracy, nll; choices between rows use these"""

    @property
    def name(self) -> str:
        """The row in words, without its regime."""
        return f"{self.allocator} alone" if self.kind == "single" else f"{self.method} + {self.allocator}"

    def to_json(self) -> dict[str, Any]:
        """As JSON-serialisable values; `Row(**value)` is the inverse."""
        return asdict(self)


def find(rows: Sequence[Row], method: str, regime: str, allocator: str) -> Row | None:
    """The fused row of that name, where there is one."""
    return next((r for r in rows if (r.method, r.regime, r.allocator) == (method, regime, allocator)), None)
