"""What every method must satisfy, over the whole registry: a new file in methods/ is tested here without an edit."""

import csv
import os
import signal

import pytest
import torch

from ambidex.errors import ModelError, PreemptedError
from ambidex.method import METHODS
from helpers.memory_store import build, engine, in_order, make_method

TWO = ("audio", "visual")
THREE = ("audio", "visual", "touch")


def _cases(attribute):
    return [
        pytest.param(name, options, id=f"{name}-{options}")
        for name, cls in METHODS.all().items()
        for options in getattr(cls, attribute)
    ]


def _with_defaults():
    """Defaults and variants, acting from the first epoch on."""
    return [
        pytest.param(name, cls.early | options, id=f"{name}-{options or 'defaults'}")
        for name, cls in METHODS.all().items()
        for options in ({}, *filter(None, cls.variants))
    ]


def _trained():
    return [case for case in _with_defaults() if METHODS.get(case.values[0]).trains]


def _variants_slow():
    """As `_trained`; fast with the defaults alone."""
    defaults = [case for case in _trained() if case.id.endswith("-defaults")]
    others = [case for case in _trained() if case not in defaults]
    return [*defaults, *(pytest.param(*case.values, id=case.id, marks=pytest.mark.slow) for case in others)]


def _state(trained):
    return trained.model.state_dict() | {"random state": torch.get_rng_state()}


def _same(found, expected):
    """All that is expected is there, bit for bit; a method may add modules of its own to the model."""
    assert expected.keys() <= found.keys()
    return all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(("name", "options"), _cases("neutral"))
def test_neutral_equals_joint(tmp_path, name, options):
    epochs = 2 + METHODS.get(name).acts_from
    reference = engine(tmp_path / "joint", epochs=epochs)
    reference.fit()
    expected = _state(reference)
    trained = engine(tmp_path / name, name, options, epochs=epochs)
    trained.fit()
    assert trained.number >= 3
    assert _same(_state(trained), expected)


@pytest.mark.parametrize(("name", "options"), [case for case in _trained() if case.values[0] != "joint"])
def test_active_differs_from_joint(tmp_path, name, options):
    settings = {"epochs": 2 + METHODS.get(name).acts_from, "selection": "last"}
    reference = engine(tmp_path / "joint", **settings)
    trained = engine(tmp_path / name, name, options, **settings)
    initial = {k: v.clone() for k, v in reference.model.state_dict().items()}
    shared = [key for key in initial if key in trained.model.state_dict()]  # the head may be another one
    assert {k for k in initial if not k.startswith("fusion.")} <= {*shared}
    for key in shared:
        assert torch.equal(trained.model.state_dict()[key], initial[key]), (
            "methods start from the same weights"
        )
    reference.fit()
    trained.fit()
    expected = reference.model.state_dict()
    assert not all(torch.equal(trained.model.state_dict()[key], expected[key]) for key in shared)


@pytest.mark.parametrize("name", [name for name, cls in METHODS.all().items() if not cls.trains])
def test_what_trains_nothing_is_validated_once_and_left_as_it_is(tmp_path, name):
    untrained = engine(tmp_path, name, epochs=4)
    expected = {k: v.clone() for k, v in untrained.model.state_dict().items()}
    assert untrained.fit()["epoch"] == 0
    assert untrained.number == 0
    assert _same(untrained.model.state_dict(), expected)
    (row,) = csv.DictReader((tmp_path / "history.csv").open())
    assert 0 <= float(row["val/accuracy/fused"]) <= 1


@pytest.mark.parametrize(("name", "options"), _trained())
def test_every_loss_term_reaches_a_parameter(tmp_path, name, options):
    trained = engine(tmp_path / name, name, options, epochs=1)
    seen = {}
    original = trained.method.objective

    def spy(step):
        terms = original(step)
        parameters = [p for p in trained.model.parameters() if p.requires_grad]
        for term, value in terms.items():
            gradients = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
            seen[term] = any(g is not None and bool(g.abs().sum() > 0) for g in gradients)
        return terms

    trained.method.objective = spy
    trained.fit()
    assert seen
    assert all(seen.values()), seen


class _KilledError(Exception):
    pass


@pytest.mark.parametrize(("name", "options"), _variants_slow())
def test_resumed_run_is_bit_identical(tmp_path, name, options):
    modalities = TWO if METHODS.get(name).needs.max_modalities == 2 else THREE  # touch has dropout
    settings = {"modalities": modalities, "epochs": 4, "optimizer": "adam", "schedule": "cosine"}
    whole = engine(tmp_path / "whole", name, options, **settings)
    whole.fit()
    expected = _state(whole)

    def kill(epoch):
        if epoch == 1:
            raise _KilledError

    first = engine(tmp_path / "cut", name, options, **settings)
    first.on_epoch = kill
    with pytest.raises(_KilledError):
        first.fit()
    torch.manual_seed(999)  # a new process starts from another random state
    second = engine(tmp_path / "cut", name, options, **settings)
    second.fit()
    assert second.number == whole.number
    assert _same(_state(second), expected)
    assert (tmp_path / "cut" / "history.csv").read_text() == (tmp_path / "whole" / "history.csv").read_text()


@pytest.mark.parametrize(("name", "options"), _trained())
def test_stopped_within_an_epoch_it_resumes_bit_identical(tmp_path, name, options):
    """SIGTERM in the first step, in the middle of an epoch, and in an epoch's last step: three batches make one.

    And once more in the middle of the first epoch in which the method acts, where that is a later one.
    """
    modalities = TWO if METHODS.get(name).needs.max_modalities == 2 else THREE
    acts = METHODS.get(name).acts_from
    settings = {"modalities": modalities, "epochs": 3 + acts, "optimizer": "adam", "schedule": "cosine"}
    settings["selection"] = "last"
    whole = engine(tmp_path / "whole", name, options, **settings)
    whole.fit()
    for stop in (1, 5, 6, *([3 * acts + 2] if acts > 1 else [])):
        cut = engine(tmp_path / "cut", name, options, **settings)
        original = cut.method.step

        def asked(step, cut=cut, stop=stop, original=original):
            original(step)
            if cut.number + 1 == stop:
                os.kill(os.getpid(), signal.SIGTERM)

        cut.method.step = asked
        with pytest.raises(PreemptedError, match=f"after step {stop} of epoch"):
            cut.fit()
        torch.manual_seed(999)
    last = engine(tmp_path / "cut", name, options, **settings)
    last.fit()
    assert last.number == whole.number >= 9 + 3 * acts  # a method may train on samples more than once
    assert _same(last.model.state_dict(), whole.model.state_dict())
    assert (tmp_path / "cut" / "history.csv").read_text() == (tmp_path / "whole" / "history.csv").read_text()


@pytest.mark.parametrize("modalities", [TWO, THREE], ids=["M=2", "M=3"])
@pytest.mark.parametrize(("name", "options"), _with_defaults())
def test_finite_over_five_epochs_or_refused_by_name(tmp_path, name, options, modalities):
    trained = engine(tmp_path / name, name, options, modalities, epochs=5)
    limit = METHODS.get(name).needs.max_modalities
    if limit is not None and len(modalities) > limit:
        with pytest.raises(ModelError, match=name):
            trained.fit()
        return
    trained.fit()
    assert all(torch.isfinite(value).all() for value in trained.model.state_dict().values())


@pytest.mark.parametrize(("name", "options"), _with_defaults())
def test_permuting_modalities_permutes_the_result(tmp_path, name, options):
    if METHODS.get(name).needs.max_modalities == 2:
        modalities, swapped = TWO, TWO[::-1]
    else:
        modalities, swapped = THREE, THREE[::-1]
    quiet = options | ({"ge": False} if name == "ogm_ge" else {})  # noise is drawn in modality order
    # without batch norm: it carries rounding on, until a unit at zero switches and the two part
    model = build(make_method(name, quiet), modalities, plain=True)
    epochs = 1 + METHODS.get(name).acts_from
    first = engine(tmp_path / "a", name, quiet, modalities, model=model, epochs=epochs)
    model = build(make_method(name, quiet), swapped, plain=True)
    model.load_state_dict(in_order(first.model, swapped))
    second = engine(tmp_path / "b", name, quiet, swapped, model=model, epochs=epochs)
    first.fit()
    second.fit()
    for name_ in modalities:
        for a, b in zip(first.model.own(name_), second.model.own(name_), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "options"), _with_defaults())
def test_a_head_it_cannot_use_is_refused_in_one_line(tmp_path, name, options):
    trained = engine(tmp_path / name, name, options, fusion="film")
    if METHODS.get(name).needs.additive_head:
        with pytest.raises(ModelError) as caught:
            trained.fit()
        text = str(caught.value)
        assert name in text
        assert "film" in text
        assert "concat" in text
        assert "\n" not in text
