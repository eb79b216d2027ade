"""Presets: published settings of a method, put where they stand below what was set explicitly.

`train.preset` names one for whatever method is trained, `methods.LABEL.train.preset` one for that method alone. A
preset stands where it is named: keys beside it win over it (for `train.preset` those of `train` and `methods.LABEL`,
for the other those of `methods.LABEL`), and so does everything given with `--set`. Named with `--set` itself, it wins
over the whole file.

A preset that says anything about the loop does not inherit what our defaults add to it (`PLAIN_LOOP`: cosine, warm-up,
clipping ...). What it sets is written into `methods.LABEL`, its loop into `methods.LABEL.train`, before anything is
recorded or given a fingerprint: whoever reads parameters later reads the resolved ones, and resolving them again
changes nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ambidex.base.cards.card import Preset
from ambidex.base.errors import ParamsError
from ambidex.base.registry import nearest
from ambidex.configuration.optimisation import PLAIN_LOOP
from ambidex.configuration.params import Params
from ambidex.resolve.cell import Cell, plugin_of


def apply_presets(params: Params, overrides: Mapping[str, Any]) -> Params:
    """`params` with what its presets set. `overrides`: what `--set` gave, nested; it wins over the file."""
    methods = dict(params.methods)
    for label in labels(params):
        preset = _asked(params, label)
        if preset is not None and isinstance(_block(methods, label).get("train", {}), Mapping):
            methods[label] = _merged(preset, params, label, overrides)
    return params if methods == params.methods else params.model_copy(update={"methods": methods})


def check_preset(params: Params, label: str) -> None:
    """Raise ParamsError where the method `label` has no preset of the name that is asked for."""
    where, key = _named(params, label)
    presets = _presets(params, label)
    if not key or key in presets:
        return
    message = f"{'.'.join(where)}: method {label} has no preset '{key}'; "
    message += nearest(key, list(presets)) if presets else "it has none"
    if where[0] == "train":
        message += f"; without: methods.{label}.train.preset: null"
    raise ParamsError(message)


def preset_note(cell: Cell) -> str:
    """One line: which preset the method is trained with, and where something else was set; empty without one."""
    preset = _asked(cell.given, cell.label)
    if preset is None:
        return ""
    values = {**cell.config.model_dump(mode="json"), **cell.train.model_dump(mode="json")}
    published = {**preset.options, **_loop(preset)}
    others = [
        f"{key} {_text(values[key])} instead of {_text(value)}"
        for key, value in published.items()
        if values[key] != value
    ]
    difference = f"set otherwise: {', '.join(others)}" if others else "all as published"
    return f"preset {cell.train.preset} of {cell.label}: {difference}"


def labels(params: Params) -> Iterator[str]:
    """Every method that the parameters speak of, once."""
    yield from dict.fromkeys([*params.methods, *params.study.methods, params.train.method])


def _asked(params: Params, label: str) -> Preset | None:
    """The preset that a method is trained with."""
    _, key = _named(params, label)
    return _presets(params, label).get(key) if key else None


def _named(params: Params, label: str) -> tuple[tuple[str, ...], str | None]:
    """Where the preset of a method is named, and its name; None without one."""
    if "preset" in _block(params.methods, label, "train"):
        return ("methods", label, "train", "preset"), params.methods[label]["train"]["preset"]
    return ("train", "preset"), params.train.preset


def _presets(params: Params, label: str) -> Mapping[str, Preset]:
    """The presets of the plug-in behind a label; none where there is no such plug-in, which is refused elsewhere."""
    from ambidex.learn.method import METHODS

    plugin = plugin_of(params, label)
    return METHODS.get(plugin).presets if plugin in METHODS.names() else {}


def _merged(preset: Preset, params: Params, label: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The block `methods.LABEL` with the preset in it."""
    (*parents, name), _ = _named(params, label)
    own, strong = _block(params.methods, label), _block(overrides, "methods", label)
    beside = set(_block(overrides, "train"))
    if name not in _block(overrides, *parents):  # the file names it
        strong = own
        beside |= params.train.model_fields_set if parents == ["train"] else set()
    loop = {key: value for key, value in _loop(preset).items() if key not in beside}
    train = {**_block(own, "train"), **loop, **_block(strong, "train")}
    return {**own, **preset.options, **strong, "train": train}


def _loop(preset: Preset) -> Mapping[str, Any]:
    """The published loop, without what our defaults would add to it; empty where nothing is said of it."""
    return {**PLAIN_LOOP, **preset.train} if preset.train else {}


def _text(value: Any) -> str:
    """A value as params.yaml has it."""
    return "null" if value is None else str(value)


def _block(values: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """What stands at a path; nothing where that is no block."""
    block: Any = values
    for key in path:
        block = block.get(key) if isinstance(block, Mapping) else None
    return block if isinstance(block, Mapping) else {}
