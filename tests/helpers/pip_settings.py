"""This machine's pip settings (index, certificate, folders of wheels), as a build in a container needs them."""

import configparser
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_INSIDE = "/run/machine"
_PUBLIC = {"pypi.org", "files.pythonhosted.org"}


@dataclass(frozen=True)
class PipSettings:
    """A pip.conf for inside, the mounts it needs, and the words that must not stay in an image built with it."""

    text: str
    mounts: list[str]
    private: set[str]


def pip_settings() -> PipSettings:
    """Read `pip config list`: what the environment says is worth more than what the files say, as for pip itself."""
    config = configparser.RawConfigParser()
    config["global"] = {}
    found, mounts, private = _settings(), [], set()
    if certificate := found.get("cert"):
        config["global"]["cert"] = _mount(mounts, certificate)
    folders = [word for word in found.get("find-links", "").split() if Path(word).is_dir()]
    private.update(folders)
    if folders:
        config["global"]["find-links"] = " ".join(_mount(mounts, folder) for folder in folders)
    for key in ("index-url", "extra-index-url"):
        urls = [word for word in found.get(key, "").split() if urlsplit(word).scheme in ("http", "https")]
        private.update(word for url in urls for word in _private(url))
        if urls:
            config["global"][key] = " ".join(urls)
    lines = [f"{key} = {value}" for key, value in config["global"].items()]
    return PipSettings("\n".join(["[global]", *lines, ""]), mounts, private)


def _settings() -> dict[str, str]:
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    pairs = [line.split("=", 1) for line in listed.splitlines() if "=" in line]
    plain = {
        key.removeprefix("global."): value.strip("'") for key, value in pairs if key.startswith("global.")
    }
    names = {key: f"PIP_{key.upper().replace('-', '_')}" for key in ("cert", "find-links", "index-url")}
    names["extra-index-url"] = "PIP_EXTRA_INDEX_URL"
    return plain | {key: os.environ[name] for key, name in names.items() if os.environ.get(name)}


def _mount(mounts: list[str], path: str) -> str:
    inside = f"{_INSIDE}/{len(mounts)}"
    mounts.append(f"{Path(path).resolve()}:{inside}:ro")
    return inside


def _private(url: str) -> set[str]:
    parts = urlsplit(url)
    words = {parts.hostname, parts.password} if parts.hostname not in _PUBLIC else {parts.password}
    return {word for word in words if word}
