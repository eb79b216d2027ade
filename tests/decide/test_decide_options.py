"""The one place where allocators' parameters come together."""

import pytest

from ambidex.base.errors import ParamsError
from ambidex.decide.options import allocator_config


def test_what_is_given_for_an_allocator_wins_over_the_folds_and_the_seed_of_all():
    options = {"modality": {"shrinkage": 2.0, "folds": 3}, "norm": {"seed": 9}}
    config = allocator_config("modality", options, 7, 5)
    assert (config.shrinkage, config.folds, config.seed) == (2.0, 3, 5)
    assert (allocator_config("norm", options, 7, 5).folds, allocator_config("norm", options, 7, 5).seed) == (
        7,
        9,
    )


def test_one_that_picks_holds_the_others_parameters_with_its_own_on_top():
    options = {
        "modality": {"shrinkage": 2.0, "folds": 3},
        "norm": {"seed": 9},
        "auto": {"folds": 4, "options": {"modality": {"shrinkage": 8.0}, "gate": {"hidden": 2}}},
    }
    config = allocator_config("auto", options, 7, 5)
    assert (config.folds, config.seed) == (4, 5)
    assert config.options == {
        "modality": {"shrinkage": 8.0, "folds": 3},
        "norm": {"seed": 9},
        "gate": {"hidden": 2},
    }
    candidate = allocator_config("modality", config.options, config.folds, config.seed)
    assert (candidate.shrinkage, candidate.folds, candidate.seed) == (8.0, 3, 5)


def test_a_mistake_names_the_parameter():
    with pytest.raises(ParamsError, match=r"^evaluate\.options\.modality\.shrinkage: got -1"):
        allocator_config("modality", {"modality": {"shrinkage": -1.0}}, 5, 0)
    with pytest.raises(ParamsError, match="did you mean 'modality'"):
        allocator_config("modalty", {}, 5, 0)
