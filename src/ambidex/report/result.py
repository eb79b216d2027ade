"""Everything that one evaluation found, in one place for metrics, files and page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ambidex.base.statistics import accuracy, nll, summary
from ambidex.decide.fitting import REFERENCE, Allocation
from ambidex.judge.diagnose import Diagnosis
from ambidex.judge.evaluation import Evaluation
from ambidex.judge.probes import fit_probes
from ambidex.report.far_apart import far_apart
from ambidex.report.predictions import Predictions, probabilities

TableRows = list[dict[str, Any]]
PLAIN = ("accuracy", "nll", "ece", "decision_imbalance")
"""metrics of the plain sum that stand beside the headline's"""


@dataclass(frozen=True)
class Result:
    """One evaluated model: what it said, what the diagnostics and allocators found."""

    evaluation: Evaluation
    diagnoses: dict[str, Diagnosis]
    allocations: Sequence[Allocation]
    """`uniform` is among them"""
    asked: str
    """the allocator that was asked to be the headline"""
    history: Sequence[Mapping[str, str]] = ()
    """rows of the model's history.csv"""
    store: Mapping[str, Any] = field(default_factory=dict)
    """facts of the feature store: fingerprint, protocol, leaky"""

    @property
    def headline(self) -> Allocation:
        """The allocation whose result is the model's: the one asked for, or `uniform` where that was refused."""
        allocation = self.allocation(self.asked)
        return self.uniform if allocation.refusal else allocation

    @property
    def uniform(self) -> Allocation:
        """The plain sum."""
        return self.allocation(REFERENCE)

    @property
    def fitted(self) -> list[Allocation]:
        """The allocations that were not refused."""
        return [allocation for allocation in self.allocations if not allocation.refusal]

    def allocation(self, name: str) -> Allocation:
        """The allocation called `name`."""
        return next(allocation for allocation in self.allocations if allocation.name == name)

    def table(self, diagnostic: str, name: str) -> TableRows:
        """Rows of one table; empty where that diagnostic did not run."""
        diagnosis = self.diagnoses.get(diagnostic)
        return diagnosis.tables.get(name, []) if diagnosis else []

    def metric(self, diagnostic: str, *path: str) -> Any:
        """One value of a diagnostic's metrics by its path; None where it is not there."""
        diagnosis = self.diagnoses.get(diagnostic)
        value: Any = diagnosis.metrics if diagnosis else None
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def sentences(self, *diagnostics: str) -> list[str]:
        """What these diagnostics say in words."""
        return [s for name in diagnostics if name in self.diagnoses for s in self.diagnoses[name].sentences]

    def predictions(self) -> Predictions:
        """What every predictor says about test."""
        test = self.evaluation.test
        alone = {m: u.logits["test"] for m, u in self.evaluation.unimodal.items()}
        fused = {allocation.name: allocation.logits["test"] for allocation in self.fitted}
        probes = {m: probe.logits["test"] for m, probe in fit_probes(self.evaluation).own.items()}
        by_predictor = {
            **probabilities(fused, "allocator"),
            **probabilities(test.branches, "branch"),
            **probabilities(probes, "probe"),
            **probabilities(alone, "unimodal"),
        }
        classes = self.evaluation.classes
        return Predictions(test.sample_ids, test.groups, classes, test.labels, by_predictor, test.present)


def run_metrics(details: Mapping[str, Any]) -> dict[str, Any]:
    """metrics.json: the headline numbers out of `run_details`, as many for any number of modalities and classes."""
    headline = details["allocators"][details["allocator"]]
    plain, gain = details["allocators"][REFERENCE], (headline.get("against_uniform") or {}).get("accuracy")
    alone = best_alone(details)
    return {
        **{name: value for name, value in details.items() if not isinstance(value, Mapping)},
        "plain_sum": {name: plain.get(name) for name in PLAIN},
        "recovered": {end: gain[end] if gain else None for end in ("difference", "low", "high")},
        "best_alone": {"modality": alone[0], "accuracy": alone[1]} if alone else None,
        "samples": details["samples"],
    }


def best_alone(details: Mapping[str, Any]) -> tuple[str, float, str] | None:
    """The most accurate modality on test, its accuracy, and how it was measured; trained alone where there is such."""
    alone = details["unimodal"] or details["branches"]
    if not alone:
        return None
    best = max(alone, key=lambda m: float(alone[m]["test"]["accuracy"]))
    how = "trained alone" if details["unimodal"] else "deciding alone"
    return best, float(alone[best]["test"]["accuracy"]), how


def run_details(result: Result) -> dict[str, Any]:
    """details.json: the headline first, then every predictor. The same model gives the same numbers, always."""
    evaluation = result.evaluation
    gap, bins = result.metric("probes", "decision_gap"), evaluation.params.bins
    splits = evaluation.judged

    def by_split(logits: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Any]:
        """Split -> name -> logits, turned into name -> split -> numbers; no numbers where no sample has a modality."""
        names = logits["test"]
        return {
            name: {
                split: summary(*evaluation.splits[split].own(name, logits[split][name]), bins)
                for split in splits
                if evaluation.splits[split].has(name)
            }
            for name in names
        }

    alone = {split: {m: u.logits[split] for m, u in evaluation.unimodal.items()} for split in splits}
    details: dict[str, Any] = {
        **result.headline.metrics,
        "allocator": result.headline.name,
        "allocator_asked": result.asked,
        "decision_gap": gap["difference"] if gap else None,
        "decision_gap_low": gap["low"] if gap else None,
        "decision_gap_high": gap["high"] if gap else None,
        "joint_probe_accuracy": result.metric("probes", "probes", "joint", "accuracy"),
        "representation_gap": {
            m: deficit["difference"]
            for m, deficit in (result.metric("probes", "representation_gap") or {}).items()
        },
        "oracle_choice": result.metric("performance", "oracle_choice"),
        "allocators": {a.name: _allocated(a, evaluation) for a in result.allocations},
        "branches": by_split({split: evaluation.splits[split].branches for split in splits}),
        "unimodal": by_split(alone),
        "override": {row["modality"]: row["override"] for row in result.table("logits", "overrides")},
        "shapley": {row["modality"]: row["phi"] for row in result.table("shapley", "shapley")},
        "samples": {name: len(split.labels) for name, split in evaluation.splits.items()},
        "training": evaluation.card.get("remark"),
    }
    return details | {"far_apart": " ".join(far_apart(details)) or None}


def _allocated(allocation: Allocation, evaluation: Evaluation) -> dict[str, Any]:
    """One allocator on test; `val` is what a choice between models may look at."""
    if allocation.refusal:
        return {"refused": allocation.refusal}
    numbers = {
        **allocation.metrics,
        "against_uniform": allocation.against_uniform,
        "shares": allocation.shares,
    }
    if "val" in evaluation.judged:
        logits, labels = allocation.logits["val"], evaluation.val.labels
        numbers["val"] = {"accuracy": accuracy(logits, labels), "nll": nll(logits, labels)}
    return {**numbers, "source": allocation.source, "note": allocation.note}
