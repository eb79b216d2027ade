"""The first thing that a reader sees: does fusing pay, in one sentence, and the few numbers to remember."""

from collections.abc import Mapping
from typing import Any

from ambidex.base.statistics import correct, paired_bootstrap
from ambidex.report.result import Result, best_alone
from ambidex.report.run_judge import judge_allocators

Tile = tuple[str, str, str]


def headline(result: Result, details: Mapping[str, Any]) -> str:
    """Whether fusing beats the best modality alone, told apart from chance by a paired bootstrap on test."""
    fused = 100 * details["accuracy"]
    best = best_alone(details)
    if best is None or len(result.evaluation.modalities) < 2:
        return f"{fused:.1f} % of the test samples are recognised."
    modality, alone, how = best
    test, params = result.evaluation.test, result.evaluation.params
    trained = result.evaluation.unimodal
    other = trained[modality].logits["test"] if trained else test.branches[modality]
    ours, theirs = (correct(*test.own(modality, z)) for z in (result.headline.logits["test"], other))
    gain = paired_bootstrap(ours, theirs, params.resamples, params.seed)
    here = test.present.get(modality)
    where = "" if here is None else f" on the {int(here.sum())} samples that have it"
    numbers = f"{fused:.1f} % right, against {100 * alone:.1f} % by {modality} {how}{where}"
    if gain.low > 0:
        return f"Fusing pays: {numbers}."
    if gain.high < 0:
        return f"Fusing does harm: {numbers}."
    return f"Fusing makes no clear difference: {numbers}."


def tiles(result: Result, details: Mapping[str, Any]) -> list[Tile]:
    """(value, what it is, a line of explanation): at most five."""
    numbers = [(f"{100 * details['accuracy']:.1f} %", "accuracy, fused", f"allocator {details['allocator']}")]
    if (best := best_alone(details)) is not None and len(result.evaluation.modalities) > 1:
        where = ", where it is there" if best[0] in result.evaluation.test.present else ""
        numbers.append((f"{100 * best[1]:.1f} %", "best modality alone", f"{best[0]}, {best[2]}{where}"))
    numbers += [tile for tile in (_repair(result), _imbalance(details)) if tile]
    note = f"ECE, fused: how far its confidence is off; NLL {details['nll']:.2f} nats"
    numbers.append((f"{100 * details['ece']:.1f} %", "calibration error", note))
    return numbers


def _repair(result: Result) -> Tile | None:
    change = result.headline.against_uniform.get("accuracy")
    if not change:
        return None
    low, high = 100 * change["low"], 100 * change["high"]
    judgement = judge_allocators(result)["accuracy"][result.headline.name]
    note = f"points over the plain sum ({low:+.1f} to {high:+.1f}): {judgement.change}"
    return f"{100 * change['difference']:+.1f}", "repair", note


def _imbalance(details: Mapping[str, Any]) -> Tile | None:
    before = details["allocators"]["uniform"].get("decision_imbalance")
    if before is None:
        return None
    after = details.get("decision_imbalance")
    change = "" if after is None or details["allocator"] == "uniform" else f"; {after:.2f} after repair"
    return f"{before:.2f}", "decision imbalance", f"0: each decides as much as it can{change}"
