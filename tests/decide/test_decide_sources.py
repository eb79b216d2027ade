"""What an allocator is fitted on: contributions, own heads, probes or both, and what is refused."""

import dataclasses

import pytest
import torch

from ambidex.decide.allocators import ALLOCATORS
from ambidex.judge.held_out import CROSS_FITTED, HeldOut, RefusedError, stack
from helpers.heldouts import draw, fit, habitual, made

NEEDS_CLASSIFIERS = ("calibrated", "capability", "confidence", "gate", "stacking", "temperature")
HAVE_THEIR_OWN = {"confusion": "both", "pooled": "both", "ensemble": "probes", "typicality": "typicality"} | {
    "mixture": "opinions"
}
ANY = ("category", "modality", "norm", "uniform", "scale")
LABELS = torch.arange(100) % 2


def right_on(*counts):
    """Two-class logits [100, M, 2] of modalities that are right on so many of the 100 samples."""
    z = torch.zeros(100, len(counts), 2)
    for m, count in enumerate(counts):
        said = torch.where(torch.arange(100) < count, LABELS, 1 - LABELS)
        z[torch.arange(100), m, said] = 1.0
    return z


def sources(contributions, probes=(100, 100), own_heads=None):
    found = {"contributions": right_on(*contributions), "probes": right_on(*probes)}
    if own_heads is not None:
        found["own_heads"] = right_on(*own_heads)
    return HeldOut(("ear", "eye"), LABELS, [str(i) for i in range(100)], found)


def kinds(names):
    return pytest.mark.parametrize("kind", [ALLOCATORS.get(name) for name in names], ids=names)


def test_every_allocator_says_what_it_needs():
    assert sorted((*NEEDS_CLASSIFIERS, *HAVE_THEIR_OWN, *ANY, "auto")) == ALLOCATORS.names()


def test_standing_by_hand():
    checks = sources((97, 96), own_heads=(99, 50)).branch_checks("contributions")
    assert checks["ear"].is_classifier
    assert (checks["ear"].accuracy, checks["ear"].probe_accuracy) == (pytest.approx(0.97), 1.0)
    assert not checks["eye"].is_classifier  # 4 points below its probe, 3 are allowed
    assert not sources((97, 96), own_heads=(99, 50)).branch_checks("own_heads")["eye"].is_classifier
    assert sources((30, 97), probes=(20, 100)).branch_checks("contributions")["ear"].is_classifier


@kinds(NEEDS_CLASSIFIERS)
def test_contributions_that_stand_alone_are_used(kind):
    assert kind.source_for(sources((97, 97), own_heads=(100, 100))) == ("contributions", None)
    assert kind.source_for(sources((97, 97)), "refuse") == ("contributions", None)


@kinds(NEEDS_CLASSIFIERS)
@pytest.mark.parametrize("otherwise", ["probes", "refuse"])
def test_own_heads_stand_in_first(kind, otherwise):
    source, note = kind.source_for(sources((100, 96), own_heads=(98, 97)), otherwise)
    assert source == "own_heads"
    assert note == (
        "fitted on the model's own heads: 'eye' alone reaches 96.0% on validation where a probe on its features "
        "reaches 100.0% (at most 3% less is allowed)"
    )


@kinds(NEEDS_CLASSIFIERS)
@pytest.mark.parametrize("own_heads", [None, (100, 90)])
def test_else_the_probes_do_or_it_is_refused(kind, own_heads):
    held = sources((40, 60), own_heads=own_heads)
    numbers = (
        "'ear' alone reaches 40.0% on validation where a probe on its features reaches 100.0% "
        "(at most 3% less is allowed)"
    )
    assert kind.source_for(held) == ("probes", f"fitted on linear probes of the features: {numbers}")
    with pytest.raises(RefusedError) as refusal:
        kind.source_for(held, "refuse")
    assert str(refusal.value) == f"needs contributions that are classifiers of their own; {numbers}"


def test_the_reason_names_the_samples_that_were_looked_at():
    crossed = dataclasses.replace(sources((40, 60)), origin=CROSS_FITTED)
    some = crossed.subset(range(100))
    expected = "'ear' alone reaches 40.0% on the cross-fitted training split where a probe"
    assert expected in ALLOCATORS.get("temperature").source_for(some)[1]
    with pytest.raises(RefusedError, match=expected):
        ALLOCATORS.get("temperature").source_for(some, "refuse")


@kinds((*ANY, *HAVE_THEIR_OWN))
@pytest.mark.parametrize("otherwise", ["probes", "refuse"])
def test_others_do_not_care(kind, otherwise):
    expected = HAVE_THEIR_OWN.get(kind.__module__.rsplit(".", 1)[1], "contributions")
    assert kind.source_for(sources((0, 0), own_heads=(0, 0)), otherwise) == (expected, None)


@pytest.mark.parametrize("name", NEEDS_CLASSIFIERS)
def test_what_stands_in_is_what_is_fitted(name):
    """Contributions upside down: fitted as if the probes were all there is."""
    held = habitual()
    deaf = made(-held.sources["contributions"], held.labels, held.groups, held.sources["probes"])
    fitted = fit(name, deaf)
    assert fitted.source == "probes"
    assert fitted.note.startswith("fitted on linear probes of the features: 'm")
    alone = fit(name, made(held.sources["probes"], held.labels, held.groups))
    for key, value in alone.allocator.state_dict().items():
        torch.testing.assert_close(fitted.allocator.state_dict()[key], value)


def test_both_are_contributions_then_probes():
    held = draw([[1.0, 1.0]] * 2, 6)
    both = held.stack("both")
    assert torch.equal(both[:, :2], held.sources["contributions"])
    assert torch.equal(both[:, 2:], held.sources["probes"])
    wide = stack({**held.sources, "probes": held.sources["probes"].double()}, "both")
    assert wide.dtype == torch.float32  # of the contributions


@pytest.mark.parametrize("rows", [[4, 1], torch.tensor([4, 1])])
def test_some_of_the_samples(rows):
    held = draw([[1.0, 1.0]] * 2, 6)
    some = held.subset(rows)
    assert some.groups == ["g4", "g1"]
    assert torch.equal(some.labels, held.labels[[4, 1]])
    for source, values in held.sources.items():
        assert torch.equal(some.sources[source], values[[4, 1]])
