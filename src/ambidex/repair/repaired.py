"""The evaluated model with a fitted allocator inside: what `evaluate --save` writes."""

from dataclasses import replace

import torch

from ambidex.contributions.coalitions import absent_features
from ambidex.decide import ALLOCATORS
from ambidex.errors import ModelError
from ambidex.evaluation import Evaluation
from ambidex.model import MultimodalNet
from ambidex.probes import fit_probes
from ambidex.repair.allocation import Allocation
from ambidex.repair.decision import Decision, DecisionSpec


def repaired_model(evaluation: Evaluation, allocation: Allocation) -> MultimodalNet:
    """The evaluated model, predicting with `allocation`; a decision layer that it had before is replaced.

    Raises ModelError where the allocator was refused, or where what it weighs cannot be computed for one sample.
    """
    if allocation.allocator is None:
        raise ModelError(f"allocator '{allocation.name}' was refused: {allocation.refusal}")
    trained = evaluation.model
    spec = _spec(evaluation, allocation)
    model = MultimodalNet(replace(trained.architecture, decision=spec))
    kept = {name: t for name, t in trained.state_dict().items() if not name.startswith("decision.")}
    assert model.decision is not None
    _fit(model.decision, evaluation, allocation)
    model.load_state_dict(kept | model.decision.state_dict(prefix="decision."))
    return model.eval()


def _spec(evaluation: Evaluation, allocation: Allocation) -> DecisionSpec:
    assert allocation.allocator is not None
    shapley = not evaluation.model.fusion.additive and allocation.source in ("contributions", "both")
    return DecisionSpec(
        ALLOCATORS.name_of(type(allocation.allocator)),  # that of `auto` is the one it chose
        allocation.allocator.config.model_dump(mode="json"),
        allocation.source,
        evaluation.params.absent if shapley else None,
        evaluation.params.permutations,
        evaluation.params.seed,
    )


@torch.no_grad()
def _fit(decision: Decision, evaluation: Evaluation, allocation: Allocation) -> None:
    """Fill `decision` with what was fitted on the evaluation."""
    assert allocation.allocator is not None
    decision.allocator.load_state_dict(allocation.allocator.state_dict())
    features = {name: split.features for name, split in evaluation.splits.items()}
    if decision.spec.absent is not None:
        absent = absent_features(features, evaluation.test.features, decision.spec.absent)
        for name, buffer in decision.background().items():
            buffer.copy_(absent[name])
    if decision.probes is not None:
        for name, fitted in fit_probes(evaluation).own.items():
            probe = decision.probe(name)
            probe.centre.copy_(evaluation.train.features[name].mean(dim=0))
            probe.weight.copy_(fitted.weight)
            probe.bias.copy_(fitted.bias + fitted.weight @ probe.centre.double())
