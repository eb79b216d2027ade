"""What a step of each method costs: passes through every encoder, counted, and no wait for the device."""

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from ambidex.method import METHODS
from helpers.memory_store import engine

CASES = [
    pytest.param(name, cls.early | options, id=f"{name}-{options or 'defaults'}")
    for name, cls in METHODS.all().items()
    if cls.trains
    for options in ({}, *filter(None, cls.variants))
]
MODALITIES = ("audio", "visual")
JOINT = (1, 1)
PASSES = {
    ("agm", "hook"): (2, 2),
    ("agm", "scale"): (2, 1),
    ("agm", "cached"): (1, 1),
}
"""(forwards, backwards) of each encoder in a step, of the whole batch, where they are not joint training's.

From the table of the methods' extra cost per step: nothing for gradients, features, losses and masks; for AGM the
passes in evaluation mode, in which a coalition's encoders need to run once and not once per coalition."""
TURNS = {"reconboost"}
"""an epoch trains one encoder, or all: a backward pass is none or one"""
ZEROS = {"agm": 1}
"""samples that a step encodes beside the batch"""


def _first_layer(encoder):
    """The first module with weights: it runs once for each pass of the encoder, whoever calls its stages."""
    return next(m for m in encoder.modules() if any(True for _ in m.parameters(recurse=False)))


class _Passes:
    """Samples that each encoder sees, forwards and backwards, one entry per training step."""

    def __init__(self, trained):
        self.steps, self.folded = [], {}
        for name in MODALITIES:
            _first_layer(trained.model.encoder(name)).register_forward_hook(self._hook(name))
        original = trained.method.step

        def step(given):
            self.now = {m: [0, 0] for m in MODALITIES}
            original(given)
            self.steps.append((given.whole, {m: tuple(counted) for m, counted in self.now.items()}))
            self.now = None

        trained.method.step, self.now = step, None

    def _hook(self, name):
        frames = 2 if name == "visual" else 1  # folded into the batch

        def seen(module, inputs, output):
            if self.now is None:
                return  # validation
            counted, samples = self.now[name], len(output) / frames
            counted[0] += samples
            if output.requires_grad:
                output.register_hook(lambda gradient: self._back(counted, samples))

        return seen

    def _back(self, counted, samples):
        counted[1] += samples


@pytest.mark.parametrize(("name", "options"), CASES)
def test_passes_through_the_encoders_are_those_of_the_table(tmp_path, name, options):
    trained = engine(tmp_path, name, options, MODALITIES, epochs=1 + METHODS.get(name).acts_from)
    passes = _Passes(trained)
    trained.fit()
    mode = getattr(trained.method.config, "mode", None)
    forwards, backwards = PASSES.get((name, mode), JOINT)
    extra = ZEROS.get(name, 0)
    assert len(passes.steps) == trained.number
    for whole, seen in passes.steps:
        for forward, backward in seen.values():
            assert whole * forwards <= forward <= whole * forwards + extra
            allowed = {0, whole} if name in TURNS else {whole * backwards, whole * backwards + extra}
            assert backward in allowed
    if name in TURNS:
        assert any(0 in {b for _, b in seen.values()} for _, seen in passes.steps)


@pytest.mark.parametrize("name", [name for name, cls in METHODS.all().items() if cls.trains])
def test_the_page_promises_what_is_counted(name):
    if name in TURNS:
        pytest.skip("its promise is a mean over the epochs of a stage")
    mode = getattr(METHODS.get(name).Config(), "mode", None)
    assert METHODS.get(name).card.cost.passes(2) == PASSES.get((name, mode), JOINT)


class _Waits(TorchDispatchMode):
    """Fails where a number is fetched from the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert name not in {"_local_scalar_dense", "is_nonzero", "equal", "nonzero"}, f"{name} waits"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_step_that_logs_nothing_waits_for_nothing(tmp_path, name, options):
    settings = {"epochs": 1 + METHODS.get(name).acts_from, "log_every": 1_000}
    trained = engine(tmp_path, name, options, MODALITIES, **settings)
    original, watched = trained.method.step, []

    def step(given):
        trained.guard.watch = lambda number, terms: None  # on a CPU it looks at each step, nowhere else
        if trained.number == 0:  # a logging step
            return original(given)
        watched.append(trained.number)
        with _Waits():
            original(given)

    trained.method.step = step
    trained.fit()
    assert watched
