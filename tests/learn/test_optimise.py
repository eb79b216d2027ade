"""Groups of parameters, warm-up and schedules: rates by hand, and nothing changed where nothing is asked for."""

import math
from typing import ClassVar

import pytest
import torch

from ambidex.base.errors import ParamsError
from ambidex.learn.methods.joint import Joint
from ambidex.resolve import load_params
from ambidex.testing.resuming import resumed, stopped
from helpers.memory_store import engine
from helpers.outside import installed, write_distribution
from helpers.runs import write_params

STEPS = 3
"""of an epoch"""


def _rates(folder, name="joint", options=None, **settings):
    """The learning rates of each optimiser step, by group."""
    trained = engine(folder, name, options, **settings)
    original, found = trained.method.step, []

    def step(given):
        found.append({group.get("name", ""): group["lr"] for group in trained.optimizer.param_groups})
        original(given)

    trained.method.step = step
    trained.fit()
    return found


def _base(folder, **settings):
    return [rates[""] for rates in _rates(folder, learning_rate=0.08, **settings)]


def test_per_epoch_by_hand(tmp_path):
    found = _base(tmp_path / "a", epochs=4, schedule="step", step_epochs=2, step_factor=0.25)
    assert found == pytest.approx([0.08] * 6 + [0.02] * 6, rel=1e-12)
    found = _base(tmp_path / "b", epochs=3, schedule="cosine")
    assert found == pytest.approx([0.08] * 3 + [0.06] * 3 + [0.02] * 3, rel=1e-12)  # cos 0, 60, 120 degrees


def test_per_step_by_hand(tmp_path):
    found = _base(tmp_path / "a", epochs=2, schedule="cosine", schedule_per="step")
    degrees = [0, 30, 60, 90, 120, 150]
    assert found == pytest.approx([0.04 * (1 + math.cos(math.radians(d))) for d in degrees], rel=1e-9)
    found = _base(
        tmp_path / "b", epochs=2, schedule="step", step_epochs=1, step_factor=0.5, schedule_per="step"
    )
    assert found == pytest.approx([0.08] * 3 + [0.04] * 3, rel=1e-12)


def test_warm_up_by_hand(tmp_path):
    found = _base(tmp_path / "a", epochs=2, warmup_steps=4)
    assert found == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.08, 0.08], rel=1e-12)
    found = _base(tmp_path / "b", epochs=3, schedule="cosine", warmup_steps=5)
    assert found[:6] == pytest.approx([0.016, 0.032, 0.048, 0.06 * 4 / 5, 0.06, 0.06], rel=1e-12)


@pytest.mark.parametrize(
    ("name", "options"), [("smv", {"warm_up": 1}), ("reconboost", {})], ids=["smv", "reconboost"]
)
def test_per_step_the_cosine_ends_with_the_last_step_however_long_an_epoch_is(tmp_path, name, options):
    """`smv` adds samples to an epoch from its warm-up on."""
    rates = [
        one[""] for one in _rates(tmp_path, name, options, epochs=3, schedule="cosine", schedule_per="step")
    ]
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == len(rates)
    assert 0 < rates[-1] < 0.05 * 0.5 * (1 + math.cos(math.pi * 2.5 / 3))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("name", ["joint", "ogm_ge", "mla"])
def test_groups_with_the_same_rate_are_no_groups(tmp_path, optimizer, name):
    settings = {
        "epochs": 2,
        "optimizer": optimizer,
        "clip_norm": 0.5,
        "schedule": "cosine",
        "learning_rate": 0.01,
    }
    plain = engine(tmp_path / "plain", name, **settings)
    plain.fit()
    groups = {"audio": {"learning_rate": 0.01}, "encoders": {"weight_decay": 1e-4}, "head": {}}
    grouped = engine(tmp_path / "grouped", name, groups=groups, **settings)
    grouped.fit()
    assert [group["name"] for group in grouped.optimizer.param_groups] == ["audio", "encoders", "head"]
    for key, value in plain.model.state_dict().items():
        assert torch.equal(grouped.model.state_dict()[key], value), key


def test_without_groups_there_is_one_as_torch_makes_it(tmp_path):
    trained = engine(tmp_path)
    trained.fit()
    (group,) = trained.optimizer.param_groups
    assert "name" not in group
    assert [id(p) for p in group["params"]] == [id(p) for p in trained.model.parameters()]


def test_sgd_moves_each_group_at_its_own_rate(tmp_path):
    """One step without momentum and decay: the weights go down the gradient at the group's rate, by hand."""
    groups = {"encoders": {"learning_rate": 0.001}, "visual": {"learning_rate": 0.004}}
    trained = engine(tmp_path, batch_size=24, momentum=0, weight_decay=0, learning_rate=0.02, groups=groups)
    before = {n: p.detach().clone() for n, p in trained.model.named_parameters()}
    trained.fit()
    rates = {"encoders.audio": 0.001, "encoders.visual": 0.004, "fusion": 0.02}
    for name, parameter in trained.model.named_parameters():
        rate = next(rate for start, rate in rates.items() if name.startswith(start))
        torch.testing.assert_close(
            parameter.detach(), before[name] - rate * parameter.grad, rtol=0, atol=1e-7
        )


def test_decay_of_a_group(tmp_path):
    """AdamW's decay alone: weights whose gradient is zero shrink by 1 - rate * decay."""

    class Still(Joint):
        def gradients(self, step):
            for parameter in step.run.model.parameters():
                parameter.grad.zero_()

    groups = {"head": {"weight_decay": 0.5}}
    settings = {"optimizer": "adamw", "batch_size": 24, "learning_rate": 0.1, "weight_decay": 0.0}
    trained = engine(tmp_path, Still, groups=groups, **settings)
    before = {n: p.detach().clone() for n, p in trained.model.named_parameters()}
    trained.fit()
    for name, parameter in trained.model.named_parameters():
        factor = 0.95 if name.startswith("fusion") else 1.0
        torch.testing.assert_close(parameter.detach(), before[name] * factor, rtol=1e-6, atol=0)


class Biased(Joint):
    """Joint training with a group of its own: the head's bias."""

    groups: ClassVar = ("biases",)

    def parameter_groups(self, run):
        return {"biases": [p for n, p in run.model.fusion.named_parameters() if n.endswith("bias")]}


def test_a_methods_own_group_wins(tmp_path):
    groups = {"biases": {"learning_rate": 0.5}, "head": {"learning_rate": 0.25}}
    rates = _rates(tmp_path / "a", Biased, groups=groups, learning_rate=0.125)
    assert rates[0] == {"": 0.125, "head": 0.25, "biases": 0.5}
    rates = _rates(tmp_path / "b", Biased, groups={"head": {"learning_rate": 0.25}}, learning_rate=0.125)
    assert rates[0] == {"": 0.125, "head": 0.25}


def test_history_names_the_rates(tmp_path):
    trained = engine(tmp_path, epochs=2, groups={"encoders": {"learning_rate": 0.01}}, schedule="cosine")
    trained.fit()
    assert [row["learning_rate"] for row in trained.state.history] == pytest.approx([0.05, 0.025])
    assert [row["learning_rate/encoders"] for row in trained.state.history] == pytest.approx([0.01, 0.005])


def test_frozen_encoders_have_no_group(tmp_path):
    groups = {"encoders": {"learning_rate": 0.01}, "head": {"learning_rate": 0.02}}
    trained = engine(tmp_path, frozen=True, groups=groups)
    trained.fit()
    assert [group["name"] for group in trained.optimizer.param_groups] == ["head"]


def test_a_run_that_is_stopped_in_mid_warm_up_resumes_bit_identical(tmp_path):
    """Cut in steps 1, 5 and 6 of nine; the warm-up takes seven."""
    groups = {"touch": {"learning_rate": 0.003}}
    stopped("joint", {}, tmp_path, schedule_per="step", warmup_steps=7, groups=groups)


def test_a_method_with_its_own_group_resumes(tmp_path):
    resumed(Biased, {}, tmp_path)


OWN = """
from ambidex.learn.method import Method


class Prompted(Method):
    '''Has a group.'''

    groups = ("prompts",)
"""


def test_names_of_groups_are_checked(tmp_path):
    file = write_params(tmp_path / "params.yaml")
    load_params(file, ["train.groups.encoders.learning_rate=1e-4", "pretrain.groups.left.weight_decay=0"])
    for override, message in {
        "train.groups.heda.learning_rate=1": "train.groups.heda: no such group of parameters; did you mean 'head'? "
        "allowed: encoders, head, left, right",
        "pretrain.groups.prompts.learning_rate=1": "pretrain.groups.prompts: no such group",
        "train.groups.head.learning_rate=0": "train.groups.head.learning_rate: got 0, expected",
        "train.groups.head.rate=1": "train.groups.head.rate: unknown key",
        "methods.joint.train.groups.side.learning_rate=1": "methods.joint.train.groups.side: no such group",
        "train.schedule_per=day": "train.schedule_per: got 'day'",
        "train.warmup_steps=-1": "train.warmup_steps: got -1, expected",
    }.items():
        with pytest.raises(ParamsError) as caught:
            load_params(file, [override])
        assert message in str(caught.value)
    write_distribution(tmp_path / "site", "own", {"ambidex.methods": {"prompted": "own:Prompted"}}, own=OWN)
    with installed(tmp_path / "site"):
        load_params(file, ["methods.prompted.train.groups.prompts.learning_rate=1"])
        load_params(file, ["train.method=prompted", "train.groups.prompts.learning_rate=1"])
