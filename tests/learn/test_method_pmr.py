"""PMR against its equations: NumPy class means, SciPy distances, losses worked out by hand."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import softmax

from ambidex.base.errors import ModelError
from ambidex.learn.loop.passes import Passes
from ambidex.learn.methods.pmr import balanced_part, distance
from helpers.memory_store import MemoryStore, engine, make_method

TWO = ("audio", "visual")
THREE = ("audio", "visual", "touch")


def _ready(tmp_path, options=None, modalities=TWO, **settings):
    """A trained engine, whose method has prototypes."""
    trained = engine(tmp_path, "pmr", options, modalities, **settings)
    trained.fit()
    return trained


def _same(a, b):
    return all(torch.equal(value, b[name]) for name, value in a.items())


def _means(features, labels, classes):
    """By a loop over classes and samples."""
    found = np.zeros((classes, features.shape[1]))
    for k in range(classes):
        rows = [features[i] for i in range(len(labels)) if labels[i] == k]
        found[k] = sum(rows) / len(rows)
    return found


def _probabilities(features, prototypes):
    return softmax(-cdist(features.detach().double().numpy(), prototypes.double().numpy()), axis=1)


def _watched(tmp_path, options=None, modalities=TWO, **settings):
    """Each micro-batch: epoch, number of step, features, labels, prototypes, coefficients and terms."""
    trained = engine(tmp_path, "pmr", options, modalities, **settings)
    method, seen = trained.method, []
    objective = method.objective

    def spy(step):
        terms = objective(step)
        seen.append(
            {
                "epoch": step.run.epoch,
                "number": trained.state.number,
                "features": {m: h.detach().float() for m, h in step.features.items()},
                "labels": step.labels,
                "prototypes": dict(method.prototypes),
                "beta": method.beta.tolist(),
                "gamma": method.gamma.tolist(),
                "terms": {name: float(value.detach()) for name, value in terms.items()},
            }
        )
        return terms

    method.objective = spy
    trained.fit()
    return seen


def _scores(parts):
    """P_m over all micro-batches of a step."""
    total = np.zeros(len(parts[0]["features"]))
    for part in parts:
        for number, (m, h) in enumerate(part["features"].items()):
            p = _probabilities(h, part["prototypes"][m])
            total[number] += sum(p[i, y] for i, y in enumerate(part["labels"].tolist()))
    return total


@pytest.mark.parametrize("momentum", [0.0, 0.3, 1.0])
def test_prototypes_are_class_means_that_move_with_momentum(tmp_path, momentum):
    method = _ready(tmp_path, {"epochs": 0, "momentum": momentum}).method
    draws = torch.Generator().manual_seed(1)
    expected = None
    for _ in range(3):
        labels = torch.randint(0, 3, (20,), generator=draws)
        features = {m: torch.randn((20, 8), generator=draws) for m in TWO}
        method.renew(features, labels)
        fresh = {m: _means(h.numpy(), labels.tolist(), 3) for m, h in features.items()}
        if expected is None:
            expected = fresh  # plain the first time, whatever the momentum
        expected = {m: momentum * expected[m] + (1 - momentum) * fresh[m] for m in TWO}
        for m in TWO:
            np.testing.assert_allclose(method.prototypes[m].numpy(), expected[m], rtol=1e-5, atol=1e-6)


def test_as_released_the_second_renewal_replaces_too(tmp_path):
    """In one dimension, means of 1, 3, 7 and 9 with momentum 0.25: 1, 3, then 0.75 of the new and 0.25 of the old."""
    found = {}
    for mode in ("paper", "released"):
        method = _ready(tmp_path / mode, {"epochs": 0, "momentum": 0.25, "mode": mode}).method
        seen = []
        for mean in (1.0, 3.0, 7.0, 9.0):
            method.renew({m: torch.full((3, 8), mean) for m in TWO}, torch.arange(3))
            seen.append(float(method.prototypes["audio"][0, 0]))
        found[mode] = seen
    assert found["paper"] == pytest.approx([1, 2.5, 5.875, 8.21875])
    assert found["released"] == pytest.approx([1, 3, 6, 8.25])


def test_resumed_it_remembers_how_often_prototypes_were_renewed(tmp_path):
    method = _ready(tmp_path / "a", {"mode": "released"}, epochs=3).method
    assert method.renewals == 3
    other = _ready(tmp_path / "b", {"mode": "released", "epochs": 0}).method
    other.load_state_dict(method.state_dict())
    assert other.renewals == 3


@pytest.mark.parametrize(("off", "pulled"), [(0.0, False), (1e-7, False), (1e-3, True)])
def test_rounding_has_no_direction(off, pulled):
    """A sample that is its class's whole mean stands at the prototype: rounding must not say where to."""
    x = (torch.ones(1, 8) + off).requires_grad_()
    distance(x, torch.ones(2, 8)).sum().backward()
    assert bool(x.grad.any()) == pulled


def test_momentum_one_keeps_prototypes_to_the_bit(tmp_path):
    method = _ready(tmp_path, {"momentum": 1.0}).method
    before = dict(method.prototypes)
    method.renew({m: torch.randn(6, 8) for m in TWO}, torch.arange(6) % 3)
    assert _same(before, method.prototypes)


def test_prototypes_are_of_a_part_of_train_in_evaluation_mode(tmp_path, monkeypatch):
    trained = engine(tmp_path, "pmr", {"fraction": 0.5})
    run_rows, original = [], Passes.sweep

    def seen(self, split, rows=None):
        run_rows.append((split, rows))
        return original(self, split, rows)

    monkeypatch.setattr(Passes, "sweep", seen)
    model, store, found = trained.model, MemoryStore(TWO), []
    start = trained.method.epoch_start

    def spy(run):
        start(run)
        ((split, rows),) = run_rows
        assert split == "train"
        chosen = store.rows("train")[rows]
        model.eval()
        with torch.no_grad():
            for m in TWO:
                h = model.encode_one(m, store.gather(m, chosen)).numpy()
                found.append((trained.method.prototypes[m], _means(h, store.labels[chosen].tolist(), 3)))
        model.train()

    trained.method.epoch_start = spy
    trained.fit()
    assert len(run_rows[0][1]) == 12
    assert len(found) == 2
    for prototypes, expected in found:
        np.testing.assert_allclose(prototypes.numpy(), expected, rtol=1e-4, atol=1e-5)
        assert not prototypes.requires_grad


def test_a_sweep_of_rows_is_that_part_of_the_whole_sweep(tmp_path):
    trained = _ready(tmp_path)
    whole, labels = trained.run.sweep("train")
    rows = torch.tensor([3, 5, 20])
    part, own = trained.run.sweep("train", rows)
    assert torch.equal(own, labels[rows])
    assert torch.equal(trained.run.labels, labels)
    for m in TWO:
        torch.testing.assert_close(part[m], whole[m][rows])


def test_the_part_has_each_class_and_is_another_one_every_time():
    labels = torch.tensor([0] * 40 + [2] * 20 + [3] * 2)  # none of class 1
    draws = torch.Generator().manual_seed(0)
    first, second = (balanced_part(labels, 0.1, torch.rand(62, generator=draws)) for _ in range(2))
    for part in (first, second):
        assert labels[part].bincount().tolist() == [4, 0, 2, 1]
        assert part.tolist() == sorted(set(part.tolist()))
    assert not torch.equal(first, second)
    scores = torch.rand(62, generator=draws)
    lowest = set(scores[:40].argsort()[:4].tolist())
    assert {i for i in balanced_part(labels, 0.1, scores).tolist() if i < 40} == lowest
    assert torch.equal(balanced_part(labels, 1.0, scores), torch.arange(62))


def test_a_class_without_a_sample_keeps_its_prototype_and_an_unknown_one_has_no_probability(tmp_path):
    method = _ready(tmp_path, {"epochs": 0}).method
    draws = torch.Generator().manual_seed(2)
    features = {m: torch.randn((6, 8), generator=draws) for m in TWO}
    method.renew(features, torch.tensor([0, 0, 1, 1, 0, 1]))
    h = {m: torch.randn((4, 8), generator=draws, requires_grad=True) for m in TWO}
    for m, logs in method.log_probabilities(h).items():
        expected = _probabilities(h[m], method.prototypes[m][:2])
        np.testing.assert_allclose(logs.exp()[:, :2].detach().numpy(), expected, rtol=1e-4)
        assert (logs.exp()[:, 2] == 0).all()
        entropy = -(logs.exp() * logs).sum()
        entropy.backward()
        assert torch.isfinite(h[m].grad).all()
    kept = {m: c[1].clone() for m, c in method.prototypes.items()}
    method.renew(features, torch.tensor([0, 0, 2, 2, 0, 2]))
    for m in TWO:
        assert torch.equal(method.prototypes[m][1], kept[m])
        fresh = features[m][[2, 3, 5]].mean(0)
        torch.testing.assert_close(method.prototypes[m][2], fresh)  # first seen: plain


def test_distances_are_euclidean_and_have_a_gradient_at_zero():
    draws = torch.Generator().manual_seed(3)
    x = torch.randn((40, 16), generator=draws)
    prototypes = torch.randn((31, 16), generator=draws)
    prototypes[0] = x[0]
    x.requires_grad_()
    found = distance(x, prototypes)
    np.testing.assert_allclose(
        found.detach().numpy(), cdist(x.detach().numpy(), prototypes.numpy()), rtol=1e-5, atol=1e-6
    )
    assert found[0, 0] == 0
    found[0, 0].backward(retain_graph=True)
    assert (x.grad == 0).all()
    found.sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize(
    ("mode", "scores", "beta", "gamma"),
    [
        ("paper", (4.0, 3.0), (0, 1 / 3), (1 / 3, 0)),
        ("paper", (3.0, 4.0), (1 / 3, 0), (0, 1 / 3)),
        ("paper", (9.0, 3.0), (0, 1), (1, 0)),
        ("paper", (3.3, 3.3), (0, 0), (0, 0)),
        ("paper", (0.0, 3.0), (1, 0), (0, 1)),
        ("paper", (6.0, 4.0, 5.0), (0, 0.5, 0.2), (0.5, 0, 0.25)),
        ("released", (4.0, 3.0), (0, 1), (1 / 3, 0)),
        ("released", (3.3, 3.3), (0, 0), (0, 0)),
        ("released", (6.0, 4.0, 5.0), (0, 1, 1), (0.5, 0, 0.25)),
    ],
)
def test_coefficients_by_hand(mode, scores, beta, gamma):
    found = make_method("pmr", {"mode": mode}).coefficients(torch.tensor(scores))
    for values, expected in zip(found, (beta, gamma), strict=True):
        assert values.tolist() == pytest.approx(list(expected), abs=1e-6)
        assert [v == 0 for v in values.tolist()] == [e == 0 for e in expected], "zero is exact"


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("modalities", [TWO, THREE])
def test_coefficients_are_of_the_whole_batch_and_crossed(tmp_path, modalities, accumulate):
    seen = _watched(tmp_path, None, modalities, epochs=2, accumulate=accumulate)
    for number in {part["number"] for part in seen}:
        parts = [part for part in seen if part["number"] == number]
        assert len(parts) == accumulate
        # dropout and batch norm differ between the survey and micro-batches of a step only in what is random
        scores = _scores(parts)
        beta = np.clip(scores.max() / scores - 1, 0, 1)
        gamma = np.clip(scores / scores.min() - 1, 0, 1)
        for part in parts:
            np.testing.assert_allclose(part["beta"], beta, atol=1e-4)
            np.testing.assert_allclose(part["gamma"], gamma, atol=1e-4)
            if len(modalities) == 2:
                assert part["beta"][0] * part["beta"][1] == 0
                assert part["beta"] == pytest.approx(part["gamma"][::-1], abs=1e-6), "crossed"


@pytest.mark.parametrize("modalities", [TWO, THREE])
def test_terms_by_hand_and_the_bonus_ends(tmp_path, modalities):
    options = {"alpha": 2.0, "mu": 0.3, "entropy_epochs": 2, "epochs": 3}
    seen = _watched(tmp_path, options, modalities, epochs=4)
    names = [{"task", "prototype", "entropy"}] * 2 + [{"task", "prototype"}, {"task"}]
    for part in seen:
        assert part["terms"].keys() == names[part["epoch"]]
        prototype = entropy = 0.0
        for number, (m, h) in enumerate(part["features"].items()):
            p = _probabilities(h, part["prototypes"][m])
            own = [p[i, y] for i, y in enumerate(part["labels"].tolist())]
            prototype += 2.0 * part["beta"][number] * -np.log(own).mean()
            entropy -= 0.3 * part["gamma"][number] * -(p * np.log(p)).sum(1).mean()
        expected = {"prototype": prototype, "entropy": entropy}
        for name in part["terms"].keys() - {"task"}:
            assert part["terms"][name] == pytest.approx(expected[name], rel=1e-3, abs=1e-6)


def test_released_has_no_entropy_and_a_hard_switch(tmp_path):
    for part in _watched(tmp_path, {"mode": "released"}, epochs=2):
        assert part["terms"].keys() == {"task", "prototype"}
        assert sorted(part["beta"]) == [0, 1]


@pytest.mark.parametrize("fusion", ["concat", "film"])
def test_terms_reach_the_encoder_that_they_are_for_and_nothing_else(tmp_path, fusion):
    trained = engine(tmp_path, "pmr", fusion=fusion)
    model, method = trained.model, trained.method
    objective, checked = method.objective, []

    def spy(step):
        for number, m in enumerate(TWO):
            method.beta = method.gamma = torch.eye(2)[number]
            terms = objective(step)
            for name in ("prototype", "entropy"):
                gradients = torch.autograd.grad(
                    terms[name], list(model.parameters()), retain_graph=True, allow_unused=True
                )
                own = {id(p) for p in model.own(m)}
                for p, g in zip(model.parameters(), gradients, strict=True):
                    assert id(p) in own or g is None or not g.any()
                reached = [g for p, g in zip(model.parameters(), gradients, strict=True) if id(p) in own]
                assert any(g is not None and g.any() for g in reached)
                checked.append(name)
        return terms

    method.objective = spy
    trained.fit()
    assert len(checked) == 3 * 4
    assert all(not c.requires_grad for c in method.prototypes.values())


def test_coefficients_are_constants(tmp_path):
    trained = engine(tmp_path, "pmr")
    objective, seen = trained.method.objective, []

    def spy(step):
        seen.append(trained.method.beta.requires_grad or trained.method.gamma.requires_grad)
        return objective(step)

    trained.method.objective = spy
    trained.fit()
    assert seen == [False] * 3


def test_exchanged_modalities_exchange_coefficients(tmp_path):
    method, found = _ready(tmp_path).method, []
    for scores in ((5.0, 2.9), (2.9, 5.0)):
        found.append([v.tolist() for v in method.coefficients(torch.tensor(scores))])
    assert [v[::-1] for v in found[0]] == found[1]


def test_the_pass_for_prototypes_leaves_training_as_it_was(tmp_path):
    """All passes of PMR without its terms are joint training to the bit: weights, batch norm, dropout, random state."""
    settings = {"modalities": THREE, "epochs": 3}
    joint = engine(tmp_path / "joint", **settings)
    joint.fit()
    random = torch.get_rng_state()
    trained = engine(tmp_path / "pmr", "pmr", **settings)
    objective = trained.method.objective
    trained.method.objective = lambda step: {"task": objective(step)["task"]}
    trained.fit()
    assert torch.equal(torch.get_rng_state(), random)
    assert _same(joint.model.state_dict(), trained.model.state_dict())
    assert trained.method.known.all()


def test_after_the_window_nothing_is_encoded_beside_training(tmp_path):
    trained = engine(tmp_path, "pmr", {"epochs": 1}, epochs=3)
    trained.select_split, calls = None, []
    trained.model.encoders["audio"].register_forward_hook(lambda *given: calls.append(1))
    trained.fit()
    assert trained.state.number == 9
    assert len(calls) == 9 + 1


def test_state_is_the_prototypes(tmp_path):
    first = _ready(tmp_path / "a", epochs=2).method
    second = _ready(tmp_path / "b", {"epochs": 0}).method
    assert not second.known.any()
    second.load_state_dict(first.state_dict())
    assert _same(first.prototypes, second.prototypes)
    assert second.known.all()


def test_bf16_measures_distances_in_single_precision(tmp_path):
    seen = _watched(tmp_path, precision="bf16", epochs=2)
    for part in seen:
        scores = _scores([part])
        np.testing.assert_allclose(part["beta"], np.clip(scores.max() / scores - 1, 0, 1), atol=1e-4)


def test_frozen_encoders_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"pmr: .* frozen; use regime"):
        engine(tmp_path, "pmr", frozen=True).fit()
