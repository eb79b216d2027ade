"""`python -m pipelines.again PIPELINE --times 3 ...`: submit, wait, and where the run failed submit it again.

Kubeflow itself does not retry a task whose pod vanished with its node (Argo calls that an error, and retries failures
alone), nor, on some releases, a task in a loop. The next run gets `resume=`, the id of the first: finished cells and
unfinished training are taken from the volume, where the platform has one.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence

_RUN = re.compile(r"run (\S+)\n?")
_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until one run succeeds or `--times` are used up. Returns the last run's exit code (see pipelines.client)."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.again",
        description="Submit a pipeline and wait; where the run failed, submit it again, to go on from the first.",
        epilog="All other options and arguments are those of `python -m pipelines.client run`.",
    )
    parser.add_argument("pipeline", metavar="PIPELINE", help="a name under pipelines/compiled, or a file")
    parser.add_argument(
        "--times", metavar="N", type=_count, default=3, help="runs in all, at most (default: 3)"
    )
    options, rest = parser.parse_known_args(arguments)
    first = next((word.removeprefix("resume=") for word in rest if word.startswith("resume=")), "")
    rest = [word for word in rest if not word.startswith("resume=")]
    for number in range(1, options.times + 1):
        more = [f"resume={first}"] if first else []
        code, run = _submit([options.pipeline, *more, *rest])
        if code != _FAILED or not run:
            return code
        first = first or run
        if number < options.times:
            print(f"again: run {number} of {options.times} failed, the next goes on from {first}", flush=True)
    return _FAILED


def _submit(words: Sequence[str]) -> tuple[int, str]:
    """Exit code and id of one run, whose lines are passed on as they come."""
    command = [sys.executable, "-u", "-m", "pipelines.client", "run", *words, "--wait"]
    run = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        for line in client.stdout:
            print(line, end="", flush=True)
            if not run and (found := _RUN.fullmatch(line)):
                run = found[1]
        try:
            return client.wait(), run
        except KeyboardInterrupt:  # the client has it too, and says what becomes of the run
            return client.wait(), run


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1 to 100")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
