"""The pods that the compiled pipelines ask for, held to Kubernetes' own schemas and our rules for amounts and names."""

import copy
from pathlib import Path

import kubernetes_validate
import pytest
from pipelines.compile import COMPILED, PARAMS, PIPELINES, compile_pipeline

from ambidex.configuration.cluster import names, quantities
from ambidex.resolve import load_params
from helpers.kubeflow import Compiled
from helpers.pods import pod

VERSION = kubernetes_validate.latest_version()
NAMES = [f"{name}{suffix}" for name in PIPELINES for suffix in ("", "_gpu")]
TRAINING = ("pretrain", "train", "crossfit")
OF_THE_GPU_POOL = ("tolerations", "nodeSelector", "volumes")


def check(made: dict) -> None:
    """What the API server checks beyond the schema, by the rules of its documentation."""
    kubernetes_validate.validate(made, VERSION, strict=True)
    spec, (container,) = made["spec"], made["spec"]["containers"]
    resources = container["resources"]
    for amounts in resources.values():
        for name, amount in amounts.items():
            if name in ("cpu", "memory"):
                {"cpu": quantities.cpu, "memory": quantities.memory}[name](amount)
            else:
                names.device(name)
                assert quantities.parse(amount).denominator == 1
    for name, request in resources["requests"].items():
        assert quantities.parse(request) <= quantities.parse(resources["limits"][name])
    mounted = [one["mountPath"] for one in container["volumeMounts"]]
    assert len(set(mounted)) == len(mounted)
    assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in spec["volumes"]}
    for volume in spec["volumes"]:
        names.volume_name(volume["name"])
        if "emptyDir" in volume:
            size = quantities.parse(volume["emptyDir"]["sizeLimit"])
            assert size <= quantities.parse(resources["limits"]["memory"])
    for key, value in [*made["metadata"]["labels"].items(), *spec["nodeSelector"].items()]:
        names.label_key(key)
        names.label_value(value)
    environment = [one["name"] for one in container["env"]]
    assert len(set(environment)) == len(environment)


@pytest.mark.parametrize("name", NAMES)
def test_kubernetes_would_take_every_pod(name: str) -> None:
    found = Compiled(COMPILED / f"{name}.yaml")
    for task in found.tasks:
        check(pod(found, task))


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pod_that_does_not_train_asks_for_nothing_of_the_gpu_pool(name: str) -> None:
    found = Compiled(COMPILED / f"{name}_gpu.yaml")
    seen = set()
    for task in found.tasks:
        made = pod(found, task)
        (container,) = made["spec"]["containers"]
        training = task.startswith(TRAINING)
        seen.add(training)
        assert ("nvidia.com/gpu" in container["resources"]["limits"]) == training, task
        assert bool(made["spec"]["tolerations"]) == bool(made["spec"]["nodeSelector"]) == training, task
        assert ("/dev/shm" in [one["mountPath"] for one in container["volumeMounts"]]) == training, task
    assert seen == {True, False}


def test_the_check_sees_what_is_wrong() -> None:
    """Faults that the schema alone knows, and such as only the rules know."""
    found = Compiled(COMPILED / "balanced_learning_gpu.yaml")
    good = pod(found, "train-model")
    check(good)

    def broken(change: str) -> dict:
        made = copy.deepcopy(good)
        spec, container = made["spec"], made["spec"]["containers"][0]
        if change == "field":
            spec["tolerationz"] = []
        elif change == "type":
            spec["activeDeadlineSeconds"] = "43200"
        elif change == "effect":
            spec["tolerations"][0]["effect"] = 1
        elif change == "device":
            container["resources"]["limits"]["NVIDIA H100!!"] = "1"
        elif change == "memory":
            container["resources"]["limits"]["memory"] = "400m"
        elif change == "less than asked for":
            container["resources"]["limits"]["cpu"] = "1"
        elif change == "claim":
            spec["volumes"][0]["name"] = container["volumeMounts"][0]["name"] = "a.b"
        elif change == "label":
            spec["nodeSelector"] = {"a b": "c"}
        return made

    for change in ("field", "type", "effect", "device", "memory", "less than asked for", "claim", "label"):
        with pytest.raises((kubernetes_validate.ValidationError, ValueError, AssertionError)):
            check(broken(change))


@pytest.mark.slow
def test_so_it_is_with_everything_at_once(tmp_path: Path) -> None:
    """Every key of the block set, in forms that kfp itself would not take."""
    platform = [
        "accelerator={type: nvidia.com/mig-1g.5gb, count: 1}", "cpu=1.5e0", "memory=1.5Gi", "shm=128Mi",
        "train={cpu: .5, memory: 4e9}", "evaluate_on=accelerator", "node_selector={a.b/c: ''}", "pull_secret=x.y",
        "tolerations=[{operator: Exists}, {key: a/b, operator: Equal, value: '8', effect: NoExecute}]",
        "pvc={claim: w, path: /mnt/w}", "s3={secret: s, remote: s3://b/p}", "labels={team: x}", "parts=2",
    ]  # fmt: skip
    for name in PIPELINES:
        params = load_params(PARAMS, ["evaluate.fit_on=crossfit", *(f"platform.{one}" for one in platform)])
        found = Compiled(compile_pipeline(name, params, tmp_path / f"{name}.yaml"))
        for task in found.tasks:
            check(pod(found, task))
