"""Allocators: the same objective through SciPy, and what must hold for every one of them."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax

from ambidex.decide import ALLOCATORS
from ambidex.decide._folds import folds, standard_error
from ambidex.statistics import nll

NAMES = ALLOCATORS.names()


def draw(informative, count=400, noise=1.0, seed=0):
    """Contributions [N, M, C] whose true class stands out by informative[m][c]."""
    draws = torch.Generator().manual_seed(seed)
    truth = torch.tensor(informative)
    labels = torch.randperm(count, generator=draws) % truth.shape[1]
    z = noise * torch.randn(count, *truth.shape, generator=draws)
    z.scatter_add_(2, labels[:, None, None].expand(-1, len(truth), 1), truth[:, labels].T[:, :, None])
    return z, labels


def fit(name, z, labels, groups=None, **options):
    kind = ALLOCATORS.get(name)
    return kind.fit(kind.Config(**options), z, labels, groups or [str(i) for i in range(len(labels))])


def scipy_fit(objective, start, bounds):
    found = minimize(
        objective, start, method="SLSQP", bounds=bounds, options={"ftol": 1e-14, "maxiter": 1000}
    )
    assert found.success
    return found.x


def mean_nll(z, labels):
    return -log_softmax(z, axis=1)[np.arange(len(labels)), labels].mean()


TWO = [[3.0, 2.0, 0.5], [1.0, 2.0, 3.0]]


@pytest.mark.parametrize("shrinkage", [0.0, 4.0])
def test_modality_is_the_optimum_that_scipy_finds(shrinkage):
    z, labels = draw(TWO)
    x, y = z.double().numpy(), labels.numpy()

    def objective(a):
        return mean_nll(np.einsum("nmc,m->nc", x, a), y) + shrinkage / (2 * len(y)) * ((a - 1) ** 2).sum()

    wanted = scipy_fit(objective, np.ones(2), [(0, None)] * 2)
    fitted = fit("modality", z, labels, shrinkage=shrinkage)
    assert fitted.factor[:, 0].tolist() == pytest.approx(wanted, abs=1e-4)
    assert fitted.record["gradient_norm"] < 1e-6


@pytest.mark.parametrize("shrinkage", [0.0, 4.0])
def test_temperature_is_the_optimum_that_scipy_finds(shrinkage):
    z, labels = draw([[3.0, 2.0, 0.5], [1.0, 2.0, 3.0]])
    x, y = z.double().numpy() * 3, labels.numpy()

    def scale(logits):
        def objective(b):
            return mean_nll(logits * b, y) + shrinkage / (2 * len(y)) * (b[0] - 1) ** 2

        return scipy_fit(objective, np.ones(1), [(1 / 20, 20)])[0]

    own = [scale(x[:, m]) for m in range(2)]
    last = scale(sum(b * x[:, m] for m, b in enumerate(own)))
    fitted = fit("temperature", z * 3, labels, shrinkage=shrinkage)
    assert fitted.record["temperatures"] == pytest.approx([1 / b for b in own], rel=1e-4)
    assert fitted.record["global_temperature"] == pytest.approx(1 / last, rel=1e-4)
    assert fitted.factor[:, 0].tolist() == pytest.approx([b * last for b in own], abs=1e-4)


def test_category_is_the_optimum_that_scipy_finds():
    z, labels = draw(TWO)
    x, y = z.double().numpy(), labels.numpy()
    fitted = fit("category", z, labels, strengths=(10.0,))
    anchor = np.repeat(fit("modality", z, labels).factor[:, :1].double().numpy(), 3, axis=1)

    def objective(flat):
        weights = flat.reshape(2, 3)
        return mean_nll((x * weights).sum(1), y) + 10 / (2 * len(y)) * ((weights - anchor) ** 2).sum()

    wanted = scipy_fit(objective, np.ones(6), [(0, None)] * 6).reshape(2, 3)
    np.testing.assert_allclose(fitted.factor.numpy(), wanted, atol=1e-4)
    assert fitted.record["gradient_norm"] < 1e-6


@pytest.mark.parametrize("seed", range(10))
def test_category_finds_who_knows_which_class_and_predicts_better(seed):
    truth = [[3.0, 3.0, 0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 3.0, 3.0, 2.0, 2.0]]
    fitted = fit("category", *draw(truth, 300, noise=1.5, seed=seed))
    a = fitted.factor
    assert (a[0, :2] > a[1, :2]).all()
    assert (a[1, 2:4] > a[0, 2:4]).all()
    z, labels = draw(truth, 3000, noise=1.5, seed=1000 + seed)
    assert nll(fitted(z), labels) < nll(z.sum(1), labels)


@pytest.mark.parametrize("name", NAMES)
def test_every_allocator_adds_up_and_survives_saving(name):
    z, labels = draw(TWO)
    fitted = fit(name, z, labels)
    torch.testing.assert_close(fitted.allocate(z).sum(1), fitted(z))
    empty = ALLOCATORS.get(name).empty(fitted.config, 2, 3)
    torch.testing.assert_close(empty(z), z.sum(1))  # unfitted, it is the plain sum
    empty.load_state_dict(fitted.state_dict())
    assert torch.equal(empty(z), fitted(z))


@pytest.mark.parametrize("name", NAMES)
def test_permuting_modalities_permutes_the_weights(name):
    z, labels = draw([[3.0, 2.0, 0.5], [1.0, 2.0, 3.0], [0.0, 0.3, 1.0]])
    order = [2, 0, 1]
    straight, turned = fit(name, z, labels), fit(name, z[:, order], labels)
    torch.testing.assert_close(turned.factor, straight.factor[order], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_separable_validation_moves_no_weight_far(name):
    informative = [[4.0, 4.0, 4.0], [4.0, 4.0, 4.0]]
    z, labels = draw(informative, 40, noise=0.1)
    fitted = fit(name, z, labels)
    assert torch.isfinite(fitted.factor).all()
    assert fitted.factor.max() < 5
    z, labels = draw(informative, 2000, noise=2.5, seed=7)
    assert nll(fitted(z), labels) < 1.5 * nll(z.sum(1), labels)


@pytest.mark.parametrize("name", NAMES)
def test_without_evidence_little_changes(name):
    z, labels = draw([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], 6, noise=0.01)
    torch.testing.assert_close(fit(name, z, labels).factor, torch.ones(2, 3), atol=0.02, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_one_modality_works_and_only_class_weights_change_its_predictions(name):
    z, labels = draw([[3.0, 1.0, 0.5]])
    said = fit(name, z, labels)(z).argmax(1)
    if name != "category":
        assert torch.equal(said, z[:, 0].argmax(1))


def test_a_common_temperature_changes_no_prediction():
    z, labels = draw([[3.0, 2.0, 0.5]])
    fitted = fit("temperature", z.expand(-1, 2, -1), labels)  # equal modalities: one temperature for both
    assert fitted.factor[0, 0] == pytest.approx(fitted.factor[1, 0].item(), rel=1e-6)
    new, _ = draw(TWO, seed=5)
    assert torch.equal(fitted(new).argmax(1), new.sum(1).argmax(1))


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_modality_can_be_replaced_without_changing_a_prediction(name):
    z, labels = draw(TWO)
    z[:, 1] = 0.7
    fitted = fit(name, z, labels)
    if name == "category":  # a constant is a bias per class there, and is used as one
        return
    other = z.clone()
    other[:, 1] = -1.3
    assert torch.equal(fitted(z).argmax(1), fitted(other).argmax(1))


def test_classes_with_too_few_samples_keep_the_modality_weight_and_are_listed():
    z, labels = draw([[3.0, 0.5, 2.0, 1.0], [0.5, 3.0, 1.0, 2.0]])
    kept = (labels != 3) & (labels != 2)
    kept[(labels == 2).nonzero()[0]] = True  # class 2 once, class 3 never
    fitted = fit("category", z[kept], labels[kept])
    anchor = fit("modality", z[kept], labels[kept]).factor
    assert fitted.record["fallback_classes"] == [2, 3]
    assert fitted.record["gradient_norm"] < 1e-6
    torch.testing.assert_close(fitted.factor[:, 2:], anchor[:, 2:])
    assert not torch.allclose(fitted.factor[:, :2], anchor[:, :2])


def test_two_samples_are_enough_to_run():
    z, labels = draw(TWO, 2)
    for name in NAMES:
        assert torch.isfinite(fit(name, z, labels).factor).all()
    assert torch.isfinite(fit("category", z[:1], labels[:1]).factor).all()


def test_folds_keep_groups_together_and_are_even():
    groups = [f"g{i % 7}" for i in range(70)]
    labels = np.arange(70) % 3
    held = folds(labels, groups, 5, seed=0)
    assert sorted(np.concatenate(held)) == list(range(70))
    sides = [{groups[i] for i in rows} for rows in held]
    assert all(not (a & b) for i, a in enumerate(sides) for b in sides[:i])
    assert sorted(len(s) for s in sides) == [1, 1, 1, 2, 2]
    assert len(folds(labels, [g[0] + str(int(g[1]) % 2) for g in groups], 5, seed=0)) == 2


@pytest.mark.parametrize("groups", [[str(i) for i in range(60)], ["one"] * 60])
def test_folds_are_stratified_where_groups_say_nothing(groups):
    labels = np.array([0] * 40 + [1] * 20)
    for rows in folds(labels, groups, 5, seed=1):
        assert np.bincount(labels[rows]).tolist() == [8, 4]


def test_standard_error_over_groups_by_hand():
    values = np.array([1.0, 1.0, 3.0, 3.0])
    alone = standard_error(values, np.arange(4))
    assert alone == pytest.approx(values.std(ddof=1) / 2)
    # two groups of sums -2 and 2 around the mean: sqrt(2 / 1 * 8) / 4
    assert standard_error(values, np.array([0, 0, 1, 1])) == pytest.approx(1.0)
    assert standard_error(values, np.zeros(4, dtype=int)) == float("inf")


def test_folds_by_group_choose_more_shrinkage_where_speakers_differ():
    """Every speaker shifts each class of each modality in an own way: weights fitted to some fit no other."""
    draws = torch.Generator().manual_seed(1)
    z, labels = draw([[2.0] * 4, [2.0] * 4], 240)
    speaker = torch.arange(240) // 30
    shift = 1.5 * torch.randn(8, 2, 4, generator=draws)
    z = z + shift[speaker]
    by_speaker = fit("category", z, labels, [str(s) for s in speaker.tolist()])
    mixed = fit("category", z, labels)
    assert by_speaker.record["strength"] > mixed.record["strength"]
