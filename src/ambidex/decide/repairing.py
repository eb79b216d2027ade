"""From an evaluation and a fitted allocator to a repaired model: what `evaluate --save` writes."""

import torch

from ambidex.base.errors import ModelError
from ambidex.decide.adaptation.prior import VERSION, AdaptationPrior
from ambidex.decide.allocators import ALLOCATORS
from ambidex.decide.fitting import Allocation, held_out
from ambidex.decide.layer import DecisionLayer, DecisionSpec
from ambidex.decide.nearness import fit_nearness
from ambidex.decide.repaired import Repaired
from ambidex.judge.evaluation import Evaluation
from ambidex.judge.held_out import WITH_CONTRIBUTIONS
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
    shapley = not evaluation.model.fusion.additive and allocation.source in WITH_CONTRIBUTIONS
    return DecisionSpec(
        ALLOCATORS.name_of(type(allocation.allocator)),  # that of `auto` is the one it chose
        allocation.allocator.config.model_dump(mode="json"),
        allocation.source,
        evaluation.params.absent if shapley else None,
        evaluation.params.permutations,
        evaluation.params.seed,
        allocation.temperature,
        VERSION if len(evaluation.modalities) > 1 else None,
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
            centre = evaluation.train.features[name].mean(dim=0)
            layer.probe(name).load(centre, fitted.weight, fitted.bias)
    if layer.nearness is not None:
        for name, nearness in fit_nearness(evaluation).items():
            layer.nearness[name].load_state_dict(nearness.state_dict())
    if layer.adaptation is not None:
        _fill_prior(layer.adaptation, evaluation)


def _fill_prior(prior: AdaptationPrior, evaluation: Evaluation) -> None:
    """Fit what adapting needs on held-out samples; typical features on validation, where there is one."""
    samples, val = held_out(evaluation), evaluation.splits.get("val")
    for name, fitted in fit_probes(evaluation).own.items():
        centre = evaluation.train.features[name].mean(dim=0)
        prior.probe(name).load(centre, fitted.weight, fitted.bias)
        if val is None:
            continue
        here = val.present.get(name, torch.ones(len(val.labels), dtype=torch.bool))
        groups = [group for group, has in zip(val.groups, here.tolist(), strict=True) if has]
        prior.typicality(name).fit(val.features[name][here], groups)
    prior.fit(samples.sources["probes"], samples.labels, samples.groups)
