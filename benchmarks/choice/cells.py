"""One cell: a rotation, a way to train and a number of validation groups, as `auto` sees it and as test judges it."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ambidex.base.folds import folds
from ambidex.base.statistics import nll
from ambidex.decide.nearness import Nearness, typicality
from ambidex.judge.held_out import HeldOut
from ambidex.judge.probes import fit_probe
from benchmarks.allocators.heads import BATCH, EPOCHS, STEP, Quick
from benchmarks.allocators.samples import Samples
from benchmarks.choice.rotations import Rotation
from benchmarks.choice.sets import Vectors

FOLDS = 5
METHODS = ("joint", "multi_task")


class Epochs(NamedTuple):
    """A network as it was after every epoch."""

    states: list[dict[str, Tensor]]
    net: Quick


def split(vectors: Vectors, rotation: Rotation) -> Samples:
    """The samples of a rotation, the whole pool as `val`."""
    side = dict.fromkeys(rotation.train, "train") | dict.fromkeys(rotation.test, "test")
    where = np.array([side.get(group, "val") for group in vectors.groups])
    return Samples.of(vectors.modalities, vectors.labels, where, vectors.groups)


def train(samples: Samples, method: str, seed: int, rows: Tensor | None = None) -> Epochs:
    """Adam for 20 epochs on `rows` (missing: those of train); `multi_task` adds the loss of each own head."""
    torch.manual_seed(seed)
    labels = samples.labels
    rows = samples.rows["train"] if rows is None else rows
    net = Quick([x.shape[1] for x in samples.vectors], int(labels.max()) + 1)
    adam = torch.optim.Adam(net.parameters(), lr=STEP)
    states = []
    for _ in range(EPOCHS):
        for batch in rows[torch.randperm(len(rows))].split(BATCH):
            joint, own = net.say(net.features([x[batch] for x in samples.vectors]))
            loss = cross_entropy(joint.sum(dim=1), labels[batch])
            if method == "multi_task":
                loss = loss + sum(cross_entropy(part, labels[batch]) for part in own.unbind(dim=1))
            adam.zero_grad()
            loss.backward()
            adam.step()
        states.append({name: value.detach().clone() for name, value in net.state_dict().items()})
    return Epochs(states, net)


@torch.no_grad()
def best_epoch(epochs: Epochs, samples: Samples, rows: Tensor) -> Quick:
    """The network of the epoch with the lowest NLL on `rows`."""
    losses = []
    for state in epochs.states:
        epochs.net.load_state_dict(state)
        joint = epochs.net.say(epochs.net.features([x[rows] for x in samples.vectors]))[0]
        losses.append(nll(joint.sum(dim=1), samples.labels[rows]))
    epochs.net.load_state_dict(epochs.states[int(np.argmin(losses))])
    return epochs.net


def view(net: Quick, samples: Samples, rows: dict[str, Tensor], method: str) -> dict[str, HeldOut]:
    """All splits of `rows` but train, as the network and probes on its features see them."""
    with torch.no_grad():
        h = net.features(samples.vectors)
        joint, own = net.say(h)
    labels = {name: samples.labels[part] for name, part in rows.items()}
    groups = [samples.groups[i] for i in rows["train"].tolist()]
    probes = [
        fit_probe({name: x[part] for name, part in rows.items()}, labels, joint.shape[2], groups) for x in h
    ]
    views, modalities = {}, tuple(f"m{i}" for i in range(len(h)))
    nearness = {
        m: _near(x[rows["train"]], labels["train"], joint.shape[2])
        for m, x in zip(modalities, h, strict=True)
    }
    for name in rows.keys() - {"train"}:
        part = rows[name]
        sources = {
            "contributions": joint[part],
            "probes": torch.stack([probe.logits[name].float() for probe in probes], dim=1),
            "typicality": typicality(
                nearness, {m: x[part] for m, x in zip(modalities, h, strict=True)}, joint.shape[2]
            ),
        }
        if method == "multi_task":
            sources["own_heads"] = own[part]
        views[name] = HeldOut(modalities, labels[name], [samples.groups[i] for i in part.tolist()], sources)  # type: ignore[arg-type]
    return views


def _near(features: Tensor, labels: Tensor, classes: int) -> Nearness:
    nearness = Nearness(features.shape[1], classes)
    nearness.fit(features, labels)
    return nearness


def rows_of(samples: Samples, groups: list[str]) -> Tensor:
    """The samples of some groups."""
    wanted = set(groups)
    return torch.tensor([i for i, group in enumerate(samples.groups) if group in wanted])


def views(
    vectors: Vectors, rotation: Rotation, method: str, counts: tuple[int, ...]
) -> Iterator[dict[str, HeldOut]]:
    """One training; `val` and `test` for each number of validation groups, which also choose the epoch."""
    samples = split(vectors, rotation)
    epochs = train(samples, method, rotation.number)
    for count in counts:
        rows = {**samples.rows, "val": rows_of(samples, rotation.pool[:count])}
        yield view(best_epoch(epochs, samples, rows["val"]), samples, rows, method)


def cross_fitted(vectors: Vectors, rotation: Rotation, method: str, count: int) -> HeldOut:
    """Every training group as a network sees it that was trained without it; validation groups choose the epoch."""
    samples = split(vectors, rotation)
    everyone, val = samples.rows["train"], rows_of(samples, rotation.pool[:count])
    groups = [samples.groups[i] for i in everyone.tolist()]
    parts = []
    for fold in folds(samples.labels[everyone].numpy(), groups, FOLDS, seed=0):
        held = everyone[torch.from_numpy(fold)]
        rest = everyone[~torch.isin(everyone, held)]
        net = best_epoch(train(samples, method, rotation.number, rest), samples, val)
        parts.append(view(net, samples, {"train": rest, "val": val, "fold": held}, method)["fold"])
    return joined(parts)


def joined(parts: list[HeldOut]) -> HeldOut:
    """All samples of some held-out sets of one origin."""
    sources = {name: torch.cat([part.sources[name] for part in parts]) for name in parts[0].sources}
    groups = [group for part in parts for group in part.groups]
    return HeldOut(parts[0].modalities, torch.cat([part.labels for part in parts]), groups, sources)
