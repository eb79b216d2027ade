"""Charts: everything inside the picture, no legend over data, no label over another, for few and many classes."""

import base64
import csv

import numpy as np
import pytest

from ambidex.report import (
    calibration,
    class_charts,
    decision,
    head,
    performance,
    repair,
    selection,
    shapley,
    theme,
    training,
    weights,
)
from ambidex.report.chart import draw
from ambidex.report.lean import Lean
from ambidex.report.study import charts as study_charts
from ambidex.report.study.grid import scatter_grid
from ambidex.report.study.rows import METRICS, Row
from helpers.figures import check

pytestmark = pytest.mark.charts

NAMES = ("audio", "visual", "text", "flow", "depth", "touch", "heat", "radar", "speech", "motion")
SIZES = ((1, 2), (2, 6), *(pytest.param(*size, marks=pytest.mark.slow) for size in ((6, 31), (10, 5))))
LEAD = {"value": 0.08, "low": -0.02, "high": 0.18}
LEAN = Lean(
    "undecided", "a modality with a long name", {"a modality with a long name": LEAD}, {("a", "x"): 0}
)
TALLEST = 9.5
"""inches: about a page of paper"""


def classes_of(count):
    return ["anger", "disgust", "fear", "happy", "neutral", "sad"][:count] if count <= 6 else [
        f"playing instrument {i}" for i in range(count)
    ]  # fmt: skip


def rows_of(regimes, methods):
    """Rows of a made-up study, one of them without any seed."""
    rows = []
    for regime in regimes:
        for k, method in enumerate(methods):
            numbers = dict.fromkeys(METRICS, 0.6 + 0.05 * k) | {"nll": 1.0}
            known = (regime, k) != (regimes[0], 1)
            mean = numbers if known else dict.fromkeys(METRICS)
            mark = ("better", "worse", "same")[k % 3]
            ends = {"difference": 0.01, "low": 0.005, "high": 0.02, "comparisons": 7}
            tests = {"accuracy": {"mark": mark, **ends}} if known else {}
            per_seed = {"0": numbers, "1": numbers} if known else {}
            std = dict.fromkeys(METRICS, 0.02 if known else None)
            rows.append(
                Row(
                    "fused",
                    method,
                    regime,
                    "uniform",
                    per_seed,
                    [] if known else [0, 1],
                    {},
                    mean,
                    std,
                    tests,
                )
            )
    single = dict.fromkeys(METRICS, 0.62)
    rows += [
        Row("single", "single modality", "alone", m, {"0": single}, mean=single, std=single)
        for m in NAMES[:2]
    ]
    return rows


def charts_of(m, c):
    """Every chart for `m` modalities and `c` classes, from made-up numbers."""
    draws = np.random.default_rng(0)
    names, classes = NAMES[:m], classes_of(c)
    scores = [performance.Score("fused, modality", 0.71, 0.66, 0.75)]
    for i, n in enumerate(names):
        scores.append(performance.Score(n, 0.6, 0.55, 0.64, "branch", i))
        scores.append(performance.Score(n, 1.0, 0.99, 1.0, "unimodal", i))
    scores.append(performance.Score("linear probe, all features", 0.8, 0.7, 0.9, "probe"))
    scores.append(performance.Score("bound: always the right one", 0.9, kind="bound"))
    yield performance.accuracy_chart(scores, 1 / c)
    recall = [(0, 0), *((int(hits), 40) for hits in draws.integers(0, 41, c - 1))]
    yield class_charts.recall_chart(classes, recall, dict.fromkeys(names, recall))
    yield class_charts.confusion_chart(classes, draws.integers(0, 90, (c, c)))
    yield class_charts.confusion_chart(classes, np.diag(draws.integers(1, 90, c)), names[0])
    share = draws.normal(0.5, 1.0, (m, c)).tolist()
    yield decision.shares_chart(
        [
            decision.Share(n, k, None, None, None, None) if (i, j) == (0, 0)
            else decision.Share(n, k, share[i][j], share[i][j] - 0.1, share[i][j] + 0.2, 0.5, 0.4, 0.6)
            for i, n in enumerate(names)
            for j, k in enumerate(classes)
        ],
        LEAN.title,
    )  # fmt: skip
    yield decision.contributions_chart(
        {n: draws.normal(i, 1 + i, 60).astype("f4") for i, n in enumerate(names)}
    )
    per_class = {n: draws.random(c).tolist() for n in names}
    ends = {n: [None, *((v - 0.2, v + 0.3) for v in values[1:])] for n, values in per_class.items()}
    yield head.head_chart(classes, per_class, per_class, ends)
    yield head.head_chart(classes, {}, per_class, ends)
    worth = [(0.3 - 0.1 * i, 0.2 - 0.1 * i, 0.4 - 0.1 * i) for i in range(m)]
    yield shapley.shapley_chart(names, worth, 1 / c)
    yield shapley.shapley_chart(names, worth, 1 / c, [0.02] * m, 64)
    bins = [calibration.Bin(x, 0.9 * x, 10 * k) for k, x in enumerate((0.2, 0.5, 0.8), 1)]
    yield calibration.reliability_chart(
        [calibration.Curve(f"{n}, its part", 0.04, bins, i) for i, n in enumerate(names)]
    )
    yield repair.gains_chart(
        [
            repair.Gain("temperature", None, None),
            repair.Gain("modality", (0.02, 0.01, 0.03), (0.1, 0.05, 0.2), "headline", "better", "worse"),
            repair.Gain("category", (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
            *(repair.Gain(f"a{i}", (0.1, -0.1, 0.2), (0.1, 0.05, 0.2), nll_is="alone") for i in range(9)),
        ]
    )
    yield selection.selection_chart(
        [
            selection.Candidate("uniform", 0.9, 0.0, 1.0),
            selection.Candidate("modality", 0.7, 0.05, None, chosen=True),
            selection.Candidate("norm", 9.0, 0.5, 8.0),
            *(selection.Candidate(f"allocator{i}", 0.8, None, 0.9) for i in range(9)),
        ]
    )
    found = {f"allocator{i}": np.ones((m, c)) for i in range(6)}
    found |= {f"category{i}": draws.random((m, c)) for i in range(6)}
    yield weights.weights_chart(names, classes, found, "category1")
    history = [
        {"epoch": str(e), "train/loss/fused": "1.5", "val/nll": "2", "val/accuracy/fused": "0.5"}
        | {f"train/accuracy/{n}": "0.4" for n in names}
        for e in range(3)
    ]
    yield training.history_chart(history, names, 1)


@pytest.mark.parametrize(("modalities", "classes"), SIZES)
def test_nothing_overlaps_and_nothing_is_cut_off(modalities, classes):
    with theme.style():
        for chart in charts_of(modalities, classes):
            check(chart)
            assert chart.figure.get_figheight() <= TALLEST
            assert 10 < len(chart.title) < 120
            assert not chart.title.endswith(("?", "."))
            assert 1 <= chart.how.count(". ") + 1 <= 3
            labelled = [axes for axes in chart.figure.axes if axes.get_xlabel() or axes.get_ylabel()]
            assert labelled or chart.figure.get_supxlabel(), chart.name


def test_study_charts_show_a_missing_row_and_overlap_nothing():
    rows = rows_of(["scratch", "pretrained"], ["multi_task", "joint", "ogm_ge"])
    with theme.style():
        charts = [study_charts.accuracy(rows), study_charts.balance(rows)]
        for chart in charts:
            check(chart)
    shown = [text.get_text() for axes in charts[0].figure.axes for text in axes.texts]
    assert "missing" in shown


def test_a_chart_is_written_as_picture_and_numbers_the_same_every_time(tmp_path):
    def once(folder):
        with theme.style():
            return draw(next(charts_of(2, 6)), folder)

    first, second = once(tmp_path / "a"), once(tmp_path / "b")
    assert first == second
    assert (tmp_path / "a" / "accuracy.png").read_bytes() == (tmp_path / "b" / "accuracy.png").read_bytes()
    kind, _, data = first.source.partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == (tmp_path / "a" / "accuracy.png").read_bytes()
    rows = list(csv.DictReader((tmp_path / "a" / "accuracy.csv").open()))
    assert [row["predictor"] for row in rows][:3] == [
        "fused, modality",
        "audio, its part of this model",
        "audio, trained alone",
    ]
    assert float(rows[0]["accuracy"]) == 0.71
    assert "71.0 %" in first.alt


def test_weights_are_drawn_relative_to_their_mean():
    with theme.style():
        found = {
            "modality": np.array([[3.0, 3.0], [1.0, 1.0]]),
            "category": np.array([[3.0, 1.0], [2.0, 2.0]]),
        }
        chart = weights.weights_chart(["a", "b"], ["x", "y"], found, "modality")
    assert [row["relative"] for row in chart.rows] == [1.5, 1.5, 0.5, 0.5, 1.5, 0.5, 1.0, 1.0]
    whole, by_class = chart.figure.axes[:2]
    assert [text.get_text() for text in whole.texts] == ["1.50", "0.50"]
    assert [text.get_text() for text in by_class.texts] == ["1.50", "0.50", "1.00", "1.00"]
    assert chart.title == "modality gives a 3.0 times the weight of b"

    def title(by_class):
        raw = {"gentle": np.ones((2, 2)), "category": np.array(by_class)}
        return title_of(lambda: weights.weights_chart(["a", "b"], ["x", "y"], raw, "category"))

    assert title([[2.0, 1.0], [0.5, 0.5]]) == "category turns b down to 0.50 of the mean weight on class x"
    assert title([[2.0, 0.0], [1.0, 1.0]]) == "category silences a on class y"


def test_a_gain_is_drawn_as_it_was_judged():
    """An interval that leaves 0 out is a half marker where correction takes it back, and full where it does not."""
    ends = (0.02, 0.01, 0.03)
    gains = [
        repair.Gain(clarity, ends, ends, "", clarity, clarity)
        for clarity in ("better", "worse", "same", "alone")
    ]
    with theme.style():
        figure = repair.gains_chart(gains).figure
    for axes in figure.axes[:2]:
        drawn = [line for line in axes.lines if line.get_marker() not in ("None", "", None)]
        assert [line.get_marker() for line in drawn] == ["^", "v", "o", "o"]
        assert [line.get_fillstyle() for line in drawn] == ["full", "full", "full", "left"]
        assert drawn[2].get_markerfacecolor() == "white"
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[2:] == ["clear on its own, not after correction", "no clear difference"]


def test_a_hopeless_candidate_of_auto_is_an_arrow_at_the_right_end():
    found = [
        selection.Candidate("uniform", 0.7, 0.0, 0.9),
        *(selection.Candidate(f"a{i}", 0.001, 0.03, 0.002) for i in range(5)),
    ]
    with theme.style():
        (axes,) = selection.selection_chart(found).figure.axes
    arrows = [line.get_xdata()[0] for line in axes.lines if line.get_marker() in (">", "4")]
    others = [x for line in axes.lines if line.get_marker() not in (">", "4") for x in line.get_xdata()]
    assert arrows == pytest.approx([0.031, 0.031])
    assert max(x for x in others if x != 1) == pytest.approx(0.031)


def test_an_accuracy_of_one_lies_within_the_edge_and_a_wild_share_does_not():
    keys = {"method": "joint", "regime": "scratch", "modality": "audio"}
    points = [{**keys, "x": 0.1 * i, "y": y} for i, y in enumerate([0.0, 0.2, 0.3, 0.4, 0.3, 1.0, 9.0])]
    with theme.style():
        (axes,) = scatter_grid(points, "x", "y", ("x", "y")).axes
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert [len(line.get_xdata()) for line in hollow] == [1]
    assert hollow[0].get_xdata() == [pytest.approx(0.6)]


def test_shapley_values_that_were_sampled_show_their_error_beside_the_interval():
    values = [(0.3, 0.2, 0.45), (0.1, 0.05, 0.15)]
    with theme.style():
        exact = shapley.shapley_chart(["a", "b"], values, 0.25)
        sampled = shapley.shapley_chart(["a", "b"], values, 0.25, [0.02, 0.0], 64)
    (axes,) = sampled.figure.axes
    bands = [line for line in axes.lines if line.get_gid() == "error of the orders"]
    assert [tuple(line.get_xdata()) for line in bands] == [pytest.approx((28, 32)), pytest.approx((10, 10))]
    assert [row["error"] for row in sampled.rows] == [0.02, 0.0]
    told = "means over 64 random orders; the grey band is their standard error (at most 2.00 points)"
    assert told in sampled.how
    assert "standard error of the orders at most 2.00" in sampled.alt
    legend = [text.get_text() for text in sampled.figure.legends[0].get_texts()]
    assert legend == ["95 % interval over test samples", "standard error of the orders"]
    assert not [line for line in exact.figure.axes[0].lines if line.get_gid()]
    assert exact.figure.legends == []
    assert "order" not in exact.alt
    assert set(exact.rows[0]) == {"modality", "shapley", "low", "high"}


def test_history_without_curves_gives_no_chart():
    assert training.history_chart([], ("audio",), None) is None
    assert training.history_chart([{"epoch": "0", "learning_rate": "0.1"}], ("audio",), 0) is None


def test_history_says_how_long_resampled_epochs_were():
    history = [
        {"epoch": str(e), "train/accuracy/fused": "0.4", "train/samples": n}
        for e, n in enumerate(["", "60", "48"])
    ]
    with theme.style():
        resampled = training.history_chart(history, (), 1)
        plain = training.history_chart(
            [{k: v for k, v in row.items() if "samples" not in k} for row in history], (), 1
        )
    assert "over 3 epochs, 2 of them resampled to 48 to 60 samples; at the end: " in resampled.alt
    assert [row["train/samples"] for row in resampled.rows] == ["", "60", "48"]
    assert "resampled" not in plain.alt
    assert set(plain.rows[0]) == {"epoch", "train/accuracy/fused"}


def title_of(chart):
    with theme.style():
        return chart().title


def test_titles_say_what_is_seen():
    ends = (0.02, 0.01, 0.03)
    better, worse, same = ((ends, clarity) for clarity in ("better", "worse", "same"))

    def gains(*given):
        return title_of(
            lambda: repair.gains_chart([repair.Gain("g", i, i, "", clarity) for i, clarity in given])
        )

    assert gains(better, worse, (None, "same")) == (
        "1 of 2 allocators is clearly more accurate than the plain sum, 1 of 2 clearly less"
    )
    assert gains(worse) == "No allocator is clearly more accurate than the plain sum, 1 of 1 clearly less"
    assert gains(same) == "No allocator differs clearly in accuracy from the plain sum, after correction"
    assert gains((None, "same")) == "No allocator could be fitted"
    recalls = {"a": [(5, 10), (0, 0), (9, 10)], "b": [(1, 10), (0, 0), (3, 10)]}
    fused = [(4, 10), (0, 0), (6, 10)]
    assert title_of(lambda: class_charts.recall_chart(["x", "y", "z"], fused, recalls)) == (
        "a alone recognises more than the fused model on 2 of 3 classes"
    )
    counts = np.array([[5, 3], [1, 5]])
    assert title_of(lambda: class_charts.confusion_chart(["x", "y"], counts)) == (
        "Most frequent error: x taken for y (3 times)"
    )


def intervals(axes):
    """Ends and height of every interval that is drawn: [low, high, y], NaN left out."""
    found = [line for line in axes.lines if line.get_gid() == "interval"]
    drawn = [(*line.get_xdata(), line.get_ydata()[0]) for line in found]
    return [ends for ends in drawn if ends[0] == ends[0]]


def test_recalls_carry_the_interval_that_the_table_has():
    """Against SciPy's Wilson interval."""
    from scipy.stats import binomtest

    with theme.style():
        counts = [(3, 4), (0, 0), (40, 40)]
        chart = class_charts.recall_chart(["x", "y", "z"], counts, {"a": [(1, 4), (0, 0), (20, 40)]})
    drawn = intervals(chart.figure.axes[0])
    wilson = [
        binomtest(*pair).proportion_ci(method="wilson") for pair in ((3, 4), (40, 40), (1, 4), (20, 40))
    ]
    assert [d[:2] for d in drawn] == [pytest.approx((100 * w.low, 100 * w.high)) for w in wilson]
    assert [row["fused"] for row in chart.rows] == [0.75, None, 1.0]
    first, absent, _ = chart.rows
    assert (first["a_low"], first["a_high"]) == (pytest.approx(wilson[2].low), pytest.approx(wilson[2].high))
    assert (first["fused_low"], first["fused_high"]) == (
        pytest.approx(wilson[0].low),
        pytest.approx(wilson[0].high),
    )
    assert (absent["a"], absent["a_low"], absent["fused_high"]) == (None, None, None)
    assert "95 % interval" in chart.how


def test_contributions_of_the_head_carry_their_interval_and_weights_none():
    norms, evidence = {"a": [1.0, 2.0], "b": [1.0, 1.0]}, {"a": [0.5, None], "b": [-0.1, 0.2]}
    ends = {"a": [(0.4, 0.8), None], "b": [(-0.2, 0.1), (0.1, 0.3)]}
    with theme.style():
        chart = head.head_chart(["x", "y"], norms, evidence, ends)
    left, right = chart.figure.axes
    assert intervals(left) == []
    drawn = intervals(right)
    assert [d[:2] for d in drawn] == [(0.4, 0.8), (-0.2, 0.1), (0.1, 0.3)]
    points = {(line.get_label(), x): y for line in right.lines for x, y in zip(*line.get_data(), strict=True)}
    assert drawn[0][2] == points["a", 0.5]  # each through its own point, above or below the other modality's
    assert drawn[1][2] == points["b", -0.1] > drawn[0][2]
    assert [(row["contribution_low"], row["contribution_high"]) for row in chart.rows] == [
        (0.4, 0.8), (None, None), (-0.2, 0.1), (0.1, 0.3)
    ]  # fmt: skip
    assert "95 % interval" in chart.how


def test_a_bin_of_few_samples_has_a_wide_interval():
    """Against SciPy's Wilson interval."""
    from scipy.stats import binomtest

    for right, count in ((0, 3), (3, 3), (7, 20), (500, 1000)):
        expected = binomtest(right, count).proportion_ci(method="wilson")
        found = calibration.Bin(0.5, right / count, count).interval
        assert found == pytest.approx((expected.low, expected.high), abs=1e-12)


HOSTILE = [
    "$x$", "$x", "a_b^c", "\\frac{", "<script>alert(1)</script>", "x" * 300, "\U0001f600", "\u202eabc", "", " ",
    "a\nb", "%s", "\x1b[2J", "_hidden", "$\\frac$", "é", "\u05d0\u05d1",
]  # fmt: skip


def test_class_names_of_any_kind_are_drawn_as_they_are(tmp_path, recwarn):
    """No mathematics, no second line, no room beyond the picture's, no complaint about a letter that a font lacks."""
    count = len(HOSTILE)
    counts = np.eye(count, dtype=np.int64) * 3 + 1
    spread = np.random.default_rng(0).random((2, count)) + 0.5
    numbers = {"audio": [1.0] * count, "visual": [0.5] * count}
    with theme.style():
        charts = [
            class_charts.confusion_chart(HOSTILE, counts),
            class_charts.recall_chart(HOSTILE, [(2, 4)] * count, {"audio": [(1, 4)] * count}),
            head.head_chart(HOSTILE, numbers, numbers, {m: [None] * count for m in numbers}),
            weights.weights_chart(["audio", "visual"], HOSTILE, {"gate": spread}, "gate"),
        ]
        for chart in charts:
            drawn = draw(chart, tmp_path)
            assert drawn.png
        shown = [label.get_text() for label in charts[0].figure.axes[0].get_yticklabels()]
    assert shown[:3] == ["$x$", "$x", "a_b^c"]
    assert all(len(text) <= 32 and text.isprintable() for text in shown)
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]
