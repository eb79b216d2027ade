"""Shapley responses: what each modality adds to the logits, valued on coalitions whose other modalities see zeros."""

from collections.abc import Mapping
from math import log

import torch
from torch import Tensor

from ambidex.learn.loop.rehearsal import evaluation_mode
from ambidex.net.contributions.shapley import coalitions, shapley
from ambidex.net.encoded import Features
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
        gone = {m: h.expand_as(present[m]) for m, h in absent.items()}
        with evaluation_mode(model.fusion):
            values = [
                model.fuse({m: present[m] if m in c else gone[m] for m in model.modalities})[0]
                for c in self.coalitions[:-1]
            ]
        return torch.stack([*values, logits]).float()

    @torch.no_grad()
    def losses(self, values: Tensor, labels: Tensor) -> Tensor:
        """Sum over the samples of -log max(softmax(phi_m)[y], 1e-8): [M]."""
        with torch.autocast(values.device.type, enabled=False):  # products are in single precision
            responses = torch.einsum("mc,cbk->mbk", self.weights, values)
        chosen = responses.log_softmax(2).gather(2, labels.expand(len(responses), -1)[..., None])
        return (-chosen).clamp(max=LARGEST_LOSS).sum((1, 2))

    def modulated(self, values: Tensor, factors: Tensor) -> Tensor:
        """T [B, K], whose gradient is that of sum_m phi_m with the one through phi_m multiplied by factors[m]."""
        mean = factors.mean()
        # no matrix product, which autocast rounds; of equal factors T alone has a share, all others exactly 0
        shares = ((factors - mean)[:, None] * self.weights).sum(0)
        shares = torch.cat([shares[:-1], mean[None]])
        flow = (shares[:, None, None] * values).sum(0)
        return values[-1].detach() + (flow - flow.detach())


def encode_resting(model: MultimodalNet, inputs: Mapping[str, Tensor]) -> tuple[Features, Features]:
    """Features in evaluation mode, with gradient where there is one: of `inputs` [B, D_m], and as in `encode_zeros`
    [1, D_m], which as one more sample of the same pass cost next to nothing."""
    present, absent = {}, {}
    with evaluation_mode(model.encoders):
        for m in model.modalities:
            x = model.normalise[m](inputs[m])
            features = model.encoder(m)(torch.cat([x, x.new_zeros(1, *x.shape[1:])]))
            present[m], absent[m] = features[:-1], features[-1:]
    return present, absent


def encode_zeros(model: MultimodalNet) -> Features:
    """What each encoder makes in evaluation mode of one sample of zeros, which are normalised already: [1, D_m]."""
    device = next(model.parameters()).device
    with evaluation_mode(model.encoders):
        encoders = {m: model.encoder(m) for m in model.modalities}
        return {m: e(torch.zeros(1, *e.spec.shape, device=device)) for m, e in encoders.items()}
