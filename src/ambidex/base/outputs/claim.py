"""The right to write an output, from before any work starts until it stands: guard, lock, and what a kill left."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from ambidex.base.errors import BusyError, OutputError
from ambidex.base.files import partial
from ambidex.base.outputs.guard import check_neighbours, check_output
from ambidex.base.outputs.lock import locked
from ambidex.base.outputs.other_runs import aside, recover_aside, swapping
from ambidex.base.outputs.unfinished import check_unfinished, recover, replaced
from ambidex.base.torchrun import first_rank


@dataclass
class Claim:
    """What the running stage holds."""

    holds: ExitStack
    changed: Callable[[], str | None] = field(default=lambda: None)
    """the name of an input that is no longer what it was when the stage began"""
    shared: set[Path] = field(default_factory=set)
    """folders in `runtime.checkpoints` that are locked too"""


_claim: ContextVar[Claim | None] = ContextVar("claim", default=None)


@contextmanager
def claimed(stage: str | None, inputs: Mapping[str, Path], outputs: Mapping[str, Path]) -> Iterator[Claim]:
    """Inside the block this process alone writes `outputs`, the outputs of `stage`. Leftovers of killed runs are gone.

    Of several processes that train together the first one holds the lock. Raises OutputError (what stands there may
    not be replaced, or an input stands in an output), BusyError (another process is writing there).
    """
    with ExitStack() as holds:
        if first_rank():
            check_places(stage, inputs, outputs)
            for path in outputs.values():
                holds.enter_context(locked(path))
                check_output(path, stage)  # once more: its last writer may just have gone
                recover_aside(partial(path))
                recover(path, stage)
        claim = Claim(holds)
        token = _claim.set(claim)
        try:
            yield claim
        finally:
            _claim.reset(token)


def probe(stage: str, inputs: Mapping[str, Path], outputs: Mapping[str, Path]) -> None:
    """Raise what `claimed` would raise now, before processes are started that would."""
    check_places(stage, inputs, outputs)
    for path in outputs.values():
        with locked(path):
            pass


def check_places(stage: str | None, inputs: Mapping[str, Path], outputs: Mapping[str, Path]) -> None:
    """Raise OutputError where an output, or the place where it grows, holds what it may not replace."""
    for output in outputs.values():
        check_output(output, stage)
        check_neighbours(output)
        growing = partial(output)
        for folder in (growing, replaced(output), aside(growing), swapping(growing)):
            check_unfinished(folder, stage)
        for name, path in inputs.items():
            if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(output)):
                raise OutputError(
                    f"{output}: {name} ({path}) stands in it, and the output would replace it; name another output "
                    "folder with --out"
                )


@contextmanager
def claimed_here(path: Path) -> Iterator[None]:
    """`claimed` for a folder without card, where no stage runs that holds its place already."""
    if _claim.get() is not None:
        yield
        return
    with claimed(None, {}, {"folder": path}):
        yield


def workplace(output: Path, shared: str | None, key: str) -> Path:
    """Where `output` grows: beside it, or in the folder `shared` of many runs under a name of its own, locked.

    `key`: a digest of all that the result depends on. Raises OutputError or BusyError as `claimed` does.
    """
    if not shared:
        return partial(output)
    base = Path(shared).expanduser() / f"{output.name}-{key[:16]}"
    claim = _claim.get()
    if claim is not None and first_rank() and base not in claim.shared:
        claim.holds.enter_context(locked(base))
        claim.shared.add(base)
        check_unfinished(partial(base))
    return partial(base)


def check_inputs() -> None:
    """Raise BusyError where an input of the running stage is no longer the one that it began to read."""
    claim = _claim.get()
    if claim is not None and (name := claim.changed()):
        raise BusyError(
            f"{name} changed while it was read, so nothing was written; give the command again when nothing else "
            "writes there"
        )
