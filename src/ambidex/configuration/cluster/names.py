"""Names as Kubernetes takes them: of objects, labels, resources, variables, images and folders in a pod.

Every function returns its text, or raises ValueError with what was found and what is expected.
"""

import re

_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_DNS_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_TAKEN_LABELS = ("pipeline/", "pipelines.kubeflow.org/", "workflows.argoproj.io/")
"""label keys that Kubeflow sets itself, by which the client and our pods find a run"""
_TAKEN_PLACES = ("/app", "/opt", "/tmp", "/dev", "/proc", "/sys", "/etc", "/usr", "/bin", "/lib", "/home/ambidex",
                 "/kfp-launcher", "/var/run", "/gcs", "/s3", "/minio", "/.local", "/.cache", "/.config")  # fmt: skip
"""what an image or Kubeflow has in a pod, and a volume would hide"""
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]{1,5})?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?"
)


def object_name(text: str) -> str:
    """A DNS-1123 subdomain of at most 253 characters: what a secret may be called."""
    if len(text) > 253 or not all(_is_dns_label(part, 253) for part in text.split(".")):
        raise _wrong(
            text, "a name of lower-case letters, digits, - and ., each part beginning and ending with one"
        )
    return text


def volume_name(text: str) -> str:
    """A DNS-1123 label of at most 63 characters: a claim, whose name Kubeflow gives to the pod's volume as well."""
    if not _is_dns_label(text, 63):
        raise _wrong(text, "a name of at most 63 lower-case letters, digits and -")
    return text


def label_key(text: str) -> str:
    """A qualified name: `pool` or `example.com/pool`; the key of a label or a taint."""
    prefix, slash, name = text.rpartition("/")
    if slash:
        object_name(prefix)
    if len(name) > 63 or not re.fullmatch(_WORD, name):
        raise _wrong(text, "a label such as pool or example.com/pool, at most 63 characters after the /")
    return text


def own_label_key(text: str) -> str:
    """A label that we put on pods: a qualified name that Kubeflow does not use itself."""
    if text.startswith(_TAKEN_LABELS):
        raise _wrong(text, "a label that Kubeflow does not set itself")
    return label_key(text)


def label_value(text: str) -> str:
    """At most 63 letters, digits, `-`, `_` and `.`, or nothing."""
    if text and (len(text) > 63 or not re.fullmatch(_WORD, text)):
        raise _wrong(text, "a label's value of at most 63 letters, digits, ., _ and -")
    return text


def device(text: str) -> str:
    """An extended resource, which always has a domain: nvidia.com/gpu, google.com/tpu."""
    expected = "a resource as nodes offer it, such as nvidia.com/gpu (`kubectl describe node` lists them)"
    prefix, slash, _ = text.rpartition("/")
    if not slash:
        raise _wrong(text, expected)
    try:
        label_key(text)
        label_key(f"requests.{text}")  # so it stands in a quota
    except ValueError:
        raise _wrong(text, expected) from None
    if prefix == "kubernetes.io" or prefix.endswith(".kubernetes.io") or prefix.startswith("requests."):
        raise _wrong(text, f"{expected}; kubernetes.io is its own")
    return text


def secret_key(text: str) -> str:
    """A key of a secret: letters, digits, `-`, `_` and `.`, and no path."""
    if len(text) > 253 or not re.fullmatch(r"[A-Za-z0-9._-]+", text) or text == "." or text.startswith(".."):
        raise _wrong(text, "a key of letters, digits, ., _ and -")
    return text


def variable(text: str) -> str:
    """An environment variable that a secret may fill: not one that decides what a process runs."""
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", text):
        raise _wrong(text, "a variable such as AWS_ACCESS_KEY_ID")
    if text in ("PATH", "HOME") or text.startswith(("LD_", "PYTHON", "AMBIDEX_", "KFP_", "KUBERNETES_")):
        raise _wrong(
            text, "a variable such as AWS_ACCESS_KEY_ID, none that a process of the pod needs itself"
        )
    return text


def folder(text: str) -> str:
    """Where a volume is mounted: an absolute path, in normal form, that hides nothing of the image or of Kubeflow."""
    if not re.fullmatch(r"(?:/[A-Za-z0-9._-]+)+", text) or {".", ".."} & set(text.split("/")):
        raise _wrong(text, "a folder such as /work")
    if any(
        f"{place}/".startswith(f"{text}/") or f"{text}/".startswith(f"{place}/") for place in _TAKEN_PLACES
    ):
        raise _wrong(text, "a folder such as /work, where the image has nothing of its own")
    return text


def image(text: str) -> str:
    """`[registry[:port]/]name[:tag][@sha256:digest]`."""
    if len(text) > 512 or not _IMAGE.fullmatch(text):
        raise _wrong(text, "an image such as registry.example.com/ambidex:1 or ...@sha256: and 64 digits")
    return text


def _is_dns_label(text: str, longest: int) -> bool:
    return len(text) <= longest and re.fullmatch(_DNS_LABEL, text) is not None


def _wrong(text: str, expected: str) -> ValueError:
    """The message repeats nothing that may hold a password."""
    excerpt = "a value with @ in it" if "@" in text else repr(text if len(text) <= 80 else f"{text[:77]}...")
    return ValueError(f"got {excerpt}, expected {expected}")
