"""What an evaluation found, in words: what can be repaired at the decision layer, and what cannot.

The decision layer loses something where any of these, all measured on test with frozen encoders, is above chance:
what the allocators recovered; what a joint linear probe on the same features gains over the trained head; what the
best probe of a single modality gains over it. A joint probe below the head shows nothing: it over-fits where
encoders were trained together with their head. An encoder falls short where a probe on the features of a network
trained on that modality alone is better than one on its features: no decision layer mends that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ambidex.diagnose.probes import in_points
from ambidex.report.result import Result
from ambidex.statistics import Comparison, holm

Kind = Literal["decision", "representation", "both", "neither", "undecided"]
SMALL = 0.02
"""an interval that ends below this says that nothing that matters was missed"""
CERTAIN = 0.05
LISTED = 3
"""so many allocators are named in one sentence"""


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
    found = result.diagnoses.get("probes")
    if found is None:
        return Evidence(result.headline.name, recovered)
    gaps = found.metrics
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


def finding(evidence: Evidence) -> Finding:
    """Decision-layer imbalance, representation deficit, both, neither, or undecided, with the numbers."""
    behind = {m: gap for m, gap in evidence.representation.items() if gap.low > 0}
    probed, gained = _probed(evidence), _gained(evidence)
    kind: Kind
    if probed or gained:
        kind = "both" if behind else "decision"
    elif behind:
        kind = "representation"
    else:
        kind = "neither" if _nothing_missed(evidence) else "undecided"
    parts = [repair(evidence), probed, _encoders(evidence, behind), _caveats(evidence)]
    opening = _opening(kind, gained, bool(evidence.representation))
    return Finding(kind, [opening, *(sentence for part in parts for sentence in part)])


def repair(evidence: Evidence) -> list[str]:
    """What the allocators changed: the headline, and those others that differ clearly from the plain sum."""
    sentences = []
    if (own := evidence.recovered.get(evidence.headline)) is not None:
        sure = {"gain": "a clear gain", "loss": "a clear loss", "same": "no clear difference"}[_how(own)]
        sentences.append(
            f"Re-weighting the modalities ({evidence.headline}) changed the plain sum's accuracy by {_points(own)}, "
            f"{sure}."
        )
    for how in ("gain", "loss"):
        clear = {
            name: change
            for name, change in evidence.recovered.items()
            if name != evidence.headline and _how(change) == how
        }
        if clear:
            one = len(clear) == 1
            who = "Another allocator shows" if one else "Other allocators show"
            pick = f"; to pick {'it' if one else 'one of them'} for that would be to pick on test"
            sentences.append(f"{who} a clear {how} ({_largest(clear)}){pick if how == 'gain' else ''}.")
    return sentences


def _largest(changes: Mapping[str, Comparison]) -> str:
    """The largest changes with their intervals; of the others how many there are. The table has them all."""
    order = sorted(changes, key=lambda name: -abs(changes[name].difference))
    told = ", ".join(f"{name} {_points(changes[name])}" for name in order[:LISTED])
    return told + (f" and {len(order) - LISTED} more" if len(order) > LISTED else "")


def _how(change: Comparison) -> str:
    return "gain" if change.low > 0 else "loss" if change.high < 0 else "same"


def _opening(kind: Kind, gained: bool, measured: bool) -> str:
    """The finding itself. `gained`: by an allocator; `measured`: encoders were compared with those trained alone."""
    mended = (
        "re-weighting wins back accuracy"
        if gained
        else "probes show it, the allocators tried did not mend it"
    )
    unknown = "at either layer" if measured else "at the decision layer"
    return {
        "decision": f"Finding: decision-layer imbalance, repairable without touching an encoder ({mended}).",
        "representation": "Finding: a representation deficit, which no decision layer repairs.",
        "both": f"Finding: both layers fall short, the decision layer, which is repairable ({mended}), and the "
        "encoders, which no decision layer repairs.",
        "neither": f"Finding: neither layer falls short by {100 * SMALL:.0f} points or more.",
        "undecided": f"Finding: undecided; on this test set no loss {unknown} can be told from chance.",
    }[kind]


def _gained(evidence: Evidence) -> bool:
    """Whether an allocator is clearly better: the headline, or another after Holm's correction (test picks it)."""
    own = evidence.recovered.get(evidence.headline)
    if own is not None and own.low > 0:
        return True
    corrected = holm([change.p for change in evidence.recovered.values()])
    changes = zip(evidence.recovered.values(), corrected, strict=True)
    return any(change.low > 0 and p < CERTAIN for change, p in changes)


def _probed(evidence: Evidence) -> list[str]:
    """A sentence for each probe that is clearly better than the trained head."""
    found = []
    if evidence.joint is not None and evidence.joint.low > 0:
        found.append(
            f"A linear probe on the same features gains {_points(evidence.joint)} over the trained head."
        )
    if evidence.best is not None and evidence.best[1].low > 0:
        modality, gain = evidence.best
        found.append(f"A probe on {modality} alone gains {_points(gain)} over the whole head.")
    return found


def _encoders(evidence: Evidence, behind: Mapping[str, Comparison]) -> list[str]:
    if not evidence.representation:
        return ["Whether the encoders fall short was not measured: classifiers trained alone were not given."]
    found = [
        f"A probe on features trained on {m} alone gains {_points(gap)} over one on this model's features of {m}: "
        "that part needs other training of the encoder."
        for m, gap in behind.items()
    ]
    rest = {m: gap for m, gap in evidence.representation.items() if m not in behind}
    if rest:
        found.append(f"No clear deficit of features against training alone: {_listed(rest)}.")
    return found


def _caveats(evidence: Evidence) -> list[str]:
    """What a reader may take for evidence and is none."""
    found = []
    if evidence.joint is not None and evidence.joint.high < 0:
        found.append(
            f"That the joint probe is {_points(evidence.joint)} against the trained head shows nothing: a probe "
            "fitted on few samples, or on features trained together with their head, over-fits."
        )
    if dependent := {m: gap for m, gap in evidence.slices.items() if gap.low > 0}:
        found.append(
            "The head's own part for a modality is a worse classifier than a probe on the same features "
            f"({_listed(dependent)}): it does not stand alone, which by itself is no loss of the sum."
        )
    return found


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
