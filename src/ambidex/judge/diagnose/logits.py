"""What each modality adds to the decision, on test: contributions, margins, decision shares, override rates.

- contribution z_m[y] and margin z_m[y] - max_{c != y} z_m[c]: mean, deviation, quantiles, histogram, per class;
  of a modality that samples lack, over those that have it;
- decision share rho_m[c] = E z_m[y] / sum_k E z_k[y] on class c (and over all samples), undefined where the sum is
  not positive;
- override rate: P(argmax z = argmax z_m | the modalities disagree); `unjustified`: the same given that m is wrong and
  another modality is right; `justified`: the same given that m is right and another one is wrong.
"""

from typing import Any

import torch
from torch import Tensor

from ambidex.base.statistics import bootstrap_means, interval
from ambidex.judge.diagnose import Diagnosis, Diagnostic
from ambidex.judge.diagnose._masked import origin_sentences
from ambidex.judge.diagnose._values import with_ends
from ambidex.judge.evaluation import Evaluation
from ambidex.judge.imbalance import shares, spread_by_class, true_class

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
HISTOGRAM_BINS = 40
QUANTITIES = ("contribution", "margin", "share")


class Logits(Diagnostic):
    """Distributions of contributions, who decides, and who overrides whom."""

    def run(self, evaluation: Evaluation) -> Diagnosis:
        """Metrics by modality: `contribution`, `margin`, `share` (by class), `decision_share`, `override`."""
        test, modalities = evaluation.test, evaluation.modalities
        z = test.stacked()
        values = {"contribution": true_class(z, test.labels), "margin": margins(z, test.labels)}
        overall, by_class = _means(evaluation, values)
        overrides = _overrides(evaluation)
        metrics: dict[str, Any] = {}
        for i, (m, row) in enumerate(zip(modalities, overall, strict=True)):
            own = {name: _distribution(test.own(m, value[:, i])[0]) for name, value in values.items()}
            for name, numbers in own.items():
                numbers |= {"mean_low": row[f"{name}_low"], "mean_high": row[f"{name}_high"]}
            metrics[m] = own | {
                "share": {r["class"]: r["share"] for r in by_class if r["modality"] == m},
                "decision_share": {key: value for key, value in row.items() if key.startswith("share")},
                "override": overrides[m],
            }
        tables = {
            "evidence": overall,
            "contributions": by_class,
            "contribution_histogram": _histograms(evaluation, values),
            "overrides": [{"modality": m, **numbers} for m, numbers in overrides.items()],
        }
        return Diagnosis(metrics, tables, [*origin_sentences(evaluation), *_sentences(metrics, by_class)])


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
            own = evaluation.test.own(m, value[:, i])[0].float()
            counts = torch.histc(own, HISTOGRAM_BINS, min=low, max=high).tolist()
            rows += [
                {"quantity": name, "modality": m, "low": edges[b], "high": edges[b + 1], "count": int(count)}
                for b, count in enumerate(counts)
            ]
    return rows


def _means(
    evaluation: Evaluation, values: dict[str, Tensor]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows by modality, and rows by modality and class: contribution, margin and decision share, with intervals.

    Contributions and margins are means over the samples that have the modality.
    """
    params, labels, classes = evaluation.params, evaluation.test.labels, evaluation.classes
    has = _has(evaluation)
    spread = [spread_by_class(value, labels, len(classes)).flatten(1) for value in values.values()]
    ones = torch.nn.functional.one_hot(labels, len(classes)).double()
    columns = torch.cat([*spread, ones if has is None else has.flatten(1)], dim=1)
    m, c = len(evaluation.modalities), len(classes)
    drawn = _quantities(bootstrap_means(columns, params.resamples, params.seed), m, c)
    point = _quantities(columns.mean(dim=0, keepdim=True), m, c)
    modalities: list[dict[str, Any]] = [{"modality": name} for name in evaluation.modalities]
    counts = (ones[:, None].expand(-1, m, -1) if has is None else has).sum(dim=0).long().tolist()
    overall = [row | {"samples": sum(own)} for row, own in zip(modalities, counts, strict=True)]
    by_class = [
        row | {"class": label, "samples": count}
        for row, own in zip(modalities, counts, strict=True)
        for label, count in zip(classes, own, strict=True)
    ]
    for rows, level in ((overall, "overall"), (by_class, "by_class")):
        for name in QUANTITIES:
            at, ends = point[level, name][0].tolist(), interval(drawn[level, name])
            for row, value, own in zip(rows, at, ends, strict=True):
                row |= with_ends(name, value, own)
    return overall, by_class


def _quantities(means: Tensor, m: int, c: int) -> dict[tuple[str, str], Tensor]:
    """From means over samples [R, (2 M + 1) C]: QUANTITIES `overall` [R, M] and `by_class` [R, M C].

    The last C columns say who is of a class; M C of them where samples lack modalities, who is and has the modality.
    """
    contribution, margin = means[:, : 2 * m * c].reshape(-1, 2, m, c).unbind(dim=1)
    last = means[:, 2 * m * c :]
    part = last[:, None] if last.shape[1] == c else last.reshape(-1, m, c)
    whole: Tensor | float = 1.0 if last.shape[1] == c else part.sum(dim=2)
    return {
        ("overall", "contribution"): contribution.sum(dim=2) / whole,
        ("overall", "margin"): margin.sum(dim=2) / whole,
        ("overall", "share"): shares(contribution.sum(dim=2, keepdim=True))[..., 0],
        ("by_class", "contribution"): (contribution / part).flatten(1),
        ("by_class", "margin"): (margin / part).flatten(1),
        ("by_class", "share"): shares(contribution).flatten(1),
    }


def _has(evaluation: Evaluation) -> Tensor | None:
    """Which test sample is of which class and has which modality [N, M, C], 0 or 1; None where all have all."""
    test = evaluation.test
    if not test.present:
        return None
    everybody = torch.ones(len(test.labels), dtype=torch.bool)
    here = torch.stack([test.present.get(m, everybody) for m in evaluation.modalities], dim=1)
    return spread_by_class(here, test.labels, len(evaluation.classes))


def _overrides(evaluation: Evaluation) -> dict[str, dict[str, float | None]]:
    """By modality: how often the decision follows it under each condition, with the number of such samples."""
    test, params = evaluation.test, evaluation.params
    rows = test.whole()  # one that is absent says nothing that could be overridden
    votes = test.stacked()[rows].argmax(dim=2)
    followed = votes == test.logits[rows].argmax(dim=1)[:, None]
    right = votes == test.labels[rows][:, None]
    conditions = {
        "override": (votes != votes[:, :1]).any(dim=1, keepdim=True).expand_as(votes),
        "unjustified": ~right & right.any(dim=1, keepdim=True),
        "justified": right & (~right).any(dim=1, keepdim=True),
    }
    by_modality: dict[str, dict[str, float | None]] = {m: {} for m in evaluation.modalities}
    for name, condition in conditions.items():
        columns = torch.cat([followed & condition, condition], dim=1).double()
        draws = _ratio(bootstrap_means(columns, params.resamples, params.seed))
        at = _ratio(columns.sum(dim=0, keepdim=True))[0].tolist()
        counts = condition.sum(dim=0).tolist()
        for m, value, ends, count in zip(by_modality, at, interval(draws), counts, strict=True):
            by_modality[m] |= {**with_ends(name, value, ends), f"{name}_samples": count}
    return by_modality


def _ratio(means: Tensor) -> Tensor:
    """The first half of the columns by the second."""
    numerator, denominator = means.chunk(2, dim=1)
    return numerator / denominator


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
