"""Running compiled pipelines here, and reading what they ask a cluster for."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.json_format import ParseDict
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

from helpers.checkout import ROOT

_PROGRAM = """
import sys
from pathlib import Path
from ambidex.resolve import load_params
from kfp import local
from pipelines.compile import PIPELINES

name, params, root = sys.argv[1:4]
local.init(local.SubprocessRunner(use_venv=False), pipeline_root=root)
PIPELINES[name].build(load_params(Path(params)))()
"""


@dataclass(frozen=True)
class Compiled:
    """A compiled pipeline; reading it fails where a message has a field that Kubeflow does not know."""

    path: Path

    @cached_property
    def documents(self) -> list[dict[str, Any]]:
        return list(yaml.safe_load_all(self.path.read_text()))

    @cached_property
    def spec(self) -> PipelineSpec:
        return ParseDict(self.documents[0], PipelineSpec())

    @cached_property
    def kubernetes(self) -> dict[str, KubernetesExecutorConfig]:
        """By component (`train-model`)."""
        executors = self.documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        return {
            _component(name): ParseDict(config, KubernetesExecutorConfig())
            for name, config in executors.items()
        }

    @cached_property
    def containers(self) -> dict[str, dict[str, Any]]:
        """Image, command, resources and environment by component."""
        executors = self.documents[0]["deploymentSpec"]["executors"]
        return {_component(name): executor["container"] for name, executor in executors.items()}

    @cached_property
    def tasks(self) -> dict[str, dict[str, Any]]:
        """Every task of the root and of all groups by component; a name that stands twice fails."""
        found: dict[str, dict[str, Any]] = {}
        for dag in self._dags():
            for name, task in dag["tasks"].items():
                if name.startswith(("exit-handler", "for-loop")):
                    continue
                assert name not in found, name
                found[name] = task
        return found

    def _dags(self) -> Iterator[dict[str, Any]]:
        document = self.documents[0]
        yield document["root"]["dag"]
        yield from (part["dag"] for part in document["components"].values() if "dag" in part)


def _component(executor: str) -> str:
    return executor.removeprefix("exec-")


@dataclass(frozen=True)
class Run:
    """A pipeline that ran here, task by task in processes of their own."""

    root: Path
    code: int
    output: str

    def outputs(self, task: str, name: str) -> list[Path]:
        """The output `name` of every execution of `task`, in a loop or not."""
        return sorted(path for path in self.root.rglob(f"{task}/{name}") if ".tmp-" not in str(path))

    def output_of(self, task: str, name: str) -> Path:
        (found,) = self.outputs(task, name)
        return found

    def metadata(self, task: str, name: str) -> dict[str, Any]:
        """What the only execution of `task` logged into its output artifact `name`."""
        (path,) = self.root.rglob(f"{task}/executor_output.json")
        (artifact,) = yaml.safe_load(path.read_text())["artifacts"][name]["artifacts"]
        return artifact["metadata"]


def run_here(pipeline: str, params: Path, root: Path, environment: Mapping[str, str] | None = None) -> Run:
    """Run a pipeline with kfp's SubprocessRunner. Says what it printed where it fails; does not raise."""
    search = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    env = {**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1", **(environment or {})}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, pipeline, str(params), str(root)],
        env=env,
        cwd=root.parent,
        capture_output=True,
        text=True,
    )
    return Run(root, done.returncode, re.sub(r"\x1b\[\d+m", "", done.stdout + done.stderr))
