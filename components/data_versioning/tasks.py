"""What the components call: a mistake of the user ends the pod with one line and is left for the exit task."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ambidex.base.errors import AmbidexError
from components._notes import note_failure
from components.data_versioning.command import one_line
from components.data_versioning.publish import publish_to_page
from components.data_versioning.pull import pull
from components.data_versioning.remote import Remote


def pull_data(pointer: str, url: str, endpoint: str, region: str, folder: str) -> dict[str, Any]:
    """pull, from the remote at `url`; empty endpoint and region: those of the environment."""
    with _task("pull"):
        return pull(pointer, Remote.parse(url, endpoint, region), folder)


def publish_model(model: str, report: str, url: str, endpoint: str, region: str, name: str, page: str) -> str:
    """publish_to_page of a model and its report, to the remote at `url`."""
    with _task(f"publish-{name}"):
        remote = Remote.parse(url, endpoint, region)
        return publish_to_page({"model": model, "report": report}, remote, name, page)


@contextmanager
def _task(key: str) -> Iterator[None]:
    with one_line():
        try:
            yield
        except AmbidexError as error:
            note_failure(key, str(error))
            raise
        note_failure(key, "")
