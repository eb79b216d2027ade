"""From an evaluation and a fitted allocator to a repaired model: what `evaluate --save` writes."""

import torch

from ambidex.base.errors import ModelError
from ambidex.decide.allocators import ALLOCATORS
from ambidex.decide.fitting import Allocation
from ambidex.decide.layer import DecisionLayer, DecisionSpec
from ambidex.decide.repaired import Repaired
from ambidex.judge.evaluation import Evaluation
from ambidex.judge.probes import fit_probes
from ambidex.net.contributions.coalitions import absent_features


def repaired_model(evaluation: Evaluation, allocation: Allocation) -> Repaired:
    """The evaluated net, predicting with `allocation`.

    Raises ModelError where the allocator was refused, or where what it weighs cannot be computed for one sample.
    """
    if allocation.allocator is None:
        raise ModelError(f"allocator '{allocation.name}' was refused: {allocation.refusal}")
    net = evaluation.model
    layer = DecisionLayer(_spec(evaluation, allocation), net.fusion.dims, net.classes)
    model = Repaired(net, layer)
    _fill(layer, evaluation, allocation)
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
        allocation.temperature,
    )


@torch.no_grad()
def _fill(layer: DecisionLayer, evaluation: Evaluation, allocation: Allocation) -> None:
    """Fill `layer` with what was fitted on the evaluation."""
    assert allocation.allocator is not None
    layer.allocator.load_state_dict(allocation.allocator.state_dict())
    features = {name: split.features for name, split in evaluation.splits.items()}
    if layer.spec.absent is not None:
        absent = absent_features(features, evaluation.test.features, layer.spec.absent)
        for name, buffer in layer.background().items():
            buffer.copy_(absent[name])
    if layer.probes is not None:
        for name, fitted in fit_probes(evaluation).own.items():
            probe = layer.probe(name)
            probe.centre.copy_(evaluation.train.features[name].mean(dim=0))
            probe.weight.copy_(fitted.weight)
            probe.bias.copy_(fitted.bias + fitted.weight @ probe.centre.double())
