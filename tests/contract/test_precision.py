"""Every method in reduced precision: coefficients as in float32, and gradients edited free of any loss scale."""

import math
from itertools import zip_longest

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ambidex.method import METHODS
from ambidex.training.scaling import LossScale
from helpers.memory_store import engine

CASES = [
    pytest.param(name, cls.early | options, id=f"{name}-{options or 'defaults'}")
    for name, cls in METHODS.all().items()
    if cls.trains
    for options in ({}, *filter(None, cls.variants))
]
VARIANTS_SLOW = [
    pytest.param(*case.values, id=case.id, marks=[pytest.mark.slow] * (not case.id.endswith("-defaults")))
    for case in CASES
]
LOW = (torch.bfloat16, torch.float16)
JUDGEMENTS = {"_softmax", "_log_softmax", "exp", "expm1", "log", "log1p", "logsumexp", "nll_loss_forward"}
CPU = torch.device("cpu")
DECISIONS = {"greedy": ("held/",), "relearning": ("purity_train/", "purity_val/", "reset/")}
"""not continuous in the features: the sign of a difference that begins near 0, and what k-means finds"""


def _engine(folder, name, options, **settings):
    settings = {"epochs": 2 + METHODS.get(name).acts_from, "selection": "last"} | settings
    return engine(folder, name, options, **settings)


def _coefficients(folder, name, options, precision):
    """All that the method logs, in order; at a rate at which weights hardly move."""
    trained = _engine(folder, name, options, precision=precision, learning_rate=1e-6)
    found = []

    def log(name, value):
        if isinstance(value, torch.Tensor):
            assert value.dtype not in LOW, name
        found.append((trained.number, name, float(value)))

    trained._log = log
    trained.fit()
    return found


@pytest.mark.parametrize(("name", "options"), CASES)
def test_bf16_coefficients_are_near_those_of_float32(tmp_path, name, options):
    expected = _coefficients(tmp_path / "32", name, options, "32")
    found = _coefficients(tmp_path / "bf16", name, options, "bf16")
    for one, other in zip_longest(found, expected):
        assert one[:2] == other[:2]
        if DECISIONS.get(name) and one[1].startswith(DECISIONS[name]):
            continue
        assert one[2] == pytest.approx(other[2], rel=0.1, abs=0.02), one[1]


class _Judgements(TorchDispatchMode):
    """Notes every softmax, exponential and logarithm that is taken of half-precision numbers."""

    def __init__(self):
        super().__init__()
        self.low, self.all = set(), set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in JUDGEMENTS:
            self.all.add(name)
            if any(isinstance(value, torch.Tensor) and value.dtype in LOW for value in args):
                self.low.add(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["bf16", "16"])
@pytest.mark.parametrize(("name", "options"), VARIANTS_SLOW)
def test_weights_stay_and_likelihoods_are_taken_in_float32(tmp_path, name, options, precision):
    trained = _engine(tmp_path, name, options, precision=precision)
    with _Judgements() as judgements:
        trained.fit()
    assert not judgements.low
    assert judgements.all
    for key, value in trained.model.state_dict().items():
        assert value.dtype not in LOW, key
        assert torch.isfinite(value).all(), key


@pytest.mark.parametrize(("name", "options"), VARIANTS_SLOW)
def test_a_scaled_loss_trains_bit_for_bit_as_the_loss(tmp_path, name, options):
    """A power of two is exact in float32: whoever saw a scaled gradient would compute something else."""
    settings = {"clip_norm": 0.5, "accumulate": 2, "learning_rate": 0.05}
    plain = _engine(tmp_path / "plain", name, options, **settings)
    plain.fit()
    scaled = _engine(tmp_path / "scaled", name, options, **settings)
    scaled.scale = LossScale(CPU, active=True, start=2.0**10)
    scaled.fit()
    found = scaled.model.state_dict()
    for key, value in plain.model.state_dict().items():
        assert torch.equal(found[key], value), key


def _numbers(state):
    if isinstance(state, dict):
        state = list(state.values())
    if isinstance(state, (list, tuple)):
        return [number for part in state for number in _numbers(part)]
    return [state] if isinstance(state, (torch.Tensor, float)) else []


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_step_that_overflows_leaves_no_trace(tmp_path, name, options):
    trained = _engine(tmp_path, name, options)
    trained.scale = scale = LossScale(CPU, active=True, start=2.0**10)
    scaled = scale.scaled
    scale.scaled = lambda loss: scaled(loss) * (1 if trained.number else torch.inf)
    weights = [p.detach().clone() for p in trained.model.parameters()]
    step, gradients, edits = trained.method.step, trained.method.gradients, []

    def spy_gradients(given):
        assert all(torch.isfinite(p.grad).all() for p in trained.model.parameters() if p.grad is not None)
        edits.append(trained.number)
        gradients(given)

    def spy_step(given):
        step(given)
        if trained.number == 0:
            assert all(torch.equal(p, w) for p, w in zip(trained.model.parameters(), weights, strict=True))

    trained.method.step, trained.method.gradients = spy_step, spy_gradients
    trained.fit()
    assert {*edits} == {*range(1, trained.number)}
    for value in _numbers([trained.method.state_dict(), trained.model.state_dict()]):
        assert torch.isfinite(torch.as_tensor(value)).all()


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
