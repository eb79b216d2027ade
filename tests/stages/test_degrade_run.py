"""Degradations through the stages: what may be shared between severities, and samples that lose a modality."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from ambidex.base.errors import ModelError, OutputError
from ambidex.cli import main
from ambidex.data.store.reading import FeatureStore
from ambidex.report.severity.write import write_severities
from ambidex.resolve import load_params
from ambidex.stages._checks import fitting_model
from helpers.lacking import write_data
from helpers.runs import raw_params

NOISE = {"modality": "left", "name": "feature_noise", "deviation": 4}
CHEAP = ["uniform", "scale", "modality", "norm", "capability", "confidence", "pooled"]
GONE = {"modality": "right", "name": "absent", "fraction": 0.4}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("degraded") / "data")


def write_params(root: Path, source: Path, steps: list[dict[str, Any]], **sections: Any) -> list[str]:
    root.mkdir(exist_ok=True)
    raw = raw_params(
        prepare={"dataset": "manifest", "source": str(source), "allow_missing": ["left", "right"]},
        extract={"degrade": {"steps": steps}},
        train={"method": "joint"},
        study={"methods": ["joint"], "regimes": ["scratch"], "seeds": [0], "degrade": [0, 1]},
        **sections,
    )
    (root / "params.yaml").write_text(yaml.safe_dump(raw))
    return ["--params", str(root / "params.yaml"), "--runs", str(root / "runs")]


@pytest.fixture(scope="module")
def shared(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study over severities of noise on test alone."""
    root = tmp_path_factory.mktemp("shared")
    evaluate = {
        "diagnostics": ["logits"],
        "allocators": ["uniform", "modality"],
        "allocator": "modality",
        "charts": False,
    }
    given = write_params(root, source, [{**NOISE, "splits": ["test"]}], evaluate=evaluate)
    assert main(["study", *given]) == 0
    return root / "runs"


def test_models_of_the_undegraded_store_are_judged_at_every_severity(shared: Path) -> None:
    plain, weak = (
        json.loads((place / "reports/joint-scratch-0/details.json").read_text())["allocators"]
        for place in (shared, shared / "severities/1")
    )
    assert plain["uniform"]["accuracy"] > weak["uniform"]["accuracy"]
    assert plain["modality"]["val"] == weak["modality"]["val"]
    assert not (shared / "severities/1/models").exists()
    card = json.loads((shared / "severities/1/reports/joint-scratch-0/card.json").read_text())
    assert card["degraded"] == "degraded at severity 1: left feature_noise (deviation 4) in test"
    study = shared / "severities/1/study"
    assert card["degraded"] in json.loads((study / "compare.json").read_text())["degraded"]
    for page in (study / "compare.html", shared / "severities/1/reports/joint-scratch-0/report.html"):
        assert card["degraded"] in page.read_text()
    assert "degraded" not in json.loads((shared / "reports/joint-scratch-0/card.json").read_text())


def test_shares_by_allocator_are_those_of_the_contributions(shared: Path) -> None:
    report = shared / "reports/joint-scratch-0"
    shares = json.loads((report / "details.json").read_text())["allocators"]["uniform"]["shares"]
    cache = load_file(report / "cache.safetensors")
    labels = load_file(report / "predictions.safetensors")["labels"]
    parts = {m: cache[f"test/contributions/{m}"].astype(np.float64) for m in ("left", "right")}
    own = {m: z[np.arange(len(labels)), labels].sum() for m, z in parts.items()}
    for m, value in own.items():
        assert shares[m] == pytest.approx(value / sum(own.values()), rel=1e-5)


def test_the_summary_holds_what_the_reports_hold(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = shared / "severities/study"
    with (study / "severities.csv").open() as stream:
        table = list(csv.DictReader(stream))
    rows = {(row["allocator"], row["severity"]): row for row in table if row["method"] == "joint"}
    alone = {(row["method"], row["severity"]): row for row in table if row["regime"] == "alone"}
    assert set(rows) == {(a, s) for a in ("uniform", "modality") for s in ("0.0", "1.0")}
    assert alone["left", "0.0"]["accuracy"] > alone["left", "1.0"]["accuracy"]
    assert alone["right", "0.0"] == {**alone["right", "1.0"], "severity": "0.0"}
    for severity, place in (("0.0", shared), ("1.0", shared / "severities/1")):
        details = json.loads((place / "reports/joint-scratch-0/details.json").read_text())["allocators"]
        for name in ("uniform", "modality"):
            assert float(rows[name, severity]["accuracy"]) == pytest.approx(
                details[name]["accuracy"], rel=1e-5
            )
            assert rows[name, severity]["accuracy_low"] == ""
    text = (study / "severities.txt").read_text()
    assert "degraded: left feature_noise (deviation 4) in test\n" in text
    page = (study / "severities.html").read_text()
    assert all(line in page for line in ("the plain sum goes from", "Degraded: left feature_noise"))
    assert (study / "plots/severities.png").exists()


def test_the_summary_is_made_anew_and_replaces_nothing_else(shared: Path, tmp_path: Path) -> None:
    params = load_params(shared.parent / "params.yaml")
    folders = {0.0: shared / "reports", 1.0: shared / "severities/1/reports"}
    for _ in range(2):
        write_severities(tmp_path / "study", params, folders)
    assert "1.0" in (tmp_path / "study/severities.csv").read_text()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="is a folder with files"):
        write_severities(tmp_path / "mine", params, folders)


def test_a_model_is_refused_where_training_would_have_seen_the_difference(
    shared: Path, source: Path, tmp_path: Path
) -> None:
    model = shared / "models/joint-scratch-0"
    fitting_model(model, FeatureStore.open(shared / "severities/1/features"))
    for number, step in enumerate(({**NOISE, "splits": ["val", "test"]}, {**GONE, "splits": ["val"]})):
        given = write_params(
            tmp_path / str(number),
            source,
            [step],
        )
        alone = ["--set", "study.degrade=[]"]
        assert main(["prepare", *given, *alone]) == main(["extract", *given, *alone]) == 0
        with pytest.raises(ModelError, match="was trained on another feature store"):
            fitting_model(model, FeatureStore.open(tmp_path / str(number) / "runs/features"))


def test_samples_that_lose_a_modality_are_judged_by_pattern(source: Path, tmp_path: Path) -> None:
    given = write_params(
        tmp_path,
        source,
        [GONE],
        evaluate={"diagnostics": ["presence"], "allocators": CHEAP, "allocator": "pooled", "charts": False},
    )
    alone = ["--set", "study.degrade=[]"]
    assert all(main([verb, *given, *alone]) == 0 for verb in ("prepare", "extract", "train"))
    assert main(["evaluate", *given, *alone]) == 0
    store = FeatureStore.open(tmp_path / "runs/features")
    report = tmp_path / "runs/reports/joint-scratch-0"
    rows = store.rows("test")
    there = {m: here.tolist() for m, here in store.presence(rows).items()}
    before = [i for i in range(90, 120) if i % 5 == 2 or i % 7 != 3]  # of write_data: has right
    could = [i for i in before if i % 5 != 2]  # and left as well
    assert there["right"].count(False) == (30 - len(before)) + round(0.4 * len(could))
    predictions = load_file(report / "predictions.safetensors")
    details = json.loads((report / "details.json").read_text())
    with (report / "tables/presence.csv").open() as stream:
        table = {row["modalities"]: row for row in csv.DictReader(stream) if row["split"] == "test"}
    labels = predictions["labels"]
    for pattern, wanted in (("left+right", (True, True)), ("left", (True, False)), ("right", (False, True))):
        own = [k for k in range(30) if (there["left"][k], there["right"][k]) == wanted]
        right = predictions["allocator/uniform"][own].argmax(1) == labels[own]
        assert int(table[pattern]["samples"]) == len(own)
        assert float(table[pattern]["accuracy"]) == pytest.approx(right.mean())
    for name, numbers in details["allocators"].items():
        assert "refused" not in numbers, name
        assert sum(numbers["shares"].values()) == pytest.approx(1.0), name
