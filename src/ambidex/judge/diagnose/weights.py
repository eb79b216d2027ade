"""The head's own preference and the disparity of the feature spaces.

Norm of W_m[c] per modality and class, its log-ratio between modalities, mean size and histogram of the entries
(linear additive heads only). Weights are no sample: they have no sampling error and so no interval. Mean norm of h_m
on test with a bootstrap interval; effective rank of h_m on test, exp(entropy of the normalised singular values), Roy &
Vetterli 2007. Samples drawn twice would lower a rank, so its interval is that of a jackknife over blocks of samples.
"""

from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from ambidex.base.statistics import Interval, bootstrap_interval
from ambidex.judge.diagnose import Diagnosis, Diagnostic
from ambidex.judge.diagnose._values import with_ends
from ambidex.judge.evaluation import Evaluation

BLOCKS = 20
STUDENT = 2.093
"""97.5 % point of Student's distribution with BLOCKS - 1 degrees of freedom"""
HISTOGRAM_BINS = 40


class Weights(Diagnostic):
    """Weight norms, feature norms, effective ranks."""

    def run(self, evaluation: Evaluation) -> Diagnosis:
        """Metrics: `features` by modality; `weight_norm` by modality and class, `weights` (None: no blocks)."""
        features = {
            m: _features(evaluation, evaluation.test.own(m, h)[0])
            for m, h in evaluation.test.features.items()
        }
        rows = [{"modality": m, **numbers} for m, numbers in features.items()]
        metrics: dict[str, Any] = {
            "features": features,
            "weight_norm": None,
            "weight_size": None,
            "log_ratio": None,
        }
        sentences = [_spaces(features)]
        blocks = evaluation.model.blocks()
        if blocks is None:
            additive = evaluation.model.fusion.additive
            why = "adds what is not linear in the features" if additive else "is not additive"
            sentences.append(f"The head {why}: it has no weight block per modality to compare.")
            return Diagnosis(metrics, {"feature_spaces": rows}, sentences)
        blocks = {m: w.detach().float() for m, w in blocks.items()}
        norms = {m: w.norm(dim=1) for m, w in blocks.items()}
        metrics["weight_norm"] = {m: _by_class(evaluation, n) for m, n in norms.items()}
        metrics["weight_size"] = {m: w.abs().mean().item() for m, w in blocks.items()}
        metrics["log_ratio"] = {
            f"{a}/{b}": _by_class(evaluation, (norms[a] / norms[b]).log()) for a, b in combinations(norms, 2)
        }
        sentences += [_compare(pair, list(by.values())) for pair, by in metrics["log_ratio"].items()]
        tables = {
            "feature_spaces": rows,
            "weight_norms": _norm_rows(metrics),
            "weight_histogram": _histogram(blocks),
        }
        return Diagnosis(metrics, tables, sentences)


def effective_rank(features: Tensor) -> float:
    """exp(-sum_i s_i log s_i) of the singular values of `features` [N, D], normalised to sum 1."""
    h = features.double()
    return _rank(h @ h.T if h.shape[0] < h.shape[1] else h.T @ h)


def _rank(gram: Tensor) -> float:
    """The effective rank, given the matrix of inner products of rows or of columns."""
    singular = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    share = singular / singular.sum().clamp_min(1e-300)
    return float(torch.special.entr(share).sum().exp())


def rank_interval(features: Tensor, seed: int = 0) -> Interval:
    """95 % interval of `effective_rank` of features [N, D]: a jackknife over 20 blocks of samples in random order.

    theta +- t sqrt((B - 1) / B sum_b (theta_b - mean)^2), theta_b without block b. Undefined below 20 samples.
    """
    h = features.double()
    if len(h) < BLOCKS:
        return Interval(float("nan"), float("nan"))
    order = torch.randperm(len(h), generator=torch.Generator().manual_seed(seed))
    blocks = order.tensor_split(BLOCKS)
    if h.shape[0] < h.shape[1]:
        gram = h @ h.T
        complements = [torch.cat([other for other in blocks if other is not block]) for block in blocks]
        ranks = [_rank(gram[rows][:, rows]) for rows in complements]
    else:
        gram = h.T @ h
        ranks = [_rank(gram - h[rows].T @ h[rows]) for rows in blocks]
    spread = torch.tensor(ranks, dtype=torch.float64).var(correction=0).item()
    half = STUDENT * (spread * (BLOCKS - 1)) ** 0.5
    centre = _rank(gram)
    return Interval(max(0.0, centre - half), centre + half)


def _features(evaluation: Evaluation, h: Tensor) -> dict[str, float | None]:
    params = evaluation.params
    norms = h.double().norm(dim=1)
    ends = bootstrap_interval(norms, resamples=params.resamples, seed=params.seed)[0]
    return {
        "dimension": h.shape[1],
        **with_ends("norm", norms.mean().item(), ends),
        **with_ends("effective_rank", effective_rank(h), rank_interval(h, params.seed)),
    }


def _by_class(evaluation: Evaluation, values: Tensor) -> dict[str, float | None]:
    finite = [v if v == v and abs(v) != float("inf") else None for v in values.tolist()]
    return dict(zip(evaluation.classes, finite, strict=True))


def _norm_rows(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"modality": m, "class": c, "norm": norm}
        for m, by_class in metrics["weight_norm"].items()
        for c, norm in by_class.items()
    ]


def _histogram(blocks: dict[str, Tensor]) -> list[dict[str, Any]]:
    """Counts of the entries of each W_m, in bins that all modalities share."""
    high = max(w.abs().max().item() for w in blocks.values()) or 1.0
    edges = torch.linspace(-high, high, HISTOGRAM_BINS + 1).tolist()
    rows: list[dict[str, Any]] = []
    for m, w in blocks.items():
        counts = torch.histc(w, HISTOGRAM_BINS, min=-high, max=high).tolist()
        rows += [
            {"modality": m, "low": edges[b], "high": edges[b + 1], "count": int(count)}
            for b, count in enumerate(counts)
        ]
    return rows


def _spaces(features: dict[str, dict[str, float | None]]) -> str:
    listing = "; ".join(f"{m} {f['norm']:.3g} and {f['effective_rank']:.1f}" for m, f in features.items())
    return f"Feature norm and effective rank on test: {listing}."


def _compare(pair: str, log_ratios: list[float | None]) -> str:
    first, second = pair.split("/")
    logs = torch.tensor([r for r in log_ratios if r is not None])
    if not len(logs):
        return f"The weights of {first} and {second} cannot be compared: one block is zero."
    larger = int((logs > 0).sum())
    return (
        f"Weight norms of {first} are {logs.mean().exp().item():.2f} times those of {second} (geometric mean "
        f"over classes), larger in {larger} of {len(logs)} classes."
    )
