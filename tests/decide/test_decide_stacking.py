"""Stacking against proximal gradient descent; the gate against its formula."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from ambidex.base import working_set
from ambidex.base.statistics import accuracy, nll
from ambidex.decide.allocators._fit import Likelihood
from ambidex.decide.allocators.stacking import fit_stacking
from helpers.heldouts import TWO, draw, fit, said
from helpers.likelihoods import arrays, mean_nll

STRENGTHS = (10.0, 3.0)


def split(v, modalities, classes):
    size = modalities * classes**2
    return (v[:size] - v[size : 2 * size]).reshape(modalities, classes, classes), v[2 * size :]


def by_proximal_gradient(x, y, strength, ratio, steps=4000):
    """D [M, C, C] and b [C] of the elastic problem, by accelerated proximal gradient descent (FISTA)."""
    count, modalities, classes = x.shape
    flat, plain, hot = x.reshape(count, -1), x.sum(1), np.eye(classes)[y]
    weight = strength / count
    rate = 1 / (0.5 * np.linalg.norm(flat, 2) ** 2 / count + 0.5 + weight)
    d, b = np.zeros((modalities * classes, classes)), np.zeros(classes)
    ahead_d, ahead_b, speed = d, b, 1.0
    for _ in range(steps):
        residual = (softmax(plain + flat @ ahead_d + ahead_b, axis=1) - hot) / count
        step = ahead_d - rate * (flat.T @ residual + weight * (1 - ratio) * ahead_d)
        next_d = np.sign(step) * np.maximum(np.abs(step) - rate * weight * ratio, 0)
        next_b = ahead_b - rate * (residual.sum(0) + weight * ahead_b)
        faster = (1 + np.sqrt(1 + 4 * speed**2)) / 2
        ahead_d = next_d + (speed - 1) / faster * (next_d - d)
        ahead_b = next_b + (speed - 1) / faster * (next_b - b)
        d, b, speed = next_d, next_b, faster
    return d.reshape(modalities, classes, classes), b


@pytest.mark.parametrize("whole_up_to", [0, 10_000])
@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("strength", STRENGTHS)
def test_stacking_is_the_optimum_of_another_solver(strength, ratio, whole_up_to, monkeypatch):
    monkeypatch.setattr(working_set, "WHOLE_UP_TO", whole_up_to)
    held = draw(TWO, 90)
    x, y = arrays(held)
    likelihood = Likelihood.of(held.sources["contributions"], held.labels)
    found = fit_stacking(likelihood, strength, ratio)
    matrices, bias = split(found.x, 2, 3)
    wanted, wanted_bias = by_proximal_gradient(x, y, strength, ratio)
    np.testing.assert_allclose(matrices, wanted, atol=1e-4)
    np.testing.assert_allclose(bias, wanted_bias, atol=1e-4)
    assert found.gradient_norm < 1e-5
    size = (1 - ratio) / 2 * (wanted**2).sum() + ratio * np.abs(wanted).sum() + (wanted_bias**2).sum() / 2
    z = np.einsum("nmc,mcd->nd", x, wanted + np.eye(3)) + wanted_bias
    assert found.value == pytest.approx(mean_nll(z, y) + strength / len(y) * size, abs=1e-7)
    if ratio == 0.9:
        assert (
            (np.abs(matrices) < 1e-7).sum() == (wanted == 0).sum() > 0
        )  # some classes say nothing of others


def sum_of(fitted, held):
    """What stacking makes of contributions, from its buffers: sum_m (I + D_m)^T z_m / T_m + b."""
    a = fitted.allocator
    z = held.sources["contributions"].numpy() * a.inverse.numpy()[:, None]
    return sum(z[:, m] @ a.matrices[m].numpy() for m in range(z.shape[1])) + a.bias.numpy()


def confused(seed=0, count=200):
    """The second modality hears class 0 as both 0 and 1: matrices can undo it, weights cannot."""
    held = draw([[0.8] * 3, [3.0] * 3], count, seed=seed)
    for z in held.sources.values():
        z[held.labels == 0, 1, 1] += 3.0
    return held


def test_fitted_on_calibrated_contributions_at_the_strength_that_was_chosen():
    held = confused()
    fitted = fit("stacking", held, strengths=STRENGTHS)
    record = fitted.allocator.record
    assert record["strength"] == 10.0  # 3 is better by less than a standard error
    assert list(record["cross_validated_nll"]) == ["inf", "10.0", "3.0"]
    factor = fit("temperature", held).allocator.factor[:, 0].double()
    np.testing.assert_allclose(fitted.allocator.inverse.numpy(), factor.numpy(), atol=1e-6)
    x, y = arrays(held)
    wanted, bias = by_proximal_gradient(x * factor.numpy()[:, None], y, 10.0, 0.1)
    np.testing.assert_allclose(fitted.allocator.matrices.numpy(), wanted + np.eye(3), atol=1e-4)
    np.testing.assert_allclose(fitted.allocator.bias.numpy(), bias, atol=1e-4)
    np.testing.assert_allclose(said(fitted, held).numpy(), sum_of(fitted, held), atol=1e-4)
    new = confused(seed=1, count=600)
    by_weights = said(fit("calibrated", held), new)
    assert accuracy(said(fitted, new), new.labels) > accuracy(by_weights, new.labels) + 0.05


def test_without_a_clear_gain_stacking_is_the_calibrated_sum():
    held = draw([[2.0] * 3] * 2, 90)
    fitted = fit("stacking", held)
    assert fitted.allocator.record["strength"] is None
    torch.testing.assert_close(said(fitted, held), said(fit("temperature", held), held))


def by_hand(gate, z):
    """The gate's formula in NumPy, for contributions z [N, M, C]."""
    count, modalities, _ = z.shape
    calibrated = z * gate.factor.numpy()[:, None]
    log_p = log_softmax(calibrated, axis=2)
    seen = np.concatenate([log_p, -(np.exp(log_p) * log_p).sum(2, keepdims=True)], axis=2)
    inner, shift, outer, prior = (
        gate.network.get_parameter(n).numpy() for n in ("inner", "shift", "outer", "prior")
    )
    scores = np.zeros((count, modalities))
    for m in range(modalities):
        others = [seen[:, k] for k in range(modalities) if k != m]
        rest = sum(others) / len(others)
        scores[:, m] = np.tanh(np.concatenate([seen[:, m], rest], axis=1) @ inner + shift) @ outer + prior[m]
    return modalities * softmax(scores, axis=1)[:, :, None] * calibrated


def stuck(seed=0, count=150):
    """In half of the samples the first modality says the same two classes, loudly: what it says gives it away."""
    held = draw([[4.0] * 3, [2.0] * 3], count, noise=1.5, seed=seed)
    wrong = torch.rand(count, generator=torch.Generator().manual_seed(seed)) < 0.5
    for z in held.sources.values():
        z[wrong, 0] = torch.tensor([5.0, 5.0, 0.0])
    return held


def test_the_gate_by_hand_and_better_than_weights_where_samples_differ():
    held, new = stuck(), stuck(seed=1, count=600)
    fitted = fit("gate", held)
    assert fitted.allocator.record["steps"] > 0
    allocated = fitted.allocator.allocate(new.sources["contributions"])
    np.testing.assert_allclose(
        allocated.numpy(), by_hand(fitted.allocator, new.sources["contributions"].numpy()), atol=1e-4
    )
    gate, weights = said(fitted, new), said(fit("calibrated", held), new)
    assert nll(gate, new.labels) < nll(weights, new.labels) - 0.01


def test_without_steps_the_gate_is_the_calibrated_sum():
    held = draw(TWO, 60)
    torch.testing.assert_close(
        said(fit("gate", held, steps=(0,)), held), said(fit("temperature", held), held)
    )


def test_asking_a_gate_in_another_precision_leaves_it_as_it_is():
    held = draw(TWO, 60)
    gate = fit("gate", held).allocator
    before = {name: value.clone() for name, value in gate.state_dict().items()}
    exact = gate(held.sources["contributions"].double())
    assert exact.dtype == torch.float64
    for name, value in gate.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])
    torch.testing.assert_close(exact.float(), gate(held.sources["contributions"]))
