"""A trained head and what it sees: validation, and every test group, clean and with one of its modalities broken."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ambidex.decide.nearness import Nearness, typicality
from ambidex.judge.held_out import HeldOut
from ambidex.judge.probes import Probe, fit_probe
from benchmarks.adaptation.sets import EVERY
from benchmarks.allocators.heads import Quick, train
from benchmarks.allocators.samples import Samples

BREAKS = ("noise", "zeros", "frozen")
NOISE = 3.0
"""deviation of the noise, in deviations of the training samples"""


@dataclass(frozen=True)
class View:
    """N samples as a head sees them."""

    held_out: HeldOut
    features: list[Tensor]
    """h_m: M times [N, D_m]"""

    def subset(self, rows: Tensor) -> "View":
        """Some of the samples."""
        return View(self.held_out.subset(rows), [h[rows] for h in self.features])


@dataclass(frozen=True)
class Scene:
    """One trained head."""

    samples: Samples
    net: Quick
    probes: list[Probe]
    own: bool
    """whether its own heads were trained"""

    @classmethod
    def of(cls, name: str, rotation: int, method: str, seed: int) -> "Scene":
        """Train on one rotation of a set."""
        samples = EVERY[name].samples(rotation)
        net = train(samples, method, seed)
        with torch.no_grad():
            features = net.features(samples.vectors)
        labels = {split: samples.labels[rows] for split, rows in samples.rows.items()}
        groups = [samples.groups[i] for i in samples.rows["train"].tolist()]
        probes = [
            fit_probe(
                {s: h[rows] for s, rows in samples.rows.items()},
                labels,
                int(samples.labels.max()) + 1,
                groups,
            )
            for h in features
        ]
        return cls(samples, net, probes, method == "multi_task")

    @cached_property
    def val(self) -> View:
        """Validation."""
        return self.see(self.samples.rows["val"], [x[self.samples.rows["val"]] for x in self.samples.vectors])

    @cached_property
    def nearness(self) -> dict[str, Nearness]:
        """What makes a feature typical, by the place of its modality."""
        train, fitted = self.samples.rows["train"], {}
        with torch.no_grad():
            features = self.net.features([x[train] for x in self.samples.vectors])
        for i, h in enumerate(features):
            fitted[str(i)] = Nearness(h.shape[1], int(self.samples.labels.max()) + 1)
            fitted[str(i)].fit(h, self.samples.labels[train])
        return fitted

    def test(self) -> dict[str, Tensor]:
        """Each test group -> its samples."""
        rows = self.samples.rows["test"]
        names = [self.samples.groups[i] for i in rows.tolist()]
        return {g: rows[torch.tensor([n == g for n in names])] for g in dict.fromkeys(names)}

    @torch.no_grad()
    def see(self, rows: Tensor, vectors: list[Tensor]) -> View:
        """What is said about `rows` [N] where their vectors are `vectors`."""
        features = self.net.features(vectors)
        joint, own = self.net.say(features)
        probes = [
            (h.double() @ p.weight.T + p.bias).float() for h, p in zip(features, self.probes, strict=True)
        ]
        sources = {"contributions": joint, "probes": torch.stack(probes, dim=1)}
        by_name = {str(i): h for i, h in enumerate(features)}
        sources["typicality"] = typicality(self.nearness, by_name, joint.shape[2])
        if self.own:
            sources["own_heads"] = own
        names = tuple(f"m{i}" for i in range(len(vectors)))
        groups = [self.samples.groups[i] for i in rows.tolist()]
        return View(HeldOut(names, self.samples.labels[rows], groups, sources), features)  # type: ignore[arg-type]

    def broken(self, rows: Tensor, modality: int | None, kind: str, seed: int) -> View:
        """`rows` with one modality broken: `noise` added, `zeros` (standardised), or one sample `frozen`."""
        vectors = [x[rows] for x in self.samples.vectors]
        if modality is not None:
            draws = torch.Generator().manual_seed(seed)
            x = vectors[modality]
            if kind == "noise":
                x = x + NOISE * torch.randn(x.shape, generator=draws)
            elif kind == "zeros":
                x = torch.zeros_like(x)
            else:
                x = x[torch.randint(len(x), (1,), generator=draws)].expand_as(x)
            vectors[modality] = x.contiguous()
        return self.see(rows, vectors)
