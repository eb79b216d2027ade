"""Where a Kubeflow pipeline runs: the image, the nodes, what its pods ask for. Nothing here changes a result.

The section `platform` of params.yaml; the pipelines read it when they are compiled, and no stage does. It names
secrets of the cluster and never holds one.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ambidex.base.section import Section
from ambidex.configuration.cluster import names, quantities


def _like(pattern: str, what: str) -> AfterValidator:
    """Text of this form; `what` says so in the message, which repeats nothing that may hold a password."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            excerpt = "a value with @ in it" if "@" in value else repr(value)
            raise ValueError(f"got {excerpt}, expected {what}")
        return value

    return AfterValidator(check)


def _number_as_text(value: Any) -> Any:
    """YAML reads `cpu: 4` as a number."""
    return str(value) if type(value) in (int, float) else value


ResourceName = Annotated[str, AfterValidator(names.object_name)]
"""name of an object of the cluster (a secret)"""
ClaimName = Annotated[str, AfterValidator(names.volume_name)]
SecretKey = Annotated[str, AfterValidator(names.secret_key)]
Variable = Annotated[str, AfterValidator(names.variable)]
Cores = Annotated[str, BeforeValidator(_number_as_text), AfterValidator(quantities.cpu)]
Bytes = Annotated[str, BeforeValidator(_number_as_text), AfterValidator(quantities.memory)]
LabelKey = Annotated[str, AfterValidator(names.label_key)]
OwnLabelKey = Annotated[str, AfterValidator(names.own_label_key)]
LabelValue = Annotated[str, BeforeValidator(_number_as_text), AfterValidator(names.label_value)]
Folder = Annotated[str, AfterValidator(names.folder)]
RemoteURL = Annotated[str, _like(r"s3://[^\s/@]+(/[^\s@]*)?", "s3://bucket/path, without credentials")]
Endpoint = Annotated[
    str, _like(r"(https?://[^\s@]+)?", "a URL such as https://s3.example.com, without credentials")
]
Region = Annotated[str, _like(r"[a-z0-9-]*", "a region such as eu-central-1")]
PointerName = Annotated[str, _like(r"[A-Za-z0-9._-]*", "a name of letters, digits, ., _ and -")]


class Accelerator(Section):
    """The device that pods that train (pretrain, train, crossfit) ask for."""

    type: Annotated[str, AfterValidator(names.device)] = Field(
        "nvidia.com/gpu", description="the resource, as the nodes offer it"
    )
    count: int = Field(
        1,
        ge=1,
        le=64,
        description="of each pod that trains, a process for each; evaluate, if on one, takes one",
    )


class Training(Section):
    """What a pod that trains asks for beside the accelerator."""

    cpu: Cores | None = Field(None, description="cores; missing: `platform.cpu`")
    memory: Bytes | None = Field(None, description="missing: `platform.memory`")


class Toleration(Section):
    """A taint of the nodes that the pods put up with."""

    key: LabelKey | Literal[""] = Field("", description="of the taint; empty with operator Exists: any")
    operator: Literal["Exists", "Equal"] = Field("Exists", description="Equal: the value must be the same")
    value: LabelValue = Field("", description="of the taint, for Equal")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="of the taint; missing: any"
    )


class Volume(Section):
    """A volume claim that exists in the cluster and outlives a pod: a retried pod finds its checkpoint there."""

    claim: ClaimName = Field(description="name of the PersistentVolumeClaim, ReadWriteMany")
    path: Folder = Field("/work", description="where the pods see it")


class S3(Section):
    """The DVC remote, and the secret of the cluster with its credentials. No credential is ever written here."""

    secret: ResourceName = Field(description="name of the Secret")
    keys: dict[SecretKey, Variable] = Field(
        default={"access_key_id": "AWS_ACCESS_KEY_ID", "secret_access_key": "AWS_SECRET_ACCESS_KEY"},
        description="key in the Secret: environment variable that the pods see it as",
    )
    remote: RemoteURL = Field(description="s3://bucket/path of the DVC remote")
    endpoint: Endpoint = Field("", description="URL of an S3 service that is not AWS")
    region: Region = Field("", description="of the bucket; empty: the service's own")
    pull: str = Field(
        "", description="the data to start from: a .dvc file, or its md5; empty: prepare makes or finds them"
    )
    publish: PointerName = Field(
        "",
        description="name to publish model and report under in the remote; empty: they are not published",
    )


class Platform(Section):
    """Kubeflow: image, nodes, resources. Read when pipelines are compiled; a change trains nothing again."""

    image: Annotated[str, AfterValidator(names.image)] = Field(
        "ambidex:local", description="of every task; with @sha256: its data steps may be cached"
    )
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        "IfNotPresent", description="when a node fetches the image"
    )
    pull_secret: ResourceName | None = Field(None, description="Secret with which nodes fetch the image")
    accelerator: Accelerator | None = Field(None, description="missing: everything runs on CPU")
    node_selector: dict[LabelKey, LabelValue] = Field(
        default_factory=dict, description="labels of the nodes that train"
    )
    tolerations: list[Toleration] = Field(
        default_factory=list,
        description="taints of those nodes: key, operator (Exists or Equal), value, effect",
    )
    cpu: Cores | None = Field(None, description="cores of a pod, for example 4; missing: no limit")
    memory: Bytes | None = Field(None, description="of a pod, for example 16Gi; missing: no limit")
    train: Training = Field(Training(), description="other cpu and memory for pods that train")
    shm: Bytes | None = Field(
        None,
        description="size of /dev/shm where a pod trains, for example 8Gi, a part of its memory; missing: 64 MB",
    )
    evaluate_on: Literal["cpu", "accelerator"] = Field(
        "cpu", description="accelerator: evaluate asks for one, on the nodes that train"
    )
    pvc: Volume | None = Field(None, description="missing: a retried pod trains from the start")
    s3: S3 | None = Field(None, description="missing: nothing is pulled or published")
    parts: int = Field(1, ge=1, le=64, description="pods that share the extraction; results stay the same")
    cells_per_task: int = Field(
        0,
        ge=0,
        le=1_000,
        description="cells of a study that one pod trains, or evaluates, one after the other; 0: as few as keep a run "
        "within what Kubeflow can store of it (1 up to 30 cells)",
    )
    parallel: int = Field(0, ge=0, description="most pods of one loop at a time; 0: no limit")
    retries: int = Field(
        2,
        ge=0,
        le=20,
        description="of a task that failed or was evicted; not where the pod vanished with its node",
    )
    deadline: int = Field(
        86_400,
        ge=60,
        le=2_592_000,
        description="seconds after which a task is stopped, for each cell that it has",
    )
    labels: dict[OwnLabelKey, LabelValue] = Field(default_factory=dict, description="of every pod")

    @model_validator(mode="after")
    def _toleration_of_everything_is_meant(self) -> "Platform":
        for place, one in enumerate(self.tolerations):
            if one.operator == "Equal" and not one.key:
                raise ValueError(f"tolerations.{place}: operator Equal needs a key")
            if one.operator == "Exists" and one.value:
                raise ValueError(f"tolerations.{place}: operator Exists takes no value")
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> "Platform":
        if self.evaluate_on == "accelerator" and self.accelerator is None:
            raise ValueError("evaluate_on: got 'accelerator', and the block has no accelerator")
        memory = self.train.memory or self.memory
        if self.shm and memory and quantities.parse(self.shm) > quantities.parse(memory):
            raise ValueError(f"shm: {self.shm} are more than the {memory} of memory of a pod that trains")
        return self
