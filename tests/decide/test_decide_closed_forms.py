"""Allocators that count or measure instead of fitting: by hand, and by loops over samples."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from helpers.heldouts import THREE, TWO, changed, draw, fit, made, said
from helpers.likelihoods import arrays, scale_of, scales_of

PINNED = 1e12
"""shrinkage that holds every temperature at 1"""


def names(classes, sure=1.0, count=3):
    """Logits [N, C] of a modality that names these classes."""
    return sure * torch.nn.functional.one_hot(torch.tensor(classes), count).float()


def test_uniform_is_the_sum():
    held = draw(THREE, 20)
    fitted = fit("uniform", held)
    assert torch.equal(said(fitted, held), held.sources["contributions"].sum(1))
    assert fitted.allocator.record == {}


# capability: three classes of two samples; the first modality is right on 4 of 6, the second on 2 of 6
LABELS = torch.tensor([0, 0, 1, 1, 2, 2])
SAID = torch.stack([names([0, 0, 1, 1, 0, 1]), names([2, 2, 1, 2, 2, 0])], dim=1)


def test_capability_by_hand():
    fitted = fit("capability", made(SAID, LABELS), shrinkage=PINNED)
    assert fitted.allocator.record["capability"] == pytest.approx([4 / 6, 2 / 6])
    expected = torch.tensor([[4 / 3] * 3, [2 / 3] * 3])
    torch.testing.assert_close(fitted.allocator.factor, expected, atol=1e-6, rtol=0)


def test_capability_per_class_by_hand():
    """With 2 samples' worth of the modality's accuracy in each class of 2: (hits + 2 accuracy) / 4."""
    fitted = fit("capability", made(SAID, LABELS), shrinkage=PINNED, per_class=True, pseudo_samples=2.0)
    recall = [[5 / 6, 5 / 6, 1 / 3], [1 / 6, 5 / 12, 5 / 12]]
    np.testing.assert_allclose(fitted.allocator.record["capability"], recall, atol=1e-12)
    expected = [[5 / 3, 4 / 3, 8 / 9], [1 / 3, 2 / 3, 10 / 9]]
    np.testing.assert_allclose(fitted.allocator.factor.numpy(), expected, atol=1e-6)


def test_capability_on_calibrated_contributions():
    held = changed(draw(THREE), lambda z: 2 * z)
    x, y = arrays(held)
    own = scales_of(x, y, 4.0)
    hits = np.array([np.mean([x[n, m].argmax() == y[n] for n in range(len(y))]) for m in range(3)])
    factor = own * hits / hits.mean()
    last = scale_of(np.einsum("nmc,m->nc", x, factor), y, 4.0)
    fitted = fit("capability", held)
    np.testing.assert_allclose(fitted.allocator.factor[:, 0].numpy(), factor * last, atol=1e-4)
    assert fitted.allocator.record["global_temperature"] == pytest.approx(1 / last, rel=1e-4)


@pytest.mark.parametrize("per_class", [False, True])
def test_where_nobody_is_ever_right_all_weigh_alike(per_class):
    wrong = torch.stack([names([1, 1, 2, 2, 0, 0]), names([2, 2, 0, 0, 1, 1])], dim=1)
    factor = fit("capability", made(wrong, LABELS), shrinkage=PINNED, per_class=per_class).allocator.factor
    torch.testing.assert_close(factor, torch.ones(2, 3), atol=1e-6, rtol=0)


def test_norm_by_hand():
    """Centred norms of (3, 0, 0) and (0, 12, 0): sqrt(6) and 4 sqrt(6), mean 2.5 sqrt(6)."""
    z = torch.stack([names([0, 1], 3.0), names([1, 2], 12.0)], dim=1) + 5.0
    fitted = fit("norm", made(z, torch.tensor([0, 1])))
    assert fitted.allocator.record["norms"] == pytest.approx([6**0.5, 4 * 6**0.5])
    torch.testing.assert_close(fitted.allocator.factor[:, 0], torch.tensor([2.5, 0.625]))


@pytest.mark.parametrize("level", [0.0, 0.7, 1000.1])
def test_a_modality_that_tells_no_class_from_another_is_not_amplified(level):
    """Sums in float32 leave differences between classes of the size of rounding."""
    held = draw(TWO, 40)
    noise = torch.randn(40, 1, 3, generator=torch.Generator().manual_seed(0))
    silent = level + 1e-7 * max(level, 1.0) * noise
    with_it = changed(held, lambda z: torch.cat([z, silent], dim=1))
    alone, fitted = fit("norm", held).allocator.factor, fit("norm", with_it).allocator.factor
    assert fitted[2].tolist() == [1, 1, 1]
    torch.testing.assert_close(fitted[:2], alone)


def test_everyone_silent_is_the_plain_sum():
    assert fit("norm", made(torch.ones(4, 2, 3), LABELS[:4])).allocator.factor.unique().tolist() == [1]


def test_ensemble_is_the_mean_of_log_probabilities_of_the_probes():
    held = changed(draw(THREE), lambda z: 2 * z)
    p, y = arrays(held, "probes")
    own = scales_of(p, y, 4.0)
    mean = np.mean([log_softmax(p[:, m] * own[m], axis=1) for m in range(3)], axis=0)
    fitted = fit("ensemble", held)
    assert fitted.source == "probes"
    np.testing.assert_allclose(said(fitted, held).softmax(1).numpy(), softmax(mean, axis=1), atol=1e-5)
    assert fitted.allocator.record["temperatures"] == pytest.approx(1 / own, rel=1e-4)
    assert "global_temperature" not in fitted.allocator.record
