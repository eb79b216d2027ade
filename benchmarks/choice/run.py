"""Rules of choice in many small cells; prints tables, keeps what candidates say in a folder."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from ambidex.base.progress import progress
from ambidex.decide.allocators.mixture import Mixture
from benchmarks.choice.cells import METHODS, views
from benchmarks.choice.judged import Cell, curves, left_out, table
from benchmarks.choice.questions import FEW, Asked, who_chooses_the_epoch, who_judges
from benchmarks.choice.rotations import Rotation, rotations
from benchmarks.choice.scores import CANDIDATES, EVERYONE, Scores, read, score, write
from benchmarks.choice.sets import DATA, SETS

PRIOR = Mixture.Config().prior
PROTOCOL = """\
A cell is a set, a rotation of its groups (who trains, who validates, who tests), a training ({methods}; 20 epochs
of small networks, the epoch by the NLL on the validation groups) and a number of validation groups. like: groups in
random order. unlike: the test groups lie at one end of the main axis of the groups' mean features, all others at the
other. Candidates: {candidates}.
points, nats: accuracy and NLL less the plain sum's, on test. worst nats, > 0.1: the largest difference of a cell, and
how many exceed 0.1. + and -: cells significantly better and worse in accuracy (exact McNemar test, p < 0.05,
uncorrected). regret: behind the best candidate of each cell in hindsight, which is lucky in each. Cells of one set are
not independent."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.choice", description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("runs/choice"), help="folder for what is kept")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS), metavar="SET")
    parser.add_argument("--like", type=int, default=6, help="rotations in random order (6)")
    parser.add_argument(
        "--unlike", type=int, default=4, help="rotations with test groups unlike all others (4)"
    )
    parser.add_argument(
        "--everyone", action="store_true", help="all allocators, not the cheap ones: a minute for each cell"
    )
    parser.add_argument("--counts", nargs="+", type=int, help="numbers of validation groups (all of a set)")
    parser.add_argument(
        "--questions", action="store_true", help="who judges, and who chooses the epoch, instead"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    candidates = EVERYONE if options.everyone else CANDIDATES
    print(PROTOCOL.format(methods=" or ".join(METHODS), candidates=", ".join(candidates)))
    if options.questions:
        _answer(options.sets, options.like, options.unlike)
        return 0
    cells = [cell for name in options.sets for cell in _cells(name, options, candidates)]
    if cells:
        print(f"\n{table(cells)}\n\n{left_out(cells)}\n\n{curves(cells)}", flush=True)
    return 0


def _cells(name: str, options: argparse.Namespace, candidates: tuple[str, ...]) -> Iterator[Cell]:
    data = SETS[name]
    counts = tuple(count for count in data.counts if options.counts is None or count in options.counts)
    if data.file is not None and not (DATA / data.file).exists():
        print(f"skipped {name}: there is no ../shared/data/{data.file}")
        return
    vectors = data.read(0)
    found = list(rotations(data, vectors, options.like, options.unlike))
    with progress(name, len(found) * len(METHODS), "trainings") as advance:
        for rotation in found:
            for method in METHODS:
                places = [
                    _place(options.cache, name, rotation, method, count, len(candidates)) for count in counts
                ]
                if not all(place[counted].exists() for place in places for counted in place):
                    for place, view in zip(places, views(vectors, rotation, method, counts), strict=True):
                        for counted, path in place.items():
                            if not path.exists():
                                write(path, score(view, counted, candidates))
                for count, place in zip(counts, places, strict=True):
                    yield Cell(name, rotation.kind, method, count, _read(place))
                advance()


def _answer(names: Sequence[str], like: int, unlike: int) -> None:
    asked = []
    for name in names:
        data = SETS[name]
        if min(data.counts) in FEW and (data.file is None or (DATA / data.file).exists()):
            vectors = data.read(0)
            asked.append(Asked(name, data, vectors, list(rotations(data, vectors, like, unlike))))
    print("\nset, test groups, validation groups, who judges, points, nats, worst nats")
    for one in asked:
        print(*who_judges(one), sep="\n", flush=True)
    print(
        "\nset, test groups, validation groups, who chose the epoch, NLL of the plain sum, of auto without caution,"
    )
    print("and in its cross-validation, log of the temperature that would have been best on test")
    for one in asked:
        for line in who_chooses_the_epoch(one):
            print(line, flush=True)


def _place(
    cache: Path, name: str, rotation: Rotation, method: str, count: int, candidates: int
) -> dict[bool, Path]:
    """Whether the prior counts groups -> file; one file where all candidates are asked: there it always does."""
    stem = f"{name}.{rotation.kind}{rotation.number}.{method}.{count}"
    if candidates > len(CANDIDATES):
        return dict.fromkeys((True, False), cache / f"{stem}.everyone.groups.safetensors")
    return {
        counted: cache / f"{stem}.{'groups' if counted else 'samples'}.safetensors"
        for counted in (True, False)
    }


def _read(place: dict[bool, Path]) -> dict[bool, Scores]:
    return {counted: read(path).mixed(PRIOR) for counted, path in place.items()}
