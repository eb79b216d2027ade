"""What each modality adds to the decision, on test: contributions, decision shares, override rates.

- contribution z_m[y] and margin z_m[y] - max_{c != y} z_m[c]: mean, deviation, quantiles, histogram, per class;
- decision share rho_m[c] = E z_m[y] / sum_k E z_k[y] on class c, undefined where the sum is not positive;
- override rate: P(argmax z = argmax z_m | the modalities disagree), and `unjustified`:
  P(argmax z = argmax z_m | m is wrong and another modality is right).
"""

from typing import Any

import torch
from torch import Tensor

from ambidex.diagnose import Diagnosis, Diagnostic
from ambidex.evaluation import Evaluation
from ambidex.imbalance import shares, spread_by_class, true_class
from ambidex.statistics import Interval, bootstrap_interval, bootstrap_means, interval

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
HISTOGRAM_BINS = 40


class Logits(Diagnostic):
    """Distributions of contributions, who decides, and who overrides whom."""

    def run(self, evaluation: Evaluation) -> Diagnosis:
        """Metrics by modality: `contribution`, `margin`, `share` by class, `override`."""
        test = evaluation.test
        z = test.stacked()
        values = {"contribution": true_class(z, test.labels), "margin": margins(z, test.labels)}
        metrics: dict[str, Any] = {m: {} for m in evaluation.modalities}
        for name, value in values.items():
            for i, m in enumerate(evaluation.modalities):
                metrics[m][name] = _distribution(value[:, i])
        by_class = _by_class(evaluation, values["contribution"])
        for m in evaluation.modalities:
            metrics[m]["share"] = {row["class"]: row["share"] for row in by_class if row["modality"] == m}
        overrides = _overrides(evaluation)
        for m, numbers in overrides.items():
            metrics[m]["override"] = numbers
        tables = {
            "contributions": by_class,
            "contribution_histogram": _histograms(evaluation, values),
            "overrides": [{"modality": m, **numbers} for m, numbers in overrides.items()],
        }
        return Diagnosis(metrics, tables, _sentences(metrics, by_class))


def margins(contributions: Tensor, labels: Tensor) -> Tensor:
    """z_m[y] - max_{c != y} z_m[c]: contributions [N, M, C] -> [N, M]; z_m[y] itself for a single class."""
    own = true_class(contributions, labels)
    if contributions.shape[2] == 1:
        return own
    places = labels[:, None, None].expand(-1, contributions.shape[1], 1)
    return own - contributions.scatter(2, places, -torch.inf).amax(dim=2)


def _distribution(values: Tensor) -> dict[str, Any]:
    values = values.double()
    quantiles = torch.quantile(values, torch.tensor(QUANTILES, dtype=torch.float64)).tolist()
    return {
        "mean": values.mean().item(),
        "std": values.std(correction=0).item(),
        "quantiles": dict(zip(map(str, QUANTILES), quantiles, strict=True)),
    }


def _histograms(evaluation: Evaluation, values: dict[str, Tensor]) -> list[dict[str, Any]]:
    """Counts in bins that all modalities share, so that the histograms can be laid over each other."""
    rows: list[dict[str, Any]] = []
    for name, value in values.items():
        low, high = value.min().item(), value.max().item()
        edges = torch.linspace(low, high, HISTOGRAM_BINS + 1).tolist()
        for i, m in enumerate(evaluation.modalities):
            counts = torch.histc(value[:, i].float(), HISTOGRAM_BINS, min=low, max=high).tolist()
            rows += [
                {"quantity": name, "modality": m, "low": edges[b], "high": edges[b + 1], "count": int(count)}
                for b, count in enumerate(counts)
            ]
    return rows


def _by_class(evaluation: Evaluation, contribution: Tensor) -> list[dict[str, Any]]:
    """Rows by modality and class: mean contribution and decision share, both with intervals."""
    params, labels, classes = evaluation.params, evaluation.test.labels, evaluation.classes
    m, c = len(evaluation.modalities), len(classes)
    spread = spread_by_class(contribution, labels, c).flatten(1)
    ones = torch.nn.functional.one_hot(labels, c).double()
    columns = torch.cat([spread, ones], dim=1)
    draws = bootstrap_means(columns, params.resamples, params.seed)

    def mean(sums: Tensor) -> Tensor:
        return sums[:, : m * c].reshape(-1, m, c) / sums[:, None, m * c :]

    def share(sums: Tensor) -> Tensor:
        return shares(sums[:, : m * c].reshape(-1, m, c))

    whole = columns.sum(dim=0, keepdim=True)
    numbers = [(f(whole).flatten().tolist(), interval(f(draws).flatten(1))) for f in (mean, share)]
    rows = []
    for i, (modality, label) in enumerate((a, b) for a in evaluation.modalities for b in classes):
        row: dict[str, Any] = {"modality": modality, "class": label}
        for name, (values, intervals) in zip(("contribution", "share"), numbers, strict=True):
            row |= {name: defined(values[i])} | _ends(name, intervals[i])
        rows.append(row)
    return rows


def _overrides(evaluation: Evaluation) -> dict[str, dict[str, float | None]]:
    test, params = evaluation.test, evaluation.params
    said = test.stacked().argmax(dim=2)
    followed = said == test.logits.argmax(dim=1)[:, None]
    right = said == test.labels[:, None]
    disagree = (said != said[:, :1]).any(dim=1, keepdim=True).expand_as(said)
    unjust = ~right & right.any(dim=1, keepdim=True)
    found: dict[str, dict[str, float | None]] = {}
    for i, m in enumerate(evaluation.modalities):
        numbers: dict[str, float | None] = {}
        for name, condition in (("override", disagree[:, i]), ("unjustified", unjust[:, i])):
            pair = torch.stack([followed[:, i] & condition, condition], dim=1).double()
            ends = bootstrap_interval(pair, _ratio, params.resamples, params.seed)[0]
            numbers |= {name: defined((pair[:, 0].sum() / pair[:, 1].sum()).item())} | _ends(name, ends)
            numbers[f"{name}_samples"] = int(condition.sum())
        found[m] = numbers
    return found


def _ratio(means: Tensor) -> Tensor:
    return means[:, :1] / means[:, 1:]


def defined(value: float) -> float | None:
    """`value`, or None where it is not a number."""
    return value if value == value else None


def _ends(name: str, ends: Interval) -> dict[str, float | None]:
    return {f"{name}_low": defined(ends.low), f"{name}_high": defined(ends.high)}


def _sentences(metrics: dict[str, Any], by_class: list[dict[str, Any]]) -> list[str]:
    sentences = []
    for m, numbers in metrics.items():
        override = numbers["override"]
        if override["override"] is None:
            sentences.append(f"No other modality disagrees with {m} on any test sample.")
            continue
        sentence = f"Where the modalities disagree, the decision follows {m} in {override['override']:.1%}"
        if override["unjustified"] is not None:
            sentence += f", and in {override['unjustified']:.1%} of the samples where {m} is wrong and another is right"
        sentences.append(sentence + ".")
    undefined = list(dict.fromkeys(row["class"] for row in by_class if row["share"] is None))
    if undefined:
        sentences.append(
            f"Decision share is undefined for {', '.join(undefined)}: contributions to the true class do not "
            "add up to a positive number, or test has no sample."
        )
    return sentences
