"""CREMA-D by the field's split, from the folder to the tables: every one says that the protocol is leaky."""

import json

import pytest

from ambidex.base.layout import Layout
from ambidex.base.readers import read_rows
from ambidex.report.study.table import render_study
from ambidex.resolve import parse_params
from ambidex.stages import run
from helpers.cremad import CLIPS, write_tree
from helpers.pages import read_page
from helpers.runs import raw_params

pytestmark = [pytest.mark.slow, pytest.mark.charts]

KINDS = {
    "audio": {"kind": "log_mel", "sample_rate": 8_000, "seconds": 0.2, "n_mels": 16},
    "visual": {"kind": "frames", "count": 1, "size": 32},
}


def listed(path):
    """The middle actors' first three emotions are for testing; every actor is in train too."""
    lines = [f"{clip},{'test' if k % 4 == 3 else 'train'}" for k, clip in enumerate(CLIPS)]
    path.write_text("\n".join(["clip,split", *lines]) + "\n")
    return str(path)


def test_every_table_says_that_it_is_leaky(tmp_path, capsys):
    source = write_tree(tmp_path / "cremad", ending="mp4", videos="VideoMP4")
    raw = raw_params(
        prepare={
            "dataset": "cremad",
            "source": str(source),
            "options": {"split": "field", "field_list": listed(tmp_path / "list.csv")},
            "val_fraction": 0.34,
        },
        train={"epochs": 1},
        study={"methods": ["joint"], "regimes": ["scratch"], "seeds": [0]},
    )
    raw["extract"] = {"modalities": KINDS}
    raw["model"] = {"encoders": {name: {"name": "mlp", "hidden": [8], "dim": 4} for name in KINDS}}
    raw["train"]["method"] = "joint"
    params = parse_params(raw)
    layout = Layout(tmp_path / "run")
    model, report = layout.model("joint", "scratch", 0), layout.report("joint", "scratch", 0)
    run("prepare", params, {}, {"manifest": layout.manifest})
    run("extract", params, {"manifest": layout.manifest}, {"features": layout.features})
    run("train", params, {"features": layout.features}, {"model": model})
    run("evaluate", params, {"features": layout.features, "model": model}, {"report": report})
    run("compare", params, {"reports": layout.reports}, {"study": tmp_path / "comparison"})
    protocol = "field split, all actors on both sides"
    for folder in (layout.manifest, model, report):
        card = json.loads((folder / "card.json").read_text())
        assert (card["leaky"], card["protocol"]) == (True, protocol), folder
    assert json.loads((layout.features / "index.json").read_text())["leaky"]
    for page in (report / "report.html", tmp_path / "comparison/compare.html"):
        _, text = read_page(page)
        assert "leaky" in text, page
        assert protocol in text, page
    for table in ("compare.csv", "methods.csv"):
        rows = read_rows(tmp_path / "comparison" / table)
        assert {row["leaky"] for row in rows} == {"True"}, table
    printed = [line for line in render_study(tmp_path / "comparison").splitlines() if "joint +" in line]
    assert printed
    assert all("LEAKY" in line for line in printed)
    assert f"results will be marked as leaky: {protocol}" in capsys.readouterr().err
