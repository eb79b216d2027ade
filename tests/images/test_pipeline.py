"""Kubeflow's own local runner runs a pipeline in containers of the image."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kfp import dsl, local

from ambidex.files import read_json
from helpers.images import Image

pytestmark = pytest.mark.images

SMALL = "prepare.options={classes: 3, samples_per_class: 48, seconds: 0.3, size: 16}"


@pytest.fixture
def docker(image: Image, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The docker SDK speaks to podman."""
    with image.containers.service() as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        yield


@dsl.component(base_image="localhost/ambidex:test", install_kfp_package=False)
def manifest(out: dsl.Output[dsl.Dataset], option: str) -> int:
    """Run prepare; returns the number of samples."""
    from pathlib import Path

    from ambidex.cli import main
    from ambidex.files import read_json

    main(["prepare", "--manifest", out.path, "--set", option])
    return sum(read_json(Path(out.path) / "metrics.json")["samples"].values())


@dsl.component(base_image="localhost/ambidex:test", install_kfp_package=False)
def features(source: dsl.Input[dsl.Dataset], out: dsl.Output[dsl.Dataset], option: str, samples: int) -> None:
    """Run extract on what the step before wrote."""
    from ambidex.cli import main

    out.metadata["samples"] = samples
    main(["extract", "--manifest", source.path, "--features", out.path, "--set", option])


@pytest.mark.usefixtures("docker")
def test_two_components_pass_an_artifact_and_a_number(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(0o777)  # the user of the image is not the one of this test

    @dsl.pipeline
    def two(option: str) -> dsl.Dataset:
        made = manifest(option=option)
        return features(source=made.outputs["out"], option=option, samples=made.outputs["Output"]).outputs[
            "out"
        ]

    local.init(local.DockerRunner(network_mode="none"), pipeline_root=str(root))
    written = two(option=SMALL).output
    assert written.metadata["samples"] == 144
    assert read_json(Path(written.path) / "metrics.json")["samples"] == 144
