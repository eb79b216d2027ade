"""What went wrong with S3, as one line that names the bucket or the file and says what to do.

The words of boto3 itself are left out: they are long, and what they repeat cannot be vouched for.
"""

from typing import Any
from urllib.parse import urlsplit

from botocore import exceptions as boto

from components.data_versioning.remote import Remote, RemoteError

_RIGHTS = "s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket"
_SECRET = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, on the cluster the secret they come from"
_BUSY = ("the service is overloaded or failing", "try again later; what was uploaded stays")
_SESSION = ("the session token is invalid or has expired", "get new credentials, or unset AWS_SESSION_TOKEN")
_REGION = (
    "the bucket is in another region than {region}",
    "set AWS_DEFAULT_REGION, or make remote ... REGION=..., to the bucket's region{found}",
)
_CODES = {
    "NoSuchBucket": (
        "there is no bucket {bucket} at {service}",
        "correct the URL of the remote (make remote URL=s3://...), or create the bucket",
    ),
    "InvalidAccessKeyId": ("{service} does not know this access key", _SECRET),
    "SignatureDoesNotMatch": ("the secret key does not belong to the access key", _SECRET),
    "AccessDenied": (
        "these credentials may not do this, or the object is not there",
        f"ask the owner of {{bucket}} for {_RIGHTS}",
    ),
    "ExpiredToken": _SESSION,
    "InvalidToken": _SESSION,
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "RequestTimeTooSkewed": ("this machine's clock is wrong", "set it"),
    "SlowDown": _BUSY,
    "ServiceUnavailable": _BUSY,
    "InternalError": _BUSY,
}
_STATUS = {
    "301": "PermanentRedirect",
    "403": "AccessDenied",
    "503": "ServiceUnavailable",
    "500": "InternalError",
}
_DROPPED = (
    "the connection to {service} was lost, and lost again at every new try",
    "run it again: what already went through is kept, and nothing unfinished is referenced",
)
_SHORT: tuple[tuple[tuple[type[Exception], ...], tuple[str, str]], ...] = (
    (
        (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError),
        ("no complete credentials were found", f"set them: {_SECRET[6:]}"),
    ),
    ((boto.ProfileNotFound,), ("the profile is not in the AWS configuration", "check AWS_PROFILE")),
    ((boto.NoRegionError,), ("no region is set", "set AWS_DEFAULT_REGION")),
    (
        (boto.SSLError,),
        ("the certificate of {service} is not trusted", "name the certificate authority in AWS_CA_BUNDLE"),
    ),
    (
        (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError),
        (
            "{service} cannot be reached",
            "check the endpoint (make remote ... ENDPOINT=..., AWS_ENDPOINT_URL) and the network",
        ),
    ),
    ((boto.HTTPClientError, boto.IncompleteReadError, ConnectionError, TimeoutError), _DROPPED),
)


def explain(error: Exception, remote: Remote, subject: str, client: Any = None) -> RemoteError:
    """The one line for `error`, which happened with `subject` (an artifact, a file, or the bucket)."""
    if isinstance(error, RemoteError):
        return error
    error = getattr(error, "last_exception", None) or error  # of many tries of one download
    reason, remedy = _words(error)
    facts = {
        "bucket": remote.bucket,
        "service": service(remote, client),
        "region": remote.region
        or getattr(getattr(client, "meta", None), "region_name", None)
        or "the one set",
        "found": _true_region(error),
    }
    where = subject if subject == remote.url else f"{remote.url}: {subject}"
    return RemoteError(f"{where}: {reason.format(**facts)}; {remedy.format(**facts)}")


def code_of(error: Exception) -> str:
    """The code that the service gave, for example NoSuchKey; empty where it gave none."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, boto.ClientError) else ""


def service(remote: Remote, client: Any = None) -> str:
    """scheme://host:port of the S3 service; without user, password and path."""
    url = client.meta.endpoint_url if client is not None else remote.endpoint
    parts = urlsplit(url or "")
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}" if parts.hostname else "the S3 service"


def _words(error: Exception) -> tuple[str, str]:
    code = code_of(error)
    if code:
        unknown = (f"the service refused with {code}", "ask who runs it what that means")
        return _CODES.get(_STATUS.get(code, code), unknown)
    for kinds, words in _SHORT:
        if isinstance(error, kinds):
            return words
    return f"it failed with {type(error).__name__}", "run `make doctor`, which checks the remote step by step"


def _true_region(error: Exception) -> str:
    """Which region the bucket is in, where the refusal tells it."""
    response: Any = getattr(error, "response", None) or {}
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region") or response.get("Error", {}).get("Region")
    return f", {region}" if region else ""
