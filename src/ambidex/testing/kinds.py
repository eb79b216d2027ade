"""What every kind must satisfy: a sample as it says, statistics that fit it, augmentation by a sample's place,
degradations that keep its shape."""

from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ambidex.configuration.degrade import name_of
from ambidex.data.augment import augment
from ambidex.data.draws import Draws
from ambidex.data.kinds import KINDS, InputSpec, Kind
from ambidex.data.manifest import Row
from ambidex.data.media.limits import DEFAULT
from ambidex.data.moments import Moments
from ambidex.data.ragged import parted
from ambidex.data.store.extraction import extract_sample
from ambidex.net.model import Normalise
from ambidex.testing.expect import Options, expect, expect_same

Given = str | type[Kind]
"""a kind by its name or its class"""
_COPIES = 4
_SEED = 3


def check_kind(kind: Given, cell: str, root: Path, options: Options | None = None) -> list[str]:
    """Hold a kind, by name or class, to the contract, on the sample that `cell` names below `root`.

    Returns the checks' names. Raises CheckError (an AssertionError) with one line.
    """
    cls = KINDS.get(kind) if isinstance(kind, str) else kind
    what = f"kind {KINDS.name_of(cls)} on {cell}"
    given = cls.of(**(options or {}))
    made = given.measured("sample", [Row("s", "a", "train", "", {"sample": cell})], root, DEFAULT)
    sample = extract_sample({"sample": cell}, {"sample": made}, root)["sample"]
    stored(made, what, sample)
    expect(given.fitted(made.shape).shape == made.shape, f"{what}, fitted", made.shape, "another shape")
    spec = described(made, what, sample)
    normalised(spec, what, sample)
    if cls.Augment is not None:
        augmented(made, spec, what, sample)
    degraded(made, spec, what, sample)
    return ["stored", "described", "normalised", "augmented", "degraded"]


def stored(kind: Kind, what: str, sample: NDArray[Any]) -> None:
    """The sample is of the shape and type that the kind says, and finite; a decoding process can be sent the kind."""
    expect(sample.shape == kind.shape, f"{what}, shape", [*kind.shape], [*sample.shape])
    expect(len(kind.axes) == len(kind.shape), f"{what}, axes", f"{len(kind.shape)} names", kind.axes)
    expect(str(sample.dtype) == kind.dtype, f"{what}, type", kind.dtype, sample.dtype)
    expect(bool(np.isfinite(sample).all()), what, "finite values", "others")
    try:
        ForkingPickler.dumps(kind)
    except Exception as error:
        expect(False, what, "a kind that can be sent to a process", error)


def described(kind: Kind, what: str, sample: NDArray[Any]) -> InputSpec:
    """Statistics of parts add up, and the description survives a file. Returns it."""
    moments = kind.moments(sample)
    total = Moments.total([moments, moments])
    assert total is not None
    expect(len(moments.mean) == len(moments.deviation), f"{what}, moments", "as many means", "deviations")
    expect(total.count == 2 * moments.count, f"{what}, moments of two", 2 * moments.count, total.count)
    expect(np.allclose(total.mean, moments.mean), f"{what}, mean of two", moments.mean, total.mean)
    spec = kind.spec(total.mean, total.std)
    expect(InputSpec.from_json(spec.to_json()) == spec, what, "the same description from its JSON", "another")
    expect(spec.owner.tensor == kind.tensor, f"{what}, tensor", kind.tensor, spec.owner.tensor)
    return spec


def normalised(spec: InputSpec, what: str, sample: NDArray[Any]) -> Tensor:
    """What an encoder takes is finite and of the stored shape; padding is zero. Returns it, [1, *shape]."""
    x: Tensor = Normalise(spec)(torch.from_numpy(sample[None].copy()))
    expect([*x.shape] == [1, *spec.shape], f"{what}, normalised", [1, *spec.shape], [*x.shape])
    expect(x.dtype == torch.float32 and bool(x.isfinite().all()), f"{what}, normalised", "finite float32", x)
    if spec.owner.ragged:
        padding = x[~parted(x)[1][..., 0]]
        expect(not padding.any(), f"{what}, padding normalised", "zeros", padding)
    return x


def degraded(kind: Kind, spec: InputSpec, what: str, sample: NDArray[Any]) -> None:
    """Each degradation that takes a sample gives one of the same shape and type, the same for equal draws."""
    for way in kind.degradations:
        name = name_of(way)
        if way.acts_on != "sample":
            continue
        step, before = way(name=name, modality="sample"), sample.copy()
        once, again = (
            step.apply(sample, 0.5, np.random.default_rng(_SEED), np.array(spec.std)) for _ in "ab"
        )
        about = f"{what}, {name}"
        expect((once.shape, once.dtype) == (sample.shape, sample.dtype), about, sample.shape, once.shape)
        expect(bool(np.isfinite(once).all()), about, "finite values", "others")
        expect(np.array_equal(once, again), about, "the same from equal draws", "another")
        expect(np.array_equal(sample, before), about, "its input as it was", "changed")


def augmented(kind: Kind, spec: InputSpec, what: str, sample: NDArray[Any]) -> None:
    """A batch keeps shape and type, is not written to, and each sample draws by its place in the step."""
    assert kind.Augment is not None
    config = kind.Augment(kind=kind.tensor)
    x = torch.from_numpy(np.stack([sample] * _COPIES))
    std = {"sample": torch.tensor(spec.std)}
    before = {"input": x.clone(), "random state": torch.get_rng_state()}

    def some(part: slice) -> Tensor:
        draws = Draws(torch.Generator().manual_seed(_SEED), _COPIES, part)
        return augment({"sample": x[part]}, {"sample": config}, draws, std)["sample"]

    whole = some(slice(0, _COPIES))
    expect((whole.shape, whole.dtype) == (x.shape, x.dtype), f"{what}, augmented", x.shape, whole.shape)
    expect_same(f"{what}, augmented", {"input": x, "random state": torch.get_rng_state()}, before)
    for part in (slice(0, 1), slice(1, _COPIES)):
        expect_same(f"{what}, augmented by place", {"part": some(part)}, {"part": whole[part]})
