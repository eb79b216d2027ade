"""Greedy against its equations: speeds from plain loops, gates by hand, and the steps that re-balance counted."""

from dataclasses import replace
from itertools import pairwise
from math import log10

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from ambidex.base.errors import ModelError
from ambidex.configuration.values import Choice
from ambidex.learn.method import Phase, Run, Step
from ambidex.net.model import Architecture, MultimodalNet
from helpers.memory_store import PLAIN_ENCODERS, MemoryStore, architecture, build, engine, make_method
from helpers.mmtm import by_hand

TWO = ("audio", "visual")
ALWAYS = {"threshold": 0.0}


def _plain_model(options=None, modalities=TWO):
    return build(make_method("greedy", options), modalities, plain=True)


def _watched(tmp_path, options, modalities=TWO, **settings):
    """Train the model without batch norm, and keep of each step what the oracles need."""
    settings = {"epochs": 4, "selection": "last"} | settings
    trained = engine(
        tmp_path, "greedy", options, modalities, model=_plain_model(options, modalities), **settings
    )
    method, model, steps, passes = trained.method, trained.model, [], []
    gradients, encode = method.gradients, model.encode
    for number, stage in enumerate(model.exchange.transfers()):
        for name, gate in stage.gates.items():
            gate.register_forward_hook(_note_gate(model, passes, number, name))

    def spy_encode(inputs, present=None):
        if model.training:
            passes.append(
                {
                    "inputs": {m: x.clone() for m, x in inputs.items()},
                    "held": dict(zip(sorted(modalities), model.exchange.held.tolist(), strict=True)),
                    "means": [stage.means.clone() for stage in model.exchange.transfers()],
                    "gates": [{} for _ in range(3)],
                }
            )
        return encode(inputs, present)

    def spy_gradients(step):
        before = _accumulated(method)
        known = {name: (p.detach().clone(), p.grad.clone()) for name, p in model.named_parameters()}
        gradients(step)
        steps.append(
            {
                "epoch": step.run.epoch,
                "whole": step.whole,
                "held": passes[0]["held"],
                "passes": list(passes),
                "known": known,
                "before": before,
                "after": _accumulated(method),
                "means": [stage.means.clone() for stage in model.exchange.transfers()],
            }
        )
        passes.clear()

    model.encode, method.gradients = spy_encode, spy_gradients
    trained.fit()
    return trained, steps


def _note_gate(model, passes, number, name):
    def hook(layer, given, output):
        if model.training:
            passes[-1]["gates"][number][name] = torch.sigmoid(output.detach())

    return hook


def _accumulated(method):
    return {"bypass": method.bypass.tolist(), "main": method.main.tolist()}


def _mu(known, belongs):
    """|gradient|^2 / |theta|^2 over the parameters whose name `belongs`, number by number."""
    above = below = 0.0
    for name, (value, gradient) in known.items():
        if belongs(name):
            above += sum(g * g for g in gradient.flatten().tolist())
            below += sum(w * w for w in value.flatten().tolist())
    return above / below


def _updates(known, modality):
    """mu of bypass and of main, by parameters' names."""
    bypass = _mu(
        known, lambda name: "mmtm" in name and (".squeeze." in name or f".gates.{modality}." in name)
    )
    main = _mu(known, lambda name: name.startswith((f"encoders.{modality}.", f"fusion.linears.{modality}.")))
    return bypass, main


@pytest.mark.parametrize("modalities", [TWO, TWO[::-1]])
def test_accumulators_are_the_sums_of_mu_over_regular_steps(tmp_path, modalities):
    _, steps = _watched(tmp_path, {"threshold": 0.0, "steps": 2}, modalities, epochs=3)
    sums = {"bypass": [0.0, 0.0], "main": [0.0, 0.0]}
    for step in steps:
        assert step["before"]["bypass"] == pytest.approx(sums["bypass"], rel=1e-5)
        for place, name in enumerate(sorted(modalities)) if not any(step["held"].values()) else ():
            bypass, main = _updates(step["known"], name)
            sums["bypass"][place] += bypass
            sums["main"][place] += main
        assert step["after"] == {k: pytest.approx(v, rel=1e-5) for k, v in sums.items()}
    assert len({tuple(step["after"]["main"]) for step in steps}) == 3 + 2  # 3 of epoch 0, then every third


@pytest.mark.parametrize("length", [1, 3, 5])
def test_re_balancing_lasts_exactly_so_many_steps_and_freezes_the_accumulators(tmp_path, length):
    _, steps = _watched(tmp_path, {"threshold": 0.0, "steps": length}, epochs=6)
    expected = [False] * 4 + ([True] * length + [False]) * 20  # epoch 0, and the first step of epoch 1
    held = [any(step["held"].values()) for step in steps]
    assert held == expected[: len(held)]
    assert len(held) == 18
    for step in steps:
        assert (step["before"] == step["after"]) == any(step["held"].values())
        assert sum(step["held"].values()) <= 1


def test_the_stream_that_learns_faster_through_its_gates_is_held(tmp_path):
    _, steps = _watched(tmp_path, ALWAYS | {"steps": 1, "warm_up": 0}, epochs=4)
    held = 0
    for step, following in pairwise(steps):
        speeds = [log10(b / m) for b, m in zip(step["after"]["bypass"], step["after"]["main"], strict=True)]
        if any(step["held"].values()):
            assert not any(following["held"].values())
        else:
            assert following["held"] == {"audio": speeds[0] > speeds[1], "visual": speeds[0] <= speeds[1]}
            held += 1
    assert held > 4


@pytest.mark.parametrize(("bypass", "main"), [((8.0, 1.0), (2.0, 2.0)), ((1.0, 1.0), (2.0, 7.0))])
@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9, 2.0])
def test_the_verdict_by_hand(tmp_path, bypass, main, threshold):
    trained = engine(tmp_path, "greedy", {"mode": "plain"})
    trained.fit()
    method = trained.method
    method.config = make_method("greedy", {"threshold": threshold, "steps": 4}).config
    method.updates = lambda: (torch.tensor(bypass), torch.tensor(main))
    apart = log10(bypass[0] / main[0]) - log10(bypass[1] / main[1])
    method._judge(True)
    method._hold()
    assert method.left == (4 if abs(apart) > threshold else 0)
    assert method.held.tolist() == ([apart > 0, apart <= 0] if abs(apart) > threshold else [False, False])
    method.left, method.bypass, method.main = torch.tensor(0), torch.zeros(2), torch.zeros(2)
    method._judge(False)  # in the warm-up
    assert method.left == 0
    assert method.bypass.tolist() == list(bypass)


@pytest.mark.parametrize("options", [{"mode": "plain"}, {"threshold": 0.0, "steps": 2, "warm_up": 0}])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_running_means_are_those_of_the_steps_batches(tmp_path, accumulate, options):
    """Each stream's own gates, the mean over the steps of the mean over the whole batch."""
    trained, steps = _watched(tmp_path, options, epochs=2, batch_size=9, accumulate=accumulate)
    sums = None
    for number, step in enumerate(steps, start=1):
        parts = [one["gates"] for one in step["passes"]]
        means = [
            torch.cat([torch.cat([part[i][m] for part in parts]).sum(0) / step["whole"] for m in TWO])
            for i in range(3)
        ]
        sums = means if sums is None else [a + b for a, b in zip(sums, means, strict=True)]
        for found, total in zip(step["means"], sums, strict=True):
            torch.testing.assert_close(found, total / number)
        for part in step["passes"]:  # used before it is moved, by all micro-batches alike
            previous = steps[number - 2]["means"] if number > 1 else [torch.zeros_like(m) for m in means]
            assert all(map(torch.equal, part["means"], previous))
    assert len(steps[0]["passes"]) == accumulate
    assert trained.model.exchange.steps == len(steps) == 6


def test_held_gates_stand_at_their_means():
    model = _plain_model()
    exchange, store = model.exchange, MemoryStore(TWO)
    x = {m: store.gather(m, torch.arange(6)) for m in TWO}
    _fill_means(exchange)
    model.train()
    for place, name in enumerate(TWO):
        exchange.held = torch.arange(2) == place
        expected = _with_held(model, x, name)
        found = model.encode(x)
        for m in TWO:
            torch.testing.assert_close(found[m], expected[m], rtol=1e-5, atol=1e-6)


def _fill_means(exchange):
    draws = torch.Generator().manual_seed(3)
    for stage in exchange.transfers():
        stage.means.copy_(torch.rand(stage.means.shape, generator=draws))


def _with_held(model, x, name):
    """The hand-made pass with one modality's gates replaced."""

    class Fixed:
        def __init__(self, stage):
            self.weight = torch.zeros(stage.gates[name].weight.shape)
            mean = stage.means.split(stage.sizes)[stage.names.index(name)]
            self.bias = torch.log(mean / (1 - mean))

    class Stage:
        def __init__(self, stage):
            self.squeeze = stage.squeeze
            self.gates = {m: Fixed(stage) if m == name else stage.gates[m] for m in stage.names}

    class Model:
        modalities, normalise, encoder = model.modalities, model.normalise, model.encoder
        exchange = type("Exchange", (), {"stages": [Stage(stage) for stage in model.exchange.transfers()]})

    return by_hand(Model, x)[0]


@pytest.mark.parametrize(("held", "other"), [TWO, TWO[::-1]])
def test_a_held_stream_depends_on_nothing_but_its_own_modality(held, other):
    model = _plain_model()
    _fill_means(model.exchange)
    model.exchange.held = torch.tensor([name == held for name in TWO])
    store = MemoryStore(TWO)
    x = {m: store.gather(m, torch.arange(6)).float().requires_grad_() for m in TWO}
    x["visual"] = (store.gather("visual", torch.arange(6)).float() / 255).requires_grad_()
    said = model.branches(model.encode(x))
    own, cross = torch.autograd.grad(
        said[held].square().sum(), [x[held], x[other]], retain_graph=True, allow_unused=True
    )
    assert own.abs().sum() > 0
    assert cross is None or not cross.any()
    (told,) = torch.autograd.grad(said[other].square().sum(), [x[held]], retain_graph=True)
    assert told.abs().sum() > 0
    moved = model.branches(model.encode({held: x[held], other: x[other].flip(0)}))
    assert torch.equal(moved[held], said[held])
    assert not torch.equal(moved[other], said[other])
    changed = model.branches(model.encode({held: x[held].flip(0), other: x[other]}))
    assert not torch.equal(changed[other], said[other])
    sum(y.square().sum() for y in said.values()).backward()
    for stage in model.exchange.transfers():
        assert not any(p.grad.any() for p in stage.gates[held].parameters() if p.grad is not None)
        assert all(p.grad.any() for p in stage.gates[other].parameters())
        assert stage.squeeze.weight.grad.any()


def test_gates_have_a_gradient_and_running_means_none():
    model = _plain_model()
    store = MemoryStore(TWO)
    x = {m: store.gather(m, torch.arange(6)) for m in TWO}
    model.exchange.held = torch.tensor([False, False])
    sum(y.square().sum() for y in model.branches(model.encode(x)).values()).backward()
    for stage in model.exchange.transfers():
        assert all(p.grad.any() for p in stage.parameters())
        assert not stage.sums.requires_grad
        assert stage.sums.grad_fn is None


def _same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_with_a_threshold_out_of_reach_it_is_the_plain_mmtm_bit_for_bit(tmp_path):
    states = []
    for name, options in (
        ("far", {"threshold": 1e30}),
        ("plain", {"mode": "plain"}),
        ("late", {"warm_up": 9}),
    ):
        trained = engine(tmp_path / name, "greedy", options, epochs=3, selection="last", optimizer="adam")
        trained.fit()
        states.append(trained.model.state_dict() | {"random": torch.get_rng_state()})
    assert _same(states[0], states[1])
    assert _same(states[2], states[1])


def test_the_plain_mode_trains_as_a_loop_by_hand(tmp_path):
    model = _plain_model()
    trained = engine(tmp_path, "greedy", {"mode": "plain"}, model=_plain_model(), epochs=2, selection="last")
    trained.fit()
    optimiser = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=1e-4)
    for epoch in range(2):
        for _, (batch,) in trained.batches.epoch("train", epoch, 8, 1):
            features, _ = by_hand(model, batch.inputs)
            losses = [F.cross_entropy(model.fusion.linears[m](features[m]), batch.labels) for m in TWO]
            optimiser.zero_grad()
            sum(losses).backward()
            optimiser.step()
    for name, value in model.named_parameters():
        torch.testing.assert_close(trained.model.get_parameter(name), value, rtol=1e-3, atol=1e-5)


def test_the_prediction_is_the_mean_of_two_classifiers_and_the_loss_the_sum_of_theirs(tmp_path):
    trained = engine(tmp_path, "greedy")
    seen, objective = [], trained.method.objective

    def spy(step):
        terms = objective(step)
        layers = step.run.model.fusion.linears
        own = {m: layers[m](step.features[m]) for m in TWO}
        seen.append(1)
        torch.testing.assert_close(step.logits, (own["audio"] + own["visual"]) / 2)
        torch.testing.assert_close(sum(step.contributions.values()), step.logits, rtol=0, atol=0)
        torch.testing.assert_close(step.run.model.branches(step.features), own)
        assert terms.keys() == own.keys()
        for m, y in own.items():
            torch.testing.assert_close(terms[m], F.cross_entropy(y, step.labels))
        return terms

    trained.method.objective = spy
    trained.fit()
    assert len(seen) == 3


def test_validation_holds_nothing_and_counts_nothing(tmp_path):
    trained = engine(tmp_path, "greedy", ALWAYS, epochs=2, selection="last")
    trained.fit()
    exchange = trained.model.exchange
    assert trained.method.left > 0
    assert exchange.steps == 6
    before = {name: value.clone() for name, value in exchange.named_buffers()}
    scored = trained.passes.score("val")
    exchange.held = None
    assert trained.passes.score("val") == scored
    assert _same(dict(exchange.named_buffers()), before)


def _twins(mirrored):
    """Two modalities alike, with encoders, classifiers and exchange that are each other's mirror image."""
    plan = architecture(("audio",))
    given = plan.inputs["audio"]
    names = ("left", "right")
    plan = Architecture(
        dict.fromkeys(names, given),
        dict.fromkeys(names, PLAIN_ENCODERS["audio"]),
        Choice(name="sum", mean=True),
        plan.classes,
    ).adding("mmtm", ratio=4)
    torch.manual_seed(0)
    model = MultimodalNet(plan)
    if mirrored:
        with torch.no_grad():
            model.encoder("right").load_state_dict(model.encoder("left").state_dict())
            model.fusion.linears["right"].load_state_dict(model.fusion.linears["left"].state_dict())
            for stage in model.exchange.transfers():
                stage.gates["right"].load_state_dict(stage.gates["left"].state_dict())
                half = stage.squeeze.in_features // 2
                stage.squeeze.weight[:, half:] = stage.squeeze.weight[:, :half]
    return model


@pytest.mark.parametrize("mirrored", [True, False])
def test_twins_learn_equally_fast(mirrored):
    model, method = _twins(mirrored), make_method("greedy", {"threshold": 1e-4, "warm_up": 0})
    run = Run(model, model.modalities, 1, 12, torch.Generator(), lambda name, value: None)
    method.setup(run)
    step = Step(run, Phase(), lambda value: value)
    store = MemoryStore(("audio",))
    x, step.labels = store.gather("audio", torch.arange(12)), store.labels[:12]
    for _ in range(3):
        step.whole, step.features = 12, model.encode({"left": x, "right": x})
        step.logits, step.contributions = model.fuse(step.features)
        model.zero_grad()
        sum(method.objective(step).values()).backward()
        method.gradients(step)
        assert bool(method.left == 0) == mirrored
    first, second = method.speeds().tolist()
    assert (abs(first - second) < 1e-5) == mirrored


@pytest.mark.slow
def test_at_random_each_kind_of_step_is_as_frequent(tmp_path):
    _, steps = _watched(tmp_path, {"mode": "random"}, epochs=60)
    kinds = [tuple(step["held"].values()) for step in steps]
    assert set(kinds[:4]) == {(False, False)}  # warm-up, and the first step after it
    rest = kinds[4:]
    assert len(rest) == 176
    for kind in ((False, False), (True, False), (False, True)):
        assert abs(rest.count(kind) - len(rest) / 3) < 3 * (len(rest) * 2 / 9) ** 0.5
    changes = sum(a != b for a, b in pairwise(rest))
    assert abs(changes - len(rest) * 2 / 3) < 3 * (len(rest) * 2 / 9) ** 0.5  # independent of the step before


def test_its_state_survives_a_checkpoint(tmp_path):
    trained = engine(tmp_path, "greedy", ALWAYS, epochs=2, selection="last")
    trained.fit()
    method, other = trained.method, make_method("greedy", ALWAYS)
    other.setup(trained.run)
    assert not trained.model.exchange.held.any()
    other.load_state_dict(method.state_dict())
    assert trained.model.exchange.held.any()
    assert torch.equal(other.held, method.held)
    assert _accumulated(other) == _accumulated(method)
    assert other.left == method.left


@pytest.mark.parametrize("options", [{}, {"mode": "random"}])
def test_one_pass_a_step(tmp_path, options):
    trained = engine(tmp_path, "greedy", options | {"warm_up": 0}, epochs=2)
    trained.select_split, calls, losses, backward = None, [], [], trained.method.backward
    for number in range(3):
        trained.model.exchange.stages[number].register_forward_hook(lambda *given: calls.append(1))
    trained.method.backward = lambda step, loss: (losses.append(1), backward(step, loss))
    trained.fit()
    assert len(calls) / 3 == len(losses) == trained.state.number == 6


class _Synchronisations(TorchDispatchMode):
    """Counts what makes the host wait for the device: a tensor's value asked for."""

    def __init__(self):
        super().__init__()
        self.found = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.found += func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("options", [{}, {"mode": "random"}])
def test_no_step_waits_for_the_verdict(tmp_path, options):
    trained = engine(tmp_path, "greedy", options | {"warm_up": 0}, epochs=2, log_every=1000)
    counted, gradients, encode = [], trained.method.gradients, trained.model.encode

    def watched(call):
        def run(*given):
            with _Synchronisations() as mode:
                found = call(*given)
            counted.append(mode.found)
            return found

        return run

    trained.method.gradients, trained.model.encode = watched(gradients), watched(encode)
    trained.fit()
    assert len(counted) > 12
    assert not any(counted[2:])  # the first step is logged


def test_bf16_is_measured_in_single_precision(tmp_path):
    trained = engine(tmp_path, "greedy", ALWAYS | {"warm_up": 0}, precision="bf16", epochs=3)
    trained.fit()
    assert trained.method.bypass.dtype == torch.float32
    assert all(torch.isfinite(value).all() for value in trained.model.state_dict().values())
    assert all(stage.means.dtype == torch.float32 for stage in trained.model.exchange.transfers())


def test_encoders_without_stages_are_refused_in_one_line(tmp_path):
    with pytest.raises(ModelError) as caught:
        engine(tmp_path, "greedy", modalities=("audio", "touch")).fit()
    assert str(caught.value) == (
        "method greedy: exchanges between the stages of encoders, 'mlp' of touch has none; use resnet18 or small_cnn"
    )


@pytest.mark.parametrize("modalities", [("audio",), ("audio", "visual", "touch")])
def test_other_numbers_of_modalities_are_refused(tmp_path, modalities):
    with pytest.raises(ModelError, match=r"^method greedy: .* modalities, the model has"):
        engine(tmp_path, "greedy", modalities=modalities).fit()


def test_frozen_encoders_are_refused(tmp_path):
    with pytest.raises(ModelError, match="frozen; use regime scratch or pretrained"):
        engine(tmp_path, "greedy", frozen=True).fit()


def test_the_ratio_reaches_the_model():
    plan = make_method("greedy", {"ratio": 8}).architecture(architecture(TWO, fusion="film"))
    expected = replace(architecture(TWO), fusion=Choice(name="sum", mean=True))
    assert plan == expected.adding("mmtm", ratio=8)
    assert MultimodalNet(plan).exchange.stages[0].squeeze.out_features == 2 * 8 // 8
