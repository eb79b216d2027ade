"""A study over severities: numbers by hand, SciPy's interval, words, table and chart."""

from statistics import stdev
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ambidex.report import theme
from ambidex.report.severity.chart import SHARES, severity_chart
from ambidex.report.severity.points import Estimate, Line, alone, best_alone, flat, lines
from ambidex.report.severity.text import sentences, table

FALL = {0.0: (0.80, 0.78, 0.82), 0.5: (0.70, 0.60, 0.65), 1.0: (0.50, 0.52, 0.48)}
SHARE = {0.0: (0.6, 0.7, 0.5), 0.5: (0.4, 0.4, 0.4), 1.0: (0.2, 0.2, None)}


def numbers(accuracy: float, share: float | None) -> dict[str, Any]:
    return {
        "accuracy": accuracy,
        "nll": 2 - accuracy,
        "decision_imbalance": 1 - accuracy,
        "shares": {"audio": share, "visual": None if share is None else 1 - share},
    }


def reports(gain: float = 0.0, refused: bool = False) -> Any:
    """By severity: three seeds of joint training with the plain sum and `pooled`, better by `gain` at severity 1."""
    by_severity = {}
    for severity, values in FALL.items():
        cells = {}
        for seed, (value, share) in enumerate(zip(values, SHARE[severity], strict=True)):
            better = value + gain * severity * (1 + seed / 10)
            pooled = {"refused": "too few"} if refused else numbers(better, share)
            details = {"allocators": {"pooled": pooled, "uniform": numbers(value, share)}}
            details["unimodal"] = {
                m: {"test": {"accuracy": reached, "nll": 1.0}}
                for m, reached in (("audio", 0.7 - severity / 2), ("visual", 0.4))
            }
            cells["joint", "scratch", seed] = SimpleNamespace(details=details, card={"headline": "pooled"})
        by_severity[severity] = SimpleNamespace(found=cells, allocators=["pooled", "uniform"])
    return by_severity


def test_the_interval_is_scipys_and_one_seed_has_none() -> None:
    one = Estimate.of([1.0, 2.0, 4.0])
    ends = stats.t.interval(0.95, 2, loc=7 / 3, scale=stdev([1.0, 2.0, 4.0]) / 3**0.5)
    assert (one.value, one.low, one.high) == pytest.approx((7 / 3, *ends))
    assert Estimate.of([1.0]) == Estimate(1.0)
    assert not Estimate.of([1.0]).clear
    assert not Estimate.of([0.5, 0.5]).clear
    assert [Estimate(0.1, low, high).clear for low, high in ((0.05, 0.2), (-0.1, 0.2), (-0.2, -0.1))] == [
        True,
        False,
        True,
    ]


def test_a_line_for_each_allocator_the_plain_sum_first() -> None:
    plain, pooled = lines(reports())
    assert (plain.allocator, pooled.allocator, plain.headline, pooled.headline) == (
        "uniform",
        "pooled",
        False,
        True,
    )
    assert plain.at(0.5, "accuracy").value == pytest.approx(0.65)
    assert plain.at(1.0, "share_audio").value == pytest.approx(0.2)
    assert len(plain.seeds[1.0]) == 3
    change = plain.change("share_audio", 0.0, 1.0)
    assert change.value == pytest.approx(
        np.mean([0.2 - 0.6, 0.2 - 0.7])
    )  # the seed without a share is left out
    assert [line.allocator for line in lines(reports(refused=True))] == ["uniform"]


def test_rows_of_the_file() -> None:
    row = list(flat(lines(reports())[0], ["accuracy", "share_audio"]))[2]
    assert (row["severity"], row["seeds"], row["method"], row["regime"]) == (1.0, 3, "joint", "scratch")
    assert row["accuracy"] == pytest.approx(0.5)
    half = stats.t.ppf(0.975, 2) * stdev(FALL[1.0]) / 3**0.5
    assert row["accuracy_high"] == pytest.approx(0.5 + half)


def test_words_say_the_fall_who_decides_and_what_repair_does() -> None:
    first, second, third = sentences(lines(reports(gain=0.1)), alone(reports()), "audio")
    half = 100 * stats.t.ppf(0.975, 2) * stdev([-0.30, -0.26, -0.34]) / 3**0.5
    assert first == (
        "joint (scratch): the plain sum goes from 80.0 % at severity 0 to 50.0 % at 1 (-30.0 points, 95 % interval "
        f"{-30 - half:.1f} to {-30 + half:.1f}, clear); audio decides 60.0 % and then 20.0 % (-45.0 points, 95 % "
        "interval -108.5 to +18.5, may be chance); decision imbalance is 0.20 and then 0.50 (+0.30 DI, 95 % interval "
        "+0.20 to +0.40, clear)."
    )
    assert second.startswith(
        "joint (scratch), pooled against the plain sum: 0.0 points (95 % interval 0.0 to 0.0"
    )
    assert "; +5.5 points (95 % interval +4.3 to +6.7, clear) at severity 0.5; +11.0 points" in second
    assert "clear" in second
    assert third.startswith(
        "joint (scratch), what the plain sum adds to the best modality alone: at severity 0 +10.0 points (95 % interval"
    )
    assert "at severity 1 +10.0 points" in third
    assert third.endswith("against visual alone.")


def test_a_sentence_goes_on_behind_the_interval_of_a_number() -> None:
    found = reports(gain=0.1)
    for one in found.values():
        one.found = {cell: report for cell, report in one.found.items() if cell[2] == 0}
    first, second, third = sentences(lines(found), alone(found), "audio")
    assert "to 50.0 % at 1 (-30.0 points, one seed)" in first
    assert "; +10.0 points (one seed) at severity 1; -0.100 nats of NLL (one seed) at 1." in second
    assert "at severity 0 +10.0 points (one seed) against audio alone" in third


def test_the_best_modality_alone_is_another_at_another_severity() -> None:
    singles = alone(reports())
    assert [best_alone(singles, severity).method for severity in FALL] == ["audio", "audio", "visual"]
    assert [line.method for line in singles] == ["audio", "visual"]
    assert best_alone([], 0.0) is None


def test_the_table_has_a_column_for_each_severity() -> None:
    text = table(lines(reports(gain=0.1)), alone(reports()), "audio").splitlines()
    assert text[0].split() == ["0", "0.5", "1", "change", "share"]
    assert text[1] == "scratch:"
    assert text[2].split()[:5] == ["joint", "+", "uniform", "80.0", "±"]
    assert "-30.0 ±" in text[2]
    assert text[4] == "each modality alone:"
    assert text[5].split()[:3] == ["audio", "70.0", "±"]


@pytest.mark.charts
def test_the_chart_holds_every_mean_and_interval_and_no_share_beyond_its_edge() -> None:
    measured = [*lines(reports()), Line("scratch", "other", "uniform", False, {s: {} for s in FALL})]
    wild = {s: {0: {"accuracy": 0.5, "share_audio": 40.0 * s}} for s in FALL}
    measured.append(Line("scratch", "wild", "uniform", False, wild))
    with theme.style():
        chart = severity_chart(measured, alone(reports()), ["audio", "visual"], ["accuracy", "share_audio"])
    panels = chart.figure.axes
    assert len(panels) == 9
    assert panels[0].lines[0].get_ydata().tolist() == pytest.approx([80.0, 65.0, 50.0])
    assert len(panels[0].collections) == 2 * 3
    assert max(panels[7].lines[0].get_ydata()) == SHARES[1]
    assert "joint + uniform 0: 80.0 %, 0.5: 65.0 %, 1: 50.0 %" in chart.alt
    assert len(chart.rows) == (4 + 2) * 3
    assert panels[0].lines[2].get_ydata().tolist() == pytest.approx([70.0, 45.0, 40.0])
