"""`make doctor`: this machine (`ambidex doctor`), then the DVC remote on S3, step by step, in one summary."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from ambidex.base.errors import AmbidexError
from ambidex.commands.doctor import FAIL, OK, WARN, Finding, examine, report
from components.data_versioning.command import one_line
from components.data_versioning.config import committed_secrets, read_remote
from components.data_versioning.explain import explain, service
from components.data_versioning.remote import Remote

_SOURCES = {"env": "the environment", "explicit": ".dvc/config.local", "iam-role": "the role of this machine"}
"""what botocore calls the places where it found credentials"""


def examine_project(project: Path) -> Iterator[Finding]:
    """Every check of the project's default remote; the first that fails ends them."""
    try:
        remote = read_remote(project)
        secrets = committed_secrets(project)
    except AmbidexError as error:
        yield Finding(FAIL, "remote", str(error))
        return
    if secrets:
        text = f"{', '.join(secrets)} in .dvc/config, which git keeps: withdraw these keys, put new ones elsewhere"
        yield Finding(FAIL, "secrets", text)
    if remote is None:
        text = "none: data and models stay on this machine; make remote URL=s3://bucket/prefix makes one"
        yield Finding(WARN, "remote", text)
    else:
        yield from examine_remote(remote)


def examine_remote(remote: Remote) -> Iterator[Finding]:
    """Every check of one remote, in the order in which one rests on the other; the first that fails ends them.

    Nothing that is printed holds a credential. The probe object is removed again.
    """
    client: Any = None
    subject = "credentials"
    try:
        yield _credentials(remote)
        client, subject = remote.client(), "remote"
        versions = f"dvc {metadata.version('dvc')}, boto3 {metadata.version('boto3')}"
        yield Finding(OK, subject, f"{remote.url} at {service(remote, client)}; {versions}")
        for subject, check in _CHECKS.items():  # noqa: B007 - the handler below names the check that broke
            finding = check(remote, client)
            yield finding
            if finding.level == FAIL:
                return
    except (AmbidexError, BotoCoreError, ClientError, OSError) as error:
        yield Finding(FAIL, subject, str(explain(error, remote, remote.url, client)))


def _credentials(remote: Remote) -> Finding:
    found = remote.session().get_credentials()
    if found is None:
        raise NoCredentialsError
    kind = "with" if found.token else "without"
    return Finding(
        OK, "credentials", f"from {_SOURCES.get(found.method, found.method)}, {kind} session token"
    )


def _bucket(remote: Remote, client: Any) -> Finding:
    """A listing, since its refusal says why; that of HEAD does not."""
    client.list_objects_v2(Bucket=remote.bucket, Prefix=f"{remote.prefix}/".lstrip("/"), MaxKeys=1)
    return Finding(OK, "bucket", f"{remote.bucket} is there, and these credentials may list it")


def _region(remote: Remote, client: Any) -> Finding:
    used = client.meta.region_name
    try:
        true = client.head_bucket(Bucket=remote.bucket).get("BucketRegion")
    except ClientError:  # may be forbidden to those who may read and write
        true = None
    if true and used and true != used and used != "aws-global":
        text = f"{remote.bucket} is in {true}, not {used}; make remote ... REGION={true}, or AWS_DEFAULT_REGION={true}"
        return Finding(FAIL, "region", text)
    return Finding(
        OK, "region", true or f"{used or 'none set'}; the service does not tell that of the bucket"
    )


def _write(remote: Remote, client: Any) -> Finding:
    key = "/".join(filter(None, (remote.prefix, f"ambidex-doctor-{uuid4().hex}")))
    place = {"Bucket": remote.bucket, "Key": key}
    client.put_object(**place, Body=b"probe")
    try:
        same = client.get_object(**place)["Body"].read() == b"probe"
    finally:
        client.delete_object(**place)
    if not same:
        return Finding(FAIL, "write", f"{remote.url}: an object came back changed; tell who runs the service")
    return Finding(OK, "write", f"an object was written below {remote.url}, read back, and removed")


_CHECKS: dict[str, Callable[[Remote, Any], Finding]] = {"bucket": _bucket, "region": _region, "write": _write}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print every finding; exit code 1 where one of them is FAIL."""
    parser = argparse.ArgumentParser(description="Check this machine and the DVC remote on S3.")
    parser.add_argument("--params", default="params.yaml", help="parameters (default: params.yaml)")
    parser.add_argument("--runs", default="runs", help="folder of all outputs (default: runs)")
    parser.add_argument("--url", help="check this remote, s3://bucket/prefix, not that of .dvc/config")
    parser.add_argument(
        "--endpoint", default="", help="URL of its S3 service; empty: AWS, or AWS_ENDPOINT_URL"
    )
    parser.add_argument("--region", default="", help="its region; empty: AWS_DEFAULT_REGION")
    given = parser.parse_args(arguments)
    with one_line():
        named = Remote.parse(given.url, given.endpoint, given.region) if given.url else None
        remote = examine_remote(named) if named else examine_project(Path.cwd())
        return report(chain(examine(Path(given.params), Path(given.runs)), remote))


if __name__ == "__main__":
    sys.exit(main())
