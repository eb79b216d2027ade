"""OGM-GE against numbers worked out from the paper's equations with NumPy."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ambidex.base.errors import ModelError
from ambidex.configuration.values import Choice
from ambidex.learn.methods._scores import true_class_scores
from ambidex.learn.methods._weights import kernels, weights
from ambidex.learn.methods.ogm_ge import _spreads
from ambidex.net.model import MultimodalNet
from helpers.memory_store import architecture, build, engine, make_method

LOGITS = {
    "audio": torch.tensor([[2.0, 0.0, -1.0], [0.0, 3.0, 0.0], [1.0, 1.0, 1.0]]),
    "visual": torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.5, 0.2]]),
    "touch": torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 2.0]]),
}
LABELS = torch.tensor([0, 1, 2])


def _score(logits):
    """S_m, one sample at a time."""
    total = 0.0
    for row, label in zip(logits.double().numpy(), LABELS.tolist(), strict=True):
        exp = np.exp(row - row.max())
        total += exp[label] / exp.sum()
    return total


def _oracle(names, alpha):
    scores = {name: _score(LOGITS[name]) for name in names}
    factors = []
    for name in names:
        ratios = [scores[name] / scores[other] for other in names if other != name]
        rho = sum(ratios) / len(ratios)
        factors.append(1 - np.tanh(alpha * rho) if rho > 1 else 1.0)
    return factors


@pytest.mark.parametrize("names", [("audio", "visual"), ("visual", "audio"), ("audio", "visual", "touch")])
@pytest.mark.parametrize("alpha", [0.1, 0.8, 2.6])
def test_coefficients_follow_the_paper(names, alpha):
    scores = true_class_scores({name: LOGITS[name] for name in names}, LABELS)
    found = make_method("ogm_ge", {"alpha": alpha}).coefficients(scores)
    np.testing.assert_allclose(found.numpy(), _oracle(names, alpha), rtol=1e-5, atol=1e-6)


def test_exactly_one_of_two_modalities_is_slowed():
    draws = torch.Generator().manual_seed(0)
    method = make_method("ogm_ge")
    for _ in range(20):
        factors = method.coefficients(torch.rand(2, generator=draws) * 10 + 0.1)
        assert int((factors < 1).sum()) == 1
        assert int((factors == 1).sum()) == 1


def test_equal_scores_change_nothing():
    assert make_method("ogm_ge").coefficients(torch.tensor([3.0, 3.0])).tolist() == [1.0, 1.0]


def test_continuous_form_has_no_jump():
    scores = torch.tensor([1.0001, 1.0])
    assert make_method("ogm_ge", {"continuous": True}).coefficients(scores)[0] > 0.999
    assert make_method("ogm_ge").coefficients(scores)[0] < 0.4


def _perceptrons():
    """A model of two encoders without convolutions."""
    plan = architecture(("audio", "visual"))
    encoders = {m: Choice(name="mlp", hidden=[12, 10], dim=8) for m in plan.encoders}
    torch.manual_seed(0)
    return MultimodalNet(replace(plan, encoders=encoders))


def _gradients(tmp_path, options, epoch=0, model=None):
    """Gradients before and after modulation of one step: {parameter name: (before, after)}."""
    trained = engine(tmp_path, "ogm_ge", options, model=model)
    seen = {}
    original = trained.method.gradients

    def spy(step):
        step.run.epoch = epoch
        named = dict(trained.model.named_parameters())
        before = {name: p.grad.clone() for name, p in named.items()}
        scores = {m: float(true_class_scores({m: z}, step.labels)[0]) for m, z in step.contributions.items()}
        original(step)
        if not seen:
            seen.update({name: (before[name], p.grad.clone()) for name, p in named.items()}, scores=scores)

    trained.method.gradients = spy
    trained.fit()
    return seen


def test_only_convolution_kernels_of_the_leader_are_scaled_and_by_exactly_k(tmp_path):
    seen = _gradients(tmp_path, {"alpha": 0.8, "ge": False})
    scores = seen.pop("scores")
    leader = max(scores, key=scores.get)
    rho = scores[leader] / min(scores.values())
    k = 1 - np.tanh(0.8 * rho)
    touched = 0
    for name, (before, after) in seen.items():
        if name.startswith(f"encoders.{leader}.") and before.ndim == 4:
            torch.testing.assert_close(after, before * k, rtol=1e-5, atol=1e-9)
            touched += 1
        else:
            assert torch.equal(before, after), name
    assert touched == 3


def test_of_encoders_without_convolutions_all_matrices_are_scaled_by_k_and_no_bias(tmp_path):
    """The equation with NumPy: k = 1 - tanh(alpha S_leader / S_other), of the step's own scores."""
    seen = _gradients(tmp_path, {"alpha": 0.8, "ge": False}, model=_perceptrons())
    scores = seen.pop("scores")
    leader = max(scores, key=scores.get)
    k = 1 - np.tanh(0.8 * scores[leader] / min(scores.values()))
    changed = {name for name, (before, after) in seen.items() if not torch.equal(before, after)}
    assert changed == {f"encoders.{leader}.layers.{layer}.weight" for layer in (0, 2, 4)}
    for name in changed:
        before, after = seen[name]
        np.testing.assert_allclose(after.numpy(), k * before.numpy(), rtol=1e-5, atol=1e-9)


def test_noise_of_matrices_has_their_spread(tmp_path):
    seen = _gradients(tmp_path, {"alpha": 0.0}, model=_perceptrons())
    seen.pop("scores")
    noise = []
    for name, (before, after) in seen.items():
        if name.startswith("encoders.") and name.endswith("weight"):
            noise.append(((after - before).double() / (before.double().std() + 1e-8)).flatten())
        else:
            assert torch.equal(before, after), name
    assert len(noise) == 6
    assert abs(float(torch.cat(noise).mean())) < 0.05
    assert 0.95 < float(torch.cat(noise).std()) < 1.05


def test_all_weights_are_those_beside_the_kernels_too(tmp_path):
    seen = _gradients(tmp_path, {"alpha": 0.8, "ge": False, "weights": "all"})
    scores = seen.pop("scores")
    leader = max(scores, key=scores.get)
    changed = {name for name, (before, after) in seen.items() if not torch.equal(before, after)}
    kernels = {f"encoders.{leader}.blocks.{layer}.weight" for layer in (0, 4, 8)}
    assert changed == kernels | {f"encoders.{leader}.project.weight"}


def test_weights_have_several_axes_and_are_of_no_norm():
    module = torch.nn.ModuleDict(
        {
            "kernel": torch.nn.Conv2d(1, 2, 3),
            "matrix": torch.nn.Linear(3, 4),
            "table": torch.nn.Embedding(5, 2),
            "attention": torch.nn.MultiheadAttention(4, 2),
            "batch": torch.nn.BatchNorm2d(2),
            "layer": torch.nn.LayerNorm((2, 3)),
            "group": torch.nn.GroupNorm(1, 2),
            "signal": torch.nn.Conv1d(1, 2, 3),
        }
    )
    module["matrix"].bias_grid = torch.nn.Parameter(torch.zeros(2, 2))
    module["again"] = module["matrix"]
    names = {id(p): name for name, p in module.named_parameters()}
    found = ["kernel.weight", "matrix.weight", "table.weight", "attention.in_proj_weight"]
    found += ["attention.out_proj.weight", "signal.weight"]
    assert [names[id(p)] for p in weights(module)] == found
    assert [names[id(p)] for p in kernels(module)] == ["kernel.weight"]
    assert [p.ndim for p in kernels(module["attention"])] == [2, 2]


def test_an_encoder_without_weights_is_refused_before_anything_is_trained(tmp_path):
    trained = engine(tmp_path, "ogm_ge")
    trained.model.encoders["visual"] = torch.nn.ModuleDict()
    trained.model.encoder = lambda name: trained.model.encoders[name]
    with pytest.raises(ModelError, match="encoder 'small_cnn' of visual has none"):
        trained.method.setup(SimpleNamespace(model=trained.model, modalities=("audio", "visual")))


def test_noise_has_the_gradients_own_spread_on_both_modalities(tmp_path):
    seen = _gradients(tmp_path, {"alpha": 0.0, "ge": True})
    seen.pop("scores")
    normalised = {"audio": [], "visual": []}
    for name, (before, after) in seen.items():
        if before.ndim == 4 and name.startswith("encoders."):
            spread = before.double().std(correction=1) + 1e-8
            normalised[name.split(".")[1]].append(((after - before).double() / spread).flatten())
        else:
            assert torch.equal(before, after), name
    for modality, parts in normalised.items():
        noise = torch.cat(parts)
        assert len(noise) > 500, modality
        assert abs(float(noise.mean())) < 0.15, modality
        assert 0.9 < float(noise.std()) < 1.1, modality


def test_noise_is_of_the_gradient_before_it_is_scaled(tmp_path):
    seen = _gradients(tmp_path, {"alpha": 2.0, "ge": True})
    scores = seen.pop("scores")
    leader = max(scores, key=scores.get)
    k = 1 - np.tanh(2 * scores[leader] / min(scores.values()))
    assert k < 0.1
    noise = [
        ((after - k * before).double() / before.double().std(correction=1)).flatten()
        for name, (before, after) in seen.items()
        if name.startswith(f"encoders.{leader}.") and before.ndim == 4
    ]
    assert 0.9 < float(torch.cat(noise).std()) < 1.1


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (4, 3, 3, 3), (64, 64, 3, 3)])
def test_spread_is_the_standard_deviation_over_all_elements(shape):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 1e-3 + 2e-4
    expected = np.std(values.double().numpy(), ddof=1) if values.numel() > 1 else 0.0
    assert float(_spreads([values])[0]) == pytest.approx(expected + 1e-8, rel=1e-4)


@pytest.mark.parametrize(("epoch", "active"), [(1, False), (2, True), (4, True), (5, False)])
def test_the_window_is_inclusive(tmp_path, epoch, active):
    seen = _gradients(tmp_path, {"start": 2, "end": 4, "ge": False}, epoch)
    seen.pop("scores")
    assert any(not torch.equal(before, after) for before, after in seen.values()) == active


def test_swapping_modalities_swaps_coefficients():
    method = make_method("ogm_ge")
    scores = torch.tensor([5.0, 2.0])
    assert torch.equal(method.coefficients(scores).flip(0), method.coefficients(scores.flip(0)))


def test_contributions_sum_to_the_logits_the_scores_are_read_from():
    model = build(make_method("ogm_ge"), ("audio", "visual", "touch"))
    features = {m: torch.randn(5, 8) for m in model.modalities}
    logits, contributions = model.fuse(features)
    weight, bias = model.fusion.linear.weight, model.fusion.linear.bias
    expected = torch.cat(list(features.values()), 1) @ weight.T + bias
    torch.testing.assert_close(sum(contributions.values()), expected)
    torch.testing.assert_close(logits, expected)
