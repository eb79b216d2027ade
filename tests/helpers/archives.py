"""Search a saved image: every file of every layer, those that a later layer hides too, and the history."""

import json
import subprocess
import tarfile
from collections.abc import Iterator
from typing import IO, Any

from helpers.containers import Containers


def findings(containers: Containers, image: str, words: set[str]) -> list[str]:
    """`place: word` for each of `words` in the name or the content of a file of the image, or in its description."""
    needles = {word: word.encode() for word in sorted(words)}
    return [
        f"{place}: {word}"
        for place, content in _contents(containers, image)
        for word, needle in needles.items()
        if needle in content or word in place
    ]


def description(containers: Containers, image: str) -> dict[str, Any]:
    """What `podman image inspect` knows of the image."""
    (read,) = json.loads(containers.podman("image", "inspect", image))
    return dict(read)


def layer_sizes(containers: Containers, image: str) -> list[int]:
    """Bytes of every layer, the base's first."""
    shown = json.loads(containers.podman("history", "--format", "json", image))
    return [line["size"] for line in reversed(shown) if line["size"] > 0]


def _contents(containers: Containers, image: str) -> Iterator[tuple[str, bytes]]:
    command = ["podman", "save", "--quiet", "--format", "docker-archive", image]
    with subprocess.Popen(command, env=containers.env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with tarfile.open(fileobj=process.stdout, mode="r|") as saved:
            for member in saved:
                file = saved.extractfile(member) if member.isfile() else None
                if file is None:
                    continue
                if member.name.endswith(".tar"):
                    yield from _files(file, member.name[:8])
                else:
                    yield member.name, file.read()
    assert process.returncode == 0, f"podman save {image} ended with {process.returncode}"


def _files(layer: IO[bytes], name: str) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=layer, mode="r|") as members:
        for member in members:
            file = members.extractfile(member) if member.isfile() else None
            yield f"{name}/{member.name}", b"" if file is None else file.read()
