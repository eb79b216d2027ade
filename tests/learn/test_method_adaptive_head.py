"""Adaptive head: the weights' gradient and update by hand, and that nothing else in the model feels them."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from ambidex.net.additions.category_weights import CategoryWeights
from ambidex.net.contributions.coalitions import coalition_logits
from ambidex.net.model import load_model, save_model
from helpers.memory_store import MemoryStore, engine, make_method

SAMPLES = 24


def _probabilities(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def _by_hand(model, features):
    """The plain contributions [M, B, C] of a concat head, from its weights."""
    w, b = (p.detach().double().numpy() for p in (model.fusion.linear.weight, model.fusion.linear.bias))
    h = [f.detach().double().numpy() for f in features.values()]
    blocks = np.split(w, np.cumsum([x.shape[1] for x in h])[:-1], axis=1)
    return np.stack([x @ block.T + b / len(h) for x, block in zip(h, blocks, strict=True)])


def _parameter(model):
    return model.addition(CategoryWeights).category_weights


def _weights(trained):
    return _parameter(trained.model).detach().double().numpy()


def _start_from(trained, values):
    with torch.no_grad():
        _parameter(trained.model).copy_(torch.tensor(values))
    return np.array(values, dtype=np.float32).astype(float)


def _penalty(a, strength, shrinkage, samples):
    mean = a.mean(1)
    return (strength * ((a - mean[:, None]) ** 2).sum() + shrinkage * ((mean - 1) ** 2).sum()) / (2 * samples)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_gradient_and_step_of_the_weights_by_hand(tmp_path, accumulate):
    options = {"rate": 8.0, "strength": 2.0, "shrinkage": 9.0}
    trained = engine(
        tmp_path, "adaptive_head", options, batch_size=SAMPLES, accumulate=accumulate, frozen=True
    )
    with torch.no_grad():
        trained.model.fusion.linear.weight.mul_(4)
    before = _start_from(trained, [[0.01, 1.0, 2.0], [0.5, 1.5, 0.02]])
    seen, checked = [], []
    objective, gradients = trained.method.objective, trained.method.gradients

    def look(step):
        terms = objective(step)
        z, labels = _by_hand(trained.model, step.features), step.labels.numpy()
        p = _probabilities((before[:, None] * z).sum(0))
        rows = np.arange(len(labels))
        assert terms["category_weights"].item() == pytest.approx(-np.log(p[rows, labels]).mean(), rel=1e-5)
        p[rows, labels] -= 1
        seen.append((z * p).sum(1))
        return terms

    def check(step):
        gradient = sum(seen) / SAMPLES
        found = _parameter(trained.model).grad.double().numpy()
        np.testing.assert_allclose(found, gradient, rtol=1e-4, atol=1e-6)
        gradients(step)
        start = before - options["rate"] * gradient

        def proximal(flat):
            a = flat.reshape(start.shape)
            away = ((a - start) ** 2).sum() / (2 * options["rate"])
            return away + _penalty(a, options["strength"], options["shrinkage"], SAMPLES)

        expected = minimize(proximal, start.ravel(), tol=1e-12).x.reshape(start.shape)
        assert (expected < 0).any(), "choose numbers that make the projection work"
        np.testing.assert_allclose(_weights(trained), expected.clip(min=0), atol=1e-5)
        checked.append(True)

    trained.method.objective, trained.method.gradients = look, check
    trained.fit()
    assert checked == [True]
    assert len(seen) == accumulate


def test_the_weights_arrive_at_the_minimum_of_the_stated_loss(tmp_path):
    options = {"rate": 2.0, "strength": 12.0, "shrinkage": 36.0}
    settings = {"epochs": 60, "batch_size": SAMPLES, "learning_rate": 1e-12, "selection": "last"}
    trained = engine(tmp_path, "adaptive_head", options, frozen=True, **settings)
    model = trained.model
    with torch.no_grad():
        model.fusion.linear.weight.mul_(3)
    trained.fit()
    store = MemoryStore(("audio", "visual"))
    rows = store.rows("train")
    with torch.no_grad():
        features = model.encode({m: store.gather(m, rows) for m in model.modalities})
    z, labels = _by_hand(model, features), store.labels[rows].numpy()

    def loss(flat):
        a = flat.reshape(2, 3)
        p = _probabilities((a[:, None] * z).sum(0))
        return -np.log(p[np.arange(SAMPLES), labels]).mean() + _penalty(a, 12.0, 36.0, SAMPLES)

    best = minimize(loss, np.ones(6), bounds=[(0, None)] * 6, tol=1e-12).x.reshape(2, 3)
    assert np.abs(best - 1).max() > 0.05
    assert np.ptp(best, axis=1).max() > 0.05
    assert (best > 0).all()
    np.testing.assert_allclose(_weights(trained), best, atol=1e-4)


@pytest.mark.parametrize(("own", "other", "options"), [(1.0, "multi_task", {}), (0.0, "joint", None)])
def test_encoders_and_head_train_as_if_the_weights_were_not_there(tmp_path, own, other, options):
    settings = {
        "modalities": ("audio", "visual", "touch"),
        "epochs": 3,
        "optimizer": "adamw",
        "weight_decay": 0.1,
        "clip_norm": 0.5,
        "selection": "last",
    }
    plain = engine(tmp_path / "plain", other, options, **settings)
    plain.fit()
    adaptive = engine(tmp_path / "adaptive", "adaptive_head", {"weight": own, "rate": 1.0}, **settings)
    adaptive.fit()
    found = adaptive.model.state_dict()
    for name, value in plain.model.state_dict().items():
        assert torch.equal(found[name], value), name
    assert np.abs(_weights(adaptive) - 1).max() > 0.01


def test_the_weights_loss_has_no_gradient_but_theirs(tmp_path):
    trained = engine(tmp_path, "adaptive_head")
    objective, checked = trained.method.objective, []

    def look(step):
        terms = objective(step)
        weights = _parameter(trained.model)
        rest = [p for p in trained.model.parameters() if p is not weights]
        of_term = torch.autograd.grad(
            terms["category_weights"], [weights, *rest], retain_graph=True, allow_unused=True
        )
        assert of_term[0] is not None
        assert all(g is None for g in of_term[1:])
        for name in ("task", "audio", "visual"):
            assert torch.autograd.grad(terms[name], weights, retain_graph=True, allow_unused=True) == (None,)
        checked.append(True)
        return terms

    trained.method.objective = look
    trained.fit()
    assert checked


def test_rate_zero_keeps_every_weight_at_one(tmp_path):
    trained = engine(tmp_path, "adaptive_head", {"rate": 0.0}, epochs=2)
    trained.fit()
    assert torch.equal(_parameter(trained.model), torch.ones(2, 3))
    assert not _parameter(trained.model).requires_grad


def test_no_weight_is_ever_negative(tmp_path):
    trained = engine(tmp_path, "adaptive_head", {"rate": 30.0, "strength": 0.0, "shrinkage": 0.0}, epochs=3)
    gradients, lowest = trained.method.gradients, []

    def look(step):
        gradients(step)
        lowest.append(_parameter(trained.model).min().item())

    trained.method.gradients = look
    trained.fit()
    assert min(lowest) == 0, "the rate must be large enough to reach the bound"
    assert len(lowest) == 9


def test_a_huge_strength_leaves_one_weight_per_modality(tmp_path):
    trained = engine(
        tmp_path,
        "adaptive_head",
        {"rate": 1.0, "strength": 1e9, "shrinkage": 0.0},
        epochs=3,
        selection="last",
    )
    trained.fit()
    found = _weights(trained)
    assert np.ptp(found, axis=1).max() < 1e-6
    assert np.abs(found - 1).max() > 0.01


def test_a_saved_model_alone_predicts_with_the_weights(tmp_path):
    trained = engine(tmp_path / "run", "adaptive_head", {"rate": 1.0}, epochs=2)
    trained.fit()
    save_model(trained.model, tmp_path / "model")
    model = load_model(tmp_path / "model")
    assert torch.equal(_parameter(model), _parameter(trained.model))
    store = MemoryStore(model.modalities)
    inputs = {m: store.gather(m, store.rows("test")) for m in model.modalities}
    with torch.no_grad():
        features = model.encode(inputs)
        logits, contributions = model.fuse(features)
    z = _by_hand(model, features) * _weights(trained)[:, None]
    np.testing.assert_allclose(torch.stack(list(contributions.values())).numpy(), z, atol=1e-5)
    np.testing.assert_allclose(logits.numpy(), z.sum(0), atol=1e-5)
    assert torch.equal(logits, contributions["audio"] + contributions["visual"])
    share = model.fusion.linear.bias / 2 * _parameter(model)
    for (m, block), bias in zip(model.blocks().items(), share, strict=True):
        torch.testing.assert_close(features[m] @ block.T + bias, contributions[m])


def test_coalitions_are_of_the_weighted_contributions():
    torch.manual_seed(0)
    model = engine_model()
    store = MemoryStore(model.modalities)
    with torch.no_grad():
        features = model.encode({m: store.gather(m, store.rows("test")) for m in model.modalities})
        absent = {m: torch.zeros_like(h) for m, h in features.items()}
        for kept, logits in coalition_logits(model, features, absent).items():
            expected = model.fuse({m: (features if m in kept else absent)[m] for m in features})[0]
            torch.testing.assert_close(logits, expected)


def engine_model():
    from helpers.memory_store import build

    model = build(make_method("adaptive_head"), ("audio", "visual", "touch")).eval()
    with torch.no_grad():
        _parameter(model).uniform_(0, 2)
    return model
