"""On every encoder and in every regime a method differs from joint training, or says in one line why it cannot."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from ambidex.encoders import ENCODERS
from ambidex.errors import ModelError
from ambidex.fusion import FUSIONS
from ambidex.method import METHODS
from ambidex.model import MultimodalNet
from ambidex.params import Choice
from helpers.memory_store import ENCODERS as USUAL
from helpers.memory_store import architecture, engine, make_method

SMALL = {"small_cnn": {"width": 2, "dim": 4}, "resnet18": {"width": 4}, "mlp": {"hidden": [6], "dim": 4}}
"""a new encoder is tested as its defaults build it"""
LOOP = {"batch_size": 4, "samples": 12, "selection": "last", "learning_rate": 0.02}
CLIPS = {"agm": {"clip_above": None}}
"""options without what acts beside the method's idea and would hide that nothing else does"""
OTHERS = [name for name, cls in METHODS.all().items() if name != "joint" and cls.trains]


@cache
def _modalities(encoder):
    """Two modalities, and how each is encoded: by `encoder` wherever it can."""
    chosen = {}
    for name in ("audio", "visual", "touch"):
        plan = architecture((name,))
        choice = Choice(name=encoder, **SMALL.get(encoder, {}))
        try:
            MultimodalNet(replace(plan, encoders={name: choice}))
            chosen[name] = choice
        except ModelError:
            pass
    assert chosen, f"encoder {encoder} takes none of the test's inputs"
    for name in ("audio", "visual"):
        if len(chosen) == 1:
            chosen.setdefault(name, USUAL[name])
    return dict(list(chosen.items())[:2])


def _trained(folder, name, options, encoder, frozen, fusion="concat", **settings):
    choices = _modalities(encoder)
    plan = replace(architecture(tuple(choices), fusion), encoders=choices)
    method = make_method(name, options)
    torch.manual_seed(0)
    model = MultimodalNet(method.architecture(plan))
    trained = engine(folder, name, options, tuple(choices), model=model, frozen=frozen, **LOOP, **settings)
    return trained


@cache
def _joint(encoder, frozen, epochs, fusion="concat"):
    with TemporaryDirectory() as folder:
        trained = _trained(Path(folder), "joint", {}, encoder, frozen, fusion, epochs=epochs)
        trained.fit()
    return trained.model.state_dict()


def _outcome(folder, name, options, encoder, frozen, fusion="concat"):
    """`differs` from joint training, `equal` to it bit for bit, or the line with which it refuses."""
    cls = METHODS.get(name)
    epochs = 2 + cls.acts_from
    given = cls.early | options | CLIPS.get(name, {})
    trained = _trained(folder, name, given, encoder, frozen, fusion, epochs=epochs)
    initial = {key: value.clone() for key, value in trained.model.state_dict().items()}
    steps, original = [], trained.method.step
    trained.method.step = lambda step: (steps.append(1), original(step))
    try:
        trained.fit()
    except ModelError as error:
        refusal = str(error)
        return "refused late" if steps or "\n" in refusal else refusal
    found, expected = trained.model.state_dict(), _joint(encoder, frozen, epochs, fusion)
    same = all(key in found and torch.equal(found[key], value) for key, value in expected.items())
    moved = [key for key in found if key not in expected and not torch.equal(found[key], initial[key])]
    return "equal" if same and not moved else "differs"  # moved: what it trains beside the joint model


def _check(outcome, name, *reasons):
    """It differs, or refuses for one of these reasons."""
    if outcome == "differs":
        return
    assert outcome.startswith(f"method {name}: "), f"joint training without a word? {outcome}"
    assert any(reason in outcome for reason in reasons), outcome


FROZEN, STAGES, FUSION = (
    "they are frozen; use ",
    "exchanges between the stages of encoders",
    "use fusion concat",
)


FAST = [("mlp", False), ("mlp", True), ("small_cnn", False)]
"""in every run of the tests; the others in the full one"""
PLACES = [
    pytest.param(
        encoder,
        frozen,
        id=f"{encoder}-{'frozen' if frozen else 'trained'}",
        marks=[] if (encoder, frozen) in FAST else [pytest.mark.slow],
    )
    for encoder in ENCODERS.names()
    for frozen in (False, True)
]


@pytest.mark.parametrize(("encoder", "frozen"), PLACES)
@pytest.mark.parametrize("name", OTHERS)
def test_it_differs_from_joint_training_or_refuses(tmp_path, name, encoder, frozen):
    _check(_outcome(tmp_path, name, {}, encoder, frozen), name, STAGES, *([FROZEN] if frozen else []))


VARIANTS = [(name, options) for name in OTHERS for options in METHODS.get(name).variants if options]


@pytest.mark.parametrize(
    "frozen", [pytest.param(False, id="trained", marks=pytest.mark.slow), pytest.param(True, id="frozen")]
)
@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=[f"{n}-{o}" for n, o in VARIANTS])
def test_so_does_every_variant(tmp_path, name, options, frozen):
    _check(_outcome(tmp_path, name, options, "mlp", frozen), name, STAGES, *([FROZEN] if frozen else []))


@pytest.mark.slow
@pytest.mark.parametrize("fusion", [name for name in FUSIONS.names() if name != "concat"])
@pytest.mark.parametrize("name", OTHERS)
def test_so_it_is_with_every_fusion(tmp_path, name, fusion):
    _check(_outcome(tmp_path, name, {}, "small_cnn", False, fusion), name, FUSION, "or fusion concat")


def test_what_edits_encoders_alone_refuses_frozen_ones(tmp_path):
    """The list by hand: what each does to the head, if anything, stands in its equations."""
    outcomes = {name: _outcome(tmp_path / name, name, {}, "small_cnn", True) for name in OTHERS}
    refusing = {name for name, outcome in outcomes.items() if FROZEN in outcome}
    assert refusing == {"greedy", "inforeg", "ogm_ge", "pmr", "relearning"}


BEGINS = {"ogm_ge": "start", "agm": "start", "opm": "warm_up", "smv": "warm_up"}


@pytest.mark.parametrize("name", [name for name in OTHERS if name in BEGINS or make_method(name).waits()])
def test_until_it_acts_it_is_joint_training_as_the_note_says(tmp_path, name):
    """With options under which it waits for two epochs, or as few as it can: so long it is joint, to the bit."""
    options = {BEGINS[name]: 2} if name in BEGINS else METHODS.get(name).early
    waits = make_method(name, options).waits()
    assert waits == 2
    for epochs, expected in ((waits, True), (waits + 1, False)):
        trained = _trained(tmp_path / str(epochs), name, options, "small_cnn", False, epochs=epochs)
        trained.fit()
        joint = _joint("small_cnn", False, epochs)
        same = all(torch.equal(value, joint[key]) for key, value in trained.model.state_dict().items())
        assert same == expected
