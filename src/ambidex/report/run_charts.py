"""From the result of one evaluation to its charts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from ambidex.base.statistics import bootstrap_interval, confusion_matrix, correct, ece, reliability
from ambidex.decide.fitting import Allocation
from ambidex.judge.diagnose.logits import margins
from ambidex.report import (
    calibration,
    class_charts,
    decision,
    head,
    performance,
    repair,
    selection,
    training,
    weights,
)
from ambidex.report import shapley as shapley_bars
from ambidex.report.chart import Chart
from ambidex.report.clarity import Clarity, Judgement
from ambidex.report.proportion import recalls
from ambidex.report.result import Result
from ambidex.report.run_judge import judge_allocators, run_lean


def run_charts(result: Result) -> list[Chart]:
    """Every chart that the diagnostics which ran allow for, in the order of the page."""
    charts = [
        accuracy(result),
        shares(result),
        contributions(result),
        preference(result),
        shapley(result),
        reliabilities(result),
        gains(result),
        choice(result),
        fitted_weights(result),
        recall(result),
        *confusions(result),
        history(result),
    ]
    return [chart for chart in charts if chart is not None]


def accuracy(result: Result) -> Chart:
    """Fused by the headline and by the plain sum, each branch, each classifier trained alone, probe and bound."""
    evaluation = result.evaluation
    test, modalities = evaluation.test, evaluation.modalities
    predictors = [(f"fused, {result.headline.name}", result.headline.logits["test"], "fused")]
    if result.headline is not result.uniform:
        predictors.append(("fused, plain sum", result.uniform.logits["test"], "fused"))
    for m in modalities:
        predictors.append((m, test.branches[m], "branch"))
        if m in evaluation.unimodal:
            predictors.append((m, evaluation.unimodal[m].logits["test"], "unimodal"))
    scores = []
    for row, logits, kind in predictors:
        right = correct(*test.own(row, logits))
        low, high = bootstrap_interval(right, None, evaluation.params.resamples, evaluation.params.seed)[0]
        index = None if kind == "fused" else modalities.index(row)
        scores.append(performance.Score(row, right.mean().item(), low, high, kind, index))
    if probe := result.metric("probes", "probes", "joint"):
        ends = probe["accuracy_low"], probe["accuracy_high"]
        scores.append(performance.Score("linear probe, all features", probe["accuracy"], *ends, "probe"))
    if (oracle := result.metric("performance", "oracle_choice")) is not None and len(modalities) > 1:
        scores.append(performance.Score("bound: always the right one", oracle, kind="bound"))
    return performance.accuracy_chart(scores, 1 / len(evaluation.classes), bool(test.present))


def shares(result: Result) -> Chart | None:
    """Decision share against capability, from the diagnostic `capability`."""
    rows = result.table("capability", "capability")
    if not rows or len(result.evaluation.modalities) < 2:
        return None
    numbers = ("share", "share_low", "share_high", "capability", "capability_low", "capability_high")
    return decision.shares_chart(
        [decision.Share(row["modality"], row["class"], *(row.get(key) for key in numbers)) for row in rows],
        run_lean(result.evaluation).title,
    )


def contributions(result: Result) -> Chart:
    """Distribution of each modality's margin on the test samples that have it."""
    test = result.evaluation.test
    values = margins(test.stacked(), test.labels)
    return decision.contributions_chart(
        {m: test.own(m, values[:, i])[0].numpy() for i, m in enumerate(result.evaluation.modalities)}
    )


def preference(result: Result) -> Chart | None:
    """Weight norms and mean contributions by class, from `weights` and `logits`."""
    modalities = result.evaluation.modalities
    rows = result.table("logits", "contributions")
    if not rows:
        return None
    norms = _by_modality(result.table("weights", "weight_norms"), "norm")
    evidence, low, high = (_by_modality(rows, f"contribution{end}") for end in ("", "_low", "_high"))
    ends = {m: list(zip(low[m], high[m], strict=True)) for m in modalities}
    return head.head_chart(result.evaluation.classes, norms, {m: evidence[m] for m in modalities}, ends)


def _by_modality(rows: list[dict[str, Any]], key: str) -> dict[str, list[float | None]]:
    values: dict[str, list[float | None]] = {}
    for row in rows:
        values.setdefault(row["modality"], []).append(row[key])
    return values


def shapley(result: Result) -> Chart | None:
    """Shapley values of the accuracy, from the diagnostic `shapley`."""
    rows = result.table("shapley", "shapley")
    if not rows:
        return None
    values = [(row["phi"], row["phi_low"], row["phi_high"]) for row in rows]
    errors = [row["phi_error"] for row in rows if "phi_error" in row]
    base, orders = (result.metric("shapley", *path) for path in (("coalitions", "none"), ("orders",)))
    return shapley_bars.shapley_chart([row["modality"] for row in rows], values, float(base), errors, orders)


def reliabilities(result: Result) -> Chart:
    """Reliability of the plain sum, the headline, and each branch."""
    evaluation = result.evaluation
    fused = {"fused, plain sum": result.uniform.logits["test"]}
    if result.headline is not result.uniform:
        fused[f"fused, {result.headline.name}"] = result.headline.logits["test"]
    curves = [_curve(name, z, result, None) for name, z in fused.items()]
    for index, m in enumerate(evaluation.modalities):
        curves.append(_curve(f"{m}, its part", evaluation.test.branches[m], result, index))
    return calibration.reliability_chart(curves)


def _curve(label: str, logits: Tensor, result: Result, modality: int | None) -> calibration.Curve:
    test, bins = result.evaluation.test, result.evaluation.params.bins
    name = label if modality is None else result.evaluation.modalities[modality]
    logits, labels = test.own(name, logits)
    b = reliability(logits, labels, bins)
    columns = zip(b.confidence.tolist(), b.accuracy.tolist(), b.count.tolist(), strict=True)
    filled = [calibration.Bin(*column) for column in columns if column[2]]
    return calibration.Curve(label, ece(logits, labels, bins), filled, modality)


def gains(result: Result) -> Chart | None:
    """Each allocator against the plain sum; None where there is no other."""
    others = [a for a in result.allocations if a is not result.uniform]
    judgements = judge_allocators(result)
    return repair.gains_chart([_gain(a, result, judgements) for a in others]) if others else None


def _gain(
    allocation: Allocation, result: Result, judgements: Mapping[str, Mapping[str, Judgement]]
) -> repair.Gain:
    def interval(metric: str) -> repair.Interval | None:
        change: Mapping[str, float] | None = allocation.against_uniform.get(metric)
        return (change["difference"], change["low"], change["high"]) if change else None

    note = "headline" if allocation is result.headline else ""

    def clarity(metric: str) -> Clarity:
        judgement = judgements[metric].get(allocation.name)
        return judgement.clarity if judgement else "same"

    ends = interval("accuracy"), interval("nll")
    return repair.Gain(allocation.name, *ends, note, clarity("accuracy"), clarity("nll"))


def choice(result: Result) -> Chart | None:
    """What `auto` saw of its candidates and what came of each on test; None where it did not run."""
    auto = next((a for a in result.fitted if a.record.get("candidates")), None)
    if auto is None:
        return None
    tested = {a.name: a.metrics.get("nll") for a in result.fitted}
    tested[str(auto.record["chosen"])] = auto.metrics.get("nll")
    return selection.selection_chart(
        [
            selection.Candidate(
                row["name"], row["nll"], row.get("nll_standard_error"), tested.get(row["name"]),
                row["name"] == auto.record["chosen"],
            )
            for row in auto.record["candidates"]
            if row.get("nll") is not None
        ]
    )  # fmt: skip


def fitted_weights(result: Result) -> Chart | None:
    """Weights of every allocator that has some, apart from the plain sum; what `auto` chose is shown once."""
    evaluation = result.evaluation
    shape = len(evaluation.modalities), len(evaluation.classes)
    chosen = {a.record["chosen"] for a in result.fitted if a.record.get("chosen")}
    by_allocator = {
        _chooser(a): np.array([row["weight"] for row in a.weights], dtype=np.float64).reshape(shape)
        for a in result.fitted
        if a.weights and a is not result.uniform and (a is result.headline or a.name not in chosen)
    }
    if not by_allocator:
        return None
    own = _chooser(result.headline)
    return weights.weights_chart(evaluation.modalities, evaluation.classes, by_allocator, own)


def _chooser(allocation: Allocation) -> str:
    """Its name; with what it chose, where it is one that chooses."""
    chosen = allocation.record.get("chosen")
    return f"{allocation.name} ({chosen})" if chosen else allocation.name


def recall(result: Result) -> Chart:
    """Recall by class of the headline and of each branch."""
    evaluation = result.evaluation
    test, count = evaluation.test, len(evaluation.classes)
    branches = {m: recalls(*test.own(m, z), count) for m, z in test.branches.items()}
    fused = recalls(result.headline.logits["test"], test.labels, count)
    return class_charts.recall_chart(evaluation.classes, fused, branches)


def confusions(result: Result) -> list[Chart]:
    """Confusion matrix of the headline, then of each modality alone."""
    evaluation, test = result.evaluation, result.evaluation.test
    predictors: list[tuple[str | None, Tensor]] = [(None, result.headline.logits["test"])]
    predictors += list(test.branches.items()) if len(evaluation.modalities) > 1 else []
    count = len(evaluation.classes)
    return [
        class_charts.confusion_chart(
            evaluation.classes, confusion_matrix(z.argmax(dim=1), labels, count).numpy(), modality
        )
        for modality, logits in predictors
        for z, labels in [test.own(modality or "", logits)]
    ]


def history(result: Result) -> Chart | None:
    """Training curves."""
    epoch = result.evaluation.card.get("epoch")
    return training.history_chart(result.history, result.evaluation.modalities, epoch)
