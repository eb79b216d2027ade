"""Whether confidence can be trusted, on test: per modality and fused.

Reliability bins of equal width and of equal count, ECE over both, NLL, Brier; and VRR: how often the fused
confidence rises when a modality's features are removed (Ma et al., ICML 2023).
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ambidex.base.statistics import (
    bootstrap_interval,
    bootstrap_means,
    confidence_bins,
    correct,
    interval,
    reliability,
)
from ambidex.judge.diagnose import Diagnosis, Diagnostic
from ambidex.judge.diagnose._masked import exchange_sentences, without_one
from ambidex.judge.diagnose._scores import scores, sources
from ambidex.judge.diagnose._values import with_ends
from ambidex.judge.evaluation import Evaluation

MATCHED = 0.01  # confidence and accuracy this close are called equal
TRUST = ("ece", "ece_adaptive", "nll", "brier", "accuracy")


class Calibration(Diagnostic):
    """Reliability of the confidence."""

    def run(self, evaluation: Evaluation) -> Diagnosis:
        """Metrics: `fused` and modality -> ece, ece_adaptive, nll, brier, confidence; `vrr` by modality."""
        test = evaluation.test
        logits = sources(test)
        metrics: dict[str, Any] = {
            name: _numbers(evaluation, name, test.own(name, z)[0]) for name, z in logits.items()
        }
        rows: list[dict[str, Any]] = []
        for name, z in logits.items():
            for kind, adaptive in (("equal width", False), ("equal count", True)):
                rows += [
                    {"source": name, "bins": kind} | row
                    for row in _bins(evaluation, *test.own(name, z), adaptive)
                ]
        vrr = _confidence_rises(evaluation)
        vrr_rows = [{"modality": m, **numbers} for m, numbers in vrr.items()]
        tables = {"reliability": rows, "vrr": vrr_rows}
        sentences = [_sentence(name, metrics[name]) for name in logits]
        sentences += _vrr_sentence(vrr, evaluation.params.absent) + exchange_sentences(evaluation)
        return Diagnosis({**metrics, "vrr": vrr}, tables, sentences)


def _numbers(evaluation: Evaluation, source: str, logits: Tensor) -> dict[str, float]:
    params = evaluation.params
    overall = scores(evaluation)["test"][source].overall
    trust = {key: overall[key] for name in TRUST for key in (name, f"{name}_low", f"{name}_high")}
    sure = confidence(logits)
    ends = bootstrap_interval(sure, resamples=params.resamples, seed=params.seed)[0]
    return trust | with_ends("confidence", sure.mean().item(), ends)


def confidence(logits: Tensor) -> Tensor:
    """max_c p_c: [N] float64."""
    return logits.double().softmax(dim=1).amax(dim=1)


def _bins(
    evaluation: Evaluation, logits: Tensor, labels: Tensor, adaptive: bool
) -> list[dict[str, float | None]]:
    """Rows of a reliability diagram; the accuracy of a bin with its interval (an empty bin has neither)."""
    params = evaluation.params
    bins = reliability(logits, labels, params.bins, adaptive)
    place = one_hot(confidence_bins(logits, params.bins, adaptive)[1], params.bins).double()
    columns = torch.cat([place * correct(logits, labels)[:, None], place], dim=1)
    right, count = bootstrap_means(columns, params.resamples, params.seed).chunk(2, dim=1)
    intervals = interval(right / count)
    rows: list[dict[str, float | None]] = []
    for b, ends in enumerate(intervals):
        filled = bool(bins.count[b])
        rows.append(
            {
                "low": bins.low[b].item(),
                "high": bins.high[b].item(),
                "count": int(bins.count[b]),
                "confidence": bins.confidence[b].item() if filled else None,
                **with_ends("accuracy", bins.accuracy[b].item() if filled else torch.nan, ends),
            }
        )
    return rows


def _confidence_rises(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """P(confidence rises when m is removed), with interval and the rule (`absent`); nothing for a single modality."""
    params = evaluation.params
    if len(evaluation.modalities) == 1:
        return {}
    whole = confidence(evaluation.test.logits)
    rises = {m: (confidence(z) > whole).double() for m, z in without_one(evaluation).items()}
    stacked = torch.stack(list(rises.values()), dim=1)
    ends = bootstrap_interval(stacked, resamples=params.resamples, seed=params.seed)
    return {
        m: {**with_ends("vrr", rise.mean().item(), end), "absent": params.absent}
        for (m, rise), end in zip(rises.items(), ends, strict=True)
    }


def _vrr_sentence(vrr: dict[str, dict[str, Any]], absent: str) -> list[str]:
    if not vrr:
        return []
    parts = [f"{m} {n['vrr']:.1%} ({n['vrr_low']:.1%} to {n['vrr_high']:.1%})" for m, n in vrr.items()]
    return [
        f"Share of samples whose confidence rises without a modality, by rule '{absent}': {'; '.join(parts)}."
    ]


def _sentence(name: str, numbers: dict[str, float]) -> str:
    excess = numbers["confidence"] - numbers["accuracy"]
    verdict = "well matched" if abs(excess) < MATCHED else "overconfident" if excess > 0 else "underconfident"
    return (
        f"{name}: mean confidence {numbers['confidence']:.1%} against accuracy {numbers['accuracy']:.1%} "
        f"({verdict}), ECE {numbers['ece']:.3f}, NLL {numbers['nll']:.3f}."
    )
