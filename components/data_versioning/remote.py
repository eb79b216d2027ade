"""Where the DVC remote is: s3://bucket/prefix, and how to reach it."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ambidex.base.errors import AmbidexError

ATTEMPTS = 5
"""how often one request is tried, with growing pauses, where AWS_MAX_ATTEMPTS does not say otherwise"""
CONNECTIONS = 32
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_EXAMPLE = "expected s3://bucket/prefix"


class RemoteError(AmbidexError):
    """The DVC remote cannot be named, reached, read or written."""


@dataclass(frozen=True)
class Remote:
    """A DVC remote on S3. An empty field means what the environment of the AWS tools says."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    profile: str = ""
    keys: dict[str, str] = field(default_factory=dict, repr=False)
    """credentials that .dvc/config.local holds, as boto3 names them; never shown"""

    @classmethod
    def parse(cls, url: str, endpoint: str = "", region: str = "") -> "Remote":
        """From s3://bucket/prefix and, for a service other than AWS, its URL.

        Raises:
            RemoteError: The URL is not of that form, or holds credentials (which are not repeated).
        """
        # Tested before anything is shown: `s3://KEY:SECRET@bucket` must not end up in a log.
        _refuse_credentials("the URL of the remote", url + endpoint)
        scheme, separator, rest = url.strip().partition("://")
        bucket, _, prefix = rest.partition("/")
        if scheme != "s3" or not separator:
            raise RemoteError(f"{url!r} is no URL of an S3 remote; {_EXAMPLE}")
        if not _BUCKET.fullmatch(bucket):
            raise RemoteError(
                f"{url!r}: {bucket!r} is no name of a bucket (3 to 63 lower-case letters, digits, dots and "
                f"hyphens); {_EXAMPLE}"
            )
        if re.search(r"[\s?#]", prefix):
            raise RemoteError(f"{url!r}: the prefix holds a space, ? or #; {_EXAMPLE}")
        return cls(bucket, prefix.strip("/"), _checked_endpoint(endpoint.strip()), region.strip())

    @property
    def url(self) -> str:
        """s3://bucket/prefix."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def key(self, oid: str) -> str:
        """Where DVC 3 keeps the object with this md5 (a folder's ends in `.dir`), within the bucket."""
        return "/".join(filter(None, (self.prefix, "files/md5", oid[:2], oid[2:])))

    def session(self) -> Any:
        """A boto3 session: it finds credentials wherever the AWS tools look, or has those of .dvc/config.local."""
        from boto3.session import Session

        return Session(profile_name=self.profile or None, **self.keys)

    def client(self) -> Any:
        """A boto3 client that retries.

        Raises:
            botocore.exceptions.BotoCoreError: The profile does not exist (`explain` turns it into one line).
            RemoteError: AWS_ENDPOINT_URL is no URL, or holds credentials.
        """
        import os

        from botocore.config import Config

        retries: dict[str, Any] = {"mode": "standard"}
        if "AWS_MAX_ATTEMPTS" not in os.environ:
            retries["total_max_attempts"] = ATTEMPTS
        config = Config(
            retries=retries, connect_timeout=10, read_timeout=60, max_pool_connections=CONNECTIONS
        )
        try:
            client = self.session().client(
                "s3", endpoint_url=self.endpoint or None, region_name=self.region or None, config=config
            )
        except ValueError:  # boto3's own words would repeat a password inside the URL
            raise RemoteError("AWS_ENDPOINT_URL is no URL; expected http://host:port") from None
        _refuse_credentials("AWS_ENDPOINT_URL", client.meta.endpoint_url)
        return client


def _refuse_credentials(where: str, url: str) -> None:
    if "@" in url:
        raise RemoteError(
            f"{where} holds an @: credentials belong into the environment (AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY), not into a URL"
        )


def _checked_endpoint(endpoint: str) -> str:
    try:
        parts = urlsplit(endpoint)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port that is no number
        fits = False
    if endpoint and (not fits or parts.query or parts.fragment):
        raise RemoteError(f"{endpoint!r} is no URL of an S3 service; expected http://host:port")
    return endpoint.rstrip("/")
