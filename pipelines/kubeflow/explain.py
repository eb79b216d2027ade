"""From an HTTP status or a network error to one line that says what was tried and what to do."""

import socket
import ssl
from http import HTTPStatus
from typing import Any

from ambidex.base.errors import one_line
from pipelines.kubeflow import replies
from pipelines.kubeflow.errors import ClientError, NoAnswerError, NotFoundError, TransientError
from pipelines.kubeflow.settings import Settings

_TRANSIENT = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE)
_LONGEST = 80


def status_error(tried: str, status: int, body: bytes, settings: Settings) -> ClientError:
    """The error for a reply with another status than 2xx. `tried`: method and address, without secrets."""
    said = _said(body, settings)
    text = f": {said}" if said else ""
    line = f"{tried}: {status}{text}"
    if status == HTTPStatus.UNAUTHORIZED:
        return ClientError(f"{line}; {_token_advice(settings)}")
    if status == HTTPStatus.FORBIDDEN:
        space = (
            f"namespace {settings.namespace!r}"
            if settings.namespace
            else "no namespace (KFP_NAMESPACE is not set)"
        )
        return ClientError(
            f"{line}; the account has no right to this in {space}: check KFP_NAMESPACE, "
            "or have the role kubeflow-edit bound to the account there"
        )
    if status == HTTPStatus.NOT_FOUND:
        return NotFoundError(f"{line}; {_missing_advice(said)}")
    if status == HTTPStatus.GATEWAY_TIMEOUT:
        return NoAnswerError(f"{line}; the gateway waited in vain for the API server, try again later")
    if status in _TRANSIENT:
        return TransientError(f"{line}; the API server does not run or is restarting, try again later")
    if status in range(300, 400):
        return ClientError(
            f"{line}; the host sends us elsewhere, mostly to its login page: set KFP_TOKEN_FILE or KFP_COOKIE, "
            "or let KFP_HOST be the address it redirects to (https)"
        )
    return ClientError(
        f"{line}; " + ("the server failed, see its log" if status >= 500 else "the server refused this")
    )


def network_error(
    tried: str, error: BaseException, timeout: float, settings: Settings, reached: bool
) -> ClientError:
    """The error for a request that got no reply. `reached`: the host has answered before, so its name is right."""
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError):
        return NoAnswerError(
            f"{tried}: no answer within {timeout:g} s; see whether the API server runs and no firewall is between"
        )
    if isinstance(cause, ssl.SSLError):
        return _tls_error(tried, cause, settings)
    kind = TransientError if reached else ClientError
    if isinstance(cause, socket.gaierror):
        return kind(f"{tried}: no such host; check KFP_HOST, and whether a VPN is needed")
    if isinstance(cause, ConnectionRefusedError):
        return kind(
            f"{tried}: connection refused; nothing listens there: check KFP_HOST, or start `kubectl port-forward`"
        )
    if isinstance(cause, ConnectionError):
        return TransientError(f"{tried}: the connection was dropped; try again later")
    return kind(
        f"{tried}: {settings.hide(str(cause)) or type(cause).__name__}; check KFP_HOST and the network"
    )


def not_json(tried: str, body: bytes) -> ClientError:
    """The error for a 2xx reply that is not the API's."""
    found = "a web page, probably a login page" if body.lstrip()[:1] == b"<" else "no JSON"
    return ClientError(
        f"{tried}: the host answered with {found}; set KFP_TOKEN_FILE or KFP_COOKIE, "
        "or let KFP_HOST end where the API begins (often /pipeline)"
    )


def _tls_error(tried: str, cause: ssl.SSLError, settings: Settings) -> ClientError:
    if isinstance(cause, ssl.SSLCertVerificationError):
        advice = (
            f"KFP_CA_CERT ({settings.ca_cert}) did not sign it"
            if settings.ca_cert
            else "set KFP_CA_CERT to the certificate authority's file if the host is trusted"
        )
        return ClientError(f"{tried}: certificate not accepted: {cause.verify_message}; {advice}")
    return ClientError(
        f"{tried}: TLS failed ({cause.reason or cause}); does the host speak http instead of https?"
    )


def _token_advice(settings: Settings) -> str:
    if settings.token_file:
        return f"the token in {settings.token_file} was refused: it has expired, renew it"
    if settings.token:
        return "KFP_TOKEN was refused: it has expired or is for another host, renew it"
    if settings.cookie:
        return "KFP_COOKIE was refused: log in again and copy the new one"
    return "set KFP_TOKEN_FILE, KFP_TOKEN or KFP_COOKIE"


def _missing_advice(said: str) -> str:
    if said:
        return "check the id or name, and KFP_NAMESPACE"
    return "no Kubeflow Pipelines v2 API at this path: KFP_HOST may need one (often /pipeline) or have one too many"


def _said(body: bytes, settings: Settings) -> str:
    """What the API server itself says about the error, in one short line; nothing where it was another server."""
    try:
        reply: Any = replies.parse("", body)
    except ClientError:
        return ""
    if reply is None:
        return ""
    said = reply.get("message") or reply.get("error") or ""
    said = said if isinstance(said, str) else str(said.get("message", "")) if isinstance(said, dict) else ""
    return one_line(settings.hide(" ".join(said.split())), _LONGEST)
