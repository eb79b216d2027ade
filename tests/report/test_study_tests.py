"""Families of tests over a study: correction by hand, power in a large table, and how seeds are brought together."""

import pytest
import torch
from scipy.stats import binomtest, ttest_1samp

from ambidex.base.statistics import bootstrap_blocks
from ambidex.configuration.params import Compare
from ambidex.report.study import significance
from ambidex.report.study.measured import Samples, Shelf
from ambidex.report.study.rows import Row
from ambidex.report.study.significance import _fine, _p_values, by_majority, compare_pairs, with_tests
from ambidex.report.study.units import unit_words, units

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


def test_the_luck_of_a_seed_is_not_an_effect():
    """Ten points up in one seed and eight down in the other: clear for these two models, not for the method."""
    ours, theirs = Samples(), samples(first(150), seeds=(0, 1))
    for seed, count in ((0, 180), (1, 126)):
        for name, values in samples(first(count), seeds=(seed,)).values.items():
            ours.values[name] |= values
    ours.values["nll"][0] = torch.full((SAMPLES,), 0.1, dtype=torch.float64)
    test = compare_pairs({"pair": (ours, theirs)}, Compare())["pair"]
    assert test["nll"]["p_models"] < 0.01
    assert test["nll"]["mark"] == test["accuracy"]["mark"] == "same"
    assert test["accuracy"]["low"] < -0.1 < 0.1 < test["accuracy"]["high"]


def in_groups(values, groups, seeds=(0, 1, 2)) -> Samples:
    found = Samples()
    found.groups[:] = groups
    for name in found.values:
        found.values[name] |= {seed: values[seed] for seed in seeds}
    return found


def test_samples_of_one_group_are_no_strangers():
    """Twelve speakers, each with an effect of its own, none on average: clear over samples, not over speakers."""
    draws = torch.Generator().manual_seed(3)
    unit = torch.arange(SAMPLES) % 12
    effect = torch.randn(12, dtype=torch.float64, generator=draws)[unit]
    values = effect + 0.3 * torch.randn(3, SAMPLES, dtype=torch.float64, generator=draws)
    zeros = torch.zeros(3, SAMPLES, dtype=torch.float64)
    marks = {}
    for names in ([""] * SAMPLES, [f"speaker {k}" for k in unit]):
        test = compare_pairs({"pair": (in_groups(values, names), in_groups(zeros, names))}, Compare())["pair"]
        assert test["accuracy"]["difference"] == pytest.approx(values.mean().item())
        marks[names[0]] = test["accuracy"]["mark"], test["accuracy"]["p_models"] < 0.05
    assert marks == {"": ("better", True), "speaker 0": ("same", False)}
    means = torch.stack([values[:, unit == k].mean() for k in range(12)])
    wide = ttest_1samp(means, 0).confidence_interval()
    assert [test["accuracy"]["low"], test["accuracy"]["high"]] == pytest.approx(list(wide), rel=0.05)


@pytest.mark.parametrize(
    ("groups", "counted", "words"),
    [
        (["a", "b"] * 20, False, "holds 2 groups"),
        ([""] * 40, False, "test samples"),
        ([str(i) for i in range(40)], False, "test samples"),
        ([str(i % 10) for i in range(40)], True, "the 10 groups"),
    ],
)
def test_groups_count_where_there_are_enough(groups, counted, words):
    assert (units(groups) is not None) == counted
    assert words in unit_words(groups)


def test_one_seed_is_judged_by_its_samples():
    test = compare_pairs({"pair": (samples(first(210)), samples(first(150)))}, Compare())["pair"]["accuracy"]
    assert test["p"] == test["p_models"] < 0.01
    assert test["mark"] == "better"


def test_holm_by_hand():
    """Three exact p-values: 2 / 2^6, 2 / 2^8 and 1; steps 3 p, 2 p, p in ascending order."""
    reference = samples(first(150))
    pairs = {
        name: (samples(first(150 + k)), reference) for name, k in (("six", 6), ("eight", 8), ("none", 0))
    }
    found = compare_pairs(pairs, Compare())
    corrected = {name: tests["mcnemar"]["p_holm"] for name, tests in found.items()}
    assert corrected == pytest.approx({"eight": 3 * 2 / 2**8, "six": 2 * 2 / 2**6, "none": 1.0})


def test_main_rows_are_corrected_among_themselves_and_the_rest_over_all():
    """2 / 2^6 and 2 / 2^8 again, with eight rows that differ in nothing: 2 p and p, but 10 p over all."""
    reference = samples(first(150))
    pairs = {"six": (samples(first(156)), reference), "eight": (samples(first(158)), reference)}
    pairs |= {str(i): (samples(first(150)), reference) for i in range(8)}
    found = compare_pairs(pairs, Compare(), main=("eight", "0"))
    assert found["eight"]["mcnemar"]["p_holm"] == pytest.approx(2 * 2 / 2**8)
    assert found["six"]["mcnemar"]["p_holm"] == pytest.approx(9 * 2 / 2**6)


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


def test_p_values_are_the_same_in_one_block_and_in_several():
    draws = torch.randn(200, 5, generator=torch.Generator().manual_seed(0)) + torch.arange(5) / 2
    whole = _p_values([draws])
    below, above = (draws <= 0).double().sum(0), (draws >= 0).double().sum(0)
    torch.testing.assert_close(whole, (2 * (torch.minimum(below, above) + 1) / 201).clamp_max(1.0))
    assert torch.equal(whole, _p_values(draws.split(37)))


def test_columns_that_no_resample_can_turn_have_the_p_value_of_their_draws(monkeypatch):
    """From none to twelve standard errors on either side of 0, and two that are nowhere or everywhere above it."""
    drawn = []

    def blocks(columns, *given):
        drawn.append(columns.shape[1])
        yield from bootstrap_blocks(columns, *given)

    monkeypatch.setattr(significance, "bootstrap_blocks", blocks)
    errors = torch.cat([torch.arange(13.0), -torch.arange(13.0)]) / 200**0.5
    normal = torch.randn(200, 26, generator=torch.Generator().manual_seed(0))
    columns = torch.cat([normal + errors, torch.zeros(200, 1), torch.ones(200, 1)], dim=1).double()
    unit = torch.arange(200) // 2
    for units_ in (None, unit):
        drawn.clear()
        wanted = _p_values(bootstrap_blocks(columns, 5_000, 3, units_))
        assert torch.equal(_fine(columns, 5_000, 3, units_), wanted)
        assert 13 <= drawn[0] <= 22


def test_what_is_corrected_is_found_finer_than_what_is_not(monkeypatch):
    """480 resamples for three pairs at most; p-values of trained models alone stay at 200."""
    monkeypatch.setattr(significance, "_ENOUGH", 200)
    two, one = ((samples(first(n), seeds=(0, 1)), samples(first(n), seeds=(0,))) for n in (250, 100))
    pairs = {"two": (two[0], one[0]), "one": (two[1], one[1]), "same": (one[1], one[1])}
    found = compare_pairs(pairs, Compare(resamples=100))
    assert found["one"]["accuracy"]["p"] == found["one"]["accuracy"]["p_models"] == pytest.approx(2 / 481)
    assert found["two"]["accuracy"]["p_models"] == pytest.approx(2 / 201)
    assert found["same"]["accuracy"]["p"] == 1.0


def test_a_shelf_keeps_copies_of_any_length() -> None:
    shelf, drawn = Shelf(), [torch.rand(5 if i % 7 else 3).double() for i in range(600)]
    kept = [shelf.put(values) for values in drawn]
    expected = [values.clone() for values in drawn]
    for values in drawn:
        values.zero_()
    assert all(torch.equal(a, b) for a, b in zip(kept, expected, strict=True))
