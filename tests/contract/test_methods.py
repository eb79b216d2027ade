"""What every method must satisfy, over the whole registry: a new file in methods/ is tested here without an edit."""

import pytest

from ambidex.learn.method import METHODS
from ambidex.testing import resuming, training
from ambidex.testing.expect import cases

QUIET = {"ogm_ge": {"ge": False}}
"""noise is drawn in modality order"""


def _cases():
    """Defaults and variants, acting from the first epoch on."""
    return [
        pytest.param(name, options, id=f"{name}-{options or 'defaults'}")
        for name in METHODS.own()
        for options in cases(name)
    ]


def _trained():
    return [case for case in _cases() if METHODS.get(case.values[0]).trains]


def _variants_slow(found):
    """The first case of each method fast, the others in the full run of the tests."""
    firsts = {case.values[0]: case for case in reversed(found)}.values()
    others = [case for case in found if case not in firsts]
    return [*firsts, *(pytest.param(*case.values, id=case.id, marks=pytest.mark.slow) for case in others)]


NEUTRAL = [
    pytest.param(name, options, id=f"{name}-{options}")
    for name in METHODS.own()
    for options in METHODS.get(name).neutral
]


@pytest.mark.parametrize(("name", "options"), _variants_slow(NEUTRAL))
def test_neutral_equals_joint(tmp_path, name, options):
    training.neutral(name, options, tmp_path)


@pytest.mark.parametrize(
    ("name", "options"), _variants_slow([case for case in _trained() if case.values[0] != "joint"])
)
def test_active_differs_from_joint(tmp_path, name, options):
    training.active(name, options, tmp_path)


@pytest.mark.parametrize("name", [name for name in METHODS.own() if not METHODS.get(name).trains])
def test_what_trains_nothing_is_validated_once_and_left_as_it_is(tmp_path, name):
    training.untrained(name, tmp_path)


@pytest.mark.parametrize(("name", "options"), _trained())
def test_every_loss_term_reaches_a_parameter(tmp_path, name, options):
    training.loss_terms(name, options, tmp_path)


@pytest.mark.parametrize(("name", "options"), _variants_slow(_trained()))
def test_resumed_run_is_bit_identical(tmp_path, name, options):
    resuming.resumed(name, options, tmp_path)


@pytest.mark.parametrize(("name", "options"), _variants_slow(_trained()))
def test_stopped_within_an_epoch_it_resumes_bit_identical(tmp_path, name, options):
    resuming.stopped(name, options, tmp_path)


@pytest.mark.parametrize("modalities", [training.TWO, training.THREE], ids=["M=2", "M=3"])
@pytest.mark.parametrize(("name", "options"), _variants_slow(_cases()))
def test_finite_over_five_epochs_or_refused_by_name(tmp_path, name, options, modalities):
    training.finite(name, options, modalities, tmp_path)


@pytest.mark.parametrize(("name", "options"), _variants_slow(_cases()))
def test_permuting_modalities_permutes_the_result(tmp_path, name, options):
    training.order(name, options | QUIET.get(name, {}), tmp_path)


@pytest.mark.parametrize(("name", "options"), _cases())
def test_a_head_it_cannot_use_is_refused_in_one_line(tmp_path, name, options):
    training.head(name, options, tmp_path)
