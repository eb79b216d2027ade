"""Kubeflow's own local runner runs the pipelines in containers of the image."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from kfp import local
from pipelines.compile import PIPELINES

from ambidex.cli import main
from ambidex.configuration import load_params
from ambidex.files import read_json
from helpers.checkout import ROOT
from helpers.images import Image
from helpers.small import small_params

pytestmark = pytest.mark.images

CELL = "joint-pretrained-0"


@pytest.fixture
def root(image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where tasks write, with kfp's DockerRunner speaking to podman; no task has a network."""
    folder = tmp_path / "root"
    folder.mkdir()
    folder.chmod(0o777)  # the user of the image is not the one of this test
    with image.containers.service() as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        local.init(local.DockerRunner(network_mode="none"), pipeline_root=str(folder))
        yield folder


@pytest.fixture
def params(image: Image, tmp_path: Path) -> Path:
    """Small parameters, with the image under test and the extraction in two parts."""
    return small_params(tmp_path / "params.yaml", platform={"image": image.name, "parts": 2})


def only(root: Path, task: str, output: str) -> Path:
    """The one output of this name. podman forgets the code of a task that failed, so what counts is what it wrote."""
    (found,) = root.rglob(f"{task}/{output}")
    return found


def test_the_pipeline_in_containers_equals_the_command_line(
    root: Path, params: Path, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    PIPELINES["balanced_learning"].build(load_params(params))()
    report = only(root, "evaluate-model", "report")

    monkeypatch.chdir(ROOT)
    for stage in ("prepare", "extract", "pretrain", "train", "evaluate"):
        assert main([stage, "--params", str(params), "--runs", str(tmp_path / "here")]) == 0
    assert read_json(report / "metrics.json") == read_json(tmp_path / "here/reports" / CELL / "metrics.json")
    assert read_json(report / "card.json")["revision"] == image.revision
    assert "succeeded" in only(root, "report-status", "page").read_text()


def test_a_study_in_containers_writes_the_comparison(root: Path, params: Path) -> None:
    PIPELINES["method_study"].build(load_params(params))()
    study = only(root, "compare-models", "study")
    with (study / "compare.csv").open() as table:
        assert {row["regime"] for row in csv.DictReader(table) if row["method"] == "joint"} == {"pretrained"}
    assert only(root, "compare-models", "page").stat().st_size > 10_000
