"""`python -m helpers.fuzz.worker CORPUS WORK FIRST LAST`: damage inputs FIRST to LAST - 1, and say what came of each.

A line of JSON for each input that was not read or refused as it should be: an exception that is no AmbidexError, a
message of several lines, more than ten seconds, more memory than one GiB, a file written that was not there.
"""

import json
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from ambidex.base.errors import AmbidexError, one_line
from helpers.fuzz.mutations import mutate
from helpers.fuzz.targets import Target, quiet, targets

SECONDS = 10
GIB = 2**30


class TooLongError(BaseException):
    """Raised by the alarm; no reader may take it for damage."""


def main(corpus: Path, work: Path, first: int, last: int) -> None:
    """Work on a copy of the corpus, with a limit on memory."""
    shutil.copytree(corpus, work)
    known = targets()
    quiet(lambda: [target.read(work) for target in known])  # what is imported now does not count
    _limit_memory()
    before = _names(work.parent)
    signal.signal(signal.SIGALRM, _too_long)
    for number in range(first, last):
        target = known[number % len(known)]
        if problem := attempt(work, target, number):
            print(json.dumps({"number": number, "file": target.file, "problem": problem}), flush=True)
        if strangers := _names(work.parent) ^ before:
            print(
                json.dumps({"number": number, "file": target.file, "problem": f"wrote {sorted(strangers)}"})
            )
            before = _names(work.parent)
    print(json.dumps({"done": last - first}), flush=True)


def attempt(work: Path, target: Target, number: int) -> str:
    """Damage one file, read it, put it back. What was wrong with how it was read; empty: nothing."""
    path = work / target.file
    whole = path.read_bytes()
    path.write_bytes(mutate(target.file, whole, random.Random(number)))
    start = time.monotonic()
    signal.alarm(SECONDS)
    try:
        quiet(lambda: target.read(work))
    except AmbidexError as error:
        text = one_line(error)
        return "" if text and len(text) <= 300 else f"message: {text}"
    except TooLongError:
        return f"more than {SECONDS} s: {_where()}"
    except BaseException:
        return traceback.format_exc()[-1500:]
    finally:
        signal.alarm(0)
        path.write_bytes(whole)
    return "" if time.monotonic() - start < SECONDS else "slow"


def _where() -> str:
    return traceback.format_exc()[-800:]


def _too_long(*_: Any) -> None:
    raise TooLongError


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + GIB
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
