"""Host and credentials, from environment variables only: arguments show up in process lists and CI logs."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ambidex.base.readers import Source, read_text
from pipelines.kubeflow.errors import ClientError

VARIABLES = {
    "KFP_HOST": "address of the API, for example https://kubeflow.example.org/pipeline",
    "KFP_NAMESPACE": "the profile's namespace, where Kubeflow has several users",
    "KFP_TOKEN": "bearer token",
    "KFP_TOKEN_FILE": "file with the bearer token; read again when the token has expired",
    "KFP_COOKIE": "cookie of a login page, for example authservice_session=...",
    "KFP_CA_CERT": "certificate authority of a host with a private certificate (PEM)",
    "KFP_UI": "address of the web pages, where it is not that of the API",
}
_TOKEN = 2**16  # bytes
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass
class Settings:
    """Where the API is and how to get in. Secrets are kept out of `repr`."""

    host: str
    namespace: str = ""
    ui: str = ""
    ca_cert: Path | None = None
    cookie: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None

    def __post_init__(self) -> None:
        if self.token_file and not self.token:
            self.token = _read_token(self.token_file)
        _check_secret("KFP_TOKEN", self.token)
        _check_secret("KFP_COOKIE", self.cookie)

    def reread_token(self) -> bool:
        """Read the token file again; whether it holds another token than the one in use."""
        if self.token_file is None:
            return False
        before, self.token = self.token, _read_token(self.token_file)
        return self.token != before

    def headers(self) -> dict[str, str]:
        """The headers that let us in."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return headers | ({"Cookie": self.cookie} if self.cookie else {})

    def hide(self, text: str) -> str:
        """`text` without the secrets, should a server have echoed them."""
        for secret in (self.token, self.cookie):
            text = text.replace(secret, "***") if secret else text
        return text

    def page(self, *parts: str) -> str:
        """Address of a page of the web interface."""
        return "/".join([self.ui or self.host, "#", *parts])


def from_environment(variables: Mapping[str, str] | None = None) -> Settings:
    """Settings from `variables` (default: the environment); a ClientError says what is missing."""
    given = {
        name: (os.environ if variables is None else variables).get(name, "").strip() for name in VARIABLES
    }
    if given["KFP_TOKEN"] and given["KFP_TOKEN_FILE"]:
        raise ClientError("KFP_TOKEN and KFP_TOKEN_FILE are both set: unset one of them")
    ca_cert = Path(given["KFP_CA_CERT"]) if given["KFP_CA_CERT"] else None
    if ca_cert and not ca_cert.is_file():
        raise ClientError(f"KFP_CA_CERT: no file {ca_cert}")
    return Settings(
        host=_address("KFP_HOST", given["KFP_HOST"]),
        namespace=given["KFP_NAMESPACE"],
        ui=_address("KFP_UI", given["KFP_UI"]) if given["KFP_UI"] else "",
        ca_cert=ca_cert,
        cookie=given["KFP_COOKIE"],
        token=given["KFP_TOKEN"],
        token_file=Path(given["KFP_TOKEN_FILE"]) if given["KFP_TOKEN_FILE"] else None,
    )


def _address(name: str, value: str) -> str:
    """The address without a slash at its end; it is checked here because no later message may show a password in it."""
    if not value:
        raise ClientError(f"{name} is not set: export {name}=... ({VARIABLES[name]})")
    parts = urlsplit(value)
    if "@" in parts.netloc:
        raise ClientError(
            f"{name} holds a user or password: put credentials into KFP_TOKEN_FILE or KFP_COOKIE"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ClientError(
            f"{name} is {value!r}: expected http://HOST or https://HOST, with a path if need be"
        )
    if parts.query or parts.fragment:
        raise ClientError(
            f"{name}: leave out what follows ? or #, it is an address of the API, not of a page"
        )
    return value.rstrip("/").removesuffix("/apis/v2beta1").rstrip("/")


def goes_in_the_clear(settings: Settings) -> bool:
    """Whether a secret would travel unencrypted to another machine outside the cluster's own network."""
    parts = urlsplit(settings.host)
    host = parts.hostname or ""
    inside = host in _LOOPBACK or "." not in host or host.endswith((".svc", ".cluster.local"))
    return parts.scheme == "http" and bool(settings.token or settings.cookie) and not inside


def _read_token(path: Path) -> str:
    token = read_text(path, Source(f"KFP_TOKEN_FILE: {path}", ClientError), _TOKEN).strip()
    if not token:
        raise ClientError(f"KFP_TOKEN_FILE: {path} is empty; it must hold one token")
    _check_secret(f"KFP_TOKEN_FILE: {path}", token)
    return token


def _check_secret(name: str, secret: str) -> None:
    """What cannot be sent in a header is refused here: a later error would show it."""
    if not (secret.isascii() and secret.isprintable()):
        raise ClientError(f"{name} must be one line of plain characters")
