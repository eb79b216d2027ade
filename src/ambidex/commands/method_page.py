"""The page on the methods, docs/methods.md: a table of all, and the sections that `ambidex methods NAME` prints."""

import json
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from ambidex.base.cards.card import Card, Cost, Paper, Preset, Published
from ambidex.commands import plugin_text
from ambidex.commands.entries import blocks
from ambidex.learn.method import METHODS, Method

_HEAD = """\
# Methods

All methods, from the files in `src/ambidex/learn/methods` and the cards and presets beside them. Written by
`make docs`; do not edit.
`ambidex methods NAME` prints a section. [training.md](training.md) says how a method is chosen and how one is added.

A cost counts passes of a batch through the encoders; joint training makes one forward and one backward. Measured times
stand in [benchmarks.md](benchmarks.md). Published numbers come from several laboratories with other splits, frames and
epochs: compare one with joint training of the same row, and with nothing else. Ours stand in [results.md](results.md).
"""
_WIDTH = 110
_NO_CARD = Card(intervenes=(), cost=Cost(words="nobody wrote it down"))
"""of a method from outside that has none"""
_OVERVIEW = ("method", "intervenes in", "modalities", "a sample that lacks one", "cost", "paper")
_NUMBERS = ("data", "result", "joint there", "backbone", "protocol", "source", "how it is known")
_PRESETS = ("preset", "parameters", "train", "source", "how it is known", "left as it is")


def page() -> str:
    """The whole page: this library's own methods, whatever else is installed."""
    methods = {name: METHODS.get(name) for name in METHODS.own()}
    rows = [
        (
            f"[`{name}`](#{name})",
            _places(cls.card),
            _modalities(cls),
            _missing(cls),
            _passes(cls.card.cost),
            _venue(cls.card.paper),
        )
        for name, cls in methods.items()
    ]
    sections = [section(name, cls) for name, cls in methods.items()]
    return "\n".join(
        [_HEAD, *plugin_text.table(_OVERVIEW, rows), "", *"\n\n".join(sections).splitlines(), ""]
    )


def section(name: str, method: type[Method], origin: str = "") -> str:
    """All that is known of one method; `origin`: the distribution that it comes from, if not from this library."""
    card = getattr(method, "card", _NO_CARD)
    lines = [
        f"## {name}",
        "",
        plugin_text.title(method),
        "",
        *_wrapped(method.__doc__ or ""),
        "",
        *_facts(name, method, card, origin),
    ]
    _, _, mathematics = plugin_text.text(method).partition("\n\n")
    lines += ["", "```text", *mathematics.splitlines(), "```"]
    lines += _parameters(name, method)
    if method.presets:
        rows = [_preset(key, preset) for key, preset in method.presets.items()]
        lines += ["", "Presets, `train: {preset: NAME}`:", "", *plugin_text.table(_PRESETS, rows)]
    if card.deviations:
        lines += ["", "Where paper, released code and this file differ:", "", *_points(card.deviations)]
    if card.published:
        rows = list(map(_number, card.published))
        lines += ["", "Published, in percent:", "", *plugin_text.table(_NUMBERS, rows)]
    return "\n".join(lines)


def guards(name: str, method: type[Method]) -> list[str]:
    """What holds a method to its words: its own tests, those of every method, and the faults that these must catch."""
    card = method.card
    checks = [f"tests/learn/test_method_{name}.py"] if card.guards is None else list(card.guards)
    checks.append(f"pytest tests/contract -k {name}")
    acts = method.trains and card.intervenes  # in one that does not there is nothing to get wrong
    return checks + ([f"make mutations METHOD={name}"] if acts else [])


def _facts(name: str, method: type[Method], card: Card, origin: str) -> list[str]:
    facts = {
        "Intervenes in": _places(card),
        "Modalities": "; ".join(filter(None, (_modalities(method), card.modalities))),
        "Needs": "; ".join(filter(None, (*plugin_text.beside_modalities(method.needs), card.needs)))
        or "nothing else",
        "Cost": f"{_passes(card.cost)}; {card.cost.words}",
        "Paper": _citation(card.paper),
    }
    facts["Missing modalities"] = ": ".join(filter(None, (_missing(method), card.missing)))
    if origin:
        facts["Comes from"] = origin
    else:
        facts["Guarded by"] = ", ".join(f"`{text}`" for text in guards(name, method))
    return _points(f"{what}: {text}" for what, text in facts.items())


def _parameters(name: str, method: type[Method]) -> list[str]:
    """A table for each block of the method's own parameters."""
    lines: list[str] = []
    for block in blocks(method.Config, f"methods.{name}"):
        rows = [(f"`{e.key}`", e.type, f"`{e.default}`", e.allowed, e.meaning) for e in block.entries]
        lines += ["", f"Parameters, in `{block.path}`. {block.about}".rstrip(), ""]
        lines += plugin_text.table(("key", "type", "default", "allowed", "meaning"), rows)
    return lines or ["", "It has no parameters."]


def _places(card: Card) -> str:
    return ", ".join(card.intervenes) or "nowhere"


def _modalities(method: type[Method]) -> str:
    least, most = method.needs.min_modalities, method.needs.max_modalities
    if most is None:
        return f"{least} or more" if least > 1 else "any number"
    return f"{most}" if least == most else f"{least} to {most}"


def _missing(method: type[Method]) -> str:
    """What becomes of a sample that lacks a modality."""
    return "taken" if method.needs.missing else "refused"


def _passes(cost: Cost) -> str:
    """Forward and backward passes; with two and three modalities where these differ."""
    two, three = cost.passes(2), cost.passes(3)
    if two == three == (1, 1):
        return "as joint"
    words = "{:.3g} forward, {:.3g} backward".format(*two)
    return words if two == three else words + " for M = 2; {:.3g}, {:.3g} for M = 3".format(*three)


def _venue(paper: Paper | None) -> str:
    return f"{paper.venue} {paper.year}" if paper else "-"


def _citation(paper: Paper | None) -> str:
    if paper is None:
        return "none"
    return ", ".join(filter(None, (paper.authors, f'"{paper.title}"', _venue(paper), paper.link)))


def _number(number: Published) -> tuple[str, ...]:
    spread = "" if number.spread is None else f" ± {number.spread:g}"
    joint = "-" if number.joint is None else f"{number.joint:g}"
    result = f"{number.metric} {number.value:g}{spread}"
    return (number.data, result, joint, number.backbone, number.protocol, number.source, number.evidence)


def _preset(key: str, preset: Preset) -> tuple[str, ...]:
    own, train = _settings(preset.options), _settings(preset.train)
    return (f"`{key}`", own, train, preset.source, preset.evidence, preset.unknown or "-")


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {json.dumps(value).strip(chr(34))}" for key, value in values.items()) or "-"


def _points(lines: Iterable[str]) -> list[str]:
    """A list, wrapped."""
    return [part for line in lines for part in _wrapped(line, "- ")]


def _wrapped(text: str, mark: str = "") -> list[str]:
    """A paragraph as lines that fit a screen."""
    flat, indent = " ".join(text.split()), " " * len(mark)
    return textwrap.wrap(
        flat,
        _WIDTH,
        initial_indent=mark,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
