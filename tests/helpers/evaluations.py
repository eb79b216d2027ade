"""Evaluations with a known truth, made from random features: fast ground for diagnostics and allocators."""

from collections.abc import Mapping, Sequence

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from ambidex.configuration.params import Evaluate
from ambidex.configuration.values import Choice
from ambidex.data.kinds import InputSpec
from ambidex.judge.evaluation import Evaluation, Outputs
from ambidex.net.contributions.coalitions import absent_features, shapley_contributions
from ambidex.net.model import Architecture, MultimodalNet

SIZES = {"train": 240, "val": 120, "test": 120}


def make_model(
    modalities: Sequence[str], classes: int, dim: int = 8, fusion: str = "concat"
) -> MultimodalNet:
    """Random weights; features are [N, dim]."""
    torch.manual_seed(0)
    given = InputSpec("vector", (dim,), (0.0,) * dim, (1.0,) * dim)
    names = tuple(f"class{c}" for c in range(classes))
    encoders = {m: Choice(name="mlp", hidden=[], dim=dim) for m in modalities}
    inputs = dict.fromkeys(modalities, given)
    return MultimodalNet(Architecture(inputs, encoders, Choice(name=fusion), names)).eval()


def make_features(
    labels: Tensor, informative: Mapping[str, Sequence[float]], dim: int, noise: float, seed: int
) -> dict[str, Tensor]:
    """Features around one prototype per class, scaled by how informative the modality is about that class.

    The last feature is 1, so that a block of weights has an intercept.
    """
    draws = torch.Generator().manual_seed(seed)
    fixed = torch.Generator().manual_seed(99)
    found = {}
    for m, strength in informative.items():
        prototypes = 2 * torch.randn(len(strength), dim, generator=fixed) * torch.tensor(strength)[:, None]
        found[m] = prototypes[labels] + noise * torch.randn(len(labels), dim, generator=draws)
        found[m][:, -1] = 1.0
    return found


def make_evaluation(
    informative: Mapping[str, Sequence[float]],
    fusion: str = "concat",
    noise: float = 1.0,
    seed: int = 0,
    sizes: Mapping[str, int] = SIZES,
    group_size: int = 1,
    dim: int = 8,
    params: Evaluate | None = None,
    scales: Mapping[str, float | Tensor] | None = None,
) -> Evaluation:
    """`informative`: modality -> one number per class, 0 for a class that cannot be told by it.

    In the head of `concat` each block is fitted alone, then multiplied by the modality's `scales`, one number or
    one per class [C, 1]; other heads are random.
    """
    modalities, classes = tuple(informative), len(next(iter(informative.values())))
    params = params or Evaluate(resamples=200)
    model = make_model(modalities, classes, dim, fusion)
    labels = {
        s: torch.randperm(n, generator=torch.Generator().manual_seed(seed + n)) % classes
        for s, n in sizes.items()
    }
    features = {
        s: make_features(y, informative, dim, noise, 10 * seed + i) for i, (s, y) in enumerate(labels.items())
    }
    if fusion == "concat":
        _fit_blocks(model, features["train"], labels["train"], scales or {})
    splits = {s: _outputs(model, s, features, labels[s], group_size, params.absent) for s in sizes}
    return Evaluation(params, model, model.architecture.classes, modalities, splits)


def _fit_blocks(
    model: MultimodalNet, features: Mapping[str, Tensor], labels: Tensor, scales: Mapping[str, float | Tensor]
) -> None:
    """Each W_m is a classifier of its own, fitted alone on train, as a loss per modality would make it."""
    with torch.no_grad():
        for m, block in model.fusion.blocks().items():
            fitted = LogisticRegression(C=1.0, fit_intercept=False).fit(features[m], labels)
            coefficients = torch.from_numpy(fitted.coef_).float()
            if len(block) == 2:
                coefficients = torch.cat([-coefficients, coefficients]) / 2
            block.copy_(coefficients * scales.get(m, 1.0))


def _outputs(
    model: MultimodalNet,
    split: str,
    features: Mapping[str, Mapping[str, Tensor]],
    labels: Tensor,
    group_size: int,
    absent: str,
) -> Outputs:
    own = dict(features[split])
    with torch.no_grad():
        logits, contributions = model.fuse(own)
    if contributions is None:
        contributions = shapley_contributions(model, own, absent_features(features, own, absent))
    ids = [f"{split}{i}" for i in range(len(labels))]
    groups = [f"{split}-group{i // group_size}" for i in range(len(labels))]
    return Outputs(split, ids, groups, labels, own, logits, contributions, contributions)
