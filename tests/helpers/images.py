"""The image under test: built from a copy of the checkout in which secrets lie about."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from helpers.checkout import ROOT
from helpers.containers import Containers
from helpers.pip_settings import pip_settings

CANARY = "c4n4ry-d0-n0t-sh1p"
BASE = "registry.invalid:5000/team/base:1"
# Where secrets and outputs lie in a checkout that somebody works in; the last three in folders that the image holds.
_PLANTED = (
    ".env",
    ".dvc/config.local",
    ".dvc/cache/files/md5/00/1",
    ".venv/pip.conf",
    "runs/features/index.json",
    "docker/pip.conf",
    "src/ambidex/.aws/credentials",
    "components/tls.key",
    "pipelines/credentials.json",
)


@dataclass(frozen=True)
class Image:
    """An image, and the repository that it is built from."""

    containers: Containers
    name: str
    context: Path
    pip_conf: Path

    @property
    def revision(self) -> str:
        """The revision of the repository now."""
        return git(self.context, "rev-parse", "HEAD").strip()

    @property
    def private(self) -> set[str]:
        """Words that the build sees and that must not be in the image."""
        paths = {str(self.context), str(self.pip_conf.parent), str(ROOT)}
        return {CANARY, BASE.split("/")[0]} | paths | pip_settings().private

    def build(self, builder: str = "podman") -> str:
        """Run docker/build.sh in the context, with a secret in the environment too; return what it printed."""
        settings = pip_settings()
        self.pip_conf.write_text(f"# {CANARY}\n{settings.text}")
        env = self.containers.env | {
            "BUILDER": builder,
            "BASE": BASE,
            "IMAGE": self.name,
            "PIP_CONF": str(self.pip_conf),
            "AWS_SECRET_ACCESS_KEY": CANARY,
        }
        mounts = [word for mount in settings.mounts for word in ("--volume", mount)]
        command = ["bash", "docker/build.sh", "cpu", *mounts]
        done = subprocess.run(command, cwd=self.context, env=env, capture_output=True, text=True)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return done.stdout + done.stderr

    def run(self, script: str, *options: str) -> str:
        """What a shell script prints in a container of the image that has no network."""
        return self.containers.run(self.name, script, *options)


def copy_checkout(folder: Path) -> None:
    """Make `folder` a git repository of the checkout's files as they are now, with secrets lying about."""
    listed = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "remote", "add", "origin", f"https://user:{CANARY}@git.invalid/x")
    for name in _PLANTED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(CANARY)
    git(folder, "add", "--all", "--force")
    git(folder, "-c", "user.name=t", "-c", "user.email=t@t.invalid", "commit", "--quiet", "--message", "all")


def git(folder: Path, *arguments: str) -> str:
    """What `git ...` prints in `folder`."""
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
