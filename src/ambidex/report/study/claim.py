"""The paper's three questions, answered in words: does a model lean to one modality after all that was tried?"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ambidex.report.study.bias import Bias
from ambidex.report.words import counted, within
from ambidex.resolve.cell import Cell

UNMEASURED = "not measured"
ENSEMBLE = "unimodal_ensemble"
PRETRAINED = ("pretrained", "frozen")


@dataclass(frozen=True)
class Verdict:
    """One question of a study with its answer; every field is JSON."""

    question: str
    answer: str
    """in a few words"""
    sentences: list[str] = field(default_factory=list)
    """the numbers that it rests on"""

    def to_json(self) -> dict[str, Any]:
        """As JSON-serialisable values."""
        return {"question": self.question, "answer": self.answer, "sentences": self.sentences}


def claim(biases: Sequence[Bias], reference: str, methods: Sequence[Cell]) -> list[Verdict]:
    """Three verdicts: after pre-training, after balanced optimisation, without joint optimisation at all.

    `reference`: label of the method that the others are tested against; `methods`: those of the study, resolved.
    """
    plugin = {cell.label: cell.plugin for cell in methods}
    own = plugin.get(reference, reference)
    pretrained = [b for b in biases if b.method == reference and b.regime in PRETRAINED]
    balanced = [b for b in biases if plugin[b.method] not in (own, ENSEMBLE)]
    independent = [b for b in biases if plugin[b.method] == ENSEMBLE]
    scratch = [b for b in biases if b.method == reference and b.regime == "scratch"]
    return [
        _verdict(
            "Does bias persist after pre-training?",
            pretrained,
            [_sentence(b, "scratch", "from scratch") for b in [*scratch, *pretrained]],
            f"add {reference} to study.methods, and pretrained and frozen to study.regimes",
        ),
        _verdict(
            "Does bias persist after balanced optimisation?",
            balanced,
            [_sentence(b, "reference", f"with {reference}") for b in balanced],
            "add a method that balances training to study.methods",
        ),
        _verdict(
            "Does bias persist without any joint optimisation?",
            independent,
            [_sentence(b, "reference", f"with {reference}") for b in independent],
            f"add {ENSEMBLE} (encoders trained apart, logits summed) to study.methods",
        ),
    ]


def _verdict(question: str, biases: Sequence[Bias], sentences: list[str], remedy: str) -> Verdict:
    if not biases:
        return Verdict(question, UNMEASURED, [f"Not measured: {remedy}."])
    return Verdict(question, counted(b.answer for b in biases), sentences)


def _sentence(bias: Bias, against: str, where: str) -> str:
    """One cell: who leads by how much, DI and its change, who is followed where it is wrong."""
    sentence = (
        f"{bias.method} ({bias.regime}): {bias.answer}, {bias.words}; "
        f"{len(bias.classes)} of {bias.classes_in_all} classes are clearly uneven; DI {within(bias.imbalance)}"
    )
    if change := bias.imbalance_change.get(against):
        sentence += f", {_changed(change)} {where}: {within(change, sign=True)}"
    if rates := _followed(bias):
        sentence += f". Where it is wrong and another modality right, the decision follows it in {rates}"
    return f"{sentence}."


def _changed(change: dict[str, float | None]) -> str:
    low, high = change["low"], change["high"]
    if low is None or high is None or low <= 0 <= high:
        return "not clearly different from that"
    return "higher than" if low > 0 else "lower than"


def _followed(bias: Bias) -> str:
    """The rate of the leading modality, and the highest of the others; empty where the first is unknown."""
    rates = {m: rate for m, rate in bias.follows_wrongly.items() if rate is not None}
    own = rates.pop(bias.leading, None)
    if own is None:
        return ""
    text = f"{own:.0%}"
    if rates:
        other = max(rates, key=lambda m: rates[m])
        text += f" (the same for {other}: {rates[other]:.0%})"
    return text
