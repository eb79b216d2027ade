"""Augmentation: seeded draws, masks, crops and flips against slow, plain computations."""

from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ambidex.data.augment import augment
from ambidex.data.draws import Draws
from ambidex.data.kinds._crops import _boxes, _crop_each, _crop_together
from ambidex.data.kinds._pictures import FramesAugment
from ambidex.data.kinds._spectrogram import SpectrogramAugment
from ambidex.data.kinds.vector import VectorAugment
from ambidex.learn.loop.batches import Batches
from helpers.memory_store import MemoryStore


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draws(count: int, seed: int = 0) -> Draws:
    return Draws(seeded(seed), count)


def frames(batch: int = 6, count: int = 2, size: int = 24) -> Tensor:
    return torch.randint(0, 256, (batch, count, 3, size, size), dtype=torch.uint8, generator=seeded(9))


INPUTS = {
    "audio": torch.randn(6, 20, 30, generator=seeded(7)),
    "visual": frames(),
    "text": torch.randn(6, 5, generator=seeded(8)),
}
PARAMS = {
    "audio": SpectrogramAugment(kind="spectrogram", frequency_mask=0.3, time_mask=0.3, time_shift=0.2),
    "visual": FramesAugment(kind="frames"),
    "text": VectorAugment(kind="vector", noise=0.5),
}
STDS = {"text": torch.ones(5)}


def spectrogram(x: Tensor, seed: int = 0, **strength: float) -> Tensor:
    off = {"frequency_mask": 0.0, "time_mask": 0.0, "time_shift": 0.0}
    config = SpectrogramAugment(kind="spectrogram", **{**off, **strength})
    return augment({"a": x}, {"a": config}, draws(len(x), seed), {})["a"]


def test_the_generator_alone_decides_and_the_global_one_is_untouched():
    before = torch.get_rng_state()
    first, again = (augment(INPUTS, PARAMS, draws(6, 3), STDS) for _ in range(2))
    other = augment(INPUTS, PARAMS, draws(6, 4), STDS)
    assert torch.equal(torch.get_rng_state(), before)
    for name, x in INPUTS.items():
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], other[name])
        assert not torch.equal(first[name], x)
        assert (first[name].dtype, first[name].shape) == (x.dtype, x.shape)


@pytest.mark.parametrize("cuts", [(0, 6), (0, 3, 6), (0, 1, 5, 6)])
def test_a_sample_draws_by_its_place_in_the_whole_step(cuts: tuple[int, ...]):
    whole = augment(INPUTS, PARAMS, draws(6, 3), STDS)
    for start, stop in pairwise(cuts):
        part = slice(start, stop)
        found = augment({m: x[part] for m, x in INPUTS.items()}, PARAMS, Draws(seeded(3), 6, part), STDS)
        assert all(torch.equal(found[m], x[part]) for m, x in whole.items())


def _shared_out(ranks: int, accumulate: int) -> list[tuple[list[int], dict[str, Tensor]]]:
    """Each step's rows and augmented inputs: what all ranks' micro-batches hold, one after the other."""
    store: Any = MemoryStore(("audio", "visual", "touch"))
    params = dict(zip(store.modalities, PARAMS.values(), strict=True))
    device = torch.device("cpu")
    served = [
        list(
            Batches(store, store.modalities, params, 0, device, rank, ranks).epoch("train", 1, 10, accumulate)
        )
        for rank in range(ranks)
    ]
    steps = []
    for parts in zip(*served, strict=True):
        batches = [batch for _, micro_batches in parts for batch in micro_batches]
        inputs = {m: torch.cat([batch.inputs[m] for batch in batches]) for m in store.modalities}
        steps.append((torch.cat([batch.rows for batch in batches]).tolist(), inputs))
    return steps


@pytest.mark.parametrize(("ranks", "accumulate"), [(2, 1), (1, 3), (2, 2)])
def test_ranks_and_micro_batches_augment_as_one_process(ranks: int, accumulate: int):
    """24 samples in steps of 10, 10 and 4."""
    expected, found = _shared_out(1, 1), _shared_out(ranks, accumulate)
    assert [len(rows) for rows, _ in expected] == [10, 10, 4]
    for (rows, inputs), (same_rows, others) in zip(expected, found, strict=True):
        assert rows == same_rows
        assert all(torch.equal(others[m], x) for m, x in inputs.items())
    store = MemoryStore(("audio", "visual", "touch"))
    assert not torch.equal(expected[0][1]["audio"], store.data["audio"][torch.tensor(expected[0][0])])


def test_the_inputs_are_not_written_to():
    before = {name: x.clone() for name, x in INPUTS.items()}
    augment(INPUTS, PARAMS, draws(6), STDS)
    assert all(torch.equal(before[name], x) for name, x in INPUTS.items())


def test_without_an_entry_or_with_zero_strength_the_same_object_passes():
    off = {
        "audio": SpectrogramAugment(kind="spectrogram", frequency_mask=0, time_mask=0, time_shift=0),
        "visual": FramesAugment(kind="frames", min_area=1.0, flip=0.0),
        "text": VectorAugment(kind="vector", noise=0),
    }
    for params in ({}, off):
        out = augment(INPUTS, params, draws(6), STDS)
        assert all(out[name] is x for name, x in INPUTS.items())


@pytest.mark.parametrize(("key", "axis"), [("frequency_mask", 1), ("time_mask", 2)])
def test_a_mask_is_one_band_of_bounded_width_filled_with_the_mean(key: str, axis: int):
    x = torch.randn(400, 10, 20, generator=seeded(1))
    out = spectrogram(x, **{key: 0.3})
    changed = out != x
    across = changed.all(dim=3 - axis)
    assert torch.equal(changed.any(dim=3 - axis), across)  # a band covers the whole other axis
    widths = across.sum(1)
    assert set(widths.tolist()) == set(range(int(0.3 * x.shape[axis]) + 1))
    edges = (across[:, 1:] != across[:, :-1]).sum(1) + across[:, 0] + across[:, -1]
    assert set(edges.tolist()) == {0, 2}  # one run of places, or none
    assert across.any(0).all()  # every place is masked in some sample, the last one too
    mean = x.mean((1, 2), keepdim=True).expand_as(x)
    assert torch.equal(out[changed], mean[changed])


def test_a_time_shift_is_a_roll_within_its_bound():
    x = torch.randn(200, 3, 20, generator=seeded(1))
    out = spectrogram(x, time_shift=0.1)
    found = [[s for s in range(-10, 10) if torch.equal(b, a.roll(s, 1))] for a, b in zip(x, out, strict=True)]
    assert {shifts[0] for shifts in found if len(shifts) == 1} == {-2, -1, 0, 1, 2}
    assert all(len(shifts) == 1 for shifts in found)


def test_identical_frames_stay_identical():
    same = frames(count=1).expand(-1, 4, -1, -1, -1)
    out = augment({"v": same}, {"v": FramesAugment(kind="frames", min_area=0.3)}, draws(6), {})["v"]
    assert all(torch.equal(out[:, 0], out[:, i]) for i in range(1, 4))


def test_flip_alone_reverses_the_columns_of_about_half_the_samples():
    x = frames(batch=200, count=1, size=8)
    out = augment({"v": x}, {"v": FramesAugment(kind="frames", min_area=1.0, flip=0.5)}, draws(200), {})["v"]
    kept = [torch.equal(a, b) for a, b in zip(x, out, strict=True)]
    turned = [torch.equal(a.flip(-1), b) for a, b in zip(x, out, strict=True)]
    assert all(k != t for k, t in zip(kept, turned, strict=True))
    assert 70 < sum(turned) < 130
    always = augment({"v": x}, {"v": FramesAugment(kind="frames", min_area=1.0, flip=1.0)}, draws(200), {})[
        "v"
    ]
    assert torch.equal(always, x.flip(-1))


def test_crops_lie_inside_and_keep_the_drawn_area_and_aspect():
    height, width = 300, 200
    top, left, high, wide = _boxes(height, width, 0.4, draws(5000)).double().unbind(1)
    assert top.min() == 0
    assert left.min() == 0
    assert (top + high).max() == height
    assert (left + wide).max() == width
    area = high * wide / (height * width)
    assert area.min() > 0.39
    assert area.max() <= 1
    assert abs(area.mean() - 0.7) < 0.01  # uniform on [0.4, 1]
    aspect = (wide / width) / (high / height)
    assert aspect.min() > 0.73
    assert aspect.max() < 1.36
    assert {0, 1} == set(top[high == height - 1].tolist()) == set(left[wide == width - 1].tolist())


def test_a_crop_is_the_bilinear_resize_of_its_slice_on_both_paths():
    x = frames(size=25)[..., :20]
    boxes = _boxes(25, 20, 0.3, draws(len(x)))
    flips = torch.tensor([True, False] * 3)
    expected = torch.empty(x.shape)
    for i, (top, left, high, wide) in enumerate(boxes.tolist()):
        crop = x[i, :, :, top : top + high, left : left + wide].double()
        crop = F.interpolate(crop, size=(25, 20), mode="bilinear", align_corners=False)
        expected[i] = crop.flip(-1) if flips[i] else crop
    assert (_crop_each(x, boxes, flips) - expected).abs().max() <= 1.01
    assert (_crop_together(x, boxes, flips) - expected).abs().max() <= 0.51
    assert (_crop_together(x.float(), boxes, flips) - expected).abs().max() < 1e-2


def test_vector_noise_is_in_units_of_each_standard_deviation():
    std = torch.tensor([0.1, 1.0, 10.0])
    x = torch.full((20_000, 3), 5.0)
    config = VectorAugment(kind="vector", noise=0.3)
    noise = augment({"t": x}, {"t": config}, draws(len(x)), {"t": std})["t"] - x
    assert torch.allclose(noise.std(0), 0.3 * std, rtol=0.02)
    assert (noise.mean(0).abs() < 0.01 * std).all()
    with pytest.raises(ValueError, match="standard deviation"):
        augment({"t": x}, {"t": config}, draws(len(x)), {})
