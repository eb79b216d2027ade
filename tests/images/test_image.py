"""What is in the image, what is not, and that the stages run in it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ambidex.base.readers import read_json
from ambidex.cli import main
from helpers.archives import description, findings, layer_sizes
from helpers.checkout import ROOT
from helpers.images import Image

pytestmark = pytest.mark.images

_SMALL = "prepare.options={classes: 3, samples_per_class: 48, seconds: 0.3, size: 16}"
_TWO_RANKS = """
import torch, torch.distributed as d
d.init_process_group("gloo")
one = torch.ones(1)
d.all_reduce(one)
print(f"sum {one.item():.0f}")
"""


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """A folder that the user of the image may write."""
    folder = tmp_path / "outputs"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def test_no_secret_path_or_registry_is_in_any_layer(image: Image) -> None:
    assert findings(image.containers, image.name, image.private) == []


def test_stages_give_the_same_inside_as_outside(
    image: Image, outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image.run(
        f"for stage in prepare extract; do ambidex $stage --runs /out --set '{_SMALL}'; done",
        *("--volume", f"{outputs}:/out", "--read-only"),
    )
    monkeypatch.chdir(ROOT)
    for stage in ("prepare", "extract"):
        assert main([stage, "--runs", str(tmp_path / "here"), "--set", _SMALL]) == 0
    for name in ("manifest/metrics.json", "features/index.json"):
        assert read_json(outputs / name) == read_json(tmp_path / "here" / name)
    assert read_json(outputs / "features/card.json")["revision"] == image.revision


def test_description_says_revision_user_and_no_more_than_needed(image: Image) -> None:
    described = description(image.containers, image.name)
    assert not described["Annotations"]
    config = described["Config"]
    assert config["Labels"]["org.opencontainers.image.revision"] == image.revision
    assert config["User"] == "10001"
    assert config["WorkingDir"] == "/app"
    assert not config.get("Entrypoint")
    names = {line.split("=")[0] for line in config["Env"]}
    assert names == {
        "PATH", "HOME", "USER", "PYTHONPATH", "PYTHONUNBUFFERED", "DVC_NO_ANALYTICS", "GIT_PYTHON_REFRESH",
        "AMBIDEX_REVISION",
    }  # fmt: skip


def test_versions_are_those_of_the_constraints(image: Image) -> None:
    installed = json.loads(image.run("python3 -m pip check >&2; python3 -m pip list --format json"))
    versions = {re.sub(r"[-_.]+", "-", p["name"]).lower(): p["version"].split("+")[0] for p in installed}
    assert {"torch", "dvc", "dvc-s3", "boto3", "kfp", "kfp-kubernetes", "ambidex"} <= versions.keys()
    pinned = dict(re.findall(r"^([\w-]+)==([^\s;]+)", (ROOT / "constraints.txt").read_text(), flags=re.M))
    assert {n: v for n, v in versions.items() if n in pinned and v != pinned[n]} == {}
    assert versions.keys() - pinned.keys() <= {"ambidex", "pip", "setuptools"}


@pytest.mark.parametrize("user", ["10001", "4242:0"], ids=["own", "given by the cluster"])
def test_any_user_number_can_work(image: Image, user: str) -> None:
    said = image.run(
        "touch $HOME/mine; ! touch /app/mine 2>/dev/null; cd /; ambidex --version;"
        "python3 -c 'import components, pipelines, kfp.dsl.executor_main, dvc.api, boto3, getpass; getpass.getuser()'",
        *("--user", user),
    )
    assert said.startswith("ambidex ")


def test_two_processes_of_torchrun_meet(image: Image) -> None:
    said = image.run(
        f"cat > $HOME/t.py <<'E'{_TWO_RANKS}\nE\ntorchrun --standalone --nproc-per-node 2 $HOME/t.py"
    )
    assert said.count("sum 2") == 2


def test_new_code_makes_small_layers_only(image: Image) -> None:
    before = description(image.containers, image.name)["RootFS"]["Layers"]
    changed = replace(image, name=f"{image.name}-changed")
    source = image.context / "src/ambidex/__init__.py"
    original = source.read_text()
    source.write_text(original + "\n# changed\n")
    changed.build("buildah")  # which takes the layers that podman made
    source.write_text(original)

    after = description(image.containers, changed.name)
    shared = sum(1 for one, other in zip(before, after["RootFS"]["Layers"], strict=True) if one == other)
    sizes = layer_sizes(image.containers, changed.name)
    assert len(sizes) == len(before)
    assert max(sizes[:shared]) > 500e6
    assert sum(sizes[shared:]) < 10e6
    assert after["Config"]["Labels"]["org.opencontainers.image.revision"] == f"{image.revision}+"
