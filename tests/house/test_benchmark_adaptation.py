"""The benchmark of adapting: groups take turns, what breaks is broken, and intervals draw whole groups."""

from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.adaptation import run, scenes
from benchmarks.adaptation.cells import VARIANTS, Outcome, outcomes
from benchmarks.adaptation.scenes import Scene
from benchmarks.adaptation.sets import GroupedSet, Vectors

GROUPS, EACH = 8, 12


def made_up() -> Vectors:
    draws = np.random.default_rng(0)
    labels = np.tile(np.arange(3), GROUPS * EACH // 3)
    parts = [2 * np.eye(3)[labels] + draws.normal(size=(len(labels), 3)) for _ in range(3)]
    return Vectors(parts, labels, np.repeat(np.arange(GROUPS), EACH))


@pytest.fixture
def sets(monkeypatch: pytest.MonkeyPatch) -> dict[str, GroupedSet]:
    found = {"made up": GroupedSet(made_up, Path(__file__), 4, val=2)}
    monkeypatch.setattr(scenes, "EVERY", found)
    monkeypatch.setattr(run, "SETS", found)
    return found


def test_every_group_is_tested_once_and_is_in_one_split(sets):
    turns = [sets["made up"].samples(turn) for turn in range(4)]
    tested = []
    for samples in turns:
        of = {s: {samples.groups[i] for i in rows.tolist()} for s, rows in samples.rows.items()}
        assert [len(of[s]) for s in ("train", "val", "test")] == [2, 4, 2]
        assert len(set().union(*of.values())) == GROUPS
        tested += of["test"]
    assert sorted(tested) == [str(g) for g in range(GROUPS)]


def test_one_modality_is_broken_and_the_others_are_not(sets):
    scene = Scene.of("made up", 0, "multi_task", 0)
    rows = next(iter(scene.test().values()))
    clean = scene.broken(rows, None, "clean", 0)
    for kind in scenes.BREAKS:
        view = scene.broken(rows, 1, kind, 0)
        assert torch.equal(view.features[0], clean.features[0])
        assert not torch.equal(view.features[1], clean.features[1])
        assert (view.features[1].std(dim=0).max() < 1e-6) == (kind in ("zeros", "frozen"))
    seen = list(outcomes(scene, "uniform", 0, (0,)))
    assert {r.case for r in seen} == {"clean", *scenes.BREAKS}
    assert {r.variant for r in seen} == {"fitted", *VARIANTS}


def test_an_interval_draws_whole_groups():
    values, groups = [1.0] * 50 + [-1.0] * 50, ["a"] * 50 + ["b"] * 50
    mean, (low, high) = run._interval(values, groups)
    assert mean == 0
    assert (low, high) == (-1, 1)


def test_the_table_says_what_is_clear(sets, capsys, monkeypatch):
    rows = [Outcome(v, "clean", 1, str(g), 2.0, -0.5, True, False) for v in ("adapt", "x") for g in range(9)]
    assert run._cell(rows[:9]) == "+2.0* -0.500 [-0.50,-0.50]*"

    def some(scene, allocator, seed):
        return [row for row in outcomes(scene, allocator, seed, (0,)) if row.group in "012"]

    monkeypatch.setattr(run, "outcomes", some)
    monkeypatch.setattr(run, "SIZES", (0,))
    assert run.main(["--seeds", "1", "--sets", "made up", "--allocator", "uniform"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith(("clean", *scenes.BREAKS)) for line in lines) == 4
