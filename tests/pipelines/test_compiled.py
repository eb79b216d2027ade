"""The compiled pipelines: known to Kubeflow to the last field, not stale, placed as the platform says, no secrets."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from kfp.components import load_component_from_file
from pipelines.compile import COMPILED, EXAMPLE, PARAMS, PIPELINES, compile_pipeline, with_platform
from pipelines.placement import retry_window
from pipelines.texts import data_text, learning_text, pinned

from ambidex.base.errors import ParamsError
from ambidex.configuration.params import Params
from ambidex.resolve import load_params
from helpers.checkout import ROOT
from helpers.kubeflow import Compiled

NAMES = [f"{name}{suffix}" for name in PIPELINES for suffix in ("", "_gpu")]
TRAINING = {"pretrain-encoders", "train-model", "train-cells", "crossfit-model", "crossfit-cells"}
EVALUATION = {"evaluate-model", "evaluate-cells"}
ON_S3 = {"pull-data", "publish-model"}
DATA_STEPS = {"prepare-data", "extract-features", "merge-features", "pull-data"}


def compiled(name: str) -> Compiled:
    return Compiled(COMPILED / f"{name}.yaml")


def own(tmp_path: Path, *overrides: str, name: str = "balanced_learning") -> Compiled:
    """A pipeline for the shipped parameters with some of them replaced."""
    return Compiled(compile_pipeline(name, load_params(PARAMS, overrides), tmp_path / "own.yaml"))


def test_nothing_is_stale(tmp_path: Path) -> None:
    """Compiled in a process of its own, with another order of sets and dictionaries than here."""
    env = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    command = [sys.executable, "-m", "pipelines.compile", "--to", str(tmp_path)]
    subprocess.run(command, env=env, cwd=tmp_path, check=True, capture_output=True)
    assert {path.name for path in COMPILED.glob("*.yaml")} == {f"{name}.yaml" for name in NAMES}
    for name in NAMES:
        fresh, committed = ((folder / f"{name}.yaml").read_text() for folder in (tmp_path, COMPILED))
        assert fresh == committed, f"{name}: run `make compile`"


@pytest.mark.parametrize("name", NAMES)
def test_kubeflow_knows_every_field(name: str) -> None:
    found = compiled(name)
    assert found.spec.schema_version == "2.1.0"
    assert len(found.documents) == 2
    assert found.kubernetes.keys() == found.containers.keys() == found.tasks.keys()
    inputs = load_component_from_file(str(found.path)).component_spec.inputs
    assert {"data", "learning", "classifiers", "pointer", "resume"} <= inputs.keys()


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_and_no_path_of_this_machine(name: str) -> None:
    text = compiled(name).path.read_text()
    for found in (str(ROOT), str(Path.home()), os.environ.get("USER", "root") + "@", "pip install", "AKIA"):
        assert found not in text, found
    assert not re.search(r"://[^/\s]*@", text), "credentials in an address"
    assert not re.search(r"(?i)(password|token|secret_access_key|access_key_id)['\"]?\s*[:=]", text)


@pytest.mark.parametrize("name", NAMES)
def test_a_container_runs_our_image_and_installs_nothing(name: str) -> None:
    image = with_platform(PARAMS, EXAMPLE if name.endswith("_gpu") else None).platform.image
    for task, container in compiled(name).containers.items():
        assert container["image"] == image, task
        assert not re.search(r"\bpip\b", " ".join(container["command"])), task


@pytest.mark.parametrize("name", PIPELINES)
def test_by_default_nothing_is_asked_for(name: str) -> None:
    found = compiled(name)
    assert not ON_S3 & found.tasks.keys()
    for task, config in found.kubernetes.items():
        asked = {field.name for field, _ in config.ListFields()}
        assert asked <= {"image_pull_policy", "active_deadline_seconds"}, task
        assert "resources" not in found.containers[task], task


@pytest.mark.parametrize("name", PIPELINES)
def test_gpu_tasks_find_their_nodes(name: str) -> None:
    found, platform = compiled(f"{name}_gpu"), with_platform(PARAMS, EXAMPLE).platform
    assert platform.accelerator
    training = TRAINING & found.tasks.keys()
    counts = dict.fromkeys(training, platform.accelerator.count)
    for task, count in counts.items():
        accelerator = found.containers[task]["resources"]["accelerator"]
        assert accelerator["resourceType"] == platform.accelerator.type, task
        assert int(accelerator["resourceCount"]) == count, task
        config = found.kubernetes[task]
        assert dict(config.node_selector.labels) == platform.node_selector, task
        (toleration,) = config.tolerations
        assert (toleration.key, toleration.operator, toleration.effect) == (
            "nvidia.com/gpu",
            "Exists",
            "NoSchedule",
        )
        (shm,) = config.empty_dir_mounts
        assert (shm.mount_path, shm.medium, shm.size_limit) == ("/dev/shm", "Memory", platform.shm), task
    assert EVALUATION & found.tasks.keys()
    for task in found.tasks.keys() - counts.keys():
        asked = {field.name for field, _ in found.kubernetes[task].ListFields()}
        assert not asked & {"node_selector", "tolerations", "empty_dir_mounts"}, task
        assert "accelerator" not in found.containers[task].get("resources", {}), task


@pytest.mark.parametrize("name", PIPELINES)
def test_every_task_gets_what_the_platform_says(name: str) -> None:
    found, platform = compiled(f"{name}_gpu"), with_platform(PARAMS, EXAMPLE).platform
    for task, config in found.kubernetes.items():
        assert config.image_pull_policy == platform.pull_policy, task
        assert [one.secret_name for one in config.image_pull_secret] == [platform.pull_secret], task
        assert dict(config.pod_metadata.labels) == platform.labels, task
        (volume,) = config.pvc_mount
        assert platform.pvc
        assert (volume.constant, volume.mount_path) == (platform.pvc.claim, platform.pvc.path), task
        environment = {one["name"]: one["value"] for one in found.containers[task]["env"]}
        assert environment == {"AMBIDEX_WORK": platform.pvc.path}, task
        assert [one.name for one in config.field_path_as_env] == ["AMBIDEX_RUN"], task
        if task == "report-status":
            continue
        assert int(config.active_deadline_seconds) == platform.deadline, task
        resources, section = (
            found.containers[task]["resources"],
            platform.train if task in TRAINING else platform,
        )
        for kind, amount in (("Cpu", section.cpu), ("Memory", section.memory)):
            assert resources[f"resource{kind}Request"] == resources[f"resource{kind}Limit"] == amount, task


@pytest.mark.parametrize("name", PIPELINES)
def test_the_secret_reaches_the_tasks_on_s3_and_no_other(name: str) -> None:
    found, platform = compiled(f"{name}_gpu"), with_platform(PARAMS, EXAMPLE).platform
    assert platform.s3
    on_s3 = ON_S3 & found.tasks.keys()
    assert on_s3 == (ON_S3 if name == "balanced_learning" else {"pull-data"})
    for task, config in found.kubernetes.items():
        assert len(config.secret_as_env) == (1 if task in on_s3 else 0), task
        for secret in config.secret_as_env:
            pairs = {pair.secret_key: pair.env_var for pair in secret.key_to_env}
            assert (secret.secret_name, pairs) == (platform.s3.secret, platform.s3.keys), task
            given = found.tasks[task]["inputs"]["parameters"]
            assert given["remote"]["runtimeValue"]["constant"] == platform.s3.remote
            assert given["endpoint"]["runtimeValue"]["constant"] == platform.s3.endpoint


def cached(found: Compiled) -> set[str]:
    return {name for name, task in found.tasks.items() if task["cachingOptions"].get("enableCache")}


def test_data_steps_come_from_the_cache_where_all_is_pinned(tmp_path: Path) -> None:
    digest = f"platform.image=ambidex@sha256:{64 * '0'}"
    assert cached(compiled("balanced_learning_gpu")) == DATA_STEPS
    assert cached(compiled("balanced_learning")) == set()  # the image has no digest
    assert cached(own(tmp_path, digest)) == {"prepare-data", "extract-features"}  # made from a seed
    folder = ["prepare.dataset=manifest", "prepare.source=/data/list.csv"]
    assert cached(own(tmp_path, digest, *folder)) == set()  # anybody may write to the folder


def test_training_shapes_no_argument_of_a_data_step() -> None:
    one, other = (load_params(PARAMS, [f"train.epochs={n}", "model.fusion.name=sum"]) for n in (3, 4))
    assert data_text(one) == data_text(other) == data_text(load_params(PARAMS))
    assert learning_text(one) != learning_text(other)


def test_the_platform_shapes_no_argument_but_the_devices() -> None:
    one, other = load_params(PARAMS), load_params(PARAMS, ["platform.retries=7", "platform.cpu=3"])
    assert (data_text(one), learning_text(one)) == (data_text(other), learning_text(other))
    gpus = yaml.safe_load(learning_text(load_params(PARAMS, ["platform.accelerator={count: 4}"])))
    assert (gpus["runtime"]["accelerator"], gpus["runtime"]["devices"]) == ("cuda", 4)
    assert "platform" not in gpus


def test_the_texts_are_the_parameters() -> None:
    params = load_params(PARAMS)
    both = yaml.safe_load(data_text(params)) | yaml.safe_load(learning_text(params))
    assert Params.model_validate(both) == params.model_copy(
        update={"platform": Params.model_fields["platform"].default}
    )


def test_what_to_pull_is_read_from_the_file_of_dvc(tmp_path: Path) -> None:
    pointer = tmp_path / "clips.dvc"
    s3 = f"platform.s3={{secret: s, remote: s3://bucket/x, pull: {pointer}}}"
    with pytest.raises(ParamsError, match=r"platform\.s3\.pull: .*clips\.dvc: cannot be read"):
        own(tmp_path, s3)
    pointer.write_text("outs:\n- md5: 0123.dir\n  path: clips\n")
    inputs = own(tmp_path, s3).documents[0]["root"]["inputDefinitions"]["parameters"]
    assert inputs["pointer"]["defaultValue"] == pointer.read_text()
    assert pinned(load_params(PARAMS, [s3, f"platform.image=ambidex@sha256:{64 * '0'}"]))


def test_crossfit_is_there_where_allocators_are_fitted_on_it(tmp_path: Path) -> None:
    for name in PIPELINES:
        found = own(tmp_path, "evaluate.fit_on=crossfit", name=name)
        one = name == "balanced_learning"
        (evaluate,), (crossfit,) = EVALUATION & found.tasks.keys(), found.tasks.keys() & TRAINING - {
            "pretrain-encoders", "train-model", "train-cells"
        }  # fmt: skip
        assert crossfit == ("crossfit-model" if one else "crossfit-cells")
        assert ("crossfit" if one else "crossfits") in found.tasks[evaluate]["inputs"]["artifacts"]


def test_several_severities_are_refused_in_one_line(tmp_path: Path) -> None:
    step = "extract.degrade.steps=[{modality: audio, name: sound_noise}]"
    with pytest.raises(ParamsError, match=r"study\.degrade: the Kubeflow pipeline works at one severity"):
        own(tmp_path, "study.degrade=[0, 1]", step, name="method_study")
    severe = own(tmp_path, "extract.degrade.severity=0.5", step)  # one severity is a parameter like others
    assert "sound_noise" in severe.path.read_text()


def test_loops_run_at_most_so_many_pods(tmp_path: Path) -> None:
    text = own(tmp_path, "platform.parallel=3", "platform.parts=2").path.read_text()
    assert text.count("parallelismLimit: 3") == 2


def seconds(duration: str) -> int:
    assert duration.endswith("s")
    return int(duration[:-1])


@pytest.mark.parametrize("name", PIPELINES)
def test_retries_are_not_over_before_a_task_is(name: str) -> None:
    """Argo counts backoffMaxDuration from the start of the first attempt, and begins none after it."""
    found, platform = compiled(f"{name}_gpu"), with_platform(PARAMS, EXAMPLE).platform
    for task, config in found.kubernetes.items():
        if task == "report-status":
            assert "retryPolicy" not in found.tasks[task]
            continue
        policy = found.tasks[task]["retryPolicy"]
        assert policy["maxRetryCount"] == platform.retries
        pauses = [
            seconds(policy["backoffDuration"]) * policy["backoffFactor"] ** n for n in range(platform.retries)
        ]
        needed = (platform.retries + 1) * int(config.active_deadline_seconds) + sum(pauses)
        assert needed <= seconds(policy["backoffMaxDuration"]), task


@pytest.mark.parametrize(
    ("retries", "deadline", "cells"), [(20, 2_592_000, 1), (20, 2_592_000, 500), (1, 60, 1)]
)
def test_so_it_is_for_the_most_that_can_be_asked_for(retries: int, deadline: int, cells: int) -> None:
    """Up to what Kubernetes can count."""
    window = retry_window(retries, min(deadline * cells, 2**31 - 1))
    assert window == 2**31 - 1 or window >= (retries + 1) * deadline * cells + retries * 60
    assert window < 2**31


def test_a_task_has_its_deadline_for_each_of_its_cells(tmp_path: Path) -> None:
    more = ["platform.deadline=1000", "study.seeds=[0,1,2,3,4,5,6,7]", "platform.cells_per_task=5"]
    found = own(tmp_path, *more, name="method_study")
    deadlines = {task: int(config.active_deadline_seconds) for task, config in found.kubernetes.items()}
    assert (deadlines["train-cells"], deadlines["evaluate-cells"]) == (5000, 5000)  # 32 cells in seven tasks
    assert (deadlines["pretrain-encoders"], deadlines["compare-models"]) == (1000, 1000)


@pytest.mark.parametrize("name", PIPELINES)
def test_evaluate_takes_an_accelerator_only_where_that_is_asked_for(tmp_path: Path, name: str) -> None:
    gpus = "platform.accelerator={count: 4}"
    for on, expected in (("cpu", ("cpu", None)), ("accelerator", ("", "1"))):
        found = own(tmp_path, gpus, f"platform.evaluate_on={on}", "platform.shm=1Gi", name=name)
        (task,) = EVALUATION & found.tasks.keys()
        given = found.tasks[task]["inputs"]["parameters"]["accelerator"]["runtimeValue"]["constant"]
        accelerator = found.containers[task].get("resources", {}).get("accelerator", {}).get("resourceCount")
        assert (given, accelerator) == expected
        assert bool(found.kubernetes[task].empty_dir_mounts) == (on == "accelerator")


def test_an_amount_that_kfp_cannot_read_is_written_so_that_it_can(tmp_path: Path) -> None:
    found = own(tmp_path, "platform.cpu=2.5e0", "platform.memory=1.5Gi", "platform.train={memory: 4e9}")
    resources = {
        task: container["resources"]
        for task, container in found.containers.items()
        if "resources" in container
    }
    assert resources["prepare-data"]["resourceCpuLimit"] == "2500m"
    assert resources["prepare-data"]["resourceMemoryLimit"] == "1536Mi"
    assert resources["train-model"]["resourceMemoryLimit"] == "3906250Ki"
    assert resources["train-model"]["resourceCpuLimit"] == "2500m"
