"""Shapley responses: what each modality adds to the logits, valued on coalitions whose other modalities see zeros.

A modality that a sample lacks is no player of its game: coalitions differ for this sample by the others alone, so that
its response is 0 and those of the others are Shapley values of the smaller game.
"""

from collections.abc import Iterable, Mapping
from math import log

import torch
from torch import Tensor

from ambidex.learn.loop.rehearsal import evaluation_mode
from ambidex.net.contributions.shapley import coalitions, shapley
from ambidex.net.encoded import Encoded, Features, features_of, parts_of, presence
from ambidex.net.model import MultimodalNet

LARGEST_LOSS = -log(1e-8)


class Responses:
    """phi_m [B, K] of a batch, as weights [M, 2^M - 1] times the values v(C) of all coalitions but nobody, which is 0.

    v(everybody) is the training pass T, so that sum_m phi_m = T.
    """

    def __init__(self, modalities: tuple[str, ...], device: torch.device) -> None:
        whole = coalitions(modalities)
        self.coalitions = whole[1:]
        """smallest first; the last one is everybody"""
        units = torch.eye(len(whole), dtype=torch.float64)[:, 1:]  # nobody's value has no weight
        game = dict(zip(whole, units, strict=True))
        self.weights = torch.stack(list(shapley(game, modalities).values())).float().to(device)

    def values(self, model: MultimodalNet, present: Features, absent: Features, logits: Tensor) -> Tensor:
        """v(C) [2^M - 1, B, K], in the order of `coalitions`: the head on h_m [B, D_m] of who is present and on
        [1, D_m] of who is absent, in evaluation mode; last T = `logits`."""
        there = parts_of(present)
        gone = {m: there[m].replaced(h) for m, h in absent.items()}
        with evaluation_mode(model.fusion):
            values = [
                model.fuse(features_of({m: there[m] if m in c else gone[m] for m in model.modalities}))[0]
                for c in self.coalitions[:-1]
            ]
        if here := presence(present):
            for number, c in enumerate(self.coalitions[:-1]):
                alone = _has_none(self.coalitions[-1] - c, here, logits)  # but for those in C
                values[number] = torch.where(alone, logits, values[number])
                values[number] = torch.where(_has_none(c, here, logits), 0, values[number])
        return torch.stack([*values, logits]).float()

    @torch.no_grad()
    def losses(self, values: Tensor, labels: Tensor, present: Tensor | None = None) -> Tensor:
        """Sum over the samples of -log max(softmax(phi_m)[y], 1e-8): [M]; of those that have m (`present` [M, B])."""
        with torch.autocast(values.device.type, enabled=False):  # products are in single precision
            responses = torch.einsum("mc,cbk->mbk", self.weights, values)
        log_p = responses.log_softmax(2).gather(2, labels.expand(len(responses), -1)[..., None])
        losses = (-log_p).clamp(max=LARGEST_LOSS)
        return (losses if present is None else torch.where(present[..., None], losses, 0)).sum((1, 2))

    def modulated(self, values: Tensor, factors: Tensor) -> Tensor:
        """T [B, K], whose gradient is that of sum_m phi_m with the one through phi_m multiplied by factors[m]."""
        mean = factors.mean()
        # no matrix product, which autocast rounds; of equal factors T alone has a share, all others exactly 0
        shares = ((factors - mean)[:, None] * self.weights).sum(0)
        shares = torch.cat([shares[:-1], mean[None]])
        flow = (shares[:, None, None] * values).sum(0)
        return values[-1].detach() + (flow - flow.detach())


def encode_resting(
    model: MultimodalNet, inputs: Mapping[str, Tensor], here: Mapping[str, Tensor] | None = None
) -> tuple[Features, Features]:
    """Features in evaluation mode, with gradient where there is one: of `inputs` [B, D_m], and as in `encode_zeros`
    [1, D_m], which as one more sample of the same pass cost next to nothing.

    `here`: of modalities that samples may lack, which have them [B], bool.
    """
    present, absent = {}, {}
    with evaluation_mode(model.encoders), evaluation_mode(model.fill):
        for m in model.modalities:
            own = (here or {}).get(m)
            x = model.normalise[m](inputs[m] if own is None else inputs[m][own])
            features = model.encoder(m)(torch.cat([x, x.new_zeros(1, *x.shape[1:])]))
            present[m], absent[m] = Encoded(features[:-1]), features[-1:]
            if own is not None:
                present[m] = model.fill.spread(m, present[m], own)
    return features_of(present), absent


def encode_zeros(model: MultimodalNet) -> Features:
    """What each encoder makes in evaluation mode of one sample of zeros, which are normalised already: [1, D_m]."""
    device = next(model.parameters()).device
    with evaluation_mode(model.encoders):
        encoders = {m: model.encoder(m) for m in model.modalities}
        return {m: e(torch.zeros(1, *e.spec.shape, device=device)) for m, e in encoders.items()}


def _has_none(modalities: Iterable[str], here: Mapping[str, Tensor], samples: Tensor) -> Tensor:
    """Which of the samples [B] have none of these modalities [B, 1], bool."""
    none = torch.ones(len(samples), 1, dtype=torch.bool, device=samples.device)
    for m in modalities:
        none = none & (~here[m][:, None] if m in here else torch.zeros_like(none))
    return none
