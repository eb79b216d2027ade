"""What an evaluation found, in words: what can be repaired at the decision layer, and what cannot.

The decision layer loses something where any of these, all measured on test with frozen encoders, is above chance after
correction for the comparisons of its kind (`ambidex.report.clarity`):
what the allocators recovered; what a joint linear probe on the same features gains over the trained head; what the
best probe of a single modality gains over it. A joint probe below the head shows nothing: it over-fits where
encoders were trained together with their head. An encoder falls short where a probe on the features of a network
trained on that modality alone is better than one on its features: no decision layer mends that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ambidex.base.statistics import Comparison
from ambidex.judge.diagnose.probes import in_points
from ambidex.report.clarity import ALONE, ALONE_MANY, Clarity, Judgement, judge_changes
from ambidex.report.result import Result

Kind = Literal["decision", "representation", "both", "neither", "undecided"]
SMALL = 0.02
"""an interval that ends below this says that nothing that matters was missed"""
JOINT = "joint probe"
LISTED = 3
"""the most allocators that one sentence names"""


@dataclass(frozen=True)
class Evidence:
    """Paired differences of accuracy on test."""

    headline: str
    """the allocator whose result is the model's"""
    recovered: Mapping[str, Comparison]
    """allocator -> its accuracy - that of the plain sum"""
    joint: Comparison | None = None
    """joint probe - trained head"""
    best: tuple[str, Comparison] | None = None
    """the modality with the best probe on held-out samples, and that probe - trained head"""
    slices: Mapping[str, Comparison] = field(default_factory=dict)
    """probe of a modality - the head's contribution of it"""
    representation: Mapping[str, Comparison] = field(default_factory=dict)
    """probe on features trained alone - probe on these features; empty where those were not given"""


@dataclass(frozen=True)
class Finding:
    """The finding: which of the two layers falls short, and why in sentences."""

    kind: Kind
    sentences: list[str]


def evidence_of(result: Result) -> Evidence:
    """What the allocators and, where it ran, the diagnostic `probes` measured."""
    recovered = {
        a.name: Comparison(**a.against_uniform["accuracy"]) for a in result.fitted if a.against_uniform
    }
    probes = result.diagnoses.get("probes")
    if probes is None:
        return Evidence(result.headline.name, recovered)
    gaps = probes.metrics
    best = dict(gaps["best_alone"])
    return Evidence(
        result.headline.name,
        recovered,
        Comparison(**gaps["decision_gap"]),
        (best.pop("modality"), Comparison(**best)),
        {m: Comparison(**gap) for m, gap in gaps["head_slice_gap"].items()},
        {m: Comparison(**gap) for m, gap in gaps["representation_gap"].items()},
    )


def verdict(result: Result) -> list[str]:
    """The finding, first in one sentence, then why; of a single modality what the repair changed."""
    evidence = evidence_of(result)
    if len(result.evaluation.modalities) > 1:
        return finding(evidence).sentences
    return repair(evidence) or [""]


@dataclass(frozen=True)
class State:
    """What the finding depends on: what is clear after correction in each family of comparisons. Its words are here."""

    headline: str
    own: Clarity | None = None
    """of the headline's allocator; None where that is the plain sum"""
    other: bool = False
    """another allocator is clearly better"""
    probed: bool = False
    """a probe is clearly better than the trained head"""
    behind: bool = False
    """an encoder falls clearly short of one trained alone"""
    measured: bool = False
    """encoders were compared with those trained alone"""
    nothing_missed: bool = False
    """every interval ends below what matters"""

    @property
    def kind(self) -> Kind:
        """Which layer falls short."""
        if self.own == "better" or self.other or self.probed:
            return "both" if self.behind else "decision"
        if self.behind:
            return "representation"
        return "neither" if self.nothing_missed else "undecided"

    @property
    def opening(self) -> str:
        """The finding itself."""
        layer = "at either layer" if self.measured else "at the decision layer"
        loss = "" if self.own != "worse" else f", but re-weighting ({self.headline}) itself loses accuracy"
        return {
            "decision": f"Finding: the decision layer falls short; {self._mended}.",
            "representation": f"Finding: the encoders fall short, which no decision layer repairs{loss}.",
            "both": f"Finding: both layers fall short. The decision layer: {self._mended}. The encoders: no decision "
            "layer repairs that.",
            "neither": f"Finding: neither layer falls short by {100 * SMALL:.0f} points or more{loss}.",
            "undecided": f"Finding: undecided; on this test set, after correction for all comparisons, no loss {layer} "
            f"can be told from chance{loss}.",
        }[self.kind]

    @property
    def _mended(self) -> str:
        """What became of the loss at the decision layer."""
        if self.own == "better":
            return f"re-weighting ({self.headline}) wins back accuracy, without touching an encoder"
        effect = {
            None: "the headline is the plain sum",
            "worse": f"re-weighting ({self.headline}) loses accuracy",
        }.get(self.own, f"re-weighting ({self.headline}) does not clearly win it back")
        if self.other:
            return f"{effect}, another allocator does better, without touching an encoder"
        return f"probes show it; {effect}" + (
            "" if self.own else ", and no allocator tried clearly wins it back"
        )


def finding(evidence: Evidence) -> Finding:
    """Loss at the decision layer, representation deficit, both, neither, or undecided, with the numbers."""
    changes = judge_changes(evidence.recovered, evidence.headline)
    encoders = judge_changes(evidence.representation, "")
    probes = judge_changes(_probes(evidence), "")
    own = changes.get(evidence.headline)
    state = State(
        evidence.headline,
        own.clarity if own else None,
        any(changes[name].clarity == "better" for name in _unplanned(evidence)),
        any(j.clarity == "better" for j in probes.values()),
        any(j.clarity == "better" for j in encoders.values()),
        bool(evidence.representation),
        _nothing_missed(evidence),
    )
    parts = [repair(evidence), _probed(evidence, probes), _encoders(evidence, encoders), _caveats(evidence)]
    return Finding(state.kind, [state.opening, *(sentence for part in parts for sentence in part)])


def repair(evidence: Evidence) -> list[str]:
    """What the allocators changed: the headline, and those others that differ from the plain sum, clearly or not."""
    changes = judge_changes(evidence.recovered, evidence.headline)
    sentences = []
    if (own := evidence.recovered.get(evidence.headline)) is not None:
        sentences.append(
            f"Re-weighting the modalities ({evidence.headline}) changed the plain sum's accuracy by {_points(own)}, "
            f"{changes[evidence.headline].change}."
        )
    for clarity in ("better", "worse", "alone"):
        alike = {
            name: evidence.recovered[name]
            for name in _unplanned(evidence)
            if changes[name].clarity == clarity
        }
        if alike:
            sentences.append(_others(alike, changes[next(iter(alike))]))
    return sentences


def _unplanned(evidence: Evidence) -> list[str]:
    """The allocators that changed something else than the headline did."""
    planned = evidence.recovered.get(evidence.headline)
    return [name for name, change in evidence.recovered.items() if change != planned]


def _others(alike: Mapping[str, Comparison], judgement: Judgement) -> str:
    """One sentence for the other allocators of which the same may be said."""
    one = len(alike) == 1
    if judgement.clarity == "alone":
        subject = "Another allocator" if one else "Other allocators"
        words = judgement.words if one else judgement.words.replace(ALONE, ALONE_MANY)
        return f"{subject}: {words} ({_largest(alike)})."
    subject = "Another allocator shows" if one else "Other allocators show"
    warning = f"; to pick {'it' if one else 'one of them'} for that would be to pick on test"
    return f"{subject} {judgement.change} ({_largest(alike)}){warning if judgement.sign > 0 else ''}."


def _largest(changes: Mapping[str, Comparison]) -> str:
    """The largest changes with their intervals; of the others how many there are. The table has them all."""
    order = sorted(changes, key=lambda name: -abs(changes[name].difference))
    text = ", ".join(f"{name} {_points(changes[name])}" for name in order[:LISTED])
    return text + (f" and {len(order) - LISTED} more" if len(order) > LISTED else "")


def _probes(evidence: Evidence) -> dict[str, Comparison]:
    """The two probes that may be better than the trained head."""
    probes = {} if evidence.joint is None else {JOINT: evidence.joint}
    return probes if evidence.best is None else {**probes, evidence.best[0]: evidence.best[1]}


def _probed(evidence: Evidence, judgements: Mapping[str, Judgement]) -> list[str]:
    """A sentence for each probe that is better than the trained head, clearly or on its own."""
    sentences = []
    for name, gain in _probes(evidence).items():
        judgement = judgements[name]
        if judgement.up and judgement.clarity in ("better", "alone"):
            probe = "A linear probe on the same features" if name == JOINT else f"A probe on {name} alone"
            head = "the trained head" if name == JOINT else "the whole head"
            caveat = "" if judgement.sign else f", {judgement.words}"
            sentences.append(f"{probe} gains {_points(gain)} over {head}{caveat}.")
    return sentences


def _encoders(evidence: Evidence, judgements: Mapping[str, Judgement]) -> list[str]:
    if not evidence.representation:
        return ["Whether the encoders fall short was not measured: classifiers trained alone were not given."]
    sentences = [
        f"A probe on features trained on {m} alone gains {_points(evidence.representation[m])} over one on this "
        f"model's features of {m}: that part needs other training of the encoder."
        for m, judgement in judgements.items()
        if judgement.clarity == "better"
    ]
    alone = [m for m, judgement in judgements.items() if judgement.clarity == "alone" and judgement.up]
    if alone:
        gaps = {m: evidence.representation[m] for m in alone}
        sentences.append(
            f"A deficit of features against training alone that is {judgements[alone[0]].words}: {_listed(gaps)}."
        )
    rest = {
        m: gap
        for m, gap in evidence.representation.items()
        if judgements[m].clarity != "better" and m not in alone
    }
    if rest:
        sentences.append(f"No clear deficit of features against training alone: {_listed(rest)}.")
    return sentences


def _caveats(evidence: Evidence) -> list[str]:
    """What a reader may take for evidence and is none."""
    sentences = []
    if evidence.joint is not None and evidence.joint.high < 0:
        sentences.append(
            f"That the joint probe is {_points(evidence.joint)} against the trained head shows nothing: a probe "
            "fitted on few samples, or on features trained together with their head, over-fits."
        )
    judgements = judge_changes(evidence.slices, "")
    if dependent := {m: gap for m, gap in evidence.slices.items() if judgements[m].clarity == "better"}:
        sentences.append(
            "The head's own part for a modality is a worse classifier than a probe on the same features "
            f"({_listed(dependent)}): it does not stand alone, which by itself is no loss of the sum."
        )
    return sentences


def _nothing_missed(evidence: Evidence) -> bool:
    """Whether every interval ends below what matters; not where encoders trained alone were not given."""
    if evidence.joint is None or evidence.best is None or not evidence.representation:
        return False
    changes = [evidence.joint, evidence.best[1], *evidence.representation.values()]
    changes += [change for name, change in evidence.recovered.items() if name == evidence.headline]
    return all(change.high < SMALL for change in changes)


def _listed(gaps: Mapping[str, Comparison]) -> str:
    return "; ".join(f"{m} {_points(gap)}" for m, gap in gaps.items())


def _points(change: Comparison) -> str:
    return in_points(change._asdict())
