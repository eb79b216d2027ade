"""The page of a run where samples lack modalities: counts by what they have, and no number of who is not there."""

import csv
import re
from dataclasses import replace

import pytest
import torch

from ambidex.decide.fitting import Allocation
from ambidex.judge.diagnose import DIAGNOSTICS
from ambidex.judge.diagnose.logits import margins
from ambidex.judge.evaluation import Unimodal
from ambidex.judge.probes import fit_probe, fit_unimodal_probes
from ambidex.report import decision
from ambidex.report.predictions import SAMPLES_FILE, Predictions
from ambidex.report.presence import presence
from ambidex.testing import diagnostics

THREE = ("audio", "visual", "touch")


@pytest.fixture(scope="module")
def evaluation():
    return diagnostics.evaluated(THREE, fill="zero")


class _Result:
    """As much of a result as the section looks at."""

    def __init__(self, evaluation, headline=None):
        self.evaluation = evaluation
        self.uniform = Allocation("uniform", logits={"test": evaluation.test.logits})
        self.headline = headline or self.uniform
        self.found = DIAGNOSTICS.get("presence")().run(evaluation).metrics

    def metric(self, diagnostic, *path):
        value = self.found
        for key in path:
            value = value[key]
        return value


def test_the_section_counts_samples_by_what_they_have(evaluation):
    words, table = presence(_Result(evaluation))
    test = evaluation.test
    lacking = [int((~test.present[m]).sum()) for m in THREE]
    assert (
        f"Of 12 test samples {lacking[0]} lack audio, {lacking[1]} lack visual, {lacking[2]} lack touch."
        in words
    )
    whole = int(test.whole().sum())
    assert re.search(rf"audio \+ visual \+ touch</th><td>{whole} \({100 * whole / 12:.0f} %\)</td>", table)


def test_the_repaired_model_is_judged_by_pattern_too(evaluation):
    test = evaluation.test
    always_first = torch.tensor([4.0, 0.0, 0.0]).expand(len(test.labels), 3)
    _, table = presence(_Result(evaluation, Allocation("modality", logits={"test": always_first})))
    assert "right under modality (%)" in table
    whole = test.labels[test.whole()]
    right = 100 * float((whole == 0).double().mean())
    loss = float((torch.logsumexp(always_first[0], 0) - always_first[0][whole]).mean())
    row = next(line for line in table.split("<tr>") if "audio + visual + touch" in line)
    cells = re.findall(r"<td>(.*?)</td>", row)
    assert cells[-2].startswith(f"{right:.1f}"), cells
    assert cells[-1] == f"{loss:.3f}"


def test_where_the_plain_sum_stays_there_is_one_accuracy_by_pattern(evaluation):
    assert "right under" not in presence(_Result(evaluation))[1]


def test_contributions_and_margins_are_of_those_that_have_the_modality(evaluation):
    test, found = evaluation.test, DIAGNOSTICS.get("logits")().run(evaluation)
    margin = margins(test.stacked(), test.labels)
    true = test.stacked().gather(2, test.labels[:, None, None].expand(-1, 3, 1))[..., 0]
    overall = {row["modality"]: row for row in found.tables["evidence"]}
    rows = {(row["modality"], row["class"]): row for row in found.tables["contributions"]}
    counts = {m: sum(r["count"] for r in found.tables["contribution_histogram"]
                     if r["modality"] == m and r["quantity"] == "margin") for m in THREE}  # fmt: skip
    for place, m in enumerate(THREE):
        here = test.present[m]
        assert overall[m]["samples"] == int(here.sum()) == counts[m]
        assert overall[m]["margin"] == pytest.approx(float(margin[here, place].mean()), rel=1e-5)
        assert overall[m]["contribution"] == pytest.approx(float(true[here, place].mean()), rel=1e-5)
        assert found.metrics[m]["contribution"]["mean"] == pytest.approx(overall[m]["contribution"], rel=1e-5)
        for k, name in enumerate(evaluation.classes):
            own = here & (test.labels == k)
            assert rows[m, name]["samples"] == int(own.sum())
            if own.any():
                expected = float(true[own, place].mean())
                assert rows[m, name]["contribution"] == pytest.approx(expected, rel=1e-5)


def test_the_chart_says_of_which_samples_it_speaks():
    draws = torch.Generator().manual_seed(0)
    said = {m: torch.randn(n, generator=draws).numpy() for m, n in (("audio", 30), ("visual", 20))}
    chart = decision.contributions_chart(said)
    titles = [axes.get_title() for axes in chart.figure.axes]
    assert "of its 30 samples" in titles[0]
    assert "of its 20 samples" in titles[1]
    assert "of the samples that have it" in chart.title


def test_a_table_of_predictions_has_no_answer_of_who_is_absent(tmp_path):
    p = torch.tensor([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])
    said = {name: p.clone() for name in ("allocator/uniform", "branch/audio", "branch/visual")}
    here = {"audio": torch.tensor([True, False, True])}
    Predictions(["a", "b", "c"], ["", "", ""], ("no", "yes"), torch.tensor([1, 0, 0]), said, here).write(
        tmp_path, "allocator/uniform"
    )
    rows = list(csv.DictReader((tmp_path / SAMPLES_FILE).open()))
    assert [row["branch/audio"] for row in rows] == ["yes", "", "no"]
    assert [row["branch/visual"] for row in rows] == ["yes", "no", "no"]
    assert [row["predicted"] for row in rows] == ["yes", "no", "no"]
    assert [row["correct"] for row in rows] == ["1", "1", "1"]


def test_a_probe_of_features_trained_alone_is_fitted_on_those_that_have_the_modality(evaluation):
    splits = evaluation.splits
    features = {
        name: torch.randn(len(s.labels), 5, generator=torch.Generator().manual_seed(1))
        for name, s in splits.items()
    }
    alone = Unimodal({}, features, {})
    found = fit_unimodal_probes(replace(evaluation, unimodal={"audio": alone}))["audio"]
    here = {name: s.present["audio"] for name, s in splits.items()}
    kept = {name: h[here[name]] for name, h in features.items()}
    labels = {name: s.labels[here[name]] for name, s in splits.items()}
    expected = fit_probe(kept, labels, 3)
    torch.testing.assert_close(found.logits["test"][here["test"]], expected.logits["test"])
    assert not found.logits["test"][~here["test"]].any()
