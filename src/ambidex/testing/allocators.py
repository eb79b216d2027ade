"""What every allocator must satisfy: parts that add up, the same once saved and loaded, no matter the order."""

import json
from typing import Any

import torch

from ambidex.decide.allocators import ALLOCATORS, Allocator, Fitted
from ambidex.judge.held_out import HeldOut
from ambidex.testing.expect import Options, expect, expect_close, expect_same
from ambidex.testing.heldouts import THREE, changed, draw, fit, habitual, said

Given = str | type[Allocator]
"""an allocator by its name or its class"""
SIZES = ((1, 3), (6, 3), (2, 2), (1, 2))
"""modalities and classes"""


def check_allocator(allocator: Given, options: Options | None = None) -> list[str]:
    """Hold an allocator, by name or class, to the contract. Returns the names of the checks that it passed.

    Raises CheckError (an AssertionError) with one line. `options`: under which it is fitted, for those whose
    defaults leave few samples at the plain sum.
    """
    settings = options or {}
    parts(allocator, settings)
    factors(allocator, settings)
    saved(allocator, settings)
    record(allocator, settings)
    repeated(allocator, settings)
    order(allocator, settings)
    for modalities, classes in SIZES:
        sizes(allocator, settings, modalities, classes)
    for count in (2, 3):
        few(allocator, settings, count)
    return ["parts", "factors", "saved", "record", "repeated", "order", "sizes", "few"]


def parts(allocator: Given, options: Options) -> Fitted:
    """What each modality adds [N, M, C] sums to the logits [N, C]."""
    new, what = habitual(seed=1, count=60), _what(allocator, options)
    fitted = fit(allocator, habitual(), **options)
    allocated = fitted.allocate(new.stack(fitted.source))
    expect(allocated.shape == (60, 2, 3), f"{what}, allocate", "shape [60, 2, 3]", [*allocated.shape])
    expect_close(f"{what}, sum of the parts", allocated.sum(1), said(fitted, new), rtol=1.3e-6, atol=1e-5)
    return fitted


def factors(allocator: Given, options: Options) -> None:
    """Weights [M, C], where it has such, are the factors of its contributions."""
    new = habitual(seed=1, count=60)
    fitted = fit(allocator, habitual(), **options)
    if (weights := fitted.allocator.weights()) is not None:
        given = new.stack(fitted.source)
        what = f"{_what(allocator, options)}, weights times contributions"
        expect_close(
            what, fitted.allocate(given), given * weights / fitted.temperature, rtol=1.3e-6, atol=1e-5
        )


def saved(allocator: Given, options: Options) -> None:
    """An empty one into which its state is loaded says the same, bit for bit."""
    held = habitual()
    fitted = fit(allocator, held, **options)
    empty = type(fitted.allocator).empty(fitted.allocator.config, 2, 3)
    empty.load_state_dict(fitted.allocator.state_dict())
    actual = {"logits": said(fitted._replace(allocator=empty), held)}
    expect_same(f"{_what(allocator, options)}, saved and loaded", actual, {"logits": said(fitted, held)})


def record(allocator: Given, options: Options) -> Options:
    """How the fit went is JSON without NaN."""
    record = fit(allocator, habitual(), **options).allocator.record
    _expect_json(record, _what(allocator, options))
    return record


def repeated(allocator: Given, options: Options) -> None:
    """Fitted twice it is the same, bit for bit."""
    first, second = (fit(allocator, habitual(), **options).allocator.state_dict() for _ in range(2))
    expect_same(f"{_what(allocator, options)}, fitted twice", second, first)


def order(allocator: Given, options: Options) -> None:
    """Permuting the modalities permutes parts and weights, and leaves the logits."""
    turn, what = [2, 0, 1], f"{_what(allocator, options)}, modalities in another order"
    held, new = habitual(third=True), habitual(seed=1, count=60, third=True)
    turned, turned_new = (changed(h, lambda z: z[:, turn]) for h in (held, new))
    straight, other = fit(allocator, held, **options), fit(allocator, turned, **options)
    expect(straight.source == other.source, what, f"source {straight.source}", other.source)
    expect_close(f"{what}, logits", said(other, turned_new), said(straight, new), atol=2e-5, rtol=1e-5)
    pieces = straight.allocate(new.stack(straight.source))[:, turn]
    turned_pieces = other.allocate(turned_new.stack(other.source))
    expect_close(f"{what}, parts", turned_pieces, pieces, atol=1e-4, rtol=1e-4)
    weights, turned_weights = straight.allocator.weights(), other.allocator.weights()
    if weights is not None and turned_weights is not None:
        expect_close(f"{what}, weights", turned_weights, weights[turn], atol=1e-4, rtol=1e-4)


def sizes(allocator: Given, options: Options, modalities: int, classes: int) -> None:
    """Any number of modalities and classes gives finite logits [N, C]."""
    held = draw([[1.0 + i / 5] * classes for i in range(modalities)], 60, group_size=3)
    fitted = fit(allocator, held, **options)
    what = f"{_what(allocator, options)}, {modalities} modalities and {classes} classes"
    expect(said(fitted, held).shape == (60, classes), what, [60, classes], [*said(fitted, held).shape])
    _expect_finite(what, fitted, held)
    _expect_json(fitted.allocator.record, what)


def few(allocator: Given, options: Options, count: int) -> None:
    """So few samples are enough to run."""
    fitted = fit(allocator, draw(THREE, count), **options)
    what = f"{_what(allocator, options)}, {count} samples"
    _expect_finite(what, fitted, draw(THREE, 30, seed=1))
    _expect_json(fitted.allocator.record, what)


def _expect_finite(what: str, fitted: Fitted, held: HeldOut) -> None:
    finite = bool(torch.isfinite(said(fitted, held)).all())
    expect(finite, what, "finite logits", "NaN or infinity")


def _expect_json(record: Any, what: str) -> None:
    try:
        json.dumps(record, allow_nan=False)
    except (TypeError, ValueError) as error:
        expect(False, f"{what}, record", "JSON without NaN", error)


def _what(allocator: Given, options: Options) -> str:
    name = allocator if isinstance(allocator, str) else ALLOCATORS.name_of(allocator)
    return f"allocator {name} with {options}" if options else f"allocator {name}"
