"""What a step of each method costs: passes through every encoder, counted, and no wait for the device."""

import pytest

from ambidex.learn.method import METHODS
from ambidex.testing import costs
from ambidex.testing.expect import cases

TRAINING = [name for name in METHODS.own() if METHODS.get(name).trains]
CASES = [
    pytest.param(name, options, id=f"{name}-{options or 'defaults'}")
    for name in TRAINING
    for options in cases(name)
]
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


def _promised(name, options):
    mode = getattr(METHODS.get(name).Config.model_validate(options), "mode", None)
    return PASSES.get((name, mode), JOINT)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_passes_through_the_encoders_are_those_of_the_table(tmp_path, name, options):
    if name not in TURNS:
        costs.passes(name, options, tmp_path, _promised(name, options), ZEROS.get(name, 0))
        return
    steps = costs.counted(name, options, tmp_path)
    assert {forward for whole, seen in steps for forward, _ in seen.values()} == {whole for whole, _ in steps}
    assert all(backward in (0, whole) for whole, seen in steps for _, backward in seen.values())
    assert any(0 in {backward for _, backward in seen.values()} for _, seen in steps)


@pytest.mark.parametrize("name", TRAINING)
def test_the_page_promises_what_is_counted(name):
    if name in TURNS:
        pytest.skip("its promise is a mean over the epochs of a stage")
    mode = getattr(METHODS.get(name).Config(), "mode", None)
    assert METHODS.get(name).card.cost.passes(2) == PASSES.get((name, mode), JOINT)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_step_that_logs_nothing_waits_for_nothing(tmp_path, name, options):
    costs.waits_for_nothing(name, options, tmp_path)
