"""One forward pass of a trained model over the store, cached: every diagnostic and allocator works on it.

A model whose encoders exchange needs one pass more over test: what a stream says without the others is in no feature.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ambidex.base.progress import progress
from ambidex.base.statistics import correct
from ambidex.configuration.params import Evaluate
from ambidex.data.store.reading import FeatureStore
from ambidex.judge.held_out import HeldOut
from ambidex.net.contributions.coalitions import absent_features, contribution_shares, fused
from ambidex.net.encoded import Features, presence
from ambidex.net.features import batches, encoded, gathered
from ambidex.net.model import MultimodalNet


@dataclass(frozen=True)
class Outputs:
    """What the model says about one split. N samples, C classes, float32 on the CPU."""

    split: str
    sample_ids: list[str]
    groups: list[str]
    labels: Tensor
    """[N] int64"""
    features: Features
    """h_m [N, D_m]; with tokens beside it where the head reads such"""
    logits: Tensor
    """z [N, C]"""
    contributions: dict[str, Tensor]
    """z_m [N, C]; exact blocks for additive heads, Shapley over feature coalitions for the others"""
    branches: dict[str, Tensor]
    """what each modality says alone [N, C]: its own head where it has one, else its contribution"""
    contribution_error: dict[str, Tensor] = field(default_factory=dict)
    """standard error [N, C] of each z_m where Shapley values are sampled (above six modalities); else empty"""
    isolated: Features = field(default_factory=dict)
    """h_m [N, D_m] where encoders that exchange are told the training split's average in place of the others; of
    `test` alone, empty where they do not exchange"""

    @property
    def present(self) -> dict[str, Tensor]:
        """Modality -> which samples have it [N], bool, of those modalities that a sample lacks."""
        return presence(self.features)

    def right(self, logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Modality -> whether its `logits` [N, C] are right [N]: 0 or 1 in float64; 0 where a sample lacks it."""
        right = {m: correct(z, self.labels) for m, z in logits.items()}
        return {m: r * self.present[m] if m in self.present else r for m, r in right.items()}

    def own(self, modality: str, logits: Tensor) -> tuple[Tensor, Tensor]:
        """`logits` [N, C] and labels [N] of the samples that have `modality`; of all samples for the fused model."""
        here = self.present.get(modality)
        return (logits, self.labels) if here is None else (logits[here], self.labels[here])

    def has(self, modality: str) -> bool:
        """Whether any sample has it: where none does there is nothing to measure."""
        return modality not in self.present or bool(self.present[modality].any())

    def whole(self) -> Tensor:
        """Which samples have every modality [N], bool."""
        return torch.stack([torch.ones(len(self.labels), dtype=torch.bool), *self.present.values()]).all(
            dim=0
        )

    def stacked(self) -> Tensor:
        """Contributions as one tensor [N, M, C], in the order of the modalities."""
        return torch.stack(list(self.contributions.values()), dim=1)


@dataclass(frozen=True)
class Unimodal:
    """The classifier of one modality trained alone (a pretrain output), seen through the same store."""

    metrics: dict[str, Any]
    """its metrics.json"""
    features: dict[str, Tensor]
    """split -> h_m [N, D_m] of the unimodally trained encoder"""
    logits: dict[str, Tensor]
    """split -> logits [N, C] of the unimodal classifier"""


@dataclass(frozen=True)
class Evaluation:
    """Everything a diagnostic or an allocator may look at."""

    params: Evaluate
    model: MultimodalNet
    """on the CPU, in evaluation mode"""
    classes: tuple[str, ...]
    modalities: tuple[str, ...]
    splits: dict[str, Outputs]
    """`train`, `val`, `test`; no `val` where the store has none and `held_out` stands in"""
    unimodal: dict[str, Unimodal] = field(default_factory=dict)
    """modality -> classifier trained alone; empty where evaluate was not given the encoders"""
    card: dict[str, Any] = field(default_factory=dict)
    """the trained model's run card: method, regime, seed, protocol ..."""
    held_out: HeldOut | None = None
    """the cross-fitted training split, where allocators are fitted on it and on `val`, if there is one"""

    @property
    def train(self) -> Outputs:
        """The split that was trained on: only for probes and the mean feature."""
        return self.splits["train"]

    @property
    def val(self) -> Outputs:
        """The split that everything is fitted on."""
        return self.splits["val"]

    @property
    def judged(self) -> tuple[str, ...]:
        """The splits that the model was not trained on: `val`, where there is one, and `test`."""
        return tuple(name for name in self.splits if name != "train")

    @property
    def test(self) -> Outputs:
        """The split that nothing is fitted on."""
        return self.splits["test"]


def open_store(path: Path, verify: bool = True) -> FeatureStore:
    """Open a feature store for evaluation."""
    return FeatureStore.open(path, verify=verify)


@torch.inference_mode()
def collect(
    model: MultimodalNet,
    store: FeatureStore,
    splits: Sequence[str],
    batch_size: int,
    device: torch.device,
    absent: str = "mean",
    permutations: int = 64,
    seed: int = 0,
) -> dict[str, Outputs]:
    """One forward pass per split: features, logits, contributions and branches, on the CPU.

    For heads that are not additive the contributions are Shapley values over feature coalitions, with absent
    features given by `absent`; above six modalities sampled along `permutations` orders drawn with `seed`.
    """
    model = model.to(device).eval()
    rows = {split: store.rows(split) for split in splits}
    features: dict[str, Features] = {}
    training_totals: list[Tensor] = []
    with progress("evaluate", sum(len(r) for r in rows.values()), "samples") as advance:
        for split in splits:
            nothing = nullcontext(training_totals)
            with nothing if model.exchange is None else model.exchange.listening() as totals:
                features[split] = encoded(model, store, rows[split], batch_size, device, advance)
            training_totals = totals if split == "train" else training_totals
    isolated: Features = {}
    if model.exchange is not None and training_totals and "test" in rows:
        usual = [total / len(rows["train"]) for total in training_totals]
        inputs = batches(store, model.modalities, rows["test"], batch_size, device)
        isolated = gathered(model.isolated(x, usual) for x in inputs)
    model = model.cpu()
    outputs: dict[str, Outputs] = {}
    for split in splits:
        logits, contributions = fused(model, features[split])
        error: dict[str, Tensor] = {}
        if contributions is None:
            background = absent_features(features, features[split], absent)
            shares = contribution_shares(model, features[split], background, permutations, seed)
            contributions, error = shares.phi, shares.error
        outputs[split] = Outputs(
            split=split,
            **_named(store, rows[split]),
            features=features[split],
            logits=logits,
            contributions=contributions,
            branches=model.branches(features[split]) or contributions,
            contribution_error=error,
            isolated=isolated if split == "test" else {},
        )
    return outputs


def _named(store: FeatureStore, rows: Tensor) -> dict[str, Any]:
    """Ids, groups and labels of the samples in `rows`."""
    places = rows.tolist()
    return {
        "sample_ids": [store.sample_ids[i] for i in places],
        "groups": [store.groups[i] for i in places],
        "labels": store.labels[rows],
    }
