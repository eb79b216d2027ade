"""Allocators, shipped and dropped, against the plain sum in many small cells; prints tables, writes nothing."""

import argparse
from collections.abc import Sequence
from itertools import product

import torch

from ambidex.base.progress import progress
from benchmarks.allocators.cells import BLIND, SHIPPED, Outcome, judge_all
from benchmarks.allocators.heads import EPOCHS, METHODS, seen
from benchmarks.allocators.sets import ONE_SPEAKER, SETS, DataSet
from benchmarks.allocators.table import table
from benchmarks.allocators.variants import VARIANTS

LIGHT = 4
"""epochs of a head that is hardly trained"""
PROTOCOL = """\
Allocators fitted on validation, compared with the plain sum (`uniform`) on test.
A cell is a set, a training ({methods}; {epochs} epochs, small networks) and a seed (0 to {last}; with one validation
speaker 0 to {last_speaker}), which draws the set, its splits and the initial weights. +/-: cells in which a variant is
significantly better / worse than the sum (accuracy: exact McNemar test; NLL: paired bootstrap; p < 0.05, uncorrected;
paired by sample). points, nats: mean difference in accuracy (%) and NLL. Cells of one set are not independent.
`auto` chooses among uniform, {shipped}.
Tried and not shipped: {tried}."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.allocators", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="of every set (2)")
    parser.add_argument("--speaker-seeds", type=int, default=5, help="with one validation speaker (5)")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS), metavar="SET")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(_protocol(options.seeds, options.speaker_seeds))
    asked = {name: SETS[name] for name in options.sets}
    for name in [name for name, found in asked.items() if found.needs and not found.needs.exists()]:
        print(f"skipped {name}: there is no ../shared/data/{asked.pop(name).needs.name}")  # type: ignore[union-attr]
    everything = (*SHIPPED, *VARIANTS)
    for used, title in ((True, "kinds of sets looked at while designing"), (False, "kinds not looked at")):
        chosen = {name: found for name, found in asked.items() if found.used == used}
        _block(f"{title} ({', '.join(chosen)})", chosen, options.seeds, everything)
    for (name, found), epochs in product(ONE_SPEAKER.items(), (LIGHT, EPOCHS)):
        title = f"one validation speaker, {name}, {epochs} epochs"
        _block(title, {name: found}, options.speaker_seeds, BLIND, epochs)
    return 0


def _protocol(seeds: int, speaker_seeds: int) -> str:
    lasts = {"last": seeds - 1, "last_speaker": speaker_seeds - 1}
    words = {"methods": " or ".join(METHODS), "epochs": EPOCHS, "shipped": ", ".join(SHIPPED[:-1])}
    return PROTOCOL.format(**lasts, **words, tried=", ".join(VARIANTS))


def _block(
    title: str, sets: dict[str, DataSet], seeds: int, names: Sequence[str], epochs: int = EPOCHS
) -> None:
    cells = [(found, method, seed) for found in sets.values() for method in METHODS for seed in range(seeds)]
    if not cells:
        return
    outcomes: list[Outcome] = []
    with progress(title, len(cells), "cells") as advance:
        for found, method, seed in cells:
            outcomes += judge_all(seen(found.make(seed), method, seed, epochs), names)
            advance()
    print("\n" + table(title, outcomes), flush=True)
