"""Every fault into a copy of its own; its tests must fail there: `python -m mutations.run [NAME ...]`."""

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from ambidex.progress import progress
from mutations.fault import faults, names
from mutations.seed import Verdict, failing, seed


def main(arguments: Sequence[str] | None = None) -> int:
    """1 where a fault survives, is stale or could not be judged, or a test fails without any."""
    options = _parser().parse_args(arguments)
    chosen = [
        fault for found in faults(options.names).values() for fault in found if options.only in fault.name
    ]
    tests = {test for fault in chosen for test in fault.tests}
    print(f"{len(chosen)} faults, {len(tests)} tests; first the tests without a fault", file=sys.stderr)
    if broken := failing(tests):
        print("these fail without any fault:", *broken, sep="\n  ")
        return 1
    verdicts = []
    with ThreadPoolExecutor(options.jobs) as pool, progress("seed", len(chosen), "faults") as advance:
        for done in as_completed([pool.submit(seed, fault) for fault in chosen]):
            verdicts.append(verdict := done.result())
            advance(1, verdict.fault.name)
            if not verdict.caught:
                print(table([verdict]), file=sys.stderr, flush=True)
    verdicts.sort(key=lambda verdict: chosen.index(verdict.fault))
    print(table(verdicts))
    left = sum(not verdict.caught for verdict in verdicts)
    print(f"\n{len(verdicts) - left} of {len(verdicts)} caught")
    return int(left > 0)


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
