"""`python -m benchmarks.golden --against REVISION [--jobs NAME,NAME] [--verbose]`."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.golden.cache import cached
from benchmarks.golden.differences import compare_folders
from benchmarks.golden.jobs import JOBS, USUAL, Job
from benchmarks.golden.tree import checked_out, commit_of, run_job, snapshot

ROOT = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the jobs and say file by file what is the same; 1 where something differs."""
    options = _parser().parse_args(arguments)
    jobs = {name: JOBS[name] for name in options.jobs or USUAL}
    commit = commit_of(options.root, options.against)
    different = 0
    with tempfile.TemporaryDirectory(prefix="ambidex-golden-") as name, ThreadPoolExecutor(1) as other:
        tree = snapshot(options.root, Path(name))
        for job_name, job in jobs.items():
            if reason := job.skipped(options.root):
                print(f"{job_name}: skipped, {reason}", flush=True)
                continue
            start = time.monotonic()
            # both at once: a job is one process of one thread at a time
            running = other.submit(_of_revision, options.root, commit, job_name, job, Path(name) / "there")
            here = run_job(tree, job_name, job, Path(name) / "here", options.root)
            there = running.result()
            print(f"{job_name}: {time.monotonic() - start:.0f} s", flush=True)
            different += _report(here, there, options.against, options.verbose)
    print(f"{different} files differ" if different else "no difference")
    return int(different > 0)


def _of_revision(root: Path, commit: str, name: str, job: Job, work: Path) -> Path:
    """The folder with what the job gives at `commit`: from the cache, or run now and kept there."""

    def build(folder: Path) -> None:
        with checked_out(root, commit) as tree:
            run_job(tree, name, job, work, root).rename(folder)

    return cached(root, commit, name, job, build)


def _report(here: Path, there: Path, against: str, verbose: bool) -> int:
    """Print the verdict on one job; returns how many files differ."""
    verdicts = compare_folders(here, there, against)
    different = {file: difference for file, difference in verdicts.items() if difference}
    print(f"  {len(verdicts)} files, {len(different)} different", flush=True)
    for file, difference in verdicts.items():
        if difference:
            print(f"  DIFFERENT  {file}: {difference}")
        elif verbose:
            print(f"  same       {file}")
    return len(different)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.golden", description=__doc__)
    parser.add_argument(
        "--against", metavar="REVISION", required=True, help="of git: a commit, a branch, a tag"
    )
    parser.add_argument("--jobs", metavar="NAME,NAME", type=_names, help=f"of {', '.join(JOBS)}")
    parser.add_argument("--verbose", action="store_true", help="name the files that are the same, too")
    parser.add_argument(
        "--root", metavar="FOLDER", type=Path, default=ROOT, help="another checkout than this"
    )
    return parser


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in JOBS]:
        raise argparse.ArgumentTypeError(f"no job '{unknown[0]}'; there are {', '.join(JOBS)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
