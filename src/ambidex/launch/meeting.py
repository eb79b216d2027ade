"""The ranks of several nodes before they train together: do all read the same, and is the output's folder shared?

Told at the start, in one line on every node, and not by a traceback after hours. The ranks talk through torchrun's own
key-value store, which needs no device and no process group.
"""

import itertools
import json
import os
import secrets
import socket
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from ambidex.base.errors import AmbidexError, DataError, TrainingError, one_line
from ambidex.base.files import digest, sha256, write_text
from ambidex.base.torchrun import processes
from ambidex.configuration.params import Params, Runtime

_WAIT = timedelta(minutes=10)  # for a rank that starts late
_SEEN = 10.0  # seconds within which a file must show on another node
_meetings = itertools.count()  # of this process: what was said at an earlier one stays in the store
View = dict[str, Any]


def meet(params: Params, inputs: Mapping[str, Path], output: Path) -> None:
    """Return where all ranks may train together; on one machine at once.

    Raises the same DataError on every rank: an input that one of them cannot read or reads otherwise, other parameters
    or code, or a folder that the nodes do not share. TrainingError where a rank does not come.
    """
    here, in_all = processes()
    if here == in_all:
        return
    talk = _Talk()
    checkpoints = params.runtime.checkpoints
    folder = Path(checkpoints).expanduser() if checkpoints else output.absolute().parent
    token = folder / f"{output.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        views = talk.exchange("view", _view(params, inputs) | _token(talk.rank, token))
        problem = next(filter(None, map(_problem, [views[0]] * in_all, views)), "")
        if not problem:
            problem = _unshared(talk, views, folder)
    finally:
        token.unlink(missing_ok=True)
    if problem:
        raise DataError(problem)


class _Talk:
    """What ranks tell each other before there is a process group."""

    def __init__(self) -> None:
        from torch.distributed.distributed_c10d import PrefixStore
        from torch.distributed.rendezvous import rendezvous

        store, self.rank, self.count = next(iter(rendezvous("env://", timeout=_WAIT)))
        self.store = PrefixStore(f"ambidex/{next(_meetings)}", store)

    def exchange(self, name: str, value: View) -> list[View]:
        """The values that all ranks set under `name`, once all have; rank 0 also waits until all have read them."""
        self.store.set(f"{name}/{self.rank}", json.dumps(value))
        views = [json.loads(self._get(f"{name}/{rank}", rank)) for rank in range(self.count)]
        self.store.set(f"{name}/heard/{self.rank}", "")
        if self.rank == 0:  # it may hold the store, and must not leave before the others
            for rank in range(self.count):
                self._get(f"{name}/heard/{rank}", rank)
        return views

    def _get(self, key: str, rank: int) -> bytes:
        try:
            value: bytes = self.store.get(key)
        except RuntimeError as error:  # DistStoreError, DistNetworkError
            raise TrainingError(
                f"rank {rank} of {self.count} did not come: {one_line(error, 100)}; its own log says why"
            ) from None
        return value


def _view(params: Params, inputs: Mapping[str, Path]) -> View:
    """What this rank reads, as digests of the content, or why it cannot."""
    from ambidex.resolve.run_card import library_fingerprint

    settings = params.model_dump(mode="json", exclude={"platform": True, "runtime": set(Runtime.UNFINISHED)})
    same = {"parameters": digest(settings), "code": library_fingerprint()}
    problem = ""
    for name, path in inputs.items():
        try:
            same[name] = _content(name, path)
        except Exception as error:  # whatever it is: the other nodes wait to be told
            ours = isinstance(error, AmbidexError)
            problem = problem or (
                str(error) if ours else f"{path}: {type(error).__name__}: {one_line(error)}"
            )
    return {"host": socket.gethostname(), "rank": os.environ["RANK"], "same": same, "problem": problem}


def _content(name: str, path: Path) -> str:
    """A digest of what training reads of an input: the store's own, or the weights of all classifiers."""
    if not path.exists():
        raise DataError(f"{path}: {name} should be here, and nothing is there")
    if name == "features":
        from ambidex.data.store.reading import FeatureStore

        return FeatureStore.open(path).fingerprint
    from ambidex.net.model import WEIGHTS_FILE

    return digest({str(file.relative_to(path)): sha256(file) for file in sorted(path.rglob(WEIGHTS_FILE))})


def _token(rank: int, token: Path) -> View:
    """The first rank leaves a file where the output will grow."""
    if rank:
        return {}
    try:
        write_text(token, token.name)
    except OSError as error:
        return {"problem": f"{token.parent}: cannot be written ({error.strerror})"}
    return {"token": str(token)}


def _problem(first: View, view: View) -> str:
    where = f"rank {view['rank']} on {view['host']}"
    if view["problem"]:
        return f"{where}: {view['problem']}"
    for what, value in first["same"].items():
        if view["same"].get(what) != value:
            return (
                f"{where} has other {what} than rank 0 on {first['host']}: all nodes must read the same, for example "
                "from one shared volume"
            )
    return ""


def _unshared(talk: _Talk, views: list[View], folder: Path) -> str:
    """Why the nodes cannot write into one folder; empty: they can."""
    name, deadline = Path(views[0]["token"]).name, time.monotonic() + _SEEN
    while not (seen := (folder / name).exists()) and time.monotonic() < deadline:
        time.sleep(0.2)
    for rank, other in enumerate(talk.exchange("seen", {"seen": seen, "folder": str(folder)})):
        if not other["seen"]:
            return (
                f"{other['folder']}: on {views[rank]['host']} (rank {rank}) this is not the folder that rank 0 on "
                f"{views[0]['host']} writes to; put the output or runtime.checkpoints on a volume that all nodes share"
            )
    return ""
