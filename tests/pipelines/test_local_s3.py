"""The whole pipeline around a DVC remote: pull, everything between, publish; on an S3 service of this machine."""

import os
from pathlib import Path

import pytest
import yaml
from components.data_versioning.publish import publish
from components.data_versioning.pull import pull
from components.data_versioning.remote import Remote

from ambidex.base.files import sha256
from ambidex.base.readers import read_json
from ambidex.cli import main
from ambidex.net.model import WEIGHTS_FILE
from helpers.kubeflow import run_here
from helpers.s3 import Service
from helpers.small import small_params

SECRET = "nobody-may-read-this"


@pytest.mark.slow
def test_from_pulled_data_to_a_published_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    keys = {"AWS_ACCESS_KEY_ID": "AKIATESTTESTTEST", "AWS_SECRET_ACCESS_KEY": SECRET}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    service = Service()
    try:
        _round_trip(service, tmp_path)
    finally:
        service.stop()


def _round_trip(service: Service, tmp_path: Path) -> None:
    """Clips that one machine made and published become a model that another one pulls."""
    assert (
        main(["prepare", "--params", str(small_params(tmp_path / "made.yaml")), "--runs", str(tmp_path)]) == 0
    )
    url = f"s3://{service.make_bucket('bucket')}/prefix"
    remote = Remote.parse(url, service.url, "us-east-1")
    pointer = tmp_path / "clips.dvc"
    pointer.write_text(publish({"set": tmp_path / "manifest"}, remote, "clips"))
    params = small_params(
        tmp_path / "params.yaml",
        prepare={"dataset": "manifest", "source": "data/clips/set/manifest.csv", "options": {}},
        extract={"shard_size": 16},
        platform={
            "retries": 0,
            "parts": 2,
            "s3": {"secret": "unused-here", "remote": url, "endpoint": service.url, "region": "us-east-1"}
            | {"pull": str(pointer), "publish": "trained"},
        },
    )
    run = run_here("balanced_learning", params, tmp_path / "root")
    assert run.code == 0, run.output
    assert SECRET not in run.output
    manifest = run.output_of("prepare-data", "manifest")
    assert read_json(manifest / "dataset.json")["dataset"] == "manifest"
    assert read_json(run.output_of("merge-features", "features") / "metrics.json")["samples"] == 54

    (output,) = run.root.rglob("publish-model/executor_output.json")
    returned = yaml.safe_load(output.read_text())["parameterValues"]["Output"]
    assert "dvc pull" in run.output_of("publish-model", "page").read_text()
    pull(returned, remote, tmp_path / "back")
    model = run.output_of("train-model", "model")
    assert sha256(tmp_path / "back/model" / WEIGHTS_FILE) == sha256(model / WEIGHTS_FILE)
    assert (tmp_path / "back/report/report.html").exists()
