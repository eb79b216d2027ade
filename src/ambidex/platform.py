"""Where a Kubeflow pipeline runs: the image, the nodes, what its pods ask for. Nothing here changes a result.

The section `platform` of params.yaml; the pipelines read it when they are compiled, and no stage does. It names
secrets of the cluster and never holds one.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ambidex.section import Section


def _like(pattern: str, what: str) -> AfterValidator:
    """Text of this form; `what` says so in the message, which repeats nothing that may hold a password."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            found = "a value with @ in it" if "@" in value else repr(value)
            raise ValueError(f"got {found}, expected {what}")
        return value

    return AfterValidator(check)


def _number_as_text(value: Any) -> Any:
    """YAML reads `cpu: 4` as a number."""
    return str(value) if type(value) in (int, float) else value


_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
ResourceName = Annotated[
    str, _like(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", "a name of lower-case letters, digits, - and .")
]
"""name of an object of the cluster (a secret, a volume claim)"""
SecretKey = Annotated[str, _like(r"[A-Za-z0-9._-]+", "a key of letters, digits, ., _ and -")]
Variable = Annotated[str, _like(r"[A-Z_][A-Z0-9_]*", "a variable such as AWS_ACCESS_KEY_ID")]
Quantity = Annotated[
    str,
    BeforeValidator(_number_as_text),
    _like(r"[0-9]+(\.[0-9]+)?(m|[kMGT]i?|)", "an amount such as 4, 500m or 16Gi"),
]
LabelKey = Annotated[str, _like(rf"([a-z0-9.-]+/)?{_NAME}", "a label such as pool or example.com/pool")]
LabelValue = Annotated[
    str,
    BeforeValidator(_number_as_text),
    _like(rf"({_NAME})?", "a label's value of letters, digits, ., _ and -"),
]
Folder = Annotated[str, _like(r"/\S*[^\s/]", "a folder such as /work")]
RemoteURL = Annotated[str, _like(r"s3://[^\s/@]+(/[^\s@]*)?", "s3://bucket/path, without credentials")]
Endpoint = Annotated[
    str, _like(r"(https?://[^\s@]+)?", "a URL such as https://s3.example.com, without credentials")
]
Region = Annotated[str, _like(r"[a-z0-9-]*", "a region such as eu-central-1")]
PointerName = Annotated[str, _like(r"[A-Za-z0-9._-]*", "a name of letters, digits, ., _ and -")]


class Accelerator(Section):
    """The device that pretrain, train, crossfit and evaluate ask for."""

    type: str = Field("nvidia.com/gpu", min_length=1, description="the resource, as the nodes offer it")
    count: int = Field(
        1, ge=1, le=64, description="of each pod that trains, a process for each; evaluate takes one"
    )


class Toleration(Section):
    """A taint of the nodes that the pods put up with."""

    key: str = Field("", description="of the taint; empty with operator Exists: any")
    operator: Literal["Exists", "Equal"] = Field("Exists", description="Equal: the value must be the same")
    value: str = Field("", description="of the taint, for Equal")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="of the taint; missing: any"
    )


class Volume(Section):
    """A volume claim that exists in the cluster and outlives a pod: a retried pod finds its checkpoint there."""

    claim: ResourceName = Field(description="name of the PersistentVolumeClaim, ReadWriteMany")
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

    image: str = Field(
        "ambidex:local", min_length=1, description="of every task; with @sha256: its data steps may be cached"
    )
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        "IfNotPresent", description="when a node fetches the image"
    )
    pull_secret: ResourceName | None = Field(None, description="Secret with which nodes fetch the image")
    accelerator: Accelerator | None = Field(None, description="missing: everything runs on CPU")
    node_selector: dict[LabelKey, LabelValue] = Field(
        default_factory=dict, description="labels of the nodes that train and evaluate"
    )
    tolerations: list[Toleration] = Field(
        default_factory=list,
        description="taints of those nodes: key, operator (Exists or Equal), value, effect",
    )
    cpu: Quantity | None = Field(None, description="cores of a pod, for example 4; missing: no limit")
    memory: Quantity | None = Field(None, description="of a pod, for example 16Gi; missing: no limit")
    shm: Quantity | None = Field(
        None, description="size of /dev/shm where a pod trains, for example 8Gi; missing: the node's, 64 MB"
    )
    pvc: Volume | None = Field(None, description="missing: a retried pod trains from the start")
    s3: S3 | None = Field(None, description="missing: nothing is pulled or published")
    parts: int = Field(1, ge=1, le=1_000, description="pods that share the extraction; results stay the same")
    parallel: int = Field(0, ge=0, description="most pods of one loop at a time; 0: no limit")
    retries: int = Field(2, ge=0, le=20, description="of a task that failed or whose node went away")
    deadline: int = Field(86_400, ge=60, description="seconds after which a task is stopped")
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict, description="of every pod")

    @model_validator(mode="after")
    def _toleration_of_everything_is_meant(self) -> "Platform":
        for place, one in enumerate(self.tolerations):
            if one.operator == "Equal" and not one.key:
                raise ValueError(f"tolerations.{place}: operator Equal needs a key")
            if one.operator == "Exists" and one.value:
                raise ValueError(f"tolerations.{place}: operator Exists takes no value")
        return self
