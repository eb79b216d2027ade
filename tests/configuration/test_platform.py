"""The section platform: defaults that ask a cluster for nothing, mistakes in one line, no part in any result."""

from pathlib import Path

import pytest

from ambidex.base.errors import ParamsError
from ambidex.configuration.params import Params
from ambidex.configuration.platform import Platform
from ambidex.resolve import load_params
from ambidex.resolve.run_card import write_records
from helpers.checkout import ROOT

PARAMS = ROOT / "params.yaml"


def given(*overrides: str) -> Params:
    return load_params(PARAMS, [f"platform.{one}" for one in overrides])


def test_the_defaults_ask_for_nothing() -> None:
    platform = Platform()
    assert (platform.accelerator, platform.pvc, platform.s3, platform.pull_secret) == (None, None, None, None)
    assert (platform.cpu, platform.memory, platform.shm) == (None, None, None)
    assert "/" not in platform.image


def test_a_number_may_be_a_quantity_or_a_label() -> None:
    platform = given("cpu=4", "memory=16Gi", "node_selector={gpus: 8}").platform
    assert (platform.cpu, platform.memory, platform.node_selector) == ("4", "16Gi", {"gpus": "8"})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("memory=lots", "platform.memory: got 'lots', expected an amount such as 4, 500m or 16Gi"),
        ("cpu=0", "platform.cpu: got '0', expected more than 0"),
        ("cpu=true", "platform.cpu: "),
        (
            "memory=16",
            "platform.memory: got '16', 16 bytes: too little for any pod; expected for example 16Gi",
        ),
        (
            "train={memory: 400m}",
            "platform.train.memory: got '400m', thousandths of a byte; 400Mi are mebibytes",
        ),
        ("shm=8GB", "platform.shm: got '8GB', expected an amount such as 4, 500m or 16Gi; 8Gi?"),
        ("train={gpu: 1}", "platform.train.gpu: unknown key"),
        (
            "accelerator={type: NVIDIA H100!!}",
            "platform.accelerator.type: got 'NVIDIA H100!!', expected a resource",
        ),
        ("evaluate_on=accelerator", "evaluate_on: got 'accelerator', and the block has no accelerator"),
        ("image=Ambidex", "platform.image: got 'Ambidex', expected an image such as"),
        ("pvc={claim: a.b}", "platform.pvc.claim: got 'a.b', expected a name of at most 63"),
        ("pvc={claim: a, path: /opt/venv}", "platform.pvc.path: got '/opt/venv', expected a folder"),
        ("node_selector={a/b/c: x}", "platform.node_selector"),
        ("labels={pipeline/runid: x}", "expected a label that Kubeflow does not set itself"),
        ("tolerations=[{key: 'a b'}]", "platform.tolerations.0.key"),
        ("tolerations=[{key: a, operator: Equal, value: 'a b'}]", "platform.tolerations.0.value"),
        ("deadline=99999999", "platform.deadline"),
        ("accelerator={count: 0}", "platform.accelerator.count: got 0, expected greater than or equal to 1"),
        ("tolerations=[{operator: Equal}]", "tolerations.0: operator Equal needs a key"),
        ("tolerations=[{key: gpu, value: a}]", "tolerations.0: operator Exists takes no value"),
        ("s3={secret: My_Secret, remote: s3://a}", "platform.s3.secret: got 'My_Secret', expected a name"),
        ("s3={secret: s, remote: s3://me:pw@a}", "expected s3://bucket/path, without credentials"),
        ("s3={secret: s, remote: s3://a, endpoint: 'http://me:pw@b'}", "without credentials"),
        ("s3={secret: s, remote: s3://a, access_key: x}", "platform.s3.access_key: unknown key"),
        ("pvc={claim: work, path: work}", "platform.pvc.path: got 'work', expected a folder such as /work"),
    ],
)
def test_a_mistake_is_one_line(override: str, message: str) -> None:
    with pytest.raises(ParamsError) as caught:
        given(override)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_record_knows_the_platform(tmp_path: Path) -> None:
    """Records decide what `ambidex study` and dvc run again."""
    for name, params in (("one", given()), ("other", given("image=elsewhere:1", "pvc={claim: work}"))):
        (tmp_path / name).mkdir()
        write_records(tmp_path / name, "train", params, {})
    one, other = ((tmp_path / name / "params.yaml").read_text() for name in ("one", "other"))
    assert one == other
    assert "platform" not in one


@pytest.mark.parametrize(("memory", "own"), [("4Gi", None), (None, "4Gi"), ("64Gi", "4Gi")])
def test_shm_is_a_part_of_the_memory_of_a_pod_that_trains(memory: str | None, own: str | None) -> None:
    overrides = [f"memory={memory}"] if memory else []
    overrides += [f"train={{memory: {own}}}"] if own else []
    assert given(*overrides, "shm=4096Mi").platform.shm
    with pytest.raises(ParamsError, match="shm: 8Gi are more than the 4Gi of memory of a pod that trains"):
        given(*overrides, "shm=8Gi")
