"""Fixtures for every test."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from helpers.undrawn import undrawn

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # inherited by a suite that was started in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

# what one process has compiled the others read: a suite starts hundreds
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(scope="module", autouse=True)
def _charts(request: pytest.FixtureRequest) -> Iterator[None]:
    """Charts are made but not drawn, which is nine tenths of evaluate: `pytestmark = pytest.mark.charts` draws them.

    The full run of the tests draws them all.
    """
    fast = "not slow" in request.config.option.markexpr
    if fast and not request.node.get_closest_marker("charts"):
        with undrawn():
            yield
    else:
        yield


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder of the session's own: no test sees what another run has remembered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AMBIDEX_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; skips where there is none."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data not found: no folder {folder}")
    return folder


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """One torch thread: the same numbers on any machine, and no fight for cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
