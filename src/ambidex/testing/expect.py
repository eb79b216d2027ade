"""What a check says where it fails: one line with the plug-in, what was looked at, what was expected and found."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ambidex.base.errors import one_line
from ambidex.learn.method import METHODS, Method

Options = dict[str, Any]


class CheckError(AssertionError):
    """A plug-in breaks the contract; the message is one line."""


def expect(holds: bool, what: str, expected: object, actual: object) -> None:
    """Raise CheckError unless it `holds`."""
    if not holds:
        raise CheckError(one_line(f"{what}: expected {expected}, got {actual}", 500))


def expect_close(what: str, actual: Tensor, expected: Tensor, rtol: float, atol: float) -> None:
    """Raise CheckError unless both tensors have the same shape and nearly the same numbers."""
    expect(actual.shape == expected.shape, what, f"shape {[*expected.shape]}", [*actual.shape])
    apart = float((actual - expected).detach().abs().max()) if actual.numel() else 0.0
    expect(
        torch.allclose(actual, expected, rtol=rtol, atol=atol, equal_nan=True),
        what,
        f"a difference within {atol} + {rtol} x",
        f"one of {apart:.3g}",
    )


def expect_same(what: str, actual: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise CheckError unless all that is expected is there, bit for bit; there may be more."""
    for key, value in expected.items():
        expect(key in actual, what, f"a tensor {key}", "none")
        expect(torch.equal(actual[key], value), what, f"{key} bit for bit", "another value")


def replaced(thing: object, **hooks: Callable[..., Any]) -> None:
    """From now on this one object calls `hooks` in place of its own methods of these names."""
    vars(thing).update(hooks)


def subject(method: str | type[Method], options: Mapping[str, Any]) -> str:
    """How a check calls a method with its options."""
    name = method if isinstance(method, str) else METHODS.name_of(method)
    return f"method {name} with {dict(options)}" if options else f"method {name}"


def class_of(method: str | type[Method]) -> type[Method]:
    """The class of a method that is given by its name or its class."""
    return METHODS.get(method) if isinstance(method, str) else method


def cases(method: str | type[Method]) -> list[Options]:
    """Its defaults and variants, with what makes it act as soon as it can."""
    cls = class_of(method)
    return [cls.early | options for options in ({}, *filter(None, cls.variants))]
