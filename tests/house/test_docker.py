"""The files of docker/: rules of hadolint, what enters an image, and what the script tells each builder."""

import fnmatch
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.checkout import ROOT
from helpers.images import git

DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
_BUILDER = """#!/bin/bash
case "$*" in "image inspect"* | pull*) echo 0123456789abcdef ;; esac
echo "{name} $*" >> {calls}
"""
_TOOLS = ("bash", "cat", "dirname", "git", "id")


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, str(DOCKER / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_dockerfile_names_no_registry() -> None:
    assert "://" not in DOCKERFILE
    (base,) = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, flags=re.M)
    assert "." not in base.split("/")[0].split(":")[0]
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.M)) == {
        "${BASE}",
        "python",
        "packages",
        "code",
    }


def test_what_is_copied_passes_the_ignore_list_and_exists() -> None:
    lines = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*"
    allowed = {line[1:] for line in patterns if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, flags=re.M)
    assert {source for line in copied for source in line.split()} == allowed
    assert all((ROOT / source).exists() for source in allowed)
    refused = [line.removeprefix("**/") for line in patterns if line.startswith("**/")]
    tracked = [Path(name) for name in git(ROOT, "ls-files", *sorted(allowed)).splitlines()]
    hit = [path for path in tracked for part in path.parts for p in refused if fnmatch.fnmatch(part, p)]
    assert hit == []


def test_all_that_the_image_installs_is_pinned() -> None:
    command = [sys.executable, str(DOCKER / "requirements.py"), str(ROOT / "pyproject.toml")]
    wanted = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    pinned = set(re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(), flags=re.M))
    names = {re.split(r"[<>=]", line)[0] for line in wanted}
    assert {"torch", "kfp", "dvc-s3", "boto3"} <= names
    assert names - pinned == {"setuptools"}


class Machine:
    """A checkout of one commit and a PATH on which the named builders only write down how they were called."""

    def __init__(self, folder: Path, *builders: str) -> None:
        self.folder, self.path = folder / "checkout", folder / "bin"
        self.path.mkdir()
        for tool in _TOOLS:
            (self.path / tool).symlink_to(str(shutil.which(tool)))
        for builder in builders:
            program = self.path / builder
            program.write_text(_BUILDER.format(name=builder, calls=folder / "calls"))
            program.chmod(0o755)
        (self.folder / "docker").mkdir(parents=True)
        for script in ("build.sh", "tools.sh"):
            shutil.copy(DOCKER / script, self.folder / "docker" / script)
        git(self.folder, "init", "--quiet")
        git(self.folder, "add", "--all")
        who = ("-c", "user.name=t", "-c", "user.email=t@t.invalid")
        git(self.folder, *who, "commit", "--quiet", "--message", "all")
        self.revision = git(self.folder, "rev-parse", "HEAD").strip()
        self._calls = folder / "calls"

    def build(self, *arguments: str, **env: str) -> tuple[list[str], str]:
        """The calls of builders, and what the script complained about."""
        done = subprocess.run(
            ["bash", str(self.folder / "docker/build.sh"), *arguments],
            env={"PATH": str(self.path), "HOME": str(self.folder), **env},
            capture_output=True,
            text=True,
        )
        assert (done.returncode != 0) == bool(done.stderr), done.stderr
        return self._calls.read_text().splitlines() if self._calls.exists() else [], done.stderr


@pytest.mark.parametrize(
    ("there", "used"),
    [
        (("docker", "podman", "buildah"), "docker"),
        (("podman", "buildah"), "podman"),
        (("buildah",), "buildah"),
    ],
)
def test_the_first_builder_that_works_is_used(tmp_path: Path, there: tuple[str, ...], used: str) -> None:
    machine = Machine(tmp_path, *there)
    calls, _ = machine.build("gpu", "--pull", IMAGE="mine:1", PIP_CONF="/some/pip.conf")
    call = calls[-1]
    assert call.startswith(f"{used} build --file docker/Dockerfile --target gpu --tag mine:1 ")
    assert f" --build-arg ACCELERATOR=gpu --build-arg REVISION={machine.revision} " in call
    assert " --secret id=pip.conf,src=/some/pip.conf --pull ." in call
    assert ("--layers --format docker" in call) == (used != "docker")


def test_a_docker_without_a_daemon_is_passed_over(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "docker", "podman")
    (machine.path / "docker").write_text("#!/bin/bash\nexit 1\n")
    calls, _ = machine.build("cpu")
    assert [call.split()[0] for call in calls] == ["podman"]


@pytest.mark.parametrize("builder", ["podman", "buildah"])
def test_the_base_is_named_without_its_registry(tmp_path: Path, builder: str) -> None:
    machine = Machine(tmp_path, builder)
    (machine.folder / "new").touch()
    calls, _ = machine.build("cpu", BASE="registry.invalid/base:1")
    assert calls[-2] == f"{builder} tag 0123456789abcdef localhost/ambidex-base:0123456789ab"
    assert "--build-arg BASE=localhost/ambidex-base:0123456789ab" in calls[-1]
    assert f"REVISION={machine.revision}+ " in calls[-1]
    assert "--tag ambidex:local " in calls[-1]


def test_what_is_missing_costs_one_line(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for arguments, env, said in (
        (("tpu",), {}, "name the target, cpu or gpu"),
        (("cpu",), {}, "install one, for example apt-get install buildah"),
        (("cpu",), {"BUILDER": "kaniko"}, "BUILDER is kaniko, it must be docker, podman or buildah"),
    ):
        calls, complaint = machine.build(*arguments, **env)
        assert calls == []
        assert complaint.count("\n") == 1
        assert said in complaint
