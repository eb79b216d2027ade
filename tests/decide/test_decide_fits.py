"""Allocators that minimise a likelihood: the same objective through SciPy, with numerical gradients."""

import numpy as np
import pytest
import scipy.stats
import torch
from scipy.special import logsumexp, softmax

from ambidex.decide.allocators.confidence import sureness
from helpers.heldouts import THREE, TWO, changed, draw, fit, said
from helpers.likelihoods import INVERSE, arrays, mean_nll, pool_of, scale_of, scales_of, scipy_fit, weights_of

PRECISION = 1e-4
SHRINKAGE = pytest.mark.parametrize("shrinkage", [0.0, 4.0])


def factor_of(fitted):
    return fitted.allocator.factor.double().numpy()


@SHRINKAGE
def test_modality(shrinkage):
    held = draw(THREE)
    fitted = fit("modality", held, shrinkage=shrinkage)
    wanted = weights_of(*arrays(held), shrinkage)
    np.testing.assert_allclose(factor_of(fitted), wanted[:, None].repeat(3, 1), atol=PRECISION)
    x, y = arrays(held)
    penalty = shrinkage / (2 * len(y)) * ((wanted - 1) ** 2).sum()
    value = mean_nll(np.einsum("nmc,m->nc", x, wanted), y) + penalty
    assert fitted.allocator.record["objective"] == pytest.approx(value, abs=1e-8)


def test_a_modality_that_speaks_against_the_truth_gets_weight_zero():
    held = changed(draw(TWO, 60), lambda z: z * torch.tensor([1.0, -1.0])[:, None])
    fitted = fit("modality", held, shrinkage=0.1)
    wanted = weights_of(*arrays(held), 0.1)
    assert fitted.allocator.factor[1].tolist() == [0, 0, 0]
    assert factor_of(fitted)[0, 0] == pytest.approx(wanted[0], abs=PRECISION)


@SHRINKAGE
def test_scale_is_one_temperature_and_changes_no_prediction(shrinkage):
    held = changed(draw(TWO), lambda z: 3 * z)
    x, y = arrays(held)
    wanted = scale_of(x.sum(axis=1), y, shrinkage)
    fitted = fit("scale", held, shrinkage=shrinkage)
    np.testing.assert_allclose(factor_of(fitted), np.full((2, 3), wanted), atol=PRECISION)
    assert fitted.allocator.record["temperature"] == pytest.approx(1 / wanted, rel=PRECISION)
    assert wanted < 0.7
    assert said(fitted, held).argmax(1).tolist() == x.sum(axis=1).argmax(1).tolist()


@SHRINKAGE
def test_temperature(shrinkage):
    held = changed(draw(TWO), lambda z: 3 * z)
    x, y = arrays(held)
    own = scales_of(x, y, shrinkage)
    last = scale_of(np.einsum("nmc,m->nc", x, own), y, shrinkage)
    fitted = fit("temperature", held, shrinkage=shrinkage)
    record = fitted.allocator.record
    assert record["temperatures"] == pytest.approx(1 / own, rel=PRECISION)
    assert record["global_temperature"] == pytest.approx(1 / last, rel=PRECISION)
    np.testing.assert_allclose(factor_of(fitted)[:, 0], own * last, atol=PRECISION)


def test_temperatures_stay_within_their_bounds():
    loud = changed(draw(TWO, 60), lambda z: 100 * z)
    assert fit("temperature", loud, shrinkage=0).allocator.record["temperatures"] == pytest.approx([20, 20])
    sure = changed(draw([[9.0] * 3] * 2, 30, noise=0.1), lambda z: 1e-3 * z)
    assert fit("temperature", sure, shrinkage=0).allocator.record["temperatures"] == pytest.approx([0.05] * 2)


@SHRINKAGE
def test_calibrated(shrinkage):
    held = changed(draw(THREE), lambda z: 2 * z)
    x, y = arrays(held)
    own = scales_of(x, y, shrinkage)
    own = own * scale_of(np.einsum("nmc,m->nc", x, own), y, shrinkage)
    weights = weights_of(x * own[:, None], y, shrinkage)
    fitted = fit("calibrated", held, shrinkage=shrinkage)
    assert fitted.allocator.record["modality_weights"] == pytest.approx(weights, abs=PRECISION)
    np.testing.assert_allclose(factor_of(fitted)[:, 0], own * weights, atol=PRECISION)


@pytest.mark.parametrize("strength", [3.0, 100.0])
def test_category(strength):
    held = draw(TWO)
    x, y = arrays(held)
    fitted = fit("category", held, strengths=(strength,))
    anchor = weights_of(x, y, 4.0)

    def objective(flat):
        weights = flat.reshape(2, 3)
        away = ((weights - anchor[:, None]) ** 2).sum()
        return mean_nll((x * weights).sum(1), y) + strength / (2 * len(y)) * away

    wanted = scipy_fit(objective, np.ones(6), [(0, None)] * 6).reshape(2, 3)
    np.testing.assert_allclose(factor_of(fitted), wanted, atol=PRECISION)


@SHRINKAGE
def test_pooled(shrinkage):
    held = changed(draw(THREE), lambda z: 2 * z)
    factor, _, opinions = pool_of(held, shrinkage)
    fitted = fit("pooled", held, shrinkage=shrinkage)
    np.testing.assert_allclose(factor_of(fitted), factor, atol=PRECISION)
    assert list(fitted.allocator.record["opinions"].values()) == pytest.approx(opinions, abs=PRECISION)
    x, p = arrays(held)[0], arrays(held, "probes")[0]
    by_hand = np.einsum("nmc,m->nmc", x, factor[:3]) + np.einsum("nmc,m->nmc", p, factor[3:])
    allocated = fitted.allocator.allocate(held.stack("both"))
    np.testing.assert_allclose(allocated.numpy(), by_hand, atol=2e-3)


def test_the_even_pool_limits_what_either_opinion_can_lose():
    """-log softmax is convex: NLL of the even pool <= mean of both, sample by sample."""
    held = draw(TWO)
    first, second = (held.sources[s].sum(1).double().numpy() for s in ("contributions", "probes"))
    y = held.labels.numpy()
    for row in range(len(y)):
        both, one, two = (
            mean_nll(z[row : row + 1], y[row : row + 1]) for z in ((first + second) / 2, first, second)
        )
        assert both <= (one + two) / 2 + 1e-12


SURENESS = {
    "entropy": lambda z: -scipy.stats.entropy(softmax(z, axis=2), axis=2),
    "energy": lambda z: logsumexp(z, axis=2),
    "true_class": lambda z: (softmax(z, axis=2) ** 2).sum(2),
    "margin": lambda z: -np.diff(np.sort(softmax(z, axis=2))[:, :, -2:][:, :, ::-1], axis=2)[:, :, 0],
}


@pytest.mark.parametrize("measure", SURENESS)
def test_sureness(measure):
    held = draw(TWO, 20)
    z, _ = arrays(held)
    np.testing.assert_allclose(
        sureness(held.sources["contributions"].double(), measure).numpy(), SURENESS[measure](z), atol=1e-12
    )


def noisy_by_sample():
    """Half of the samples of each modality are noise, and its contribution shows it by being flat."""
    held = draw([[4.0] * 3] * 2, 120, noise=0.7)
    faint = (torch.rand(120, 2, 1, generator=torch.Generator().manual_seed(3)) < 0.5).float()
    noise = torch.randn(120, 2, 3, generator=torch.Generator().manual_seed(4))
    return changed(held, lambda z: (1 - faint) * z + faint * noise)


@pytest.mark.parametrize("measure", SURENESS)
def test_confidence(measure):
    held = noisy_by_sample()
    x, y = arrays(held)
    own = scales_of(x, y, 4.0)
    z = x * own[:, None]
    g = SURENESS[measure](z)

    def fused(beta, scale):
        return scale * np.einsum("nm,nmc->nc", 2 * softmax(beta * g, axis=1), z)

    def objective(v):
        penalty = 0.25 * v[0] ** 2 + 4.0 * (v[1] - 1) ** 2
        return mean_nll(fused(*v), y) + penalty / (2 * len(y))

    wanted = scipy_fit(objective, np.array([0.5, 0.8]), [(0, None), *INVERSE])
    fitted = fit("confidence", held, measure=measure)
    assert [fitted.allocator.record[k] for k in ("beta", "scale")] == pytest.approx(wanted, abs=PRECISION)
    assert fitted.allocator.record["objective"] == pytest.approx(objective(wanted), abs=1e-8)
    assert wanted[0] > 0.1
    coarse = min(objective([b, s]) for b in np.linspace(0, 6, 31) for s in np.linspace(0.3, 2, 18))
    assert fitted.allocator.record["objective"] <= coarse  # not convex: no better valley on a grid
    np.testing.assert_allclose(said(fitted, held).numpy(), fused(*wanted), atol=1e-3)
