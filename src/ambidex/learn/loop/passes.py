"""Passes over a whole split in evaluation mode, shared by the ranks: validation, and features for a method."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ambidex.learn.loop.batches import Batches
from ambidex.learn.loop.by_group import group_weights
from ambidex.learn.loop.encode import encode
from ambidex.learn.loop.kept import Kept
from ambidex.learn.loop.monitor import Totals
from ambidex.learn.loop.ranks import Ranks
from ambidex.learn.loop.rehearsal import evaluating
from ambidex.learn.loop.shares import Shares
from ambidex.learn.method import Phase, Run, Step
from ambidex.net.encoded import Encoded, Features, features_of


@dataclass(frozen=True)
class Passes:
    """Through the model of `run`, in batches of `size` samples."""

    run: Run
    batches: Batches
    ranks: Ranks
    fabric: Any
    size: int
    kept: Kept | None = None
    """features that are not made again"""

    @torch.no_grad()
    def score(self, split: str) -> dict[str, float]:
        """Accuracy (fused and per modality) and mean negative log-likelihood on a split, without augmentation.

        `group_nll` is the mean over groups of their means, where groups differ in size. The model stays in evaluation
        mode.
        """
        model = self.run.model.eval()
        total = len(self.batches.store.rows(split))
        shares, mine = Shares(total, self.size, self.ranks), []
        weights = self._weights(split)
        step = Step(self.run, Phase(), self.ranks.sum)
        for batch in shares.batches(self.batches, split):
            with self.fabric.autocast():
                step.labels, step.features = batch.labels, encode(model, batch, kept=self.kept)
                step.logits, step.contributions = model.fuse(step.features)
                each = F.cross_entropy(step.logits.float(), batch.labels, reduction="none")
                losses = {"nll": each.mean()}
                if weights is not None:
                    losses["group_nll"] = (each * weights[batch.rows].to(each.device)).mean()
                one = Totals()
                one.add(step, losses)
            mine.append(one.sums)
        means = Totals(shares.totals(mine), total).means()
        return {k.removeprefix("loss/"): v for k, v in means.items() if not k.startswith("share/")}

    def _weights(self, split: str) -> Tensor | None:
        """By store row [all rows], how much a sample of the split counts where its groups count alike."""
        store, rows = self.batches.store, self.batches.store.rows(split)
        weights = group_weights([store.groups[row] for row in rows.tolist()])
        if weights is None:
            return None
        whole = torch.zeros(len(store.groups))
        whole[rows] = weights
        return whole

    def sweep(self, split: str, rows: Tensor | None = None) -> tuple[Features, Tensor]:
        """Features [N, D_m] and labels [N] of the split `train` or `val`, or of `rows` of it: see Run.sweep.

        Raises ValueError for another split.
        """
        if split not in ("train", "val"):
            raise ValueError(f"split '{split}': methods may see train and val alone")
        model, store, device = self.run.model, self.batches.store, self.fabric.device
        positions = torch.arange(len(store.rows(split))) if rows is None else rows
        shares = Shares(len(positions), self.size, self.ranks)
        parts = {m: [torch.empty(0, model.encoder(m).dim, device=device)] for m in model.modalities}
        with evaluating(model):
            for batch in shares.batches(self.batches, split, positions):
                with self.fabric.autocast():
                    for m, h in model.encode(batch.inputs, batch.present).items():
                        parts[m].append(h.float())
        features = {m: torch.cat(part) for m, part in parts.items()}
        if self.ranks.count > 1:
            features = {m: shares.joined(h).to(device) for m, h in features.items()}
        samples = store.rows(split)[positions]
        present = {m: has.to(device) for m, has in store.presence(samples).items()}
        encoded = {m: Encoded(h, present=present.get(m)) for m, h in features.items()}
        return features_of(encoded), store.labels[samples].to(device)
