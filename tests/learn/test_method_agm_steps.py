"""AGM within the engine: what it leaves untouched, what it costs, when it acts, and how it clips."""

from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ambidex.base.errors import ModelError
from ambidex.configuration.optimisation import Optimisation
from ambidex.learn.loop.responses import Responses
from ambidex.learn.method import METHODS
from helpers.memory_store import architecture, build, engine, make_method

TWO = ("audio", "visual")
THREE = ("audio", "visual", "touch")
MODES = ["hook", "scale", "cached"]
FREE = {"clip_above": None}


def _gradients(model):
    return [p.grad.clone() for p in model.parameters()]


def _spied(tmp_path, options, **settings):
    """Train two epochs on two modalities; per step the gradients before and after, and every module's mode."""
    trained = engine(tmp_path, "agm", options, **settings)
    steps, gradients = [], trained.method.gradients

    def spy(step):
        before = _gradients(trained.model)
        gradients(step)
        modes = [m.training for m in trained.model.modules()]
        steps.append({"before": before, "after": _gradients(trained.model), "modes": modes})

    trained.method.gradients = spy
    trained.fit()
    return steps


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_statistics_and_random_state_are_those_of_joint_training(tmp_path, mode, accumulate):
    """After one step of training passes with batch norm and dropout; the weights are others."""
    found = []
    for name, options in (("joint", {}), ("agm", {"mode": mode})):
        trained = engine(tmp_path / name, name, options, THREE, batch_size=24, accumulate=accumulate)
        trained.select_split = None
        trained.fit()
        assert trained.state.number == 1
        found.append((dict(trained.model.named_buffers()), torch.get_rng_state(), trained.model.state_dict()))
    (before, random, weights), (after, random_after, weights_after) = found
    assert any("running_var" in name for name in before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert torch.equal(random, random_after)
    assert (
        not torch.equal(weights["fusion.linear.weight"], weights_after["fusion.linear.weight"])
        or mode != "hook"
    )


@pytest.mark.parametrize("mode", MODES)
def test_without_strength_micro_batches_are_joint_training(tmp_path, mode):
    found = []
    for name, options in (("joint", {}), ("agm", FREE | {"mode": mode, "alpha": 0.0})):
        trained = engine(tmp_path / name, name, options, THREE, accumulate=2, epochs=2, precision="bf16")
        trained.fit()
        found.append(trained.model.state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.parametrize("mode", ["scale", "cached"])
def test_modes_without_an_effect_on_the_head_need_encoders_that_train(tmp_path, mode):
    trained = engine(tmp_path, "agm", {"mode": mode}, frozen=True)
    with pytest.raises(ModelError, match=f"method agm: mode '{mode}' scales gradients of the encoders alone"):
        trained.fit()


def test_frozen_encoders_stay_as_they_are_and_in_their_mode(tmp_path):
    trained = engine(tmp_path, "agm", {"mode": "hook"}, frozen=True, selection="last")
    before = {k: v.clone() for k, v in trained.model.encoders.state_dict().items()}
    modes, gradients = [], trained.method.gradients

    def spy(step):
        gradients(step)
        modes.append((trained.model.encoders["audio"].blocks.training, trained.model.fusion.training))

    trained.method.gradients = spy
    trained.fit()
    assert set(modes) == {(False, True)}
    assert all(torch.equal(value, before[k]) for k, value in trained.model.encoders.state_dict().items())


@pytest.mark.parametrize("mode", MODES)
def test_trained_encoders_are_back_in_training_mode(tmp_path, mode):
    assert all(all(step["modes"]) for step in _spied(tmp_path, {"mode": mode}, accumulate=2))


@pytest.mark.parametrize("mode", MODES)
def test_only_steps_within_the_window_count(tmp_path, mode):
    trained = engine(tmp_path, "agm", {"mode": mode, "start": 1, "end": 2}, epochs=4)
    method, steps = trained.method, []
    gradients, coefficients = method.gradients, method.coefficients

    def spy(step):
        before = _gradients(trained.model)
        gradients(step)
        changed = not all(map(torch.equal, before, _gradients(trained.model)))
        steps.append((step.run.epoch, method.steps, changed))

    called = []
    method.gradients = spy
    method.coefficients = lambda losses, scored: called.append(trained.run.epoch) or coefficients(losses)
    trained.fit()
    assert [count for _, count, _ in steps] == [0, 0, 0, 1, 2, 3, 4, 5, 6, 6, 6, 6]
    assert called == [1, 1, 1, 2, 2, 2]
    assert not any(changed for epoch, _, changed in steps if epoch in (0, 3))


def test_a_window_that_ends_before_it_starts_is_refused():
    with pytest.raises(Exception, match=r"end \(1\) must not be before start \(2\)"):
        make_method("agm", {"start": 2, "end": 1})


@pytest.mark.parametrize(("limit", "clipped"), [(1e-4, True), (1e6, False)])
def test_all_gradients_are_clipped_where_one_of_the_head_is_large(tmp_path, limit, clipped):
    steps = _spied(tmp_path, {"clip_above": limit, "clip_norm": 0.01})
    for step in steps:
        norm = sum(float((g.double() ** 2).sum()) for g in step["before"]) ** 0.5
        assert norm > 0.02
        factor = 0.01 / norm if clipped else 1.0
        for before, after in zip(step["before"], step["after"], strict=True):
            torch.testing.assert_close(after, before * factor, rtol=1e-3, atol=0)


def test_clipping_waits_for_an_entry_of_the_heads_weights(tmp_path):
    trained = engine(tmp_path, "agm")
    trained.fit()
    model, method = trained.model, trained.method
    for p in model.parameters():
        p.grad = torch.full_like(p, 3.0)
    model.fusion.linear.weight.grad.fill_(1.0)  # not above 1; the encoders' and the bias's are
    method._clip(model)
    assert model.fusion.linear.bias.grad.tolist() == [3.0] * 3
    model.fusion.linear.weight.grad[0, 0] = -1.01
    method._clip(model)
    norm = sum(float((p.grad**2).sum()) for p in model.parameters()) ** 0.5
    assert norm == pytest.approx(1.0, rel=1e-4)
    model.fusion.linear.weight.grad.fill_(1.01)  # large, and the norm still small: it is never stretched
    for p in model.parameters():
        if p is not model.fusion.linear.weight:
            p.grad.zero_()
    method.config = make_method("agm", {"clip_norm": 100.0}).config
    method._clip(model)
    assert float(model.fusion.linear.weight.grad.max()) == pytest.approx(1.01)


@pytest.mark.parametrize(
    ("options", "accumulate", "batches", "zeros"),
    [
        ({"mode": "hook"}, 1, {True: 6, False: 0}, 0),  # zeros are one more sample of an evaluation pass
        ({"mode": "hook"}, 2, {True: 12, False: 12}, 0),
        ({"mode": "scale"}, 1, {True: 3, False: 3}, 0),
        ({"mode": "scale"}, 2, {True: 6, False: 6}, 0),
        ({"mode": "cached"}, 1, {True: 3, False: 0}, 1),
        ({"mode": "cached", "zeros_every": 2}, 1, {True: 3, False: 0}, 2),
        ({"mode": "cached", "zeros_every": 1}, 2, {True: 6, False: 0}, 3),
    ],
)
def test_passes_of_an_encoder_in_three_steps(tmp_path, options, accumulate, batches, zeros):
    trained = engine(tmp_path, "agm", options, accumulate=accumulate)
    trained.select_split, calls = None, []
    trained.model.encoders["audio"].register_forward_hook(
        lambda module, given, out: calls.append((len(given[0]) == 1, torch.is_grad_enabled()))
    )
    trained.fit()
    for single, expected in ((False, batches), (True, {True: 0, False: zeros})):
        assert {grad: calls.count((single, grad)) for grad in (True, False)} == expected


class _Fetches(TorchDispatchMode):
    """Counts values that the host asks the device for."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("mode", MODES)
def test_no_step_waits_for_a_number(tmp_path, mode):
    trained = engine(tmp_path, "agm", {"mode": mode}, accumulate=2, log_every=1_000)
    method, fetches = trained.method, _Fetches()

    def watched(original):
        def call(step):
            trained.logging = False
            with fetches:
                return original(step)

        return call

    for hook in ("survey", "objective", "gradients"):
        setattr(method, hook, watched(getattr(method, hook)))
    trained.fit()
    assert method.steps == 3
    assert fetches.count == 0


@pytest.mark.parametrize("fusion", ["concat", "film", "gated"])
def test_bf16_loses_no_gradient(tmp_path, fusion):
    """Of the head's and the last encoder weights, to bf16's rounding, where much of it is of evaluation passes.

    What autocast has made of a weight without gradient must not serve a pass that needs one.
    """
    found = {}
    for precision in ("32", "bf16"):
        model = build(make_method("agm"), TWO, fusion)
        trained = engine(tmp_path / precision, "agm", FREE, model=model, precision=precision, batch_size=24)
        trained.method.coefficients = lambda losses, scored: torch.tensor([0.1, 4.0])
        values, original = {}, trained.method.gradients

        def spy(step, original=original, values=values, model=model):
            values.update({name: p.grad.clone() for name, p in model.named_parameters()})
            original(step)

        trained.method.gradients = spy
        trained.fit()
        found[precision] = values
    for name, full in found["32"].items():
        if name.startswith("fusion") or "project" in name:
            half = found["bf16"][name]
            limit = 0.03 if name.startswith("fusion") else 0.15
            assert float((full - half).norm()) < limit * float(full.norm()), name


def test_bf16_is_judged_and_weighed_in_single_precision():
    draws = torch.Generator().manual_seed(0)
    responses, labels = Responses(THREE, torch.device("cpu")), torch.arange(6) % 3
    values = torch.randn(7, 6, 3, generator=draws).requires_grad_()
    found = []
    for mixed in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            losses = responses.losses(values, labels)
            modulated = responses.modulated(values, torch.tensor([0.3, 1.7, 4.1]))
            (gradient,) = torch.autograd.grad((modulated**2).sum(), values)
        found.append((losses, modulated.detach(), gradient))
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_micro_batches_are_the_whole_batch_in_double_precision(tmp_path, monkeypatch, mode):
    """Nothing but rounding is amplified where group norm divides by the variance of zeros."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    found = []
    torch.set_default_dtype(torch.float64)
    try:
        for accumulate in (1, 2):
            model = build(make_method("agm"), THREE, plain=True).double()
            settings = {"batch_size": 9, "epochs": 2, "selection": "last", "accumulate": accumulate}
            folder = tmp_path / str(accumulate)
            trained = engine(folder, "agm", FREE | {"mode": mode}, THREE, model=model, **settings)
            trained.fit()
            found.append(trained.model.state_dict())
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-11)


def test_seven_modalities_are_too_many():
    plan = architecture(TWO)
    seven = replace(plan, encoders=dict.fromkeys("abcdefg", plan.encoders["audio"]))
    with pytest.raises(
        ModelError, match=r"agm: works on at most 6 modalities, the model has 7 .*methods for 7: "
    ):
        make_method("agm").check(seven, frozen=False)


@pytest.mark.parametrize(("preset", "epochs"), [("cremad", 1500), ("av_mnist", 1000), ("ur_funny", 800)])
def test_a_preset_is_as_long_as_the_authors_say(preset, epochs):
    train = Optimisation.model_validate(METHODS.get("agm").presets[preset].train)
    assert (train.epochs, train.optimizer, train.momentum, train.weight_decay) == (epochs, "sgd", 0.9, 1e-4)
    assert (train.schedule, train.step_epochs, train.step_factor) == ("step", 70, 0.1)
