"""The head's own preference and the disparity of the feature spaces.

Norm of W_m[c] per modality and class and its log-ratio between modalities (additive heads only); mean norm of
h_m on test; effective rank of h_m on test: exp(entropy of the normalised singular values), Roy & Vetterli 2007.
"""

from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from ambidex.diagnose import Diagnosis, Diagnostic
from ambidex.evaluation import Evaluation
from ambidex.statistics import bootstrap_interval


class Weights(Diagnostic):
    """Weight norms, feature norms, effective ranks."""

    def run(self, evaluation: Evaluation) -> Diagnosis:
        """Metrics: `features` by modality, `weight_norm` by modality and class (None: head not additive)."""
        features = _features(evaluation)
        rows = [{"modality": m, **numbers} for m, numbers in features.items()]
        metrics: dict[str, Any] = {"features": features, "weight_norm": None, "log_ratio": None}
        sentences = [
            "Feature norm and effective rank on test: "
            + "; ".join(f"{m} {f['norm']:.3g} and {f['effective_rank']:.1f}" for m, f in features.items())
            + "."
        ]
        blocks = evaluation.model.blocks()
        if blocks is None:
            sentences.append("The head is not additive: it has no weight block per modality to compare.")
            return Diagnosis(metrics, {"feature_spaces": rows}, sentences)
        with torch.no_grad():
            norms = {m: w.float().norm(dim=1) for m, w in blocks.items()}
        metrics["weight_norm"] = {m: _by_class(evaluation, n) for m, n in norms.items()}
        metrics["log_ratio"] = {
            f"{a}/{b}": _by_class(evaluation, (norms[a] / norms[b]).log()) for a, b in combinations(norms, 2)
        }
        sentences += [_compare(pair, list(by.values())) for pair, by in metrics["log_ratio"].items()]
        return Diagnosis(metrics, {"feature_spaces": rows, "weight_norms": _norm_rows(metrics)}, sentences)


def effective_rank(features: Tensor) -> float:
    """exp(-sum_i s_i log s_i) of the singular values of `features` [N, D], normalised to sum 1."""
    h = features.double()
    gram = h @ h.T if h.shape[0] < h.shape[1] else h.T @ h
    singular = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    share = singular / singular.sum().clamp_min(1e-300)
    return float(torch.special.entr(share).sum().exp())


def _features(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    params = evaluation.params
    found: dict[str, dict[str, float]] = {}
    for m, h in evaluation.test.features.items():
        norms = h.double().norm(dim=1)
        low, high = bootstrap_interval(norms, resamples=params.resamples, seed=params.seed)[0]
        found[m] = {
            "dimension": h.shape[1],
            "norm": norms.mean().item(),
            "norm_low": low,
            "norm_high": high,
            "effective_rank": effective_rank(h),
        }
    return found


def _by_class(evaluation: Evaluation, values: Tensor) -> dict[str, float | None]:
    finite = [v if v == v and abs(v) != float("inf") else None for v in values.tolist()]
    return dict(zip(evaluation.classes, finite, strict=True))


def _norm_rows(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"modality": m, "class": c, "norm": norm}
        for m, by_class in metrics["weight_norm"].items()
        for c, norm in by_class.items()
    ]


def _compare(pair: str, log_ratios: list[float | None]) -> str:
    first, second = pair.split("/")
    known = torch.tensor([r for r in log_ratios if r is not None])
    if not len(known):
        return f"The weights of {first} and {second} cannot be compared: one block is zero."
    larger = int((known > 0).sum())
    return (
        f"Weight norms of {first} are {known.mean().exp().item():.2f} times those of {second} (geometric mean "
        f"over classes), larger in {larger} of {len(known)} classes."
    )
