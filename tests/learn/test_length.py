"""How long a training is, by hand; patience on a history by hand, and through the engine, stopped and resumed."""

import itertools
import math

import pytest
import torch

from ambidex.configuration.optimisation import Optimisation
from ambidex.learn.loop.batches import split_batches, steps_of
from ambidex.learn.loop.length import epochs_of, stalled, warmup_of
from ambidex.testing.resuming import stopped
from helpers.memory_store import engine


@pytest.mark.parametrize(
    ("given", "steps", "epochs"),
    [
        ({}, 25, 40),  # neither bound asks for anything: 1,000 steps
        ({"min_steps": 100}, 7, 40),
        ({"min_steps": 401}, 10, 41),  # 40 epochs are 400 steps
        ({"min_steps": 600}, 1, 600),
        ({}, 7, 43),
        ({"max_steps": 1_000}, 100, 10),
        ({"max_steps": 1_099}, 100, 10),  # a whole epoch more would be too many
        ({"max_steps": 50}, 100, 1),
        ({"min_steps": 600, "max_steps": 305}, 10, 30),  # the bound above wins
        ({"epochs": 3, "min_steps": 600}, 7, 3),  # what is asked for is what is trained
        ({"epochs": 400, "max_steps": 10}, 7, 400),
    ],
)
def test_epochs_by_hand(given, steps, epochs):
    assert epochs_of(Optimisation(**given), steps) == epochs


def test_warm_up_is_a_share_of_all_steps_or_so_many():
    assert warmup_of(Optimisation(warmup=0.1), 300) == 30
    assert warmup_of(Optimisation(warmup=0.1, warmup_steps=50), 300) == 50
    assert warmup_of(Optimisation(warmup=0), 300) == 0


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_steps_are_as_many_as_batches(size):
    for samples in range(1, 30):
        assert steps_of(samples, size) == len(split_batches(torch.arange(samples), size))


def _history(*scores, key="val/nll"):
    return [{"epoch": i + 1, key: score} for i, score in enumerate(scores)]


def test_patience_counts_from_the_best_epoch():
    params = Optimisation(patience=2, patience_steps=0)
    assert not stalled(_history(3, 2, 1), params, 5, 0)
    assert not stalled(_history(3, 1, 2), params, 5, 0)
    assert stalled(_history(3, 1, 2, 1), params, 5, 0)  # an equal one is no better
    assert not stalled(_history(3, 1, 2, 0.5), params, 5, 0)
    assert not stalled(_history(1, *[2] * 99), Optimisation(patience=None), 5, 0)
    assert not stalled([], params, 5, 0)
    assert not stalled([{"epoch": 1}, {"epoch": 2}, {"epoch": 3}], params, 5, 0)  # no validation


def test_patience_lasts_its_steps_and_begins_when_the_method_acts():
    params = Optimisation(patience=2, patience_steps=20)
    assert not stalled(_history(1, 2, 3, 4), params, 5, 0)  # 15 steps
    assert stalled(_history(1, 2, 3, 4, 5), params, 5, 0)
    assert not stalled(_history(1, 2, 3, 4, 5), params, 5, 2)
    assert stalled(_history(1, 2, 3, 4, 5, 6), params, 5, 2)


def test_patience_lasts_a_turn_of_the_method(tmp_path):
    params = Optimisation(patience=2, patience_steps=0)
    assert not stalled(_history(1, 2, 3, 4), params, 5, 0, turn=4)
    assert stalled(_history(1, 2, 3, 4, 5), params, 5, 0, turn=4)
    turns = {"reconboost": ({"epochs_per_stage": 2, "correct_epochs": 1}, 6), "relearning": ({"every": 7}, 7)}
    for name, (options, epochs) in turns.items():
        trained = engine(tmp_path / name, name, options)
        trained.fit()
        assert trained.method.turn(trained.run) == epochs


def test_patience_reads_groups_where_there_are_such():
    history = [{"val/nll": a, "val/group_nll": b} for a, b in ((3, 1), (2, 2), (1, 3))]
    assert stalled(history, Optimisation(patience=2, patience_steps=0), 5, 0)


EARLY = {"epochs": 12, "patience": 1, "patience_steps": 0, "learning_rate": 2.0}


class _KilledError(Exception):
    pass


def _killed_after(folder, last):
    first = engine(folder, **EARLY)

    def kill(epoch):
        if epoch == last:
            raise _KilledError

    first.on_epoch = kill
    with pytest.raises(_KilledError):
        first.fit()


def test_the_engine_ends_early_and_a_resumed_run_at_the_same_epoch(tmp_path):
    whole = engine(tmp_path / "whole", **EARLY)
    selected = whole.fit()
    history = whole.state.history
    assert selected["epochs"] == len(history) < 12
    scores = [epoch["val/nll"] for epoch in history]
    assert scores[-1] >= min(scores[:-1])  # the first that was not better
    assert all(b < a for a, b in itertools.pairwise(scores[:-1]))
    for last in {0, len(history) - 1}:  # the second: killed when nothing was left to do but to deliver
        folder = tmp_path / f"killed{last}"
        _killed_after(folder, last)
        again = engine(folder, **EARLY)
        again.fit()
        assert again.state.history == history
        for name, value in whole.model.state_dict().items():
            assert torch.equal(value, again.model.state_dict()[name])


RECIPE = {
    "schedule": "cosine",
    "schedule_per": "step",
    "warmup": 0.3,
    "clip_norm": 0.5,
    "label_smoothing": 0.1,
}


def test_a_run_stopped_within_epochs_of_the_recipe_goes_on_to_the_same_bits(tmp_path):
    stopped("multi_task", {}, tmp_path, **RECIPE, patience=3, patience_steps=5)


def test_warm_up_and_cosine_span_the_steps_that_the_floor_asks_for(tmp_path):
    """24 samples in batches of 8 and a floor of 124 steps: 42 epochs, 126 steps, 63 of them warm-up."""
    trained = engine(tmp_path, epochs=None, min_steps=124, schedule="cosine", schedule_per="step", warmup=0.5)
    rates, original = [], trained.method.step

    def step(given):
        rates.append(trained.optimizer.param_groups[0]["lr"])
        original(given)

    trained.method.step = step
    assert trained.fit()["epochs"] == trained.run.epochs == 42
    expected = [0.05 * min(1, (t + 1) / 63) * 0.5 * (1 + math.cos(math.pi * t / 126)) for t in range(126)]
    assert rates == pytest.approx(expected, rel=1e-9)
