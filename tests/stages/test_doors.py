"""Verb by verb, as one study, through dvc: the same clips give the same weights and numbers behind every door."""

from pathlib import Path

import pytest

from ambidex.base.files import sha256
from ambidex.base.readers import read_json
from ambidex.cli import main
from ambidex.net.model import WEIGHTS_FILE
from helpers.checkout import checkout, dvc
from helpers.small import small_params

CELL = "joint-pretrained-0"


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_params(tmp_path_factory.mktemp("params") / "params.yaml")


@pytest.fixture(scope="module")
def by_verbs(params: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("verbs")
    for verb in ("prepare", "extract", "pretrain", "train", "evaluate", "compare"):
        assert main([verb, "--params", str(params), "--runs", str(runs)]) == 0
    return runs


def assert_same(one: Path, other: Path) -> None:
    for folder in ("encoders/0/audio", "encoders/0/visual", f"models/{CELL}"):
        assert sha256(one / folder / WEIGHTS_FILE) == sha256(other / folder / WEIGHTS_FILE), folder
    for folder in ("manifest", "features", "encoders/0/audio", f"models/{CELL}", f"reports/{CELL}", "study"):
        assert read_json(one / folder / "metrics.json") == read_json(other / folder / "metrics.json"), folder
    assert read_json(one / "features/index.json") == read_json(other / "features/index.json")


@pytest.mark.slow
def test_a_study_equals_its_stages(params: Path, by_verbs: Path, tmp_path: Path) -> None:
    arguments = ["study", "--params", str(params), "--runs", str(tmp_path)]
    assert main(arguments) == 0
    assert_same(by_verbs, tmp_path)


def test_a_study_keeps_what_the_verbs_made(
    params: Path, by_verbs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "--params", str(params), "--runs", str(by_verbs)]) == 0
    text = capsys.readouterr().out
    assert "wrote" not in text, text
    assert text.count("is up to date") == 7
    assert f"report: {by_verbs / 'study/compare.html'}" in text


def test_the_table_can_be_printed_again(by_verbs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--show", "--runs", str(by_verbs)]) == 0
    text = capsys.readouterr().out
    assert "joint + uniform" in text
    assert "audio alone" in text


@pytest.mark.slow
def test_dvc_equals_the_verbs(params: Path, by_verbs: Path, tmp_path: Path) -> None:
    program = "import sys\nfrom ambidex.cli import main\nsys.exit(main())\n"
    dvc(checkout(tmp_path, program, params), "repro")
    assert_same(by_verbs, tmp_path / "runs")
