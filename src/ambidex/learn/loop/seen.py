"""What a step saw in its micro-batches, kept for the method without the graph."""

import torch
from torch import Tensor

from ambidex.learn.loop.batches import Batch
from ambidex.learn.method import Step
from ambidex.net.encoded import Features, each
from ambidex.net.encoded import joined as joined_features

Seen = tuple[Tensor, Tensor, Features, dict[str, Tensor] | None]
"""labels [B], logits [B, C], features [B, D_m] and contributions [B, C] of a micro-batch, detached"""


def detached(step: Step) -> Seen:
    """What the step holds now, without its graph."""
    contributions = step.contributions and {m: z.detach() for m, z in step.contributions.items()}
    features: Features
    if isinstance(step.features, dict):  # pooled features alone
        features = {m: h.detach() for m, h in step.features.items()}
    else:
        features = each(step.features, Tensor.detach)
    return step.labels, step.logits.detach(), features, contributions


def joined_place(micro_batches: list[Batch]) -> slice:
    """Where the samples of all micro-batches stand in the step."""
    return slice(micro_batches[0].place.start, micro_batches[-1].place.stop)


def joined(seen: list[Seen]) -> Seen:
    """All micro-batches as one batch."""
    if len(seen) == 1:
        return seen[0]
    labels, logits, features, contributions = zip(*seen, strict=True)
    parts = None if contributions[0] is None else _side_by_side(contributions)
    return torch.cat(labels), torch.cat(logits), joined_features(features), parts


def _side_by_side(parts: tuple[dict[str, Tensor], ...]) -> dict[str, Tensor]:
    return {m: torch.cat([part[m] for part in parts]) for m in parts[0]}
