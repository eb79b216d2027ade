"""AGM against whole passes of copied networks on zeroed inputs, and Shapley values by all orders of arrival."""

import copy
from itertools import permutations
from math import exp, log

import pytest
import torch

from ambidex.configuration.values import Choice
from ambidex.learn.loop.responses import Responses
from ambidex.net.model import Architecture, MultimodalNet
from helpers.memory_store import CLASSES, architecture, build, engine, make_method

TWO = ("audio", "visual")
THREE = ("audio", "visual", "touch")
FREE = {"clip_above": None}


def _by_orders(values, modalities):
    """phi_m: the mean over all orders of arrival of what m adds; nobody is worth 0."""
    orders = list(permutations(modalities))
    nobody = torch.zeros_like(values[frozenset(modalities)])
    found = dict.fromkeys(modalities, nobody)
    for order in orders:
        before = nobody
        for place, name in enumerate(order, start=1):
            after = values[frozenset(order[:place])]
            found[name] = found[name] + (after - before) / len(orders)
            before = after
    return found


def _loss(phi, labels):
    chances = [
        float(row.softmax(0)[y]) for row, y in zip(phi.detach().double(), labels.tolist(), strict=True)
    ]
    return sum(-log(max(p, 1e-8)) for p in chances) / len(chances)


def _kappas(losses, means, alpha):
    def lead(values, m):
        others = [value for j, value in enumerate(values) if j != m]
        return exp(sum(others) / len(others) - values[m])

    return [exp(alpha * min(lead(means, m) - lead(losses, m), 10)) for m in range(len(losses))]


def _masked(model, inputs, present):
    """Logits of the whole network, whose absent encoders see a whole batch of zeros."""
    features = {}
    for name in model.modalities:
        x = model.normalise[name](inputs[name])
        features[name] = model.encoder(name)(x if name in present else torch.zeros_like(x))
    return model.fuse(features)[0]


def _all_values(model, step, mode):
    """v(C) by passes of copies of the model as it is in the objective; returns them and the copies."""
    resting, training = copy.deepcopy(model).eval(), copy.deepcopy(model)
    everybody = frozenset(model.modalities)
    sets = {frozenset(order[:n]) for order in permutations(model.modalities) for n in range(1, len(order))}
    if mode == "cached":
        kept = {m: h.detach() for m, h in step.features.items()}
        zeros = {
            m: resting.encoder(m)(torch.zeros(len(h), *model.encoder(m).spec.shape)) for m, h in kept.items()
        }
        values = {s: resting.fuse({m: (kept if m in s else zeros)[m] for m in kept})[0] for s in sets}
    else:
        values = {s: _masked(resting, step.inputs, s) for s in sets}
    values[everybody] = training(step.inputs)
    torch.testing.assert_close(values[everybody], step.logits)
    return values, (resting, training)


def _expected_gradients(values, copies, labels, kappas):
    """sum_m kappa_m d<g, phi_m>, g = (softmax(T) - one-hot) / B, in the order of model.parameters()."""
    names = copies[0].modalities
    logits = values[frozenset(names)].detach()
    g = (logits.softmax(1) - torch.nn.functional.one_hot(labels, len(CLASSES))) / len(labels)
    phi = _by_orders(values, names)
    sum(k * (g * phi[m]).sum() for m, k in zip(names, kappas, strict=True)).backward()
    pairs = zip(*(c.parameters() for c in copies), strict=True)
    return [sum(p.grad for p in pair if p.grad is not None) for pair in pairs]


def _gradients(model):
    return [p.grad.clone() for p in model.parameters()]


def _watched(tmp_path, options, modalities=TWO, fusion="concat", plain=False, **settings):
    """Train; per step: losses and kappa of the method, the values by the oracle, gradients before and after."""
    model = build(make_method("agm"), modalities, fusion, plain=plain)
    options = {"zeros_every": 1} | options
    trained = engine(tmp_path, "agm", options, modalities, model=model, **settings)
    method, steps = trained.method, []
    objective, gradients, coefficients = method.objective, method.gradients, method.coefficients
    now = {}

    def spy_objective(step):
        parts = now.setdefault("parts", [])
        parts.append((*_all_values(model, step, method.config.mode), step.labels))
        return objective(step)

    def spy_coefficients(losses, scored):
        now.update(losses=losses.tolist(), means=method.means.tolist())
        now["kappas"] = coefficients(losses, scored)
        return now["kappas"]

    def spy_gradients(step):
        now["before"] = _gradients(model)
        gradients(step)
        steps.append(now | {"after": _gradients(model)})
        now.clear()

    method.objective, method.gradients, method.coefficients = spy_objective, spy_gradients, spy_coefficients
    trained.fit()
    return trained, steps


@pytest.mark.parametrize("count", [2, 3, 4])
def test_responses_are_the_mean_over_all_orders_of_arrival(count):
    names = tuple("abcd"[:count])
    responses = Responses(names, torch.device("cpu"))
    values = torch.randn(len(responses.coalitions), 5, 3, generator=torch.Generator().manual_seed(count))
    game = dict(zip(responses.coalitions, values, strict=True))
    phi = torch.einsum("mc,cbk->mbk", responses.weights, values)
    for found, expected in zip(phi, _by_orders(game, names).values(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(phi.sum(0), game[frozenset(names)], rtol=1e-5, atol=1e-5)


def test_two_responses_are_those_of_the_paper():
    values = torch.randn(3, 4, 3)
    alone, other, both = values
    phi = torch.einsum("mc,cbk->mbk", Responses(TWO, torch.device("cpu")).weights, values)
    torch.testing.assert_close(phi, torch.stack([both - other + alone, both - alone + other]) / 2)


def test_a_loss_is_at_most_that_of_a_chance_of_1e_minus_8():
    values = torch.zeros(3, 2, 3)
    values[-1, 0, 0] = 200.0  # phi = 100 for class 0, both
    found = Responses(TWO, torch.device("cpu")).losses(values, torch.tensor([1, 2]))
    assert found.tolist() == pytest.approx([-log(1e-8) + log(3)] * 2)


CASES = [
    ("hook", TWO, "concat", False, 1),
    ("hook", TWO, "film", False, 1),
    ("hook", THREE, "gated", True, 1),
    ("hook", THREE, "concat", True, 2),
    ("scale", TWO, "film", False, 1),
    ("scale", THREE, "concat", True, 2),
    ("cached", TWO, "concat", False, 1),
]


@pytest.mark.parametrize(("mode", "modalities", "fusion", "plain", "accumulate"), CASES)
def test_a_step_is_the_papers(tmp_path, mode, modalities, fusion, plain, accumulate):
    """Losses of the whole batch, kappa from them, and what becomes of every gradient."""
    options = FREE | {"mode": mode, "alpha": 2.0}
    trained, steps = _watched(
        tmp_path, options, modalities, fusion, plain, accumulate=accumulate, batch_size=9, epochs=2
    )
    assert len(steps) == 6
    for step in steps:
        assert len(step["parts"]) == accumulate
        labels = torch.cat([labels for _, _, labels in step["parts"]])
        phis = [_by_orders(values, modalities) for values, _, _ in step["parts"]]
        losses = [_loss(torch.cat([phi[m] for phi in phis]), labels) for m in modalities]
        assert step["losses"] == pytest.approx(losses, rel=1e-4)
        kappas = _kappas(step["losses"], step["means"], 2.0)
        assert step["kappas"].tolist() == pytest.approx(kappas, rel=1e-4)
        if mode == "hook":
            parts = [
                (_expected_gradients(*part, kappas), len(part[-1]) / len(labels)) for part in step["parts"]
            ]
            expected = [
                sum(g * share for g, (_, share) in zip(row, parts, strict=True))
                for row in zip(*(found for found, _ in parts), strict=True)
            ]
        else:
            owner = {id(p): k for m, k in zip(modalities, kappas, strict=True) for p in trained.model.own(m)}
            factors = [owner.get(id(p), 1.0) for p in trained.model.parameters()]
            expected = [k * g for k, g in zip(factors, step["before"], strict=True)]
        scale = max(float(g.abs().max()) for g in step["after"])
        for found, wanted in zip(step["after"], expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-5 * scale)


def test_the_running_mean_by_hand():
    method = make_method("agm", {"alpha": 1.0})
    method.means, method.steps = torch.zeros(2), 0
    first = method.coefficients(torch.tensor([1.0, 2.0]))
    assert first.tolist() == pytest.approx([exp(1 - exp(1)), exp(1 - exp(-1))])  # tau = 1
    second = method.coefficients(torch.tensor([3.0, 1.0]))
    assert second.tolist() == pytest.approx([exp(exp(1) - exp(-2)), exp(exp(-1) - exp(2))])  # means 1, 2
    third = method.coefficients(torch.tensor([0.5, 0.5]))
    assert third.tolist() == pytest.approx([exp(exp(-0.5) - 1), exp(exp(0.5) - 1)])  # means 2, 1.5
    assert method.means.tolist() == pytest.approx([1.5, 3.5 / 3])
    assert method.steps == 3


@pytest.mark.parametrize("losses", [[0.3, 1.7], [1.7, 0.3], [0.4, 0.9, 2.0]])
def test_who_leads_by_more_than_on_average_is_held_back(losses):
    method = make_method("agm")
    method.means, method.steps = torch.zeros(len(losses)), 0
    kappas = method.coefficients(torch.tensor(losses)).tolist()
    assert kappas[losses.index(min(losses))] < 1 < kappas[losses.index(max(losses))]
    method.means = torch.tensor(losses) * 3  # on average the lead was larger
    kappas = method.coefficients(torch.tensor(losses)).tolist()
    assert kappas[losses.index(min(losses))] > 1


def test_ratios_of_two_are_inverse():
    """alpha = 1 and tau = 1: r = 1 - log kappa, above 1 for the smaller loss."""
    draws = torch.Generator().manual_seed(0)
    for _ in range(50):
        method = make_method("agm", {"alpha": 1.0})
        method.means, method.steps = torch.zeros(2), 0
        losses = 2 * torch.rand(2, generator=draws)
        ratios = 1 - method.coefficients(losses).log()
        assert float(ratios.prod()) == pytest.approx(1, rel=1e-4)
        assert ratios.argmax() == losses.argmin()


def test_the_gap_counts_up_to_ten():
    method = make_method("agm", {"alpha": 0.5})
    method.means, method.steps = torch.tensor([0.0, 18.0]), 1
    kappas = method.coefficients(torch.tensor([1.0, 1.0])).tolist()
    assert kappas == pytest.approx([exp(5), exp(0.5 * (exp(-18) - 1))])


def test_equal_modalities_are_left_as_they_are():
    plan = architecture(("audio",))
    given, choice = plan.inputs["audio"], plan.encoders["audio"]
    twins = Architecture({"a": given, "b": given}, {"a": choice, "b": choice}, Choice(name="sum"), CLASSES)
    model = MultimodalNet(twins)
    model.encoders["b"].load_state_dict(model.encoders["a"].state_dict())
    names = {name for name in model.fusion.state_dict() if ".a." in name}
    state = model.fusion.state_dict()
    model.fusion.load_state_dict(state | {name.replace(".a.", ".b."): state[name] for name in names})
    responses, x = Responses(("a", "b"), torch.device("cpu")), torch.randn(6, *given.shape)
    present = model.encode({"a": x, "b": x})
    absent = {m: h[:1] * 0.3 for m, h in present.items()}
    values = responses.values(model, present, absent, model.fuse(present)[0])
    losses = responses.losses(values, torch.arange(6) % 3)
    method = make_method("agm")
    method.means, method.steps = torch.tensor([0.7, 0.7]), 4
    assert method.coefficients(losses).tolist() == [1.0, 1.0]


def test_late_fusion_expands_as_the_paper_says(tmp_path):
    """Encoder a: kappa_a G(x) - (kappa_a - kappa_v) / 2 G(0); its head block likewise; the bias: mean(kappa)."""
    model = build(make_method("agm"), TWO, plain=True)
    trained = engine(tmp_path, "agm", FREE, model=model)
    objective, gradients, seen = trained.method.objective, trained.method.gradients, {}

    def spy_objective(step):
        seen.update(model=copy.deepcopy(model), inputs=step.inputs, labels=step.labels)
        return objective(step)

    def spy_gradients(step):
        kappa = dict(zip(TWO, trained.method.kappas.tolist(), strict=True))
        other = seen["model"]
        g = (step.logits.softmax(1) - torch.nn.functional.one_hot(step.labels, 3)) / len(step.labels)
        columns = model.fusion.linear.weight.grad.split(8, dim=1)
        for (name, opposite), column in zip((TWO, TWO[::-1]), columns, strict=True):
            half = (kappa[name] - kappa[opposite]) / 2
            x = other.normalise[name](seen["inputs"][name])
            block = other.fusion.columns()[name].detach()
            own = list(other.encoder(name).parameters())
            there, nothing = other.encoder(name)(x), other.encoder(name)(torch.zeros_like(x))
            at_x = torch.autograd.grad((there * (g @ block)).sum(), own)
            at_0 = torch.autograd.grad((nothing * (g @ block)).sum(), own)
            for p, full, zero in zip(model.own(name), at_x, at_0, strict=True):
                torch.testing.assert_close(p.grad, kappa[name] * full - half * zero, rtol=1e-3, atol=1e-6)
            assert not any(at_0[0].flatten()), "the first convolution sees zeros"
            expected = kappa[name] * g.T @ there - half * g.T @ nothing
            torch.testing.assert_close(column, expected.detach(), rtol=1e-3, atol=1e-6)
        mean = sum(kappa.values()) / 2
        torch.testing.assert_close(model.fusion.linear.bias.grad, mean * g.sum(0), rtol=1e-3, atol=1e-6)
        assert abs(kappa["audio"] - kappa["visual"]) > 0.01
        gradients(step)

    trained.method.objective, trained.method.gradients = spy_objective, spy_gradients
    trained.fit()
