"""What every diagnostic must satisfy: numbers that a report can hold, the same each time; an evaluation left alone."""

import csv
import io
import json
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ambidex.configuration.params import Evaluate
from ambidex.judge.diagnose import DIAGNOSTICS, Diagnosis, Diagnostic
from ambidex.judge.evaluation import Evaluation, collect
from ambidex.judge.held_out import CROSS_FITTED, HeldOut
from ambidex.net.fill import Rule
from ambidex.net.model import MultimodalNet
from ambidex.testing.expect import Options, expect, expect_same
from ambidex.testing.ground import MemoryStore, architecture
from ambidex.testing.missing import present_of
from ambidex.testing.training import THREE, TWO

Given = str | type[Diagnostic]
"""a diagnostic by its name or its class"""
CASES: dict[str, Options] = {
    "two modalities": {},
    "one modality": {"modalities": THREE[2:]},
    "three, a head that is not additive": {"modalities": THREE, "fusion": "gated"},
    "samples that lack modalities": {"modalities": THREE, "fill": "zero"},
    "no validation split": {"validation": False},
}


def check_diagnostic(diagnostic: Given, options: Options | None = None) -> list[str]:
    """Hold a diagnostic, by name or class, to the contract, on small evaluations of each of CASES.

    Returns the cases that it applies to. Raises CheckError (an AssertionError) with one line.
    """
    cls = DIAGNOSTICS.get(diagnostic) if isinstance(diagnostic, str) else diagnostic
    applied = []
    for name, case in CASES.items():
        evaluation = evaluated(**case)
        what = f"diagnostic {DIAGNOSTICS.name_of(cls)}, {name}"
        if not cls.applies(evaluation):
            continue
        applied.append(name)
        before = _tensors(evaluation)
        first = measured(cls, evaluation, options, what)
        writable(first, what)
        expect_same(f"{what}, the evaluation after it", _tensors(evaluation), before)
        again = measured(cls, evaluated(**case), options, what)
        expect(again == first, f"{what}, again", "the same", "others")
    expect(bool(applied), f"diagnostic {DIAGNOSTICS.name_of(cls)}", f"to apply to one of {[*CASES]}", "none")
    return applied


def measured(cls: type[Diagnostic], evaluation: Evaluation, options: Options | None, what: str) -> Diagnosis:
    """What it finds; the random state is as before."""
    state = torch.get_rng_state()
    try:
        diagnosis = cls(cls.Config(**(options or {}))).run(evaluation)
    except Exception as error:
        expect(False, what, "a diagnosis", f"{type(error).__name__}: {error}")
        raise
    expect(torch.equal(torch.get_rng_state(), state), what, "the random state left as it is", "another")
    return diagnosis


def writable(diagnosis: Diagnosis, what: str) -> None:
    """Metrics are JSON without NaN, tables are rows of the same keys, sentences are lines."""
    try:
        json.dumps(diagnosis.metrics, allow_nan=False)
    except (TypeError, ValueError) as error:
        expect(False, f"{what}, metrics", "what JSON can hold, None for what is undefined", error)
    for name, rows in diagnosis.tables.items():
        keys = [*rows[0]] if rows else []
        for row in rows:
            expect([*row] == keys, f"{what}, table {name}", f"rows with the keys {keys}", [*row])
            nan = [key for key, value in row.items() if isinstance(value, float) and value != value]
            expect(not nan, f"{what}, table {name}", "None for what is undefined", f"NaN for {nan}")
        csv.DictWriter(io.StringIO(), keys).writerows(rows)
    for sentence in diagnosis.sentences:
        expect(bool(sentence) and "\n" not in sentence, f"{what}, sentences", "lines", repr(sentence))
        expect("nan" not in sentence.split(), f"{what}, sentences", "words for what is undefined", sentence)


def evaluated(
    modalities: tuple[str, ...] = TWO,
    fusion: str = "concat",
    fill: Rule | None = None,
    validation: bool = True,
) -> Evaluation:
    """What a small model with random weights says of the memory store. `fill`: some samples lack a modality."""
    store: Any = MemoryStore(modalities)
    for place, modality in enumerate(modalities if fill else ()):
        store.present[modality] = present_of(len(store.labels), place)
    torch.manual_seed(0)
    model = MultimodalNet(replace(architecture(modalities, fusion), fill=fill)).eval()
    splits = ("train", "val", "test") if validation else ("train", "test")
    params = Evaluate(resamples=100)
    seen = collect(model, store, splits, 16, torch.device("cpu"), params.absent, params.permutations, 0)
    held = None
    if not validation:
        train = seen["train"]
        sources: Any = {"contributions": train.stacked(), "probes": train.stacked()}
        held = HeldOut(modalities, train.labels, train.groups, sources, CROSS_FITTED)
    return Evaluation(params, model, store.classes, modalities, seen, held_out=held)


def _tensors(evaluation: Evaluation) -> dict[str, Tensor]:
    """All that an evaluation holds, by name, as it is now."""
    tensors = {f"model.{name}": value.clone() for name, value in evaluation.model.state_dict().items()}
    for split, outputs in evaluation.splits.items():
        parts = {"labels": outputs.labels, "logits": outputs.logits, **dict(outputs.features)}
        parts |= {f"z.{m}": z for m, z in outputs.contributions.items()}
        tensors |= {f"{split}.{name}": value.clone() for name, value in parts.items()}
    return tensors
