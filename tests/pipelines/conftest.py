"""An S3 service, and the environment that a pod has."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from components.data_versioning import config
from components.data_versioning.remote import Remote

from helpers.remotes import BUCKET, KEY, SECRET, URL, new_project, write
from helpers.s3 import Service


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    running = Service()
    yield running
    running.stop()


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, service: Service) -> None:
    """What a pod has, and nothing of this machine: keys, region and endpoint; an empty service with one bucket."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    nowhere = str(tmp_path / "nowhere")
    values = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": service.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": nowhere,
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        "DVC_GLOBAL_CONFIG_DIR": nowhere,
        "DVC_SYSTEM_CONFIG_DIR": nowhere,
        "DVC_NO_ANALYTICS": "1",
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    service.reset()
    service.make_bucket(BUCKET)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a file in a folder, a name that is not ASCII, an empty file and the same bytes twice."""
    return write(
        tmp_path / "data",
        {"list.csv": b"a,b\n", "clips/one.wav": b"sound", "clips/zwölf.wav": b"sound", "empty": b""},
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = new_project(tmp_path / "project")
    config.write_remote(made, Remote.parse(URL))
    return made
