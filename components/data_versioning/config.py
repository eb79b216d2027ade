"""The DVC remote of this project, as .dvc/config and .dvc/config.local tell it; `make remote` writes them.

The URL and the region of the bucket hold for everybody: they stand in .dvc/config, which git keeps. The endpoint
depends on where one stands (inside the cluster, outside): it goes to .dvc/config.local, which git ignores. Credentials
are written nowhere; DVC and boto3 find them where the AWS tools keep them.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dvc.config import Config
from dvc.exceptions import DvcException

from ambidex.base.readers import Source, read_text
from components.data_versioning.command import one_line
from components.data_versioning.remote import Remote, RemoteError

NAME = "storage"
"""of the remote that `make remote` makes"""
_SIZE = 2**20
KEYS = {
    "access_key_id": "aws_access_key_id",
    "secret_access_key": "aws_secret_access_key",
    "session_token": "aws_session_token",
}
"""how DVC and how boto3 call credentials"""


def write_remote(project: Path, remote: Remote) -> bool:
    """Make `remote` the default remote of `project`; False where it is that already.

    Raises:
        RemoteError: No DVC project, or its configuration is broken.
    """
    before = _texts(project)
    config = _config(project)
    with config.edit("repo") as committed:
        _set(committed, url=remote.url, region=remote.region)
        committed["core"]["remote"] = NAME
    if remote.endpoint or NAME in config.load_one("local")["remote"]:
        with config.edit("local") as own:
            _set(own, endpointurl=remote.endpoint)
            if not own["remote"][NAME]:
                del own["remote"][NAME]
    return _texts(project) != before


def read_remote(project: Path) -> Remote | None:
    """The default remote of `project`; None where there is none.

    Raises:
        RemoteError: The configuration is broken, or the default remote is not on S3.
    """
    config = _config(project)
    name = config["core"].get("remote")
    if not name:
        return None
    section: dict[str, Any] = config["remote"].get(name, {})
    where = f".dvc/config: remote {name!r}"
    if not str(section.get("url", "")).startswith("s3://"):
        raise RemoteError(f"{where} is not on S3; make remote URL=s3://bucket/prefix makes one that is")
    given = Remote.parse(section["url"], section.get("endpointurl", ""), section.get("region", ""))
    keys = {boto: str(section[dvc]) for dvc, boto in KEYS.items() if dvc in section}
    return Remote(given.bucket, given.prefix, given.endpoint, given.region, section.get("profile", ""), keys)


def committed_secrets(project: Path) -> list[str]:
    """Options of .dvc/config that hold credentials, which git would keep for ever."""
    remotes = _config(project).load_one("repo")["remote"]
    return [f"{name}.{key}" for name, section in remotes.items() for key in KEYS if key in section]


def _config(project: Path) -> Config:
    folder = project / ".dvc"
    if not folder.is_dir():
        raise RemoteError(f"{project}: no .dvc here; run from the project's folder, or `dvc init` first")
    try:
        _texts(project)  # refuses what is no text file, which DVC would wait for
        return Config(str(folder))
    except (DvcException, ValueError, OSError) as error:
        raise RemoteError(
            f"{folder}: the configuration of DVC is broken ({error}); mend it by hand"
        ) from error


def _set(config: Any, **values: str) -> None:
    section = config["remote"].setdefault(NAME, {})
    for key, value in values.items():
        if value:
            section[key] = value
        else:
            section.pop(key, None)


def _texts(project: Path) -> list[str]:
    paths = (project / ".dvc" / name for name in (Config.CONFIG, Config.CONFIG_LOCAL))
    return [read_text(path, Source(str(path), RemoteError), _SIZE) if path.exists() else "" for path in paths]


def main(arguments: Sequence[str] | None = None) -> None:
    """`make remote`: say what stands where."""
    parser = argparse.ArgumentParser(
        description="Make an S3 bucket the default remote of DVC in this project."
    )
    parser.add_argument("url", help="s3://bucket/prefix")
    parser.add_argument("--endpoint", default="", help="URL of an S3 service other than AWS")
    parser.add_argument("--region", default="", help="region of the bucket")
    given = parser.parse_args(arguments)
    with one_line():
        if not given.url:
            raise RemoteError(
                "which bucket? make remote URL=s3://bucket/prefix [ENDPOINT=http://...] [REGION=...]"
            )
        remote = Remote.parse(given.url, given.endpoint, given.region)
        changed = write_remote(Path.cwd(), remote)
        place = (
            f", endpoint {remote.endpoint} in .dvc/config.local (not committed)" if remote.endpoint else ""
        )
        note = "written to .dvc/config, commit it" if changed else "as before"
        print(f"remote {NAME}: {remote.url} ({note}){place}; `make doctor` checks it")


if __name__ == "__main__":
    main()
