"""Quick heads: a small network for each modality, a concat head, and linear probes on what the networks find."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ambidex.judge.held_out import HeldOut
from ambidex.judge.probes import fit_probe
from benchmarks.allocators.opinions import WITH_JOINT
from benchmarks.allocators.samples import Samples

METHODS = ("joint", "multi_task")
EPOCHS, BATCH, STEP, WIDTH = 20, 64, 0.003, 24


class Quick(nn.Module):
    """Encoders D_m -> 24 with a hidden layer, a linear head on all of them, and one on each."""

    def __init__(self, widths: list[int], classes: int) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(
            nn.Sequential(nn.Linear(d, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, WIDTH), nn.ReLU())
            for d in widths
        )
        self.blocks = nn.ModuleList(nn.Linear(WIDTH, classes) for _ in widths)
        self.heads = nn.ModuleList(nn.Linear(WIDTH, classes) for _ in widths)

    def features(self, vectors: list[Tensor]) -> list[Tensor]:
        """h_m: M times [N, 24]."""
        return [encode(x) for encode, x in zip(self.encoders, vectors, strict=True)]

    def say(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Contributions, which add up to the logits, and what the own heads say: [N, M, C] each."""
        joint, own = (
            torch.stack([layer(h) for layer, h in zip(layers, features, strict=True)], dim=1)
            for layers in (self.blocks, self.heads)
        )
        return joint, own


def train(samples: Samples, method: str, seed: int, epochs: int = EPOCHS) -> Quick:
    """Adam for so many `epochs`; `multi_task` adds the own heads' losses, one each, to that of the sum."""
    torch.manual_seed(seed)
    rows, labels = samples.rows["train"], samples.labels
    net = Quick([x.shape[1] for x in samples.vectors], int(labels.max()) + 1)
    adam = torch.optim.Adam(net.parameters(), lr=STEP)
    for _ in range(epochs):
        for batch in rows[torch.randperm(len(rows))].split(BATCH):
            joint, own = net.say(net.features([x[batch] for x in samples.vectors]))
            loss = cross_entropy(joint.sum(dim=1), labels[batch])
            if method == "multi_task":
                for m in range(own.shape[1]):
                    loss = loss + cross_entropy(own[:, m], labels[batch])
            adam.zero_grad()
            loss.backward()
            adam.step()
    return net


def seen(samples: Samples, method: str, seed: int, epochs: int = EPOCHS) -> dict[str, HeldOut]:
    """`val` and `test` as a head trained by `method` and probes on its features say them."""
    net = train(samples, method, seed, epochs)
    with torch.no_grad():
        h = net.features(samples.vectors)
        joint, own = net.say(h)
    by_split = [{name: x[rows] for name, rows in samples.rows.items()} for x in (*h, torch.cat(h, dim=1))]
    labels = {name: samples.labels[rows] for name, rows in samples.rows.items()}
    *single, side_by_side = [fit_probe(x, labels, joint.shape[2]) for x in by_split]
    found = {}
    for name in ("val", "test"):
        rows = samples.rows[name]
        probes = torch.stack([probe.logits[name] for probe in single], dim=1).float()
        sources = {"contributions": joint[rows], "probes": probes}
        third = side_by_side.logits[name].float()[:, None]
        sources[WITH_JOINT] = torch.cat([*sources.values(), third], dim=1)
        if method == "multi_task":
            sources["own_heads"] = own[rows]
        modalities = tuple(f"m{i}" for i in range(len(h)))
        groups = [samples.groups[i] for i in rows.tolist()]
        found[name] = HeldOut(modalities, labels[name], groups, sources)  # type: ignore[arg-type]
    return found
