"""How small a difference a study could have shown: against the noncentral t distribution, and by simulated studies."""

import math

import pytest
import torch
from benchmarks.power import main, studies
from scipy.stats import nct, norm, t

from ambidex.base.statistics import crossed
from ambidex.configuration.params import Compare
from ambidex.report.study.detectable import Power, power_text, power_words
from ambidex.report.study.measured import Samples
from ambidex.report.study.power import study_power
from ambidex.report.study.power_of_tests import (
    Design,
    detectable,
    detectable_alone,
    power,
    spread_from,
    spread_of,
)
from ambidex.report.study.rows import Row


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("level", [0.05, 0.05 / 7])
def test_where_seeds_alone_vary_it_is_a_t_test(seeds, level):
    """One number for each seed: SciPy's noncentral t has the answer."""
    design, luck = Design(seeds, 500), 0.03
    spread = spread_from(luck, 0.0, 0.0, design)
    limit = t.isf(level / 2, seeds - 1)
    for difference in (0.0, 0.03, 0.1):
        shift = difference / (luck / math.sqrt(seeds))
        wanted = nct.sf(limit, seeds - 1, shift) + (nct.cdf(-limit, seeds - 1, shift) if shift < 4 else 0)
        assert power(difference, spread, design, level) == pytest.approx(wanted, abs=0.002)
    least = detectable(spread, design, level)
    shift = least / (luck / math.sqrt(seeds))
    assert nct.sf(limit, seeds - 1, shift) == pytest.approx(0.8, abs=0.002)


@pytest.mark.parametrize(
    ("design", "seed", "sample", "rest", "level"),
    [
        (Design(3, 60), 0.05, 0.3, 0.4, 0.05),
        (Design(3, 60), 0.0, 0.3, 0.4, 0.05),  # seeds that agree by chance prove nothing: the test is careful
        (Design(2, 40), 0.1, 0.1, 0.3, 0.05),
        (Design(5, 12), 0.0, 0.4, 0.1, 0.05 / 4),  # twelve groups, which say nearly all
    ],
)
def test_simulated_studies_find_it_in_four_of_five(design, seed, sample, rest, level):
    """1,500 studies, judged by the very test: the share has a standard error of 1 point."""
    least, count = detectable(spread_from(seed, sample, rest, design), design, level), 1500
    draws = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, count, generator=draws, dtype=torch.float64)

    values = least + seed * normal(design.seeds, 1) + sample * normal(1, design.samples)
    values = values + rest * normal(*design)
    found = sum(one.p < level for one in crossed(values)) / count
    assert found == pytest.approx(0.8, abs=0.035)


def test_what_is_measured_of_many_studies_is_what_was_put_in():
    design = Design(4, 50)
    draws = torch.Generator().manual_seed(1)
    values = 0.1 * torch.randn(4, 1, 400, generator=draws) + 0.5 * torch.randn(4, 50, 400, generator=draws)
    found, wanted = spread_of(values), spread_from(0.1, 0.0, 0.5, design)
    assert found.rest == pytest.approx(wanted.rest, rel=0.03)
    assert found.seed == pytest.approx(wanted.seed, rel=0.15)
    assert detectable(found, design) == pytest.approx(detectable(wanted, design), rel=0.1)


def test_right_and_wrong_answers_are_near_enough_to_normal():
    """The benchmark's studies are of 0 and 1: the formula, from what they vary by, against how many are found."""
    design = Design(5, 200)
    values = studies(600, design, 0.06, 0.02)
    found = sum(one.p < 0.05 for one in crossed(values)) / 600
    assert power(0.06, spread_of(values), design) == pytest.approx(found, abs=0.06)
    assert values.mean().item() == pytest.approx(0.06, abs=0.01)


def test_nothing_that_varies_hides_nothing():
    assert detectable(spread_from(0.0, 0.0, 0.0, Design(3, 10)), Design(3, 10)) == 0.0


def row(method, reference=False):
    return Row("fused", method, "scratch", "uniform", {"0": {"accuracy": 0.5}}, reference=reference)


def table(seeds, groups=None, luck=0.05, methods=3):
    """A reference and methods, whose differences to it have a known spread."""
    draws = torch.Generator().manual_seed(0)
    names = groups or [f"sample {i}" for i in range(120)]
    found = []
    for k in range(methods + 1):
        samples = Samples()
        samples.groups[:] = names
        for seed in range(seeds):
            shift = (luck * torch.randn(1, generator=draws, dtype=torch.float64)).item() if k else 0.0
            noise = 0.3 * torch.randn(120, generator=draws, dtype=torch.float64) if k else torch.zeros(120)
            for values in samples.values.values():
                values[seed] = noise + shift
        found.append((row(f"m{k}", reference=k == 0), samples))
    return found


def test_the_study_measures_its_main_rows_against_the_reference():
    found = study_power(table(3), Compare())
    assert (found.seeds, found.units, found.grouped, found.comparisons) == (3, 120, False, 3)
    differences = [
        torch.stack([samples.values["nll"][s] for s in range(3)])
        for row, samples in table(3)
        if not row.reference
    ]
    spread = spread_of(torch.stack(differences, dim=-1))
    assert found.alone["nll"] == pytest.approx(detectable(spread, Design(3, 120), 0.05))
    assert found.corrected["nll"] == pytest.approx(detectable(spread, Design(3, 120), 0.05 / 3))
    assert found.corrected["accuracy"] > found.alone["accuracy"]
    in_groups = study_power(table(3, [f"speaker {i % 12}" for i in range(120)]), Compare())
    assert (in_groups.units, in_groups.grouped) == (12, True)
    assert study_power(table(3)[:1], Compare()) is None  # nothing to compare


def test_one_seed_is_of_these_models_alone():
    found = study_power(table(1, luck=0.0, methods=1), Compare())
    deviation = table(1, luck=0.0, methods=1)[1][1].values["nll"][0].std().item()
    wanted = (norm.isf(0.025) + norm.ppf(0.8)) * deviation / 120**0.5
    assert found.alone["nll"] == pytest.approx(wanted) == detectable_alone(deviation, 120)
    assert "these trained models alone" in power_words(found)[0]


def words(**changes):
    numbers = {"accuracy": 0.1234, "nll": 0.5}
    known = {"seeds": 3, "units": 144, "grouped": False, "comparisons": 7, "level": 0.05, "share": 0.8}
    return power_words(Power(**{**known, "alone": numbers, "corrected": numbers, **changes}))


def test_what_could_not_be_shown_is_said_where_it_is_read():
    (three,) = words()
    assert "with 3 seeds and 144 test samples: 12.3 points of accuracy or 0.500 nats of NLL" in three
    assert "after correction for 7" in three
    assert three.endswith("is not refuted.")
    first, _ = words(seeds=2, corrected={"accuracy": 1.4, "nll": 3.0})
    assert "Practically nothing can be marked" in first
    assert "more than 100 points of accuracy or 3.000 nats" in first
    assert "Take 3 seeds or more (study.seeds)" in first
    assert "12 test groups" in words(grouped=True, units=12)[0]
    assert "correction" not in words(comparisons=1)[0]
    assert power_words(None) == []
    assert power_text(None) == ""


def test_the_benchmark_prints_a_line_for_each_design(capsys):
    assert main(["--seeds", "2", "5", "--samples", "100", "--studies", "100", "--difference", "20"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[3:]]
    assert [line[:2] for line in lines] == [["2", "100"], ["5", "100"]]
    (_, _, wide, *_), (_, _, narrow, found, formula, _) = lines
    assert int(wide) > 2 * int(narrow)
    assert int(found) > 80
    assert int(formula) == pytest.approx(int(found), abs=10)
