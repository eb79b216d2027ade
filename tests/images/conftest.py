"""One store of images and one built image for all tests of this folder."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.containers import Containers
from helpers.images import BASE, Image, copy_checkout


@pytest.fixture(scope="session")
def containers() -> Iterator[Containers]:
    """A store of images for this session alone."""
    missing = [program for program in ("podman", "buildah", "runc") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"missing: {', '.join(missing)}; `make test-images` installs them on Debian")
    own = Containers(Path(tempfile.mkdtemp(prefix="ambidex-images-")))
    try:
        yield own
    finally:
        own.remove()


@pytest.fixture(scope="session")
def image(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The cpu image, on a base whose name has a registry in it, built with this machine's settings of pip."""
    base = os.environ.get("BASE")
    if not base:
        pytest.skip("no BASE to build on; `make test-images` makes one")
    containers.podman("tag", base, BASE)
    context = tmp_path_factory.mktemp("context")
    copy_checkout(context)
    pip_conf = tmp_path_factory.mktemp("pip") / "pip.conf"
    built = Image(containers, "localhost/ambidex:test", context, pip_conf)
    built.build()
    return built
