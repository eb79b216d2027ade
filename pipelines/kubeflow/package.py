"""A compiled pipeline: read, checked in its outline, and its caching switched."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ambidex.base.readers import Source, check, read_text
from ambidex.base.readers.yaml import parse_documents
from pipelines.kubeflow import replies
from pipelines.kubeflow.errors import ClientError

Spec = dict[str, Any]
_SIZE = 16 * 2**20
COMPILED = Path(__file__).resolve().parent.parent / "compiled"


@dataclass(frozen=True)
class Package:
    """One compiled pipeline. `spec` and `platform` are the file's two documents."""

    path: Path
    spec: Spec
    platform: Spec

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return str(self.spec["pipelineInfo"]["name"])

    @property
    def parameters(self) -> dict[str, Spec]:
        """The pipeline's parameters by name, each with parameterType and perhaps defaultValue and isOptional."""
        return dict(self.spec["root"].get("inputDefinitions", {}).get("parameters", {}))

    def body(self) -> Spec:
        """What the API takes as pipeline_spec: both documents, or the first alone where there is no second."""
        if not self.platform:
            return self.spec
        return {"pipeline_spec": self.spec, "platform_spec": self.platform}

    def with_caching(self, on: bool) -> "Package":
        """The same pipeline with caching on or off for every task, those of inner pipelines too."""
        spec = copy.deepcopy(self.spec)
        for _, task in _tasks(spec):
            task["cachingOptions"] = {"enableCache": True} if on else {}
        return Package(self.path, spec, self.platform)


def find(pipeline: str) -> Path:
    """The file of `pipeline`: a path, or a name under pipelines/compiled."""
    path = Path(pipeline)
    if path.is_file():
        return path
    compiled = COMPILED / f"{pipeline.replace('-', '_')}.yaml"
    if compiled.is_file():
        return compiled
    names = ", ".join(sorted(file.stem for file in COMPILED.glob("*.yaml"))) or "none; compile first"
    raise ClientError(f"{pipeline}: no such file, and no compiled pipeline of that name (there are: {names})")


def load(path: Path) -> Package:
    """Read a compiled pipeline; a ClientError names the file and what is missing."""
    text = read_text(path, Source(str(path), ClientError), _SIZE)
    documents = [document for document in parse_documents(text, str(path), ClientError) if document]
    if not documents or not all(isinstance(document, dict) for document in documents) or len(documents) > 2:
        raise ClientError(f"{path}: expected one or two YAML documents, as the compiler of kfp writes them")
    spec, platform = documents[0], documents[1] if len(documents) == 2 else {}
    _check(path, spec, platform)
    return Package(path, spec, platform)


def containers(spec: Spec) -> dict[str, str]:
    """The tasks that run a container (the others only group tasks), by each of their names: the name to show."""
    inner = spec.get("components", {})
    shown: dict[str, str] = {}
    for key, task in _tasks(spec):
        if "executorLabel" in inner.get(task.get("componentRef", {}).get("name", ""), {}):
            name = str(task.get("taskInfo", {}).get("name") or key)
            shown |= {key: name, name: name}
    return shown


def _tasks(spec: Spec) -> Iterator[tuple[str, Spec]]:
    for component in [spec.get("root", {}), *spec.get("components", {}).values()]:
        yield from component.get("dag", {}).get("tasks", {}).items()


def _check(path: Path, spec: Spec, platform: Spec) -> None:
    missing = [
        key
        for key in ("pipelineInfo", "root", "components", "deploymentSpec")
        if not isinstance(spec.get(key), dict)
    ]
    if missing or not spec["pipelineInfo"].get("name"):
        raise ClientError(
            f"{path}: no compiled pipeline: {', '.join(missing) or 'pipelineInfo.name'} missing"
        )
    check(spec, replies.Spec, Source(str(path), ClientError))
    version = str(spec.get("schemaVersion", ""))
    if not version.startswith("2."):
        raise ClientError(
            f"{path}: schemaVersion is {version or 'missing'}, expected 2.x: compile with kfp 2"
        )
    if platform and set(platform) != {"platforms"}:
        raise ClientError(
            f"{path}: the second document has the keys {sorted(platform)}, expected platforms only"
        )
    try:
        json.dumps([spec, platform], allow_nan=False)
    except (ValueError, TypeError) as error:
        raise ClientError(f"{path}: holds what cannot be sent as JSON: {error}") from None
