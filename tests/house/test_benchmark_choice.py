"""Rules of choice: rotations keep groups apart, a rule picks as `auto` does; the command's tables at a tiny setting."""

import numpy as np
import pytest
import torch
from benchmarks.allocators.sets import Speakers
from benchmarks.choice import run, sets
from benchmarks.choice.judged import Cell, judge
from benchmarks.choice.rotations import rotations
from benchmarks.choice.rules import POOL, RULES, SHIPPED
from benchmarks.choice.run import PRIOR
from benchmarks.choice.scores import CANDIDATES, EVERYONE, MIXTURE, Scores, score
from benchmarks.choice.sets import DataSet, Vectors

from ambidex.decide.allocators import ALLOCATORS
from helpers.heldouts import draw, fit, habitual, said


def tiny(seed):
    drawn = Speakers((0.9, 0.35), split=(2, 2, 2), each=24).draw(seed)
    return Vectors([x.numpy() for x in drawn.vectors], drawn.labels.numpy(), drawn.groups)


TINY = DataSet(tiny, 2, 2, (1, 2))


def test_every_group_has_one_side_and_unlike_ones_lie_at_an_end():
    """Six groups whose means lie on a line: the two furthest at one end are tested, then the two at the other."""
    labels = np.tile([0, 1], 6)
    groups = np.repeat(list("fbdace"), 2)
    place = {name: i for i, name in enumerate("abcdef")}
    x = np.array([[10.0 * place[group] + label] for group, label in zip(groups, labels, strict=True)])
    data = DataSet(lambda seed: Vectors([x], labels, groups.tolist()), 2, 2, (1,), "made")
    found = list(rotations(data, data.read(0), 3, 2))
    assert [rotation.kind for rotation in found] == ["like"] * 3 + ["unlike"] * 2
    for rotation in found:
        assert sorted([*rotation.train, *rotation.pool, *rotation.test]) == list("abcdef")
    assert {frozenset(rotation.test) for rotation in found[3:]} == {frozenset("ab"), frozenset("ef")}


def test_a_rule_picks_and_softens_as_auto_does():
    held = draw([[2.0] * 3] * 2, 60, group_size=10)
    for seen in (held, habitual(count=60)):
        scores = score({"val": seen, "test": habitual(seed=3, count=40)}).mixed(PRIOR)
        place = RULES[SHIPPED].pick(scores)
        auto = fit("auto", seen, candidates=(*CANDIDATES, MIXTURE), bayes_factor=1e9)
        assert (*CANDIDATES, MIXTURE)[place] == auto.allocator.record["chosen"]
        assert RULES[SHIPPED].temperature(scores, place) == pytest.approx(auto.temperature)
        expected = said(auto, habitual(seed=3, count=40))
        torch.testing.assert_close(scores.test[place] / auto.temperature, expected, atol=1e-5, rtol=1e-5)


def test_everyone_is_asked_where_that_is_wanted():
    assert sorted(EVERYONE) == sorted(set(ALLOCATORS.names()) - {"auto", MIXTURE})
    seen = {"val": habitual(count=40), "test": habitual(seed=3, count=40)}
    scores = score(seen, candidates=("uniform", "gate")).mixed(PRIOR)
    assert scores.test.shape == (3, 40, 3)


def test_outcomes_by_hand():
    """The pool is right six times where the sum is wrong, and worse nowhere: p = 2 / 2^6; every group is one sample."""
    labels = torch.zeros(8, dtype=torch.int64)
    wrong, right = torch.tensor([0.0, 1.0]).repeat(8, 1), torch.tensor([1.0, 0.0]).repeat(8, 1)
    wrong[:2] = right[:2]
    z = torch.stack([right if name == "pooled" else wrong for name in CANDIDATES])
    scores = Scores(z, z, labels, torch.arange(8), z, labels).mixed(PRIOR)
    outcome = judge(RULES[POOL], Cell("made", "like", "joint", 8, {True: scores}))
    assert (outcome.points, outcome.significant, outcome.regret_points) == (75.0, 1, 0.0)
    assert outcome.nats == pytest.approx(-0.75)  # log(1 + e^-1) and log(1 + e) differ by 1


def test_the_command_prints_its_tables(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sets.SETS, "speakers", TINY)
    arguments = ["--cache", str(tmp_path), "--sets", "speakers", "--like", "0", "--unlike", "1"]
    assert run.main(arguments) == 0
    first = capsys.readouterr().out
    assert all(f"\n{name}" in first for name in RULES)
    assert "| speakers | unlike | 1 | 2 |" in first
    assert len(list(tmp_path.glob("*.safetensors"))) == 8  # 2 trainings, 2 counts, 2 priors
    assert run.main(arguments) == 0
    assert capsys.readouterr().out == first
