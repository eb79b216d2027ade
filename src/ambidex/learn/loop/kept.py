"""Features of encoders that stand still: each sample's is made once and kept, bit for bit as in every epoch before.

What a batched product rounds to may depend on the batch's size, so that a kept feature serves batches of that size
alone. A batch of another size, as the last of an epoch is, goes through the encoder. It may depend on a sample's place
in the batch too, as in products of a few widths: of a size whose first batch differs in reverse, none is kept.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ambidex.learn.loop.batches import Batch, Batches
from ambidex.net.additions import Addition
from ambidex.net.encoded import Encoded, Features, features_of
from ambidex.net.model import MultimodalNet

LARGEST = 2**31
"""bytes of all features that are kept on the training device"""


@dataclass
class _Table:
    """One modality's features by store row."""

    features: Tensor
    """[N, D_m]"""
    sizes: Tensor
    """of the batch in which each row's feature was made [N], on the CPU; 0: it has none yet"""


@dataclass
class Kept:
    """Features of some modalities of a net, filled while it trains."""

    modalities: tuple[str, ...]
    samples: int
    tables: dict[str, _Table] = field(default_factory=dict)
    steady: dict[tuple[str, int], bool] = field(default_factory=dict)
    """(modality, batch size) -> whether a feature has the same bits at another place in the batch"""

    def encode(
        self, model: MultimodalNet, batch: Batch, modalities: tuple[str, ...] | None = None
    ) -> Features:
        """As `model.encode` of the batch, or the features of `modalities` alone."""
        names = model.modalities if modalities is None else modalities
        parts = {
            m: Encoded(self._feature(model, m, batch))
            if m in self.modalities
            else model.encoded(m, batch.inputs[m], batch.present.get(m) if modalities is None else None)
            for m in names
        }
        return features_of(parts) if modalities is None else {m: part.pooled for m, part in parts.items()}

    def _feature(self, model: MultimodalNet, m: str, batch: Batch) -> Tensor:
        size, table = len(batch.rows), self.tables.get(m)
        if table is not None and bool((table.sizes[batch.rows] == size).all()):
            return table.features[batch.rows.to(table.features.device)]
        feature = model.encode_one(m, batch.inputs[m])
        if (m, size) not in self.steady:
            reverse = model.encode_one(m, batch.inputs[m].flip(0))
            self.steady[m, size] = torch.equal(feature, reverse.flip(0))
        if not self.steady[m, size]:
            return feature
        if table is None:
            empty = feature.new_empty(self.samples, feature.shape[1])
            table = self.tables[m] = _Table(empty, torch.zeros(self.samples, dtype=torch.int64))
        table.features[batch.rows.to(feature.device)] = feature.detach()
        table.sizes[batch.rows] = size
        return feature


def kept_features(model: MultimodalNet, batches: Batches) -> Kept | None:
    """What can be kept: modalities whose encoder has no weight that trains, and whose samples are not augmented.

    None where there is none, where the head reads tokens, an addition changes what encoders say, or the features would
    take more than LARGEST bytes.
    """
    additions = [one for one in model.additions.values() if isinstance(one, Addition)]
    if model.fusion.reads_tokens or any(type(one).encode is not Addition.encode for one in additions):
        return None
    names = tuple(
        m
        for m in model.modalities
        if model.encoder(m).alone
        and m not in batches.augment
        and m not in batches.store.present
        and not any(parameter.requires_grad for parameter in model.own(m))
    )
    width = sum(model.encoder(m).dim for m in names)
    if not names or 4 * len(batches.store.labels) * width > LARGEST:
        return None
    return Kept(names, len(batches.store.labels))
