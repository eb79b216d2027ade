"""The allocators' own parameters: the one place where `evaluate.options`, `evaluate.folds` and `evaluate.seed` meet."""

from collections.abc import Mapping
from typing import Any

from ambidex.configuration.options import plugin_config
from ambidex.decide.allocators import ALLOCATORS

Options = Mapping[str, Mapping[str, Any]]
"""allocator -> what was given for it"""


def allocator_config(name: str, options: Options, folds: int, seed: int) -> Any:
    """The validated Config of allocator `name`: `folds` and `seed`, what `options` give it on top.

    The Config of one that picks among the others holds theirs as well: what `options` give them, and on top what its
    own `options` do. Raises ParamsError for an unknown name or a parameter that does not fit.
    """
    settings = {"folds": folds, "seed": seed, **options.get(name, {})}
    config = plugin_config(ALLOCATORS, name, settings, f"evaluate.options.{name}")
    if not ALLOCATORS.get(name).picks:
        return config
    others = {other: values for other, values in options.items() if other != name}
    merged = {
        other: {**others.get(other, {}), **config.options.get(other, {})} for other in others | config.options
    }
    return config.model_copy(update={"options": merged})
