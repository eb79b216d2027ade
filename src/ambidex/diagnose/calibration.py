"""Whether confidence can be trusted, on test: per modality and fused.

Reliability bins of equal width and of equal count, ECE over both, NLL, Brier; and VRR: how often the fused
confidence rises when a modality's features are removed (Ma et al., ICML 2023).
"""

from typing import Any

import torch
from torch import Tensor

from ambidex.diagnose import Diagnosis, Diagnostic
from ambidex.diagnose.shapley import coalitions_on_test
from ambidex.evaluation import Evaluation
from ambidex.statistics import (
    accuracy,
    bootstrap_interval,
    brier,
    ece,
    nll,
    reliability,
    sample_brier,
    sample_nll,
)

FUSED = "fused"

MATCHED = 0.01  # confidence and accuracy this close are called equal


class Calibration(Diagnostic):
    """Reliability of the confidence."""

    def run(self, evaluation: Evaluation) -> Diagnosis:
        """Metrics: `fused` and modality -> ece, ece_adaptive, nll, brier, confidence; `vrr` by modality."""
        test, params = evaluation.test, evaluation.params
        sources = {FUSED: test.logits, **test.branches}
        metrics: dict[str, Any] = {}
        rows: list[dict[str, Any]] = []
        for name, logits in sources.items():
            metrics[name] = _numbers(evaluation, logits)
            for kind, adaptive in (("equal width", False), ("equal count", True)):
                rows += [
                    {"source": name, "bins": kind} | row
                    for row in _bins(logits, test.labels, params.bins, adaptive)
                ]
        vrr = _confidence_rises(evaluation)
        vrr_rows = [{"modality": m, **numbers} for m, numbers in vrr.items()]
        tables = {"reliability": rows, "vrr": vrr_rows}
        return Diagnosis(
            {**metrics, "vrr": vrr}, tables, [_sentence(name, metrics[name]) for name in sources]
        )


def _numbers(evaluation: Evaluation, logits: Tensor) -> dict[str, float]:
    labels, params = evaluation.test.labels, evaluation.params
    losses = torch.stack([sample_nll(logits, labels), sample_brier(logits, labels)], dim=1)
    ends = bootstrap_interval(losses, resamples=params.resamples, seed=params.seed)
    return {
        "ece": ece(logits, labels, params.bins),
        "ece_adaptive": ece(logits, labels, params.bins, adaptive=True),
        "nll": nll(logits, labels),
        "nll_low": ends[0].low,
        "nll_high": ends[0].high,
        "brier": brier(logits, labels),
        "brier_low": ends[1].low,
        "brier_high": ends[1].high,
        "confidence": confidence(logits).mean().item(),
        "accuracy": accuracy(logits, labels),
    }


def confidence(logits: Tensor) -> Tensor:
    """max_c p_c: [N] float64."""
    return logits.double().softmax(dim=1).amax(dim=1)


def _bins(logits: Tensor, labels: Tensor, bins: int, adaptive: bool) -> list[dict[str, float]]:
    b = reliability(logits, labels, bins, adaptive)
    keys = ("low", "high", "count", "confidence", "accuracy")
    columns = zip(*(getattr(b, key).tolist() for key in keys), strict=True)
    return [dict(zip(keys, row, strict=True)) for row in columns]


def _confidence_rises(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """P(confidence rises when m is removed), with interval; nothing for a single modality."""
    params, everyone = evaluation.params, frozenset(evaluation.modalities)
    if len(everyone) == 1:
        return {}
    logits = coalitions_on_test(evaluation)
    whole = confidence(logits[everyone])
    rises = {m: (confidence(logits[everyone - {m}]) > whole).double() for m in evaluation.modalities}
    stacked = torch.stack(list(rises.values()), dim=1)
    ends = bootstrap_interval(stacked, resamples=params.resamples, seed=params.seed)
    return {
        m: {"vrr": rise.mean().item(), "vrr_low": end.low, "vrr_high": end.high}
        for (m, rise), end in zip(rises.items(), ends, strict=True)
    }


def _sentence(name: str, numbers: dict[str, float]) -> str:
    excess = numbers["confidence"] - numbers["accuracy"]
    lean = "well matched" if abs(excess) < MATCHED else "overconfident" if excess > 0 else "underconfident"
    return (
        f"{name}: mean confidence {numbers['confidence']:.1%} against accuracy {numbers['accuracy']:.1%} "
        f"({lean}), ECE {numbers['ece']:.3f}, NLL {numbers['nll']:.3f}."
    )
