"""Typicality of features: Mahalanobis by hand, and the allocator that weighs by it against finite differences."""

import dataclasses

import numpy as np
import torch
from scipy.optimize import approx_fprime
from scipy.special import expit, log_softmax

from ambidex.decide.allocators._fit import Likelihood
from ambidex.decide.allocators.pooled import Pooled
from ambidex.decide.allocators.typicality import Typicality, _fit, _total
from ambidex.decide.nearness import NEAREST, SHRINKAGE, Nearness, typicality
from ambidex.judge.held_out import HeldOut
from ambidex.net.encoded import Encoded, features_of

GROUPS, EACH, CLASSES = 12, 30, 3


def held_out(seed: int, unreliable: bool = True) -> HeldOut:
    """Two modalities; where a sample's first feature is untypical that modality says anything, and says it loudly."""
    draws = np.random.default_rng(seed)
    count = GROUPS * EACH
    labels = draws.integers(CLASSES, size=count)
    z = draws.normal(size=(count, 2, CLASSES)) + 2.0 * np.eye(CLASSES)[labels][:, None]
    score = draws.normal(size=(count, 2))
    lost = score[:, 0] < -0.5
    if unreliable:
        z[lost, 0] = 4 * np.eye(CLASSES)[draws.integers(CLASSES, size=lost.sum())]
    contributions = torch.from_numpy(z).float()
    scores = torch.from_numpy(score).float()[:, :, None].expand(-1, -1, CLASSES)
    sources = {"contributions": contributions, "probes": contributions * 1.3, "typicality": scores}
    groups = [str(i // EACH) for i in range(count)]
    return HeldOut(("a", "b"), torch.from_numpy(labels), groups, sources)  # type: ignore[arg-type]


def mean_nll(logits: torch.Tensor, labels: torch.Tensor) -> float:
    return float(torch.nn.functional.cross_entropy(logits.double(), labels))


def test_nearness_is_the_mahalanobis_distance_to_the_nearest_class() -> None:
    draws = np.random.default_rng(0)
    labels = np.arange(90) % 3
    h = draws.normal(size=(90, 4)) @ draws.normal(size=(4, 4)) + 100 + 3 * np.eye(4)[labels]
    nearness = Nearness(4, 5)  # two classes have no sample
    nearness.fit(torch.from_numpy(h).float(), torch.from_numpy(labels))
    means = np.stack([h[labels == c].mean(axis=0) for c in range(3)] + [h.mean(axis=0)])
    within = np.cov((h - means[labels]).T, bias=True)
    covariance = (1 - SHRINKAGE) * within + SHRINKAGE * np.trace(within) / 4 * np.eye(4)
    new = draws.normal(size=(7, 4)) * 5 + 100
    inverse = np.linalg.inv(covariance)
    distances = [[(x - mean) @ inverse @ (x - mean) / 4 for mean in means] for x in new]
    expected = -np.log(np.min(distances, axis=1) + NEAREST)
    np.testing.assert_allclose(nearness(torch.from_numpy(new).float()).numpy(), expected, rtol=1e-3)


def test_a_sample_that_lacks_a_modality_scores_zero() -> None:
    h, present = torch.randn(4, 2), torch.tensor([True, False, True, False])
    nearness = {"a": Nearness(2, 3)}
    nearness["a"].fit(torch.randn(20, 2), torch.arange(20) % 3)
    scores = typicality(nearness, features_of({"a": Encoded(h, present=present)}), 3)
    assert scores.shape == (4, 1, 3)
    assert scores[~present].eq(0).all()
    assert torch.equal(scores[present, 0, 1], nearness["a"](h)[present])


def test_the_gradient_is_that_of_finite_differences() -> None:
    held = held_out(1)
    z = held.sources["contributions"].double().numpy().transpose(1, 0, 2)
    scores = held.sources["typicality"][:, :, 0].double().numpy()
    likelihood = Likelihood(z, held.labels.numpy())
    minimum = _fit(likelihood, scores, Typicality.Config())

    def penalised(x: np.ndarray) -> float:
        weights = 2 * expit(x[0] * scores)
        log_p = log_softmax(x[1] * np.einsum("nm,mnc->nc", weights, z), axis=1)
        penalty = 0.25 * x[0] ** 2 + 4 * (x[1] - 1) ** 2
        return float(-log_p[np.arange(len(log_p)), held.labels.numpy()].mean() + penalty / 2 / len(log_p))

    np.testing.assert_allclose(approx_fprime(minimum.x, penalised, 1e-6), 0, atol=1e-5)
    total, slope = _total(likelihood, scores, 0.4)
    further, _ = _total(likelihood, scores, 0.4 + 1e-6)
    np.testing.assert_allclose((further - total) / 1e-6, slope, atol=1e-4)


def test_it_weighs_an_untypical_feature_less_and_gains_for_new_groups() -> None:
    held, new = held_out(2), held_out(3)
    allocator = Typicality.fit_on(Typicality.Config(), held).allocator
    pooled = Pooled.fit_on(Pooled.Config(), held).allocator
    assert allocator.record["beta"] > 0.3
    gain = mean_nll(pooled(new.stack("both")), new.labels) - mean_nll(
        allocator(new.stack("typicality")), new.labels
    )
    assert gain > 0.02
    one = new.stack("typicality")[:1].repeat(2, 1, 1)
    one[:, 4:] = torch.tensor([-3.0, 3.0])[:, None, None]
    parts = allocator.allocate(one)
    assert (parts[0].abs() <= parts[1].abs()).all()
    assert (parts[0] != parts[1]).any()


def test_without_a_clear_gain_or_without_scores_it_is_the_pool() -> None:
    held = held_out(4, unreliable=False)
    pooled = Pooled.fit_on(Pooled.Config(), held).allocator(held.stack("both"))
    lone = dataclasses.replace(held_out(2), groups=["one"] * GROUPS * EACH)  # one group shows nothing
    for samples in (held, lone):
        allocator = Typicality.fit_on(Typicality.Config(), samples).allocator
        assert allocator.record["beta"] == 0
    torch.testing.assert_close(
        Typicality.fit_on(Typicality.Config(), held).allocator(held.stack("typicality")), pooled
    )
    unscored = dataclasses.replace(
        held_out(2), sources={k: v for k, v in held_out(2).sources.items() if k != "typicality"}
    )
    assert Typicality.fit_on(Typicality.Config(), unscored).allocator.record["beta"] == 0
