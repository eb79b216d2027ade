"""Kubeflow's own local runner runs the pipelines in containers of the image."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.models.containers import ContainerCollection
from kfp import local
from pipelines.compile import PIPELINES

from ambidex.base.readers import read_json
from ambidex.cli import main
from ambidex.resolve import load_params
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
    start = ContainerCollection.run

    def keep(collection: Any, *arguments: Any, auto_remove: bool, **options: Any) -> Any:
        return start(collection, *arguments, **options)

    # podman removes a container the moment it ends, so that kfp can no longer ask how; the store goes in the end
    monkeypatch.setattr(ContainerCollection, "run", keep)
    with image.containers.service() as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        local.init(local.DockerRunner(network_mode="none"), pipeline_root=str(folder))
        yield folder


@pytest.fixture
def params(image: Image, tmp_path: Path) -> Path:
    """Small parameters, with the image under test and the extraction in two parts."""
    return small_params(tmp_path / "params.yaml", platform={"image": image.name, "parts": 2, "retries": 0})


def only(root: Path, task: str, output: str) -> Path:
    """The one output of this name."""
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


def test_a_task_that_fails_in_its_container_fails_the_run(root: Path, params: Path) -> None:
    pipeline = PIPELINES["balanced_learning"].build(load_params(params))
    with pytest.raises(RuntimeError, match="prepare-data"):
        pipeline(data="prepare: {dataset: nonesuch}")
    assert "failed" in only(root, "report-status", "page").read_text()
    assert not list(root.rglob("extract-features*"))
