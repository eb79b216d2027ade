"""What an output may replace: nothing, an empty folder, or an older output of the same stage. The rest is a user's."""

import json
import os
import stat
from pathlib import Path

from ambidex.base.errors import OutputError, one_line
from ambidex.base.files import open_regular
from ambidex.base.outputs.storage import is_storage

CARD = "card.json"
_OURS = "ambidex"  # a key that every card of ours has: others write cards of this name too
_SAVED = "model"  # in a report: evaluate takes it over
_LARGEST_CARD = 2**26  # bytes; a card of ours has thousands
_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_STEP = "choose another place for the output (--out FOLDER or --runs DIR), or move away what stands there"


def check_output(path: Path, stage: str | None) -> None:
    """Raise OutputError where `path` holds what the output of `stage` may not replace (None: it has no card).

    The folder itself is never followed as a link; the folders above it may be links.
    """
    if reason := in_the_way(path, stage):
        raise OutputError(f"{one_line(path, 150)}: {reason}; nothing was touched; {_STEP}")


def check_neighbours(path: Path) -> None:
    """Raise OutputError where `path` stands inside another output, or holds one: one would go with the other."""
    whole = Path(os.path.abspath(path))  # noqa: PTH100, links above stay links
    for above in whole.parents:
        card = read_card(above)
        if _OURS in card and "stage" in card:
            raise OutputError(
                f"{one_line(path, 150)}: stands inside {one_line(above, 100)}, an output of "
                f"{one_line(card['stage'], 30)}, and would go when that is made anew; {_STEP}"
            )
    for card_file in whole.glob(f"*/**/{CARD}"):
        inner = card_file.parent.relative_to(whole)
        if str(inner) != _SAVED and "stage" in read_card(card_file.parent):
            raise OutputError(
                f"{one_line(path, 150)}: holds another output, {one_line(inner, 100)}; nothing was touched; move it "
                "away, or choose another place for the output (--out FOLDER or --runs DIR)"
            )


def in_the_way(path: Path, stage: str | None) -> str:
    """Why the output of `stage` may not take the place `path`; empty: it may."""
    if not path.name or path.name == "..":
        return "is no name for an output folder"
    status = _look(path)
    if status is None:
        return ""
    if stat.S_ISLNK(status.st_mode):
        return f"is a link (to {one_line(path.readlink(), 80)}), and an output replaces no link"
    if not stat.S_ISDIR(status.st_mode):
        return f"is {_KINDS.get(stat.S_IFMT(status.st_mode), 'no folder')}, and an output is a folder"
    if os.path.ismount(path):
        return "is a mount point, which cannot be replaced; name a folder in it"
    first = _first_name(path)
    if first is None:
        return ""
    card = read_card(path)
    made_by = card.get("stage")
    if stage is None or not isinstance(made_by, str) or _OURS not in card:
        return f"is a folder with files (such as {one_line(first, 60)}) that no earlier run left there"
    if made_by != stage:
        return f"is an output of {one_line(made_by, 30)}, not of {stage}"
    if "decision" in card:
        return "is a model saved by evaluate --save"
    return ""


def read_card(folder: Path) -> dict[str, object]:
    """The run card in `folder`; empty where there is none that can be read."""
    return read_object(folder / CARD)


def read_object(file: Path) -> dict[str, object]:
    """The JSON object in a small file of ours; empty where there is none that can be read."""
    try:
        with open_regular(file) as stream:
            value = json.loads(stream.read(_LARGEST_CARD))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _look(path: Path) -> os.stat_result | None:
    """What stands at `path` itself, links not followed; None where nothing does. Raises OutputError."""
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        above = next(p for p in path.parents if p.exists())
        raise OutputError(f"{path}: {above} is no folder, so no output can stand in it; {_STEP}") from None
    except ValueError:  # a null character
        raise OutputError(f"{one_line(path)}: is no path") from None
    except OSError as error:
        if is_storage(error):
            raise
        raise OutputError(f"{one_line(path, 150)}: no output can stand there ({error.strerror})") from None


def _first_name(folder: Path) -> str | None:
    with os.scandir(folder) as entries:
        return min((entry.name for entry in entries), default=None)
