"""What a saved model remembers of validation, so that it can adapt: small, and part of its decision layer."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ambidex.base.convex import Array
from ambidex.base.folds import cluster_of, grouped
from ambidex.decide.adaptation.lapses import fit_lapse_prior, log_beta
from ambidex.decide.adaptation.typicality import Typicality
from ambidex.decide.allocators._calibration import calibrate
from ambidex.decide.allocators._fit import Likelihood
from ambidex.decide.linear_probe import LinearProbe

VERSION = 1
SHRINKAGE = 4.0
"""of the probes' temperatures to 1, as allocators have it by default"""


class AdaptationPrior(nn.Module):
    """Probes with their temperatures, class shares, lapse rates of sound modalities, and typical features."""

    inverse: Tensor
    shares: Tensor
    lapse: Tensor
    accuracy: Tensor

    def __init__(self, dims: Mapping[str, int], classes: int) -> None:
        """Unfitted, for features of `dims` (modality -> D_m) and `classes` C."""
        super().__init__()
        count = len(dims)
        self.probes = nn.ModuleDict({name: LinearProbe(dim, classes) for name, dim in dims.items()})
        self.features = nn.ModuleDict({name: Typicality(dim) for name, dim in dims.items()})
        self.register_buffer("inverse", torch.ones(count))
        self.register_buffer("shares", torch.full((classes,), 1 / classes))
        self.register_buffer("lapse", torch.tensor([0.05, 5.0]).repeat(count, 1))
        self.register_buffer("accuracy", torch.zeros(count))

    @torch.no_grad()
    def fit(self, opinions: Tensor, labels: Tensor, groups: Sequence[str]) -> None:
        """From what the probes say of held-out samples [N, M, C], their labels [N] and groups."""
        classes = opinions.shape[2]
        self.inverse.copy_(torch.from_numpy(calibrate(Likelihood.of(opinions, labels), SHRINKAGE).inverse))
        counts = torch.bincount(labels, minlength=classes) + 1.0
        self.shares.copy_(counts / counts.sum())
        ratios, there = self.ratios(opinions), opinions.ne(0).any(dim=2).numpy()
        units = cluster_of(groups) if grouped(groups) else np.zeros(len(labels), dtype=np.int64)
        y = labels.numpy()
        right = (opinions.argmax(dim=2) == labels[:, None]).numpy()
        for m in range(opinions.shape[1]):
            at_label = ratios[np.arange(len(y)), m, y]
            rows = [np.flatnonzero((units == g) & there[:, m]) for g in range(units.max() + 1)]
            self.lapse[m] = torch.tensor(fit_lapse_prior([at_label[own] for own in rows]))
            self.accuracy[m] = float(right[there[:, m], m].mean()) if there[:, m].any() else 0.0

    def ratios(self, opinions: Tensor) -> Array:
        """What the probes say [N, M, C] -> calibrated q_m[y] / pi[y]; 1 where a sample lacks the modality."""
        z = opinions.cpu().double() * self.inverse.cpu().double()[:, None]
        ratios = z.softmax(dim=2) / self.shares.cpu().double()
        there = opinions.cpu().ne(0).any(dim=2)[:, :, None]
        return torch.where(there, ratios, torch.ones_like(ratios)).numpy()

    def damage(self) -> str | None:
        """The first number that no fit leaves behind, as `tensor: expected ...`; None where there is none."""
        mean, concentration = self.lapse.unbind(dim=1)
        total = float(self.shares.sum())
        expected = {
            "shares: expected numbers above 0 that add up to 1": (self.shares > 0).all()
            and abs(total - 1) < 1e-3,
            "inverse: expected numbers of 0 or more": (self.inverse >= 0).all(),
            "lapse: expected means between 0 and 1": ((mean > 0) & (mean < 1)).all(),
            "lapse: expected concentrations above 0": (concentration > 0).all(),
        }
        for name in self.features:
            usual = self.typicality(name).usual
            place, spread, within, freedom = usual[[1, 3, 4, 5]].tolist()
            fits = place > 0 and spread > 0 and within >= 0 and freedom > 0
            expected[f"features.{name}.usual: expected deviations above 0"] = fits or not usual.any()
        tensors = self.state_dict().items()
        finite = {f"{name}: expected finite numbers": tensor.isfinite().all() for name, tensor in tensors}
        return next((name for name, fits in {**finite, **expected}.items() if not fits), None)

    def log_priors(self) -> Array:
        """Of the lapse rates of sound modalities on the grid [M, G]."""
        return np.stack([log_beta(mean, concentration) for mean, concentration in self.lapse.tolist()])

    def probe(self, modality: str) -> LinearProbe:
        """The probe of one modality."""
        probe = self.probes[modality]
        assert isinstance(probe, LinearProbe)
        return probe

    def typicality(self, modality: str) -> Typicality:
        """What features of one modality are usual."""
        typicality = self.features[modality]
        assert isinstance(typicality, Typicality)
        return typicality
