"""The test split with modalities removed, and how contributions came about: what several diagnostics share."""

from typing import Any

from torch import Tensor

from ambidex.judge.evaluation import Evaluation
from ambidex.judge.memo import once_per_evaluation
from ambidex.net.contributions.coalitions import MaskedHead, absent_features
from ambidex.net.contributions.shapley import Plan


@once_per_evaluation
def masked_on_test(evaluation: Evaluation) -> MaskedHead:
    """The head on test, absent features by `evaluate.absent`."""
    by_split = {name: split.features for name, split in evaluation.splits.items()}
    features = evaluation.test.features
    return MaskedHead(
        evaluation.model, features, absent_features(by_split, features, evaluation.params.absent)
    )


@once_per_evaluation
def without_one(evaluation: Evaluation) -> dict[str, Tensor]:
    """Modality -> logits [N, C] on test where it is absent."""
    head, everyone = masked_on_test(evaluation), frozenset(evaluation.modalities)
    return {m: head(everyone - {m}) for m in evaluation.modalities}


def plan_of(evaluation: Evaluation) -> Plan:
    """Which coalitions of the evaluation's modalities are valued."""
    return Plan.of(evaluation.modalities, evaluation.params.permutations, evaluation.params.seed)


def along(plan: Plan) -> str:
    """How Shapley values were computed, in words."""
    if plan.orders:
        return f"along {len(plan.orders)} random orders of the modalities"
    return f"over all {len(plan.coalitions)} coalitions"


def origin(evaluation: Evaluation) -> dict[str, Any]:
    """How contributions came about: `kind` blocks or shapley; for the latter `absent`, `orders` (0: exact), `error`.

    `error`: modality -> standard error of its contributions, `mean` and `largest` over samples and classes of test;
    empty where they are exact.
    """
    if evaluation.model.fusion.additive:
        return {"kind": "blocks"}
    error = evaluation.test.contribution_error
    return {
        "kind": "shapley",
        "absent": evaluation.params.absent,
        "orders": len(plan_of(evaluation).orders),
        "error": {m: {"mean": e.mean().item(), "largest": e.max().item()} for m, e in error.items()},
    }


def exchange_sentences(evaluation: Evaluation) -> list[str]:
    """What an absent feature means where encoders exchange; nothing for other models."""
    if evaluation.model.exchange is None:
        return []
    return [
        "The encoders exchange: absent is a modality's feature alone, and what it let through to the other encoder is "
        "still there; see utilisation."
    ]


def origin_sentences(evaluation: Evaluation) -> list[str]:
    """What `origin` says, for a head that is not additive; nothing for the others."""
    record = origin(evaluation)
    if record["kind"] == "blocks":
        return []
    sentence = (
        "The head is not additive: contributions are Shapley values of its logits, absent features by rule "
        f"'{record['absent']}', {along(plan_of(evaluation))}"
    )
    listing = "; ".join(
        f"{m} {e['mean']:.2g} on average, {e['largest']:.2g} at most" for m, e in record["error"].items()
    )
    return [f"{sentence}; standard error of the orders: {listing}." if listing else f"{sentence}."]
