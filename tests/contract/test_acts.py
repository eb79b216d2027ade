"""On every encoder and in every regime a method differs from joint training, or says in one line why it cannot."""

import pytest

from ambidex.learn.method import METHODS
from ambidex.net.encoders import ENCODERS
from ambidex.net.fusion import FUSIONS
from ambidex.testing import acting
from helpers.memory_store import make_method

CLIPS = {"agm": {"clip_above": None}}
"""options without what acts beside the method's idea and would hide that nothing else does"""
OTHERS = [name for name in METHODS.own() if name != "joint" and METHODS.get(name).trains]


def _acts(folder, name, options, *where):
    acting.acts(name, options | CLIPS.get(name, {}), folder, *where)


FAST = [("mlp", False), ("mlp", True), ("small_cnn", False)]
"""in every run of the tests; the others in the full one"""
PLACES = [
    pytest.param(
        encoder,
        frozen,
        id=f"{encoder}-{'frozen' if frozen else 'trained'}",
        marks=[] if (encoder, frozen) in FAST else [pytest.mark.slow],
    )
    for encoder in ENCODERS.own()
    for frozen in (False, True)
]


@pytest.mark.parametrize(("encoder", "frozen"), PLACES)
@pytest.mark.parametrize("name", OTHERS)
def test_it_differs_from_joint_training_or_refuses(tmp_path, name, encoder, frozen):
    _acts(tmp_path, name, {}, encoder, frozen)


VARIANTS = [(name, options) for name in OTHERS for options in METHODS.get(name).variants if options]


@pytest.mark.parametrize(
    "frozen", [pytest.param(False, id="trained", marks=pytest.mark.slow), pytest.param(True, id="frozen")]
)
@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=[f"{n}-{o}" for n, o in VARIANTS])
def test_so_does_every_variant(tmp_path, name, options, frozen):
    _acts(tmp_path, name, options, "mlp", frozen)


@pytest.mark.slow
@pytest.mark.parametrize("fusion", [name for name in FUSIONS.own() if name != "concat"])
@pytest.mark.parametrize("name", OTHERS)
def test_so_it_is_with_every_fusion(tmp_path, name, fusion):
    _acts(tmp_path, name, {}, "small_cnn", False, fusion)


def test_what_edits_encoders_alone_refuses_frozen_ones(tmp_path):
    """The list by hand: what each does to the head, if anything, stands in its equations."""
    outcomes = {
        name: acting.outcome(name, CLIPS.get(name, {}), tmp_path / name, "small_cnn", True) for name in OTHERS
    }
    refusing = {name for name, outcome in outcomes.items() if acting.FROZEN in outcome}
    assert refusing == {"greedy", "inforeg", "ogm_ge", "pmr", "relearning"}


BEGINS = {"ogm_ge": "start", "agm": "start", "opm": "warm_up", "smv": "warm_up"}


@pytest.mark.parametrize("name", [name for name in OTHERS if name in BEGINS or make_method(name).waits()])
def test_until_it_acts_it_is_joint_training_as_the_note_says(tmp_path, name):
    """With options under which it waits for two epochs, or as few as it can: so long it is joint, to the bit."""
    options = {BEGINS[name]: 2} if name in BEGINS else METHODS.get(name).early
    acting.waits(name, options, tmp_path)
