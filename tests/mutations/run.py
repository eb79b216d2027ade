"""Every fault, one by one, into a copy of the project; its tests must fail there: `python -m mutations.run [NAME]`."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from queue import SimpleQueue

from ambidex.base.progress import progress
from mutations.fault import Fault, faults, names
from mutations.seed import Copy, Verdict


def main(arguments: Sequence[str] | None = None) -> int:
    """1 where a fault survives, is stale or could not be judged, or a test fails without any."""
    options = _parser().parse_args(arguments)
    chosen = [
        fault for found in faults(options.names).values() for fault in found if options.only in fault.name
    ]
    tests = {test for fault in chosen for test in fault.tests}
    print(f"{len(chosen)} faults, {len(tests)} tests; first the tests without a fault", file=sys.stderr)
    verdicts = []
    with ExitStack() as stack:
        copies = [stack.enter_context(Copy()) for _ in range(min(options.jobs, len(chosen)))]
        if broken := failing(copies, sorted(tests)):
            print("these fail without any fault:", *broken, sep="\n  ")
            return 1
        with progress("seed", len(chosen), "faults") as advance:
            for verdict in seeded(copies, chosen):
                verdicts.append(verdict)
                advance(1, verdict.fault.name)
                if not verdict.caught:
                    print(table([verdict]), file=sys.stderr, flush=True)
    verdicts.sort(key=lambda verdict: chosen.index(verdict.fault))
    print(table(verdicts))
    left = sum(not verdict.caught for verdict in verdicts)
    print(f"\n{len(verdicts) - left} of {len(verdicts)} caught")
    return int(left > 0)


def failing(copies: Sequence[Copy], tests: Sequence[str]) -> list[str]:
    """Those of `tests` that fail without a fault; all tests of a file run in one copy, which sets them up once."""
    files = sorted({test.partition("::")[0] for test in tests})
    shares = [files[start :: len(copies)] for start in range(len(copies))]
    parts = [[test for test in tests if test.partition("::")[0] in share] for share in shares]
    with ThreadPoolExecutor(len(copies)) as pool:
        found = pool.map(lambda copy, part: copy.failing(part) if part else [], copies, parts)
        return [test for part in found for test in part]


def seeded(copies: Sequence[Copy], chosen: Sequence[Fault]) -> Iterator[Verdict]:
    """The verdict on each fault, as soon as it is known; each copy holds one fault at a time."""
    free: SimpleQueue[Copy] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def judge(fault: Fault) -> Verdict:
        copy = free.get()
        try:
            return copy.seed(fault)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(copies)) as pool:
        for done in as_completed([pool.submit(judge, fault) for fault in chosen]):
            yield done.result()


def table(verdicts: Sequence[Verdict]) -> str:
    """A line for each fault: its name, what became of it, the test."""
    wide = max((len(verdict.fault.name) for verdict in verdicts), default=0)
    return "\n".join(f"{v.fault.name:{wide}}  {v.outcome:8}  {v.by}" for v in verdicts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mutations.run", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; none: all")
    parser.add_argument("--only", default="", metavar="TEXT", help="faults whose name contains it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at a time; default: one per core")
    return parser


if __name__ == "__main__":
    sys.exit(main())
