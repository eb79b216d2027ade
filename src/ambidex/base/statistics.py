"""Metrics and tests of significance: pure functions of tensors, each with its formula.

N samples, C classes. Logits are [N, C], labels [N] int64, p = softmax(logits). Sums run in float64.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

_CHUNK = 1_000_000  # resampled indices held at once
_KEPT = 16_000_000  # resampled indices up to which their counts are kept for the next call
_TILTS = (0.7, 1.0, 1.4, 2.0, 4.0, 16.0)


class Interval(NamedTuple):
    """A percentile interval."""

    low: float
    high: float


class Comparison(NamedTuple):
    """A paired difference a - b, its interval, and the two-sided bootstrap p-value."""

    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Bins:
    """A reliability diagram; empty bins have count 0 and means 0. All [B]."""

    low: Tensor
    high: Tensor
    count: Tensor
    confidence: Tensor
    """mean of max_c p_c"""
    accuracy: Tensor


def correct(logits: Tensor, labels: Tensor) -> Tensor:
    """1 where argmax_c z_c is the label, else 0: [N] float64."""
    return (logits.argmax(dim=1) == labels).double()


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """1/N sum_n [argmax_c z_nc = y_n]."""
    return correct(logits, labels).mean().item()


def confusion_matrix(predictions: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Counts [C, C] int64: row = label, column = prediction."""
    return torch.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)


def macro_f1(logits: Tensor, labels: Tensor) -> float:
    """1/C sum_c 2 TP_c / (2 TP_c + FP_c + FN_c), 0 for a class that is neither present nor predicted."""
    matrix = confusion_matrix(logits.argmax(dim=1), labels, logits.shape[1]).double()
    total = matrix.sum(dim=0) + matrix.sum(dim=1)
    return (2 * matrix.diagonal() / total.clamp_min(1)).mean().item()


def sample_nll(logits: Tensor, labels: Tensor) -> Tensor:
    """-log p_n[y_n]: [N] float64."""
    return torch.nn.functional.cross_entropy(logits.double(), labels, reduction="none")


def nll(logits: Tensor, labels: Tensor) -> float:
    """-1/N sum_n log p_n[y_n]."""
    return sample_nll(logits, labels).mean().item()


def sample_brier(logits: Tensor, labels: Tensor) -> Tensor:
    """sum_c (p_nc - [c = y_n])^2, between 0 and 2: [N] float64."""
    p = logits.double().softmax(dim=1)
    return p.square().sum(dim=1) - 2 * p.gather(1, labels[:, None])[:, 0] + 1


def brier(logits: Tensor, labels: Tensor) -> float:
    """1/N sum_n sum_c (p_nc - [c = y_n])^2, between 0 and 2."""
    return sample_brier(logits, labels).mean().item()


def confidence_bins(logits: Tensor, bins: int = 15, adaptive: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Confidence max_c p_c [N], the bin of each sample [N] int64, and the edges [B + 1] of the bins (low, high].

    Bins have equal width on 0..1; `adaptive`: equal counts (edges at quantiles of the confidence; bins of
    equal edges are empty).
    """
    confidence = logits.double().softmax(dim=1).amax(dim=1)
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    if adaptive:
        edges = torch.quantile(confidence, edges)
    return confidence, torch.bucketize(confidence, edges[1:-1].contiguous()), edges


def reliability(logits: Tensor, labels: Tensor, bins: int = 15, adaptive: bool = False) -> Bins:
    """Accuracy and confidence by bin of `confidence_bins`."""
    confidence, place, edges = confidence_bins(logits, bins, adaptive)
    count = torch.bincount(place, minlength=bins)
    share = count.clamp_min(1)
    mean_confidence = torch.bincount(place, confidence, minlength=bins) / share
    mean_accuracy = torch.bincount(place, correct(logits, labels), minlength=bins) / share
    return Bins(edges[:-1], edges[1:], count, mean_confidence, mean_accuracy)


def ece(logits: Tensor, labels: Tensor, bins: int = 15, adaptive: bool = False) -> float:
    """Expected calibration error: sum_b n_b/N |accuracy_b - confidence_b| over the bins of `reliability`."""
    b = reliability(logits, labels, bins, adaptive)
    return ((b.count.double() / b.count.sum()) * (b.accuracy - b.confidence).abs()).sum().item()


def bootstrap_means(
    values: Tensor, resamples: int = 1_000, seed: int = 0, units: Tensor | None = None
) -> Tensor:
    """Means of `values` [N, K] over bootstrap samples of the N rows: [R, K] float64.

    Every call with the same N, R and seed draws the same samples, so differences of its results are paired.
    `units` [N] int64: rows of one unit (a speaker) are not independent, so whole units are drawn instead.
    """
    means, end = torch.empty(resamples, values.shape[1], dtype=torch.float64), 0
    for block in bootstrap_blocks(values, resamples, seed, units):  # not joined: they would be there twice
        means[end : (end := end + len(block))] = block
    return means


def bootstrap_blocks(
    values: Tensor, resamples: int = 1_000, seed: int = 0, units: Tensor | None = None
) -> Iterator[Tensor]:
    """The rows of `bootstrap_means` block by block [r, K]: for what can be summed up without holding all of them."""
    totals, sizes = _by_unit(values.double(), units)
    for weight in _draws(len(totals), resamples, seed):
        yield weight @ totals / (len(totals) if sizes is None else (weight @ sizes)[:, None])


def bootstrap_shares(places: Tensor, count: int, resamples: int = 1_000, seed: int = 0) -> Tensor:
    """`bootstrap_means` of `places` [N, K] int64, one-hot, to the last bit, without a product for each column.

    Returns shares [R, K, count] float64 of places 0 to `count`, which itself is none.
    """
    columns, blocks = places.shape[1], []
    for weight in _draws(len(places), resamples, seed):
        by_sample = weight.T.contiguous()
        totals = torch.zeros(columns * (count + 1), len(weight), dtype=torch.float64)
        for column in (places + (count + 1) * torch.arange(columns)).T:
            totals.index_add_(0, column, by_sample)
        blocks.append(totals.T.reshape(len(weight), columns, count + 1)[:, :, :count] / len(places))
    return torch.cat(blocks)


def _draws(count: int, resamples: int, seed: int) -> Iterator[Tensor]:
    """How often each of `count` rows is drawn, block by block of the resamples: [r, count] float64."""
    draw = _drawn if count * resamples > _KEPT else _kept
    for block in draw(count, resamples, seed):
        yield block.double()


@lru_cache(maxsize=2)
def _kept(count: int, resamples: int, seed: int) -> list[Tensor]:
    """The same draws serve every measurement of the same samples; they are kept in few bytes."""
    return [
        block.to(torch.int16 if count < 2**15 else torch.int32) for block in _drawn(count, resamples, seed)
    ]


def _drawn(count: int, resamples: int, seed: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rows = max(1, _CHUNK // max(count, 1))
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = torch.randint(count, (size, count), generator=generator, dtype=torch.int32)
        drawn += torch.arange(size, dtype=torch.int32)[:, None] * count
        yield torch.bincount(drawn.flatten(), minlength=size * count).reshape(size, count)


def crossing_bound(values: Tensor, units: Tensor | None = None) -> Tensor:
    """Upper bound, for each column of `values` [N, K], of the chance that a draw of `bootstrap_means` is 0 or has
    another sign than the column's mean: [K] float64. `units` as in `bootstrap_means`.

    t are the totals of G units, with the sign that makes their mean positive. By Chernoff (1952)
    P(sum of G draws <= 0) <= (1/G sum_g exp(-s t_g))^G for every s >= 0; s is the best of a few multiples of
    mean(t) / mean(t^2), close to the best of all where totals are normal.
    """
    totals, _ = _by_unit(values.double(), units)
    turned = totals * totals.mean(dim=0).sign()
    scale = turned.mean(dim=0) / turned.square().mean(dim=0).clamp_min(torch.finfo(torch.float64).tiny)
    logs = [torch.logsumexp(-times * scale * turned, dim=0) for times in _TILTS]
    count = len(totals)
    return (count * (torch.stack(logs).amin(dim=0) - math.log(count))).exp().clamp_max(1.0)


def _by_unit(values: Tensor, units: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Totals of `values` [N, K] over the rows of each unit [G, K], and their number [G]; rows as they are for None."""
    if units is None:
        return values, None
    sizes = torch.bincount(units)
    totals = torch.zeros(len(sizes), *values.shape[1:], dtype=values.dtype).index_add_(0, units, values)
    return totals[sizes > 0], sizes[sizes > 0].double()


def interval(draws: Tensor, level: float = 0.95) -> list[Interval]:
    """The central `level` of each column of `draws` [R, K], undefined draws (NaN) left out; K intervals."""
    tail = (1 - level) / 2
    ends = torch.nanquantile(draws.double(), torch.tensor([tail, 1 - tail], dtype=torch.float64), dim=0)
    return [Interval(low, high) for low, high in ends.T.tolist()]


def reflected(estimate: Tensor, draws: Tensor, level: float = 0.95, least: float = 0.0) -> list[Interval]:
    """Intervals of quantities that are sums of absolute values: `estimate` [K], `draws` [R, K]; never below `least`.

    Such a quantity (ECE, decision imbalance) is biased upwards, and its bootstrap draws are so twice: percentiles
    lie above the truth. The basic bootstrap reflects them at the estimate, 2 e - q, which undoes that; the interval
    is widened to hold the estimate where the bias is larger than the spread. For a difference of two such
    quantities, whose biases need not be equal, `least` is -infinity.
    """
    ends = zip(estimate.double().tolist(), interval(draws, level), strict=True)
    return [Interval(min(e, max(least, 2 * e - high)), max(e, 2 * e - low)) for e, (low, high) in ends]


def bootstrap_interval(
    values: Tensor,
    statistic: Callable[[Tensor], Tensor] | None = None,
    resamples: int = 1_000,
    seed: int = 0,
    level: float = 0.95,
    units: Tensor | None = None,
) -> list[Interval]:
    """Percentile intervals of a function of means over samples.

    `values` [N] or [N, K]; `statistic` maps means [R, K] to draws [R, J] (default: the means themselves);
    `units` as in `bootstrap_means`.
    """
    means = bootstrap_means(values.reshape(len(values), -1), resamples, seed, units)
    return interval(means if statistic is None else statistic(means), level)


def two_proportions(a: float, n_a: int, b: float, n_b: int, deviations: float = 2.576) -> Interval:
    """Interval of p_a - p_b for independent samples, by Agresti and Caffo (2000); 2.576 deviations: 99 %.

    A right and a wrong sample are added to each side, so that the interval has a width at 0 and 1 too.
    """
    shares = [((p * n + 1) / (n + 2), n + 2) for p, n in ((a, n_a), (b, n_b))]
    difference = shares[0][0] - shares[1][0]
    half = deviations * sum(p * (1 - p) / n for p, n in shares) ** 0.5
    return Interval(difference - half, difference + half)


def paired_bootstrap(a: Tensor, b: Tensor, resamples: int = 1_000, seed: int = 0) -> Comparison:
    """Mean of a - b with its 95 % interval and p-value, over samples drawn together for both.

    `a`, `b`: per-sample values (1/0 for right/wrong, or a loss), [N], or [S, N] for S seeds on the same
    samples, which are averaged first. p = 2 min(P(d* <= 0), P(d* >= 0)), counted as (k + 1) / (R + 1), at most 1.
    """
    difference = a.double().reshape(-1, a.shape[-1]).mean(0) - b.double().reshape(-1, b.shape[-1]).mean(0)
    draws = bootstrap_means(difference[:, None], resamples, seed)
    low, high = interval(draws)[0]
    below, above = int((draws <= 0).sum()), int((draws >= 0).sum())
    p = min(1.0, 2 * (min(below, above) + 1) / (resamples + 1))
    return Comparison(difference.mean().item(), low, high, p)


def crossed(values: Tensor, level: float = 0.95) -> list[Comparison]:
    """Means of paired differences [S, N, K] of S seeds on the same N samples, for new seeds on new samples: K results.

    Seeds and samples are crossed random effects without replication, as readers and cases are in multi-reader studies
    (Dorfman, Berbaum and Metz 1992). With the mean squares of seeds, of samples and of what is left, the variance of
    the mean is V / (S N), V = A + B, A = MS_seed, B = max(MS_sample - MS_left, 0); Student's t has
    V^2 / (A^2 / (S - 1) + B^2 / (N - 1)) degrees of freedom (Hillis 2007 for many samples). A is MS_left where that is
    larger, as MS_seed expects no less: seeds that agree by chance prove nothing. Raises ValueError below two seeds or
    two samples.
    """
    d = values.double()
    seeds, samples = d.shape[:2]
    mean, (of_seed, of_sample, rest) = d.mean(dim=(0, 1)), mean_squares(d)
    of_seed = torch.maximum(of_seed, rest)
    of_sample = (of_sample - rest).clamp_min(0)
    v = of_seed + of_sample
    freedom = v.square() / (of_seed.square() / (seeds - 1) + of_sample.square() / (samples - 1))
    columns = zip(mean.tolist(), (v / (seeds * samples)).sqrt().tolist(), freedom.tolist(), strict=True)
    return [_student(*column, level) for column in columns]


def mean_squares(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean squares [K] of seeds, samples and the residual, from differences [S, N, K] of S seeds on the same N samples.

    Raises ValueError below two seeds or two samples.
    """
    d = values.double()
    seeds, samples = d.shape[:2]
    if min(seeds, samples) < 2:
        raise ValueError(f"{seeds} seeds x {samples} samples: crossed needs two of each")
    mean, by_seed, by_sample = d.mean(dim=(0, 1)), d.mean(dim=1), d.mean(dim=0)
    of_seed = samples * (by_seed - mean).square().sum(dim=0) / (seeds - 1)
    of_sample = seeds * (by_sample - mean).square().sum(dim=0) / (samples - 1)
    left = d - by_seed[:, None] - by_sample[None] + mean
    return of_seed, of_sample, left.square().sum(dim=(0, 1)) / ((seeds - 1) * (samples - 1))


def _student(difference: float, error: float, freedom: float, level: float) -> Comparison:
    """Student's t for a mean with standard error."""
    from scipy.stats import t

    if error == 0:
        return Comparison(difference, difference, difference, 1.0 if difference == 0 else 0.0)
    half = error * float(t.ppf((1 + level) / 2, freedom))
    p = 2 * float(t.sf(abs(difference) / error, freedom))
    return Comparison(difference, difference - half, difference + half, p)


def mcnemar_exact(correct_a: Tensor, correct_b: Tensor) -> float:
    """Two-sided exact McNemar test on n discordant samples, k of them right only in a.

    p = min(1, 2 P(X <= min(k, n - k))), X ~ Binomial(n, 1/2), in exact integers; 1 where nothing differs.
    """
    a, b = correct_a.bool(), correct_b.bool()
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    n, term, total = only_a + only_b, 1, 1
    for i in range(min(only_a, only_b)):
        term = term * (n - i) // (i + 1)
        total += term
    return min(1.0, 2 * total / (1 << n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: the i-th smallest of K becomes max_{j <= i} min(1, (K - j + 1) p_(j))."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def summary(logits: Tensor, labels: Tensor, bins: int = 15) -> dict[str, float]:
    """The headline numbers of one classifier: accuracy, macro_f1, nll, ece and brier."""
    return {
        "accuracy": accuracy(logits, labels),
        "macro_f1": macro_f1(logits, labels),
        "nll": nll(logits, labels),
        "ece": ece(logits, labels, bins),
        "brier": brier(logits, labels),
    }
