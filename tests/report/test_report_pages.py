"""Pages and tables in text: what comes from outside is escaped, and what is missing is said."""

import json

import pytest
import torch

from ambidex.base.errors import DataError
from ambidex.commands.stage import show_study
from ambidex.report import html
from ambidex.report.chart import Drawn
from ambidex.report.predictions import Predictions, probabilities, read_predictions
from ambidex.report.study.rows import METRICS, Row
from ambidex.report.study.table import read_rows, render, replaced
from helpers.pages import read_page
from helpers.undrawn import PNG

EVIL = "<script>alert(\"x\")</script> & 'quoted'"


def test_names_from_outside_never_become_markup(tmp_path):
    picture = Drawn("evil", EVIL, f"{EVIL} and more words to make it long enough", EVIL, 100, PNG)
    blocks = [
        html.paragraph(EVIL),
        html.table([EVIL, "n"], [[EVIL, EVIL], [EVIL]], EVIL),
        html.bullets([EVIL]),
        html.notice(EVIL, "danger"),
        html.tiles([(EVIL, EVIL, EVIL)]),
        html.facts({EVIL: EVIL}),
        html.folded(EVIL, html.paragraph(EVIL)),
        html.picture(picture),
    ]
    page = html.page(EVIL, EVIL, {"one": EVIL}, html.section("one", EVIL, *blocks))
    (tmp_path / "page.html").write_text(page)
    parsed, text = read_page(tmp_path / "page.html")
    assert "<script" not in text
    assert len(parsed.images) == 1
    assert parsed.images[0]["alt"].startswith(EVIL)


def test_a_command_in_a_box_is_set_as_code():
    box = html.notice("`ambidex <crossfit>` helps")
    assert "</strong><code>ambidex &lt;crossfit&gt;</code> helps</div>" in box


def test_a_heading_row_spans_the_table():
    text = html.table(["a", "b"], [["group"], ["x", "1"]])
    assert '<th scope="rowgroup" colspan="2">group</th>' in text


def row(**values):
    mean = dict.fromkeys(METRICS, 0.5)
    given = {
        "kind": "fused",
        "method": "joint",
        "regime": "scratch",
        "allocator": "uniform",
        "per_seed": {"0": mean},
    }
    return Row(**{**given, "mean": mean, "std": dict.fromkeys(METRICS), **values})


@pytest.mark.parametrize(
    ("source", "words"),
    [("own_heads", "own heads"), ("probes", "probes"), ("both", "head and probes")],
)
def test_what_an_allocator_weighs_is_said_in_words(source, words):
    assert replaced(row(sources={"0": source})) == [f"weighs {words}"]


ENDS = {"difference": 0.1, "low": 0.05, "high": 0.15, "comparisons": 3}


def test_the_text_table_shows_values_marks_and_notes():
    rows = [
        row(reference=True),
        row(
            allocator="modality",
            std=dict.fromkeys(METRICS, 0.0125),
            tests={"accuracy": {"mark": "better", **ENDS}, "nll": {"mark": "worse", **ENDS}},
            leaky=True,
        ),
        row(regime="frozen", mean=dict.fromkeys(METRICS), per_seed={}, missing=[0, 1]),
    ]
    lines = render(rows).splitlines()
    assert lines[1] == "scratch:"
    assert lines[2].split() == [
        "joint",
        "+",
        "uniform",
        "50.0",
        "50.0",
        "0.500",
        "50.0",
        "50.0",
        "0.50",
        "ref",
    ]
    assert "50.0 ± 1.2 +" in lines[3]
    assert "0.500 ± 0.013 -" in lines[3] or "0.500 ± 0.012 -" in lines[3]
    assert lines[3].endswith("LEAKY")
    assert lines[4] == "frozen:"
    assert lines[5].endswith("missing seed 0, 1")


def test_a_study_with_half_a_test_is_one_line(tmp_path):
    half = row(tests={"accuracy": {"mark": "same"}}).to_json()
    whole = {"rows": [half], "methods": [], "bias": [], "allocators": [], "verdicts": []}
    (tmp_path / "compare.json").write_text(json.dumps(whole))
    with pytest.raises(
        DataError, match=r"compare.json: is not a whole comparison: key .* is missing; run compare again"
    ):
        show_study(tmp_path)


def test_a_study_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"compare.json: cannot be read .*; run compare first"):
        read_rows(tmp_path)


def test_predictions_survive_the_disk_and_extreme_logits(tmp_path):
    labels = torch.tensor([0, 1])
    said = probabilities({"uniform": torch.tensor([[200.0, 0.0], [200.0, 0.0]])}, "allocator")
    wrote = Predictions(["a", "b"], ["g", "g"], ("x", "y"), labels, said)
    wrote.write(tmp_path, "allocator/uniform")
    read = read_predictions(tmp_path, ("x", "y"))
    assert (read.sample_ids, read.groups) == (["a", "b"], ["g", "g"])
    assert read.labels.equal(labels)
    torch.testing.assert_close(read.probabilities, said)
    losses = torch.nn.functional.cross_entropy(read.logits("allocator/uniform"), labels, reduction="none")
    assert losses.isfinite().all()
    assert losses[1] > 80


def test_samples_that_do_not_fit_their_predictions_are_refused(tmp_path):
    said = probabilities({"uniform": torch.zeros(2, 2)}, "allocator")
    Predictions(["a", "b"], ["g", "g"], ("x", "y"), torch.tensor([0, 1]), said).write(
        tmp_path, "allocator/uniform"
    )
    lines = (tmp_path / "predictions.csv").read_text().splitlines()
    (tmp_path / "predictions.csv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(DataError, match=r"predictions.csv: has 1 samples, predictions.safetensors 2"):
        read_predictions(tmp_path, ("x", "y"))
