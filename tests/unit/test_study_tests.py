"""Families of tests over a study: correction by hand, power in a large table, and how seeds are brought together."""

import pytest
import torch
from scipy.stats import binomtest

from ambidex.params import Compare
from ambidex.report.rows import Row
from ambidex.report.study_rows import Samples
from ambidex.report.study_tests import by_majority, compare_pairs, with_tests

SAMPLES = 300


def samples(right: torch.Tensor, seeds=(0,), nll=0.5) -> Samples:
    found = Samples()
    for seed in seeds:
        found.values["accuracy"][seed] = right.double()
        found.values["nll"][seed] = torch.full((SAMPLES,), nll, dtype=torch.float64)
        found.values["brier"][seed] = 1 - right.double()
    return found


def first(count: int) -> torch.Tensor:
    """Right on the first `count` samples."""
    return torch.arange(SAMPLES) < count


@pytest.mark.parametrize(
    ("p_values", "wanted"),
    [
        ([0.03], 0.03),
        ([0.01, 0.04], 0.04),  # 2 of 2 are a majority
        ([0.5, 0.01, 0.02], 1.5 * 0.02),
        ([0.9, 0.8, 0.001, 0.01, 0.02], 5 / 3 * 0.02),
        ([0.9, 0.9, 0.9], 1.0),
    ],
)
def test_a_majority_of_seeds_must_agree(p_values, wanted):
    assert by_majority(p_values) == pytest.approx(wanted)


def test_a_majority_keeps_its_level_when_all_seeds_are_one():
    """The worst case: fully dependent p-values. Pooled counts of 5 seeds reject a true null far too often."""
    draws = torch.Generator().manual_seed(0)
    rejected = pooled = 0
    for _ in range(300):
        a, b = (torch.rand(100, generator=draws) < 0.7 for _ in range(2))
        won, lost = int((a & ~b).sum()), int((b & ~a).sum())
        rejected += by_majority([binomtest(won, won + lost).pvalue] * 5) < 0.05
        pooled += binomtest(5 * won, 5 * (won + lost)).pvalue < 0.05
    assert rejected / 300 <= 0.05
    assert pooled / 300 > 0.2


def test_a_clear_difference_survives_a_table_of_many_rows():
    """As many tests as 4 methods x 3 regimes x 12 allocators have: the resampling must be fine enough for Holm."""
    reference = samples(first(150))
    pairs = {i: (samples(first(150)), reference) for i in range(143)} | {
        143: (samples(first(210)), reference)
    }
    found = compare_pairs(pairs, Compare(resamples=200))
    assert found[143]["accuracy"]["mark"] == found[143]["brier"]["mark"] == "better"
    assert found[143]["brier"]["difference"] == pytest.approx(-0.2)
    assert found[143]["nll"]["mark"] == "same"
    assert {found[i]["accuracy"]["mark"] for i in range(143)} == {"same"}
    assert found[143]["mcnemar"]["p_holm"] == pytest.approx(min(1, 144 * binomtest(60, 60).pvalue))
    assert (found[143]["mcnemar"]["won"], found[143]["mcnemar"]["lost"]) == (60, 0)


def test_holm_by_hand():
    """Three exact p-values: 2 / 2^6, 2 / 2^8 and 1; steps 3 p, 2 p, p in ascending order."""
    reference = samples(first(150))
    pairs = {
        name: (samples(first(150 + k)), reference) for name, k in (("six", 6), ("eight", 8), ("none", 0))
    }
    found = compare_pairs(pairs, Compare())
    corrected = {name: tests["mcnemar"]["p_holm"] for name, tests in found.items()}
    assert corrected == pytest.approx({"eight": 3 * 2 / 2**8, "six": 2 * 2 / 2**6, "none": 1.0})


def test_only_common_seeds_are_compared():
    found = compare_pairs(
        {"a": (samples(first(200), seeds=(0, 1)), samples(first(100), seeds=(1, 2))),
         "b": (samples(first(200), seeds=(0,)), samples(first(100), seeds=(2,)))},
        Compare(),
    )  # fmt: skip
    assert list(found) == ["a"]
    assert list(found["a"]["mcnemar"]["seeds"]) == ["1"]


def row(method, regime, allocator, accuracy, kind="fused", **fields):
    numbers = {"accuracy": accuracy}
    return Row(kind, method, regime, allocator, {"0": numbers}, mean=numbers, **fields)


def test_every_row_is_tested_against_the_three_rows_it_should_be():
    measured = [
        (row("joint", "scratch", "uniform", 0.5, reference=True), samples(first(150))),
        (row("joint", "scratch", "modality", 0.6), samples(first(180))),
        (row("ogm_ge", "scratch", "uniform", 0.7), samples(first(210))),
        (row("ogm_ge", "scratch", "modality", 0.8), samples(first(240))),
        (row("joint", "frozen", "uniform", 0.9), samples(first(270))),  # no reference in this regime
        (row("single modality", "alone", "weak", 0.1, kind="single"), samples(first(30))),
        (row("single modality", "alone", "strong", 0.4, kind="single"), samples(first(120))),
    ]
    rows = with_tests(measured, Compare())

    def differences(pick):
        return [round(t["accuracy"]["difference"], 6) if (t := pick(r)) else None for r in rows]

    assert differences(lambda r: r.tests) == [None, 0.1, 0.2, 0.3, None, None, None]
    assert differences(lambda r: r.repair) == [None, 0.1, None, 0.1, None, None, None]
    assert differences(lambda r: r.single.get("tests")) == [0.1, 0.2, 0.3, 0.4, 0.5, None, None]
    assert rows[0].single["modality"] == "strong"
