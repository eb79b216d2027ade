"""The test samples on which modalities contradict each other most: what each says, and whom the fused model follows."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ambidex.decide.fitting import Allocation, sources
from ambidex.predict.prediction import margin_shares
from ambidex.report import html
from ambidex.report.html import Html, Text
from ambidex.report.result import Result

SHOWN = 10
"""samples listed"""
LARGE = 10.0
"""a share beyond this says only that the parts nearly cancel: its digits mean nothing"""


@dataclass(frozen=True)
class Disagreement:
    """Test samples on which the modalities name different classes."""

    order: list[int]
    """the sharpest first: by the confidence of the second surest opinion of another class"""
    answers: Tensor
    """[N, M] int64"""
    confidence: Tensor
    """[N, M]"""


def disagreement(branches: dict[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Disagreement:
    """`branches`: what each modality says alone, logits [N, C]; `present`: who has it [N], where samples lack it.

    A modality that is absent contradicts nobody: its confidence is 0.
    """
    p = torch.stack([z.double().softmax(dim=1) for z in branches.values()], dim=1)
    confidence, answers = p.max(dim=2)
    for m, name in enumerate(branches):
        if present and name in present:
            confidence[:, m] = torch.where(present[name], confidence[:, m], 0.0)
    surest = confidence.argmax(dim=1, keepdim=True)
    contradicts = answers != answers.gather(1, surest)
    strength = torch.where(contradicts, confidence, 0.0).amax(dim=1)
    order = [i for i in strength.argsort(descending=True, stable=True).tolist() if strength[i] > 0]
    return Disagreement(order, answers, confidence)


def disagreements(result: Result) -> Html:
    """A table of the sharpest contradictions, or a sentence where there is none."""
    evaluation = result.evaluation
    test, classes, modalities = evaluation.test, evaluation.classes, evaluation.modalities
    if len(modalities) < 2:
        return Html("")
    contradictions = disagreement(test.branches, test.present)
    if not contradictions.order:
        return html.paragraph("On no test sample do two modalities name different classes.")
    fused = [a.logits["test"].double().softmax(dim=1).max(dim=1) for a in _fused(result)]
    shares = _shares(result)

    def word(label: int, truth: int, confidence: float, note: Text = "") -> Text:
        if confidence == 0:
            return "absent"
        mark, kind = ("✓", "better") if label == truth else ("✗", "worse")
        text = html.tag("span", f"{mark} {classes[label]} ({100 * confidence:.0f} %)", class_=kind)
        return html.stacked(text, note)

    rows: list[list[Text]] = []
    for i in contradictions.order[:SHOWN]:
        truth = int(test.labels[i])
        own = [
            word(
                int(contradictions.answers[i, m]),
                truth,
                float(contradictions.confidence[i, m]),
                _part(shares, i, m),
            )
            for m in range(len(modalities))
        ]
        together = [word(int(answers[i]), truth, float(confidence[i])) for confidence, answers in fused]
        rows.append([test.sample_ids[i], classes[truth], *own, *together])
    names = ["plain sum" if a is result.uniform else a.name for a in _fused(result)]
    head = ["sample", "true class", *modalities, *names]
    caption = (
        f"The modalities name different classes on {len(contradictions.order)} of {len(test.labels)} test samples; "
        "these are the sharpest contradictions. Each cell: the answer with its probability, ✓ right, ✗ wrong"
        + (
            f"; below it the modality's share in the answer of {result.headline.name}."
            if shares is not None
            else "."
        )
    )
    return html.table(head, rows, caption)


def _fused(result: Result) -> list[Allocation]:
    return [result.uniform] if result.headline is result.uniform else [result.uniform, result.headline]


def _shares(result: Result) -> Tensor | None:
    """Each modality's share in the headline's answers [N, M]; None where its parts are not one per modality."""
    allocation, evaluation = result.headline, result.evaluation
    if allocation.allocator is None:
        return None
    parts = allocation.parts(sources(evaluation, "test"))
    if parts.shape[1] != len(evaluation.modalities):
        return None
    return margin_shares(parts.sum(dim=1), parts)


def _part(shares: Tensor | None, i: int, m: int) -> str:
    if shares is None:
        return ""
    share = float(shares[i, m])
    if abs(share) > LARGE:
        return f"share {'above' if share > 0 else 'below'} {100 * math.copysign(LARGE, share):.0f} %"
    return "share undefined" if share != share else f"share {100 * share:.0f} %"
