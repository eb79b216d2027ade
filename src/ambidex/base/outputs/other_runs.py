"""Unfinished work of another run where an output grows: kept aside, not deleted, until the new run is whole.

What a folder's work is made from stands in it (`Origin`). Work that does not fit moves to `NAME.aside.partial`, the
latest alone, and comes back where a later run fits it again. Everything happens under the lock of the output.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ambidex.base.errors import one_line
from ambidex.base.files import PARTIAL, digest, partial, write_json
from ambidex.base.outputs.guard import read_object
from ambidex.base.outputs.swap import exchange
from ambidex.base.outputs.unfinished import ORIGIN, check_unfinished, discard, fresh, is_marked

_SHOWN = 2  # changed parameters that the line names


@dataclass(frozen=True)
class Origin:
    """What unfinished work is made from; with another origin it is work of another run."""

    stage: str
    parameters: Mapping[str, Any]
    """all that shape the result, as JSON values; sections as blocks"""
    data: Mapping[str, str]
    """name -> fingerprint of what is read"""
    code: str | None

    @property
    def key(self) -> str:
        """A digest of all of it."""
        return digest(asdict(self))


@dataclass(frozen=True)
class Progress:
    """How a stage tells what an unfinished folder of its own holds."""

    begun: Callable[[Path], bool]
    """whether there is anything to go on from"""
    words: Callable[[Path], str]
    """what, as in "4 finished folds" """


def aside(growing: Path) -> Path:
    """Where the work of another run stands that was in the folder `growing`."""
    return partial(growing.with_name(growing.name.removesuffix(PARTIAL) + ".aside"))


def swapping(growing: Path) -> Path:
    """Where `growing` stands for a moment while it changes places with what is aside."""
    return partial(growing.with_name(growing.name.removesuffix(PARTIAL) + ".swap"))


def settle(growing: Path, origin: Origin, progress: Progress) -> None:
    """Make `growing` the folder in which the work of `origin` goes on, or begins. Says in one line what was moved.

    Raises OutputError where what stands there, or aside, is not ours.
    """
    kept = aside(growing)
    for folder in (growing, kept):
        check_unfinished(folder)
    before, earlier = _work(growing, progress), _work(kept, progress)
    if before == origin.key:
        return
    if earlier == origin.key:
        _say(origin, f"goes on from {progress.words(kept)}, kept aside in {kept}")
        _change_places(growing, kept, keep=bool(before))
        return
    if before:
        gone = f", in place of {progress.words(kept)}" if earlier else ""
        why = _difference(read_object(growing / ORIGIN), origin)
        words = (
            f"keeps {progress.words(growing)} of another run ({why}) in {kept} until this one is whole{gone}"
        )
        if kept.exists():
            discard(kept)
        growing.rename(kept)
        _say(origin, words)
    fresh(growing)
    write_json(growing / ORIGIN, asdict(origin))


def recover_aside(growing: Path) -> None:
    """Mend what a kill left while `growing` and what is aside changed places, see `_change_places`."""
    between = swapping(growing)
    if is_marked(between):
        between.rename(aside(growing) if growing.exists() else growing)


def forget(output: Path) -> None:
    """Delete what was kept aside for `output`, which is whole now."""
    kept = aside(partial(output))
    if is_marked(kept) and not kept.is_symlink():
        discard(kept)


def aside_hint(output: Path) -> str:
    """How to make room on a full disk, as the end of a line; empty where nothing is aside."""
    kept = aside(partial(output))
    return f"; {kept} holds unfinished work of another run, delete it to make room" if is_marked(kept) else ""


def _work(folder: Path, progress: Progress) -> str:
    """The key of the work in a folder, "unknown" where nothing says what it is of; empty where there is none."""
    if not is_marked(folder) or not progress.begun(folder):
        return ""
    origin = read_object(folder / ORIGIN)
    return digest(origin) if origin else "unknown"


def _change_places(growing: Path, kept: Path, keep: bool) -> None:
    """Bring `kept` to `growing`; with `keep` what was there goes aside instead."""
    if keep and exchange(growing, kept):
        return
    if keep:
        between = swapping(growing)
        growing.rename(between)
        kept.rename(growing)
        between.rename(kept)
        return
    if growing.exists():
        discard(growing)
    kept.rename(growing)


def _difference(before: Mapping[str, Any], origin: Origin) -> str:
    """Why work of `before` is not that of `origin`: which parameters, the data, the code."""
    if not before:
        return "of which nothing says what it was made from"
    then, now = (dict(_leaves(block)) for block in (before.get("parameters"), dict(origin.parameters)))
    keys = [key for key in {**then, **now} if then.get(key) != now.get(key)]
    parts = [f"{key} was {_value(then.get(key))}, is {_value(now.get(key))}" for key in keys[:_SHOWN]]
    if more := len(keys) - _SHOWN:
        parts += [f"{more} more parameters changed"] if more > 0 else []
    parts += ["the data changed"] if before.get("data") != dict(origin.data) else []
    parts += ["the code changed"] if before.get("code") != origin.code else []
    return "; ".join(parts) or "another stage's"


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested blocks by its dotted key."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def _value(value: Any) -> str:
    return one_line(json.dumps(value), 40)


def _say(origin: Origin, words: str) -> None:
    print(f"{origin.stage}: {words}", file=sys.stderr, flush=True)
