"""Every method in reduced precision: coefficients as in float32, and gradients edited free of any loss scale."""

import math

import pytest
import torch

from ambidex.learn.loop.scaling import LossScale
from ambidex.learn.method import METHODS
from ambidex.testing import precision
from ambidex.testing.expect import cases
from helpers.memory_store import engine

CASES = [
    pytest.param(name, options, id=f"{name}-{options or 'defaults'}")
    for name in METHODS.own()
    if METHODS.get(name).trains
    for options in cases(name)
]
FIRST = {case.values[0]: case.id for case in reversed(CASES)}
VARIANTS_SLOW = [
    pytest.param(*case.values, id=case.id, marks=[] if case.id in FIRST.values() else [pytest.mark.slow])
    for case in CASES
]
CPU = torch.device("cpu")
DECISIONS = {"greedy": ("held/",), "relearning": ("purity_train/", "purity_val/", "reset/")}
"""not continuous in the features: the sign of a difference that begins near 0, and what k-means finds"""


@pytest.mark.parametrize(("name", "options"), VARIANTS_SLOW)
def test_bf16_coefficients_are_near_those_of_float32(tmp_path, name, options):
    precision.coefficients(name, options, tmp_path, DECISIONS.get(name, ()))


@pytest.mark.parametrize("bits", ["bf16", pytest.param("16", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "options"), VARIANTS_SLOW)
def test_weights_stay_and_likelihoods_are_taken_in_float32(tmp_path, name, options, bits):
    precision.likelihoods(name, options, tmp_path, bits)


@pytest.mark.parametrize(("name", "options"), VARIANTS_SLOW)
def test_a_scaled_loss_trains_bit_for_bit_as_the_loss(tmp_path, name, options):
    precision.scaled(name, options, tmp_path)


@pytest.mark.parametrize(("name", "options"), VARIANTS_SLOW)
def test_a_step_that_overflows_leaves_no_trace(tmp_path, name, options):
    precision.overflow(name, options, tmp_path)


class _KilledError(Exception):
    pass


def test_a_resumed_run_goes_on_with_its_scale(tmp_path):
    settings = {"epochs": 4, "precision": "16"}
    whole = engine(tmp_path / "whole", **settings)
    whole.scale = LossScale(CPU, active=True, start=3e38)
    whole.fit()

    def kill(epoch):
        if epoch == 1:
            raise _KilledError

    first = engine(tmp_path / "cut", **settings)
    first.scale, first.on_epoch = LossScale(CPU, active=True, start=3e38), kill
    with pytest.raises(_KilledError):
        first.fit()
    second = engine(tmp_path / "cut", **settings)
    second.fit()
    assert second.scale.state_dict() == whole.scale.state_dict()
    assert second.scale.state_dict()["scale"] < 3e38
    found = second.model.state_dict()
    assert all(torch.equal(found[key], value) for key, value in whole.model.state_dict().items())


def test_the_scale_halves_at_once_and_doubles_after_two_thousand_good_steps():
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer, scale = torch.optim.SGD([weight], 1.0), LossScale(CPU, active=True, start=8.0)
    for number, (gradient, expected) in enumerate(
        [(math.inf, 4.0), (1.0, 4.0), *[(1.0, None)] * 1_998, (1.0, 8.0)]
    ):
        scale.scaled(weight.detach())
        weight.grad = torch.tensor([gradient * scale.state_dict()["scale"]])
        assert scale.unscale(optimizer) == (number > 0)
        assert number == 0 or weight.grad.item() == 1.0
        assert expected is None or scale.state_dict()["scale"] == expected
