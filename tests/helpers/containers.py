"""A store of container images that one test session has for itself, and removes with everything in it."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Lower limits than podman's own, and the host's network: what podman needs inside another container or a small VM.
_CONTAINERS = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
netns = "host"
[engine]
runtime = "runc"
"""


class Containers:
    """podman on a store under `folder`, which sees the images of the machine's own store but adds none to it."""

    def __init__(self, folder: Path) -> None:
        own = json.loads(_output(["podman", "info", "--format", "json"]))["store"]
        (folder / "containers.conf").write_text(_CONTAINERS)
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "{own["graphDriverName"]}"\n'
            f'graphroot = "{folder / "images"}"\nrunroot = "{folder / "state"}"\n'
            f'[storage.options]\nadditionalimagestores = ["{own["graphRoot"]}"]\n'
        )
        self.folder = folder
        self.env = {
            **os.environ,
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "BUILDAH_ISOLATION": "chroot",
        }
        used = json.loads(self.podman("info", "--format", "json"))["store"]["graphRoot"]
        assert used == str(folder / "images"), f"podman works on {used}, not on a store of its own"

    def podman(self, *arguments: str) -> str:
        """What `podman ...` prints; fails the test with its messages where it fails."""
        return _output(["podman", *arguments], self.env)

    def run(self, image: str, script: str, *options: str) -> str:
        """What a shell script prints in a container of `image` that has no network."""
        return self.podman("run", "--rm", "--network", "none", *options, image, "sh", "-euc", script)

    @contextmanager
    def service(self) -> Iterator[str]:
        """The address of a Docker API that this podman serves."""
        address = f"unix://{self.folder / 'api.sock'}"
        with (self.folder / "service.log").open("w") as log:
            command = ["podman", "system", "service", "--time", "0", address]
            process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        try:
            _wait_for(self.folder / "api.sock", process)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=30)

    def remove(self) -> None:
        """Delete every container and the whole store, of which podman may leave parts mounted."""
        self.podman("rm", "--all", "--force", "--time", "0")
        own = [] if os.geteuid() == 0 else ["podman", "unshare"]
        mounts = _output([*own, "cat", "/proc/self/mounts"]).splitlines()
        for place in sorted((line.split()[1] for line in mounts), reverse=True):
            if Path(place).is_relative_to(self.folder):
                _output([*own, "umount", place])
        _output([*own, "rm", "-rf", str(self.folder)])


def _output(command: list[str], env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def _wait_for(path: Path, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, f"{process.args!s} ended with {process.returncode}"
        assert time.monotonic() < end, f"{path} did not appear in {seconds} s"
        time.sleep(0.05)
