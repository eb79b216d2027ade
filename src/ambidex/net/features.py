"""Features of stored samples: what the encoders make of them, batch by batch, gathered on the CPU."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from ambidex.data.store.reading import FeatureStore
from ambidex.net.encoded import Features, each, joined
from ambidex.net.model import MultimodalNet


def encoded(
    model: MultimodalNet,
    store: FeatureStore,
    rows: Tensor,
    batch_size: int,
    device: torch.device,
    advance: Callable[[int], None] = lambda count: None,
) -> Features:
    """h_m [N, D_m] float32, and tokens where the head reads such, of the samples at `rows` [N] of the store.

    The model is on `device`; `advance` is told after each batch how many samples it had.
    """
    inputs = batches(store, model.modalities, rows, batch_size, device, advance)
    here = (
        {m: p.to(device) for m, p in store.presence(part).items()} for part in torch.split(rows, batch_size)
    )
    return gathered(model.encode(x, present) for x, present in zip(inputs, here, strict=True))


def batches(
    store: FeatureStore,
    modalities: Sequence[str],
    rows: Tensor,
    batch_size: int,
    device: torch.device,
    advance: Callable[[int], None] = lambda count: None,
) -> Iterator[dict[str, Tensor]]:
    """Stored tensors [B, *shape] of the samples at `rows` [N], at most `batch_size` at a time, on `device`."""
    for batch in torch.split(rows, batch_size):
        yield {m: store.gather(m, batch).to(device) for m in modalities}
        advance(len(batch))


def gathered(parts: Iterable[Features]) -> Features:
    """The features of all batches as one, float32 on the CPU."""
    return joined([each(part, _kept) for part in parts])


def _kept(tensor: Tensor) -> Tensor:
    return (tensor.float() if tensor.is_floating_point() else tensor).cpu()
