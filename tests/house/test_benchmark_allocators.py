"""What was tried, against hand calculations and loops; and the command's tables at a tiny setting."""

import math

import numpy as np
import pytest
import torch
from benchmarks.allocators import on_pool, opinions, sets
from benchmarks.allocators.cells import Outcome, compare, kind_of
from benchmarks.allocators.on_pool import Seen
from benchmarks.allocators.run import main
from benchmarks.allocators.table import table
from benchmarks.allocators.variants import VARIANTS
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from ambidex.decide.allocators._pool import fit_pool
from ambidex.judge.held_out import HeldOut

LABELS = np.array([0, 1, 2, 0, 1, 2])


@pytest.fixture
def seen():
    x = np.random.default_rng(0).normal(size=(2, 6, 3))
    return Seen(x, softmax(2 * x, axis=2))


def held_out(count=60, seed=0):
    """Two modalities that know something of three classes, four groups."""
    draws = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    said = draws.normal(size=(2, count, 2, 3)) + 1.5 * np.eye(3)[labels][:, None]
    joint = draws.normal(size=(count, 1, 3)) + np.eye(3)[labels][:, None]
    both = [torch.from_numpy(part).float() for part in (*said, joint)]
    sources = {"contributions": both[0], "probes": both[1], opinions.WITH_JOINT: torch.cat(both, dim=1)}
    return HeldOut(("a", "b"), torch.from_numpy(labels), [f"g{i % 4}" for i in range(count)], sources)


def test_corrections_of_the_pool_by_loops(seen):
    """Every product written out, one sample and class at a time."""
    x, q = seen
    draws = np.random.default_rng(1)
    by_class, evidence = draws.uniform(0.5, 2, (2, 3)), draws.normal(size=(2, 3, 3))
    total, soft = x.sum(axis=0), softmax(x, axis=2)
    fused = softmax(total, axis=1)
    expected = {name: np.zeros((6, 3)) for name in ("category", "hard", "soft", "confusion", "fused")}
    for n in range(6):
        for c in range(3):
            for m in range(2):
                expected["category"][n, c] += by_class[m, c] * x[m, n, c]
                expected["hard"][n, c] += by_class[m, x[m, n].argmax()] * x[m, n, c]
                expected["soft"][n, c] += sum(soft[m, n, k] * by_class[m, k] for k in range(3)) * x[m, n, c]
                expected["confusion"][n, c] += x[m, n, c] + evidence[m, c, q[m, n].argmax()]
            expected["fused"][n, c] = total[n, c] + sum(fused[n, k] * evidence[0, c, k] for k in range(3))
    flat = by_class.reshape(-1)
    for found, name in (
        (on_pool.CategoryOnPool.speak(seen, flat), "category"),
        (on_pool.Reliability.speak(seen, flat), "hard"),
        (on_pool.ReliabilitySoft.speak(seen, flat), "soft"),
        (on_pool.ConfusionHard.speak(seen, evidence), "confusion"),
        (on_pool.ConfusionFused.speak(seen, evidence[:1]), "fused"),
    ):
        np.testing.assert_allclose(found, expected[name], atol=1e-12, err_msg=name)
    b = np.array([0.1, 0.2, 0.3])
    np.testing.assert_allclose(on_pool.Bias.speak(seen, np.append(1.0, b)), total + b)


def test_hard_confusion_counts_by_hand():
    """Says 0, 0, 1, 1 on classes 0, 0, 0, 1 (two classes, three of four right, prior of two samples)."""
    q = np.array([[[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]]])
    found = on_pool.ConfusionHard.learn(Seen(np.log(q), q), np.array([0, 0, 0, 1]), 2.0)
    of_zero = [math.log((2 + 2 * 0.75) / 5 / 0.75), math.log((1 + 2 * 0.25) / 5 / 0.25)]
    of_one = [math.log((0 + 2 * 0.25) / 3 / 0.25), math.log((1 + 2 * 0.75) / 3 / 0.75)]
    np.testing.assert_allclose(found[0], [of_zero, of_one], atol=1e-12)


def test_bias_minimises_its_objective(seen):
    """b_0 along a line through the solution, by SciPy; the weight of the pool stays 1."""
    found = on_pool.Bias.learn(seen, LABELS, 3.0)
    total = seen.x.sum(axis=0)

    def objective(b0):
        b = np.array([b0, *found[2:]])
        return -log_softmax(total + b, axis=1)[range(6), LABELS].sum() + 1.5 * (b**2).sum()

    assert found[0] == 1.0
    assert found[1] == pytest.approx(minimize_scalar(objective).x, abs=1e-5)


def test_a_huge_strength_leaves_the_pool(seen):
    for kind in (on_pool.Bias, on_pool.CategoryOnPool, on_pool.Reliability, on_pool.ReliabilitySoft):
        near = kind.speak(seen, kind.learn(seen, LABELS, 1e9))
        np.testing.assert_allclose(near, seen.x.sum(axis=0), atol=1e-6)
    centred = seen.x - seen.x.mean(axis=2, keepdims=True)
    near = on_pool.Matrix.speak(seen, on_pool.Matrix.learn(seen, LABELS, 1e9))
    near_pool = centred.sum(axis=0)
    assert (
        np.abs((near - near_pool) - (near - near_pool).mean(axis=0)).max() < 1e-5
    )  # bias is free of penalty


def test_pools_of_opinions():
    held = held_out()
    linear, even, three = (
        kind_of(name).fit_on(kind_of(name).Config(), held).allocator
        for name in ("linear_pool", "even_pool", "pool_of_three")
    )
    z = held.stack("both").double().transpose(0, 1).numpy()
    head, probes = linear.opinions(z)
    mean = (softmax(head, axis=1) + softmax(probes, axis=1)) / 2
    np.testing.assert_allclose(linear(held.stack("both")), np.log(mean), atol=1e-9)
    factors = even.found / even.found[0]
    np.testing.assert_allclose(factors, [1, 1])
    np.testing.assert_allclose(even(held.stack("both")), even.found[0] * (head + probes), atol=1e-9)
    assert three.found.shape == (3,)
    third = three.scales.joint * held.sources[opinions.WITH_JOINT][:, -1].double().numpy()
    expected = three.found[0] * head + three.found[1] * probes + three.found[2] * third
    np.testing.assert_allclose(three(held.stack(opinions.WITH_JOINT)), expected, atol=1e-9)


def test_without_a_gain_a_correction_is_the_shipped_pool():
    """One group cannot show a gain: the strongest shrinkage, the pool itself, stays."""
    held = held_out()
    alone = HeldOut(held.modalities, held.labels, ["one"] * 60, held.sources)
    both = held.stack("both")
    z = both.double().transpose(0, 1).numpy()
    pool = fit_pool(on_pool.Likelihood.of(both, held.labels), 4.0 * (1 + 59 / 10))  # sixty of one group
    for name in ("bias", "confusion_fused"):
        fitted = VARIANTS[name].fit_on(VARIANTS[name].Config(), alone).allocator
        np.testing.assert_allclose(fitted(both), np.einsum("mnc,m->nc", z, pool.factor), atol=1e-9)


def test_comparison_by_hand():
    """The sum errs on six of eight samples, the other on none: p = 2 / 2^6; equal logits differ by nothing."""
    labels = torch.tensor([0] * 8)
    contributions = torch.zeros(8, 2, 2)
    contributions[:, 0, 0] = torch.tensor([-1.0] * 6 + [1.0] * 2)
    held = HeldOut(("a", "b"), labels, list("abcdefgh"), {"contributions": contributions})
    found = compare("x", torch.tensor([[1.0, 0.0]] * 8), held)
    assert (found.accuracy, found.accuracy_p) == (75.0, 2 / 64)
    assert found.nll == pytest.approx(-0.75)  # log(1 + e) - log(1 + 1/e) = 1 on six of eight
    same = compare("x", contributions.sum(dim=1), held)
    assert same[1:5] == (0.0, 1.0, 0.0, 1.0)


def test_table_counts_by_hand():
    outcomes = [
        Outcome("a", 2.0, 0.01, -0.2, 0.01),
        Outcome("a", -1.0, 0.04, 0.1, 0.06),
        Outcome("a", 5.0, 0.05, -0.2, 0.04),
        Outcome("auto", 0.0, 1.0, 0.1, 0.001, "uniform"),
    ]
    lines = [line.split() for line in table("title", outcomes).splitlines()]
    assert lines[0] == ["title:", "3", "cells"]
    assert lines[2] == ["a", "1", "1", "2", "0", "+2.00", "-0.100"]
    assert lines[3] == ["auto", "0", "0", "0", "1", "+0.00", "+0.100"]
    assert lines[4] == ["auto", "picked", "uniform", "1"]


@pytest.mark.slow
def test_command(capsys, monkeypatch, tmp_path):
    """A set that was not looked at, one without its file; `auto` without its mixture keeps the pool."""
    monkeypatch.setitem(
        sets.SETS, "fou+mor", sets.DataSet(sets.SETS["fou+mor"].make, True, tmp_path / "no.npz")
    )
    assert main(["--seeds", "1", "--speaker-seeds", "1", "--sets", "cancer", "fou+mor"]) == 0
    printed = capsys.readouterr().out
    assert "skipped fou+mor: there is no ../shared/data/no.npz" in printed
    assert "looked at while designing" not in printed.replace("not looked at while designing", "")
    assert "kinds not looked at (cancer): 2 cells" in printed
    assert all(f"\n{name} " in printed for name in VARIANTS)
    assert printed.count("auto picked pooled 2") == 5
