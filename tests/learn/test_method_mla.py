"""MLA against a loop written by hand, recursive least squares against matrix inverses, and what must not move."""

import copy
import csv

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import softmax
from scipy.stats import entropy

from ambidex.base.errors import ModelError
from ambidex.configuration.values import Choice
from ambidex.learn.method import Phase, Step
from ambidex.learn.methods.mla import least_squares
from ambidex.net.model import MultimodalNet
from helpers.memory_store import architecture, build, engine, make_method

TWO = ("audio", "visual")
THREE = ("audio", "visual", "touch")
RATE, MOMENTUM, DECAY, SIZE, SAMPLES = 0.05, 0.9, 1e-4, 7, 24
STEPS = 4  # batches of 7, 7, 7 and 3 samples


def _engine(tmp_path, options, modalities=TWO, plain=False, **settings):
    model = build(make_method("mla", options), modalities, plain=plain)
    settings = {"batch_size": SIZE, "selection": "last", "weight_decay": DECAY, **settings}
    return engine(tmp_path, "mla", options, modalities, model=model, **settings)


def _by_hand(trained, epochs, project):
    """Alternating training in plain torch; `project(gradient, mean, t)` gives the head's gradient, t of 0 ... 3."""
    torch.manual_seed(0)
    model, modalities = copy.deepcopy(trained.model).train(), sorted(trained.model.modalities)
    head = model.fusion.shared
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=MOMENTUM, weight_decay=DECAY)
    for epoch in range(epochs):
        for t, (_, (batch,)) in enumerate(trained.batches.epoch("train", epoch, SIZE, 1)):
            for name in modalities:
                for parameter in model.parameters():
                    parameter.grad = None
                h = model.encoders[name](model.normalise[name](batch.inputs[name]))
                F.cross_entropy(F.linear(h, head.weight, head.bias), batch.labels).backward()
                head.weight.grad = project(head.weight.grad, h.detach().mean(0), t)
                optimizer.step()
    return model.state_dict()


class _Inverse:
    """P by the rule that it must equal: the inverse of I + sum of hbar hbar^T / alpha_t, by NumPy."""

    def __init__(self, dim, fnorm=False, alpha=0.1):
        self.inverse, self.first, self.fnorm, self.alpha = np.eye(dim), True, fnorm, alpha

    def __call__(self, gradient, mean, t):
        if not self.first:
            h = mean.double().numpy()
            self.inverse = self.inverse + np.outer(h, h) / self.alpha ** (1 + t / STEPS)
            if self.fnorm:  # P / n: the inverse times n
                self.inverse = self.inverse * np.linalg.norm(np.linalg.inv(self.inverse))
        self.first = False
        return torch.from_numpy(gradient.double().numpy() @ np.linalg.inv(self.inverse)).float()


@pytest.mark.parametrize("modalities", [TWO, ("visual", "audio"), THREE])
def test_without_projection_it_is_alternating_training_bit_for_bit(tmp_path, modalities):
    options = {"projection": "none"}
    trained = _engine(tmp_path, options, modalities, plain=True, epochs=2)
    expected = _by_hand(trained, 2, lambda gradient, mean, t: gradient)
    trained.fit()
    for name, value in trained.model.state_dict().items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize("modalities", [TWO, THREE])
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("options", [{}, {"alpha": 0.3}, {"projection": "owm_fnorm"}])
def test_the_projector_is_an_inverse_and_the_heads_gradient_is_projected(
    tmp_path, options, accumulate, modalities
):
    trained = _engine(tmp_path, options, modalities, plain=True, epochs=2, accumulate=accumulate)
    oracle = _Inverse(8, fnorm="projection" in options, alpha=options.get("alpha", 0.1))
    expected = _by_hand(trained, 2, oracle)
    trained.fit()
    for name, value in trained.model.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-5)
    found = trained.method.projector.numpy()
    np.testing.assert_allclose(found, np.linalg.inv(oracle.inverse), rtol=1e-3, atol=1e-5)
    if "projection" in options:
        assert np.linalg.norm(found) == pytest.approx(1)


def test_recursive_least_squares_is_the_inverse_with_eigenvalues_of_zero_to_one():
    draws = np.random.default_rng(0)
    projector, inverse = torch.eye(12, dtype=torch.float64), np.eye(12)
    for t in range(40):
        h, alpha = draws.normal(size=12) * 3 + 2, 0.1 ** (1 + t % 10 / 10)
        before, mean = projector, torch.from_numpy(h)
        projector = least_squares(before, mean, alpha)
        inverse += np.outer(h, h) / alpha
        np.testing.assert_allclose(projector.numpy(), np.linalg.inv(inverse), rtol=1e-6, atol=1e-9)
        quadratic = float(mean @ before @ mean)
        factor = alpha / (alpha + quadratic)
        torch.testing.assert_close(projector @ mean, factor * (before @ mean), rtol=1e-6, atol=1e-12)
        assert torch.equal(projector, projector.T)
        values = np.linalg.eigvalsh(projector.numpy())
        assert values.min() > -1e-12
        assert values.max() < 1 + 1e-12


def test_what_a_step_changes_on_the_direction_is_scaled_by_the_factor():
    torch.manual_seed(0)
    mean, other = torch.randn(2, 6, dtype=torch.float64)
    gradient = torch.randn(3, 6, dtype=torch.float64)
    before = least_squares(torch.eye(6, dtype=torch.float64), other, 0.07)
    after = least_squares(before, mean, 0.05)
    factor = 0.05 / (0.05 + mean @ before @ mean)
    torch.testing.assert_close(gradient @ after @ mean, factor * (gradient @ before @ mean))


def test_thousands_of_batches_leave_a_projector():
    """Few directions, far from the origin, as frozen features are: eigenvalues stay within 0 and 1."""
    torch.manual_seed(0)
    low = torch.randn(2, 32, dtype=torch.float64)
    centres, projector = 100 * torch.rand(2, 32, dtype=torch.float64), torch.eye(32, dtype=torch.float64)
    for t in range(4_000):
        mean = centres[t % 2] + torch.randn(2, dtype=torch.float64) @ low
        projector = least_squares(projector, mean, 0.1 ** (1 + t % 100 / 100))
    values = torch.linalg.eigvalsh(projector)
    assert values.min() > -1e-9
    assert values.max() < 1 + 1e-9


def _watched(tmp_path, options=None, modalities=TWO, **settings):
    """Train; of each update: the modality, the gradients of the head before and after, and what moved."""
    trained = _engine(tmp_path, options or {}, modalities, **settings)
    method, seen = trained.method, []
    gradients, step, objective = method.gradients, method.step, method.objective

    def snapshot(name):
        parameters = trained.model.own(name)
        kept = [trained.optimizer.state[p] for p in parameters if p in trained.optimizer.state]
        kept = [value.clone() for state in kept for value in state.values() if torch.is_tensor(value)]
        return [p.detach().clone() for p in parameters] + kept

    def spy_step(given):
        update = given.update

        def spy_update(names=None):
            before = {m: snapshot(m) for m in modalities}
            seen.append({"names": names, "terms": []})
            update(names)
            after = {m: snapshot(m) for m in modalities}
            same = {
                m: len(before[m]) == len(after[m]) and all(map(torch.equal, before[m], after[m]))
                for m in modalities
            }
            seen[-1] |= {"moved": {m for m in modalities if not same[m]}, "logits": given.logits.clone()}
            seen[-1] |= {"labels": given.labels}

        given.update = spy_update
        step(given)

    def spy_gradients(given):
        head = trained.model.fusion.shared
        owners = {m for m in modalities if any(p.grad is not None for p in trained.model.own(m))}
        seen[-1] |= {"owners": owners, "before": [p.grad.clone() for p in head.parameters()]}
        gradients(given)
        seen[-1]["after"] = [p.grad.clone() for p in head.parameters()]

    def spy_objective(given):
        terms = objective(given)
        seen[-1]["terms"].append((len(given.labels), {k: v.item() for k, v in terms.items()}))
        return terms

    method.step, method.gradients, method.objective = spy_step, spy_gradients, spy_objective
    trained.fit()
    return trained, seen


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("modalities", [TWO, ("visual", "touch", "audio")])
def test_an_update_leaves_the_other_encoders_and_their_momentum_as_they_are(tmp_path, modalities, optimizer):
    _, seen = _watched(tmp_path, modalities=modalities, optimizer=optimizer, epochs=2)
    assert [update["names"] for update in seen] == [(m,) for m in sorted(modalities)] * 2 * STEPS
    for update in seen:
        assert update["moved"] == update["owners"] == {*update["names"]}


def test_the_first_gradient_and_every_bias_are_not_projected(tmp_path):
    _, seen = _watched(tmp_path, epochs=2)
    for number, update in enumerate(seen):
        assert torch.equal(update["before"][1], update["after"][1])
        assert torch.equal(update["before"][0], update["after"][0]) == (number == 0)
        if number:
            assert update["after"][0].norm() < update["before"][0].norm()


@pytest.mark.parametrize(
    ("options", "rule"),
    [({}, "entropy"), ({"weights": "fixed", "fixed": {"audio": 3, "visual": 1}}, "fixed")],
)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_history_counts_each_batch_once_and_fuses_what_its_steps_said(tmp_path, options, rule, accumulate):
    _, seen = _watched(tmp_path, options, accumulate=accumulate)
    hits, alone, losses = 0, dict.fromkeys(TWO, 0), dict.fromkeys(TWO, 0.0)
    for pair in zip(seen[::2], seen[1::2], strict=True):
        z, labels = [update["logits"].double().numpy() for update in pair], pair[0]["labels"].numpy()
        weights = softmax([-entropy(softmax(logits, axis=1), axis=1) for logits in z], axis=0)
        if rule == "fixed":
            weights = np.array([[0.75], [0.25]])
        hits += (
            sum(w[:, None] * logits for w, logits in zip(weights, z, strict=True)).argmax(1) == labels
        ).sum()
        for m, logits, update in zip(TWO, z, pair, strict=True):
            alone[m] += (logits.argmax(1) == labels).sum()
            losses[m] += sum(count * terms[m] for count, terms in update["terms"])
    (row,) = csv.DictReader((tmp_path / "history.csv").open())
    assert float(row["train/accuracy/fused"]) == pytest.approx(hits / SAMPLES)
    for m in TWO:
        assert float(row[f"train/accuracy/{m}"]) == pytest.approx(alone[m] / SAMPLES)
        assert float(row[f"train/loss/{m}"]) == pytest.approx(losses[m] / SAMPLES, rel=1e-5)
    assert {key for key in row if "loss" in key} == {f"train/loss/{m}" for m in TWO}


def test_validation_is_judged_by_the_fused_prediction(tmp_path):
    trained = _engine(tmp_path, {})
    trained.fit()
    store = trained.batches.store
    rows = store.rows("val")
    with torch.no_grad():
        h = trained.model.encode({m: store.gather(m, rows) for m in TWO})
        z = {m: said.numpy() for m, said in trained.model.fusion.branches(h).items()}
    weights = softmax([-entropy(softmax(logits, axis=1), axis=1) for logits in z.values()], axis=0)
    fused = sum(w[:, None] * logits for w, logits in zip(weights, z.values(), strict=True))
    (row,) = csv.DictReader((tmp_path / "history.csv").open())
    labels = store.labels[rows].numpy()
    assert float(row["val/accuracy/fused"]) == pytest.approx((fused.argmax(1) == labels).mean())
    for m, logits in z.items():
        assert float(row[f"val/accuracy/{m}"]) == pytest.approx((logits.argmax(1) == labels).mean())


def test_each_encoder_runs_once_a_batch_and_the_engine_counts_batches(tmp_path):
    trained = _engine(tmp_path, {}, THREE, epochs=2)
    trained.select_split = None
    forward, backward, steps = [], [], []
    for m in THREE:
        trained.model.encoders[m].register_forward_hook(lambda *given, m=m: forward.append(m))
    method, gradients, step_back = trained.method, trained.method.gradients, trained.method.backward
    method.gradients = lambda step: (steps.append(1), gradients(step))
    method.backward = lambda step, loss: (backward.extend(step.features), step_back(step, loss))
    trained.fit()
    assert trained.state.number == 2 * STEPS
    assert forward == backward == sorted(THREE) * 2 * STEPS
    assert len(steps) == 3 * 2 * STEPS


def test_its_state_survives_a_checkpoint_in_mid_epoch(tmp_path):
    trained = _engine(tmp_path, {}, epochs=2)
    trained.fit()
    method = trained.method
    method.batch = 2
    other = make_method("mla")
    other.setup(trained.run)
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.projector, method.projector)
    assert (other.updates, other.batch) == (2 * 2 * STEPS, 2)
    method.epoch_start(trained.run)
    assert (method.updates, method.batch) == (2 * 2 * STEPS, 0)


def test_under_bf16_the_projector_is_of_the_features_in_double_precision(tmp_path):
    trained = _engine(tmp_path, {}, epochs=2, precision="bf16")
    means, take_in = [], trained.method._take_in

    def spy(step):
        ((_, feature),) = step.features.items()
        means.append((feature.double().mean(0).numpy(), trained.method.batch))
        take_in(step)

    trained.method._take_in = spy
    trained.fit()
    inverse = np.eye(8) + sum(np.outer(h, h) / 0.1 ** (1 + t / STEPS) for h, t in means)
    assert trained.method.projector.dtype == torch.float64
    np.testing.assert_allclose(trained.method.projector.numpy(), np.linalg.inv(inverse), rtol=1e-4, atol=1e-6)


def test_the_mean_is_that_of_all_ranks(tmp_path):
    """As one of two ranks, with 3 of the step's 5 samples."""
    trained = _engine(tmp_path, {})
    trained.fit()
    method, h = trained.method, torch.rand(5, 8)
    method.projector, method.batch = torch.eye(8, dtype=torch.float64), 1
    step = Step(trained.run, Phase(), lambda value: value + h[3:].sum(0), features={"visual": h[:3]})
    step.whole = 5
    method.gradients(step)
    expected = np.linalg.inv(np.eye(8) + np.outer(h.mean(0), h.mean(0)) / 0.1 ** (1 + 1 / STEPS))
    np.testing.assert_allclose(method.projector.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_frozen_encoders_stay_and_the_head_alternates(tmp_path):
    trained = engine(tmp_path, "mla", frozen=True)
    before = {k: v.clone() for k, v in trained.model.state_dict().items()}
    trained.fit()
    after = trained.model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"fusion.shared.weight", "fusion.shared.bias"}


def test_one_modality_is_refused(tmp_path):
    with pytest.raises(ModelError, match="method mla: needs at least 2 modalities, the model has 1"):
        engine(tmp_path, "mla", modalities=("audio",)).fit()


def test_features_of_other_lengths_need_a_common_one(tmp_path):
    plan = architecture(TWO)
    encoders = plan.encoders | {"visual": Choice(name="small_cnn", width=4, dim=12)}
    plan = type(plan)(plan.inputs, encoders, plan.fusion, plan.classes)
    with pytest.raises(ModelError, match="found audio 8, visual 12"):
        MultimodalNet(make_method("mla").architecture(plan))
    method = make_method("mla", {"dim": 10})
    trained = engine(tmp_path, "mla", {"dim": 10}, model=MultimodalNet(method.architecture(plan)))
    trained.fit()
    assert trained.method.projector.shape == (10, 10)
