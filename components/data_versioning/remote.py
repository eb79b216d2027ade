"""Where the DVC remote is: s3://bucket/prefix, and how to reach it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Remote:
    """A DVC remote on S3."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""

    @classmethod
    def parse(cls, url: str, endpoint: str = "", region: str = "") -> "Remote":
        """From s3://bucket/prefix; empty endpoint and region: those of the environment."""
        raise NotImplementedError
