"""60 kills over all stages and 20 pairs of processes that want one output. Prints what came of it; 0: nothing wrong.

A kill: the output of one call stands, another call that would replace it is killed, before a chosen file operation or
at a random time; in every second trial unfinished work of the first call stands in its way. Then the output must be the
old or the new one, whole; after the same call again the new one, and nothing else may stand beside it. A pair: both
start together; whoever ends with 0 has written a whole output, whoever does not says in one line who is in its way.
"""

import importlib
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from ambidex.stages import STAGES
from chaos.child import Child
from chaos.world import World, content, restore

PAIRS = (
    "train",
    "extract",
    "pretrain",
    "train",
    "merge",
    "prepare",
    "crossfit",
    "train",
    "evaluate",
    "compare",
) * 2


class Chaos:
    """All trials in one folder; `faults` has a line for each thing that went wrong."""

    def __init__(self, root: Path, seed: int) -> None:
        self.random, self.root = random.Random(seed), root
        self.world = World(root / "world")
        self.faults: list[str] = []
        self.counts: Counter[str] = Counter()
        self.expected: dict[tuple[str, int], dict[str, str] | None] = {}
        self.operations: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        for stage in STAGES:
            self._clean_runs(stage)

    def _clean_runs(self, stage: str) -> None:
        """What both variants of a stage give when nobody disturbs them, with how many file operations."""
        for variant in (0, 1):
            output = self.root / "clean" / stage / str(variant) / "out"
            count = self.root / "count"
            start = time.monotonic()
            child = Child(self.world.work(stage, variant, output), self.root / "log", count=count)
            assert child.wait() == 0, child.said()
            self.seconds[stage] = time.monotonic() - start
            self.expected[stage, variant] = content(output)
            self.operations[stage] = int(count.read_text())
        assert self.expected[stage, 0] != self.expected[stage, 1], stage

    def kill(self, stage: str, at: int) -> None:
        """One trial; `at`: the file operation before which it is killed, 0: at a random time."""
        output = self.root / "trial" / "out"
        restore(self.root / "clean" / stage / "0" / "out", output)
        if self.counts["kills"] % 2:  # work of another run stands where this one is to grow
            first = self.random.randint(1, self.operations[stage])
            Child(self.world.work(stage, 0, output), self.root / "log", kill_at=first).wait()
        work = self.world.work(stage, 1, output)
        child = Child(work, self.root / "log", kill_at=at)
        if not at:
            time.sleep(self.random.uniform(0, self.seconds[stage]))
            child.kill()
        code = child.wait()
        where = f"{stage}, killed {f'before operation {at}' if at else 'at a random time'}"
        self.counts["kills" if code == -9 else "ended before the kill"] += 1
        if content(output) not in (self.expected[stage, 0], self.expected[stage, 1]):
            self._fault("lost earlier outputs", where, output)
        again = Child(work, self.root / "log")
        if (code := again.wait()) or content(output) != self.expected[stage, 1]:
            self._fault("wrong outputs", f"{where}, then exit {code} ({again.said().strip()[-200:]})", output)
        self._nothing_beside(where, output)

    def pair(self, stage: str, shared: bool) -> None:
        """Two processes, one output; `shared`: two outputs, but one folder for unfinished work."""
        first = self.root / "trial" / "out"
        restore(self.root / "clean" / stage / "0" / "out", first)
        second = self.root / "trial" / "pod" / "out" if shared else first
        checkpoints = self.root / "volume" if shared else None
        variants = (1, 1) if shared else (1, self.random.choice((0, 1)))
        logs = [self.root / f"log-{k}" for k in (0, 1)]
        patience = self.random.choice((0.0, 0.05, 2.0))
        children = []
        for k, output in enumerate((first, second)):
            work = self.world.work(stage, variants[k], output, checkpoints)
            children.append(Child(work, logs[k], patience=patience))
            time.sleep(self.random.choice((0, 0, 0.05)))
        codes = [child.wait() for child in children]
        self.counts["pairs"] += 1
        self.counts["second comers refused"] += 75 in codes
        where = f"{stage}, two at once{' in one folder of checkpoints' if shared else ''}, exit {codes}"
        for code, child in zip(codes, children, strict=True):
            lines = [
                line for line in child.said().splitlines() if line.startswith(("ambidex: ", "Traceback"))
            ]
            if code not in (0, 75) or (code == 75 and (len(lines) != 1 or "is writing it" not in lines[0])):
                self._fault("wrong words", f"{where}: {child.said().strip()[-200:]}", first)
        written = [variants[k] for k in (0, 1) if codes[k] == 0]
        if not written:
            self._fault("wrong outputs", f"{where}: neither was written", first)
        for k, output in enumerate((first, second)):
            allowed = [self.expected[stage, v] for v in written]
            if shared and codes[k]:
                allowed = [self.expected[stage, 0] if output == first else None]
            if content(output) not in allowed:
                self._fault("wrong outputs", where, output)
        shutil.rmtree(self.root / "trial" / "pod", ignore_errors=True)
        self._nothing_beside(where, first)

    def _nothing_beside(self, where: str, output: Path) -> None:
        volume = self.root / "volume"
        left = [path.name for path in output.parent.iterdir() if path != output]
        left += [path.name for path in volume.iterdir()] if volume.exists() else []
        left += [str(path.relative_to(output)) for path in output.rglob("*") if ".tmp" in path.name]
        if left:
            self._fault("leftovers", f"{where}: {', '.join(left)}", output)

    def _fault(self, kind: str, where: str, output: Path) -> None:
        self.counts[kind] += 1
        keep = self.root / f"fault-{len(self.faults)}"
        shutil.copytree(output.parent, keep, symlinks=True)
        self.faults.append(f"{kind}: {where} (kept in {keep})")
        print(self.faults[-1], flush=True)


def run(root: Path, kills: int = 60, pairs: int = 20, seed: int = 0) -> Chaos:
    """Every trial, in a folder that must not exist."""
    chaos = Chaos(root, seed)
    for number in range(kills):
        stage = STAGES[number % len(STAGES)]
        total = chaos.operations[stage]
        late = max(1, total - chaos.random.randrange(12))  # around the last renames
        at = (chaos.random.randint(1, total), late, 0)[number // len(STAGES) % 3]
        while chaos.counts["kills"] <= number:  # where the kill came too late: once more, at an operation
            chaos.kill(stage, at)
            at = chaos.random.randint(1, total)
        if "-v" in sys.argv:
            print(number, stage, at, dict(chaos.counts), flush=True)
    for number in range(pairs):
        stage = PAIRS[number % len(PAIRS)]
        chaos.pair(stage, shared=stage in ("train", "crossfit") and number % 4 == 3)
    return chaos


def main() -> int:
    """Print the counts; 1 where anything was wrong."""
    for stage in STAGES:
        importlib.import_module(f"ambidex.stages.{stage}")
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ambidex-chaos-") as folder:
        chaos = run(Path(folder) / "chaos", seed=0)
    for kind in ("wrong outputs", "lost earlier outputs", "leftovers", "wrong words"):
        chaos.counts.setdefault(kind, 0)
    told = ", ".join(f"{count} {kind}" for kind, count in chaos.counts.items())
    print(f"chaos: {told}; {time.monotonic() - start:.0f} s")
    return 1 if chaos.faults else 0


if __name__ == "__main__":
    sys.exit(main())
