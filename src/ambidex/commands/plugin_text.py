"""What can be said of any plug-in from its class and file: title, text, needs; and columns that are aligned."""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ambidex.learn.needs import Needs


def text(plugin: type[Any]) -> str:
    """The docstring of the plug-in's file, or its own."""
    return inspect.cleandoc(inspect.getdoc(inspect.getmodule(plugin)) or inspect.getdoc(plugin) or "")


def title(plugin: type[Any]) -> str:
    """The first sentence of that, on one line."""
    return first(text(plugin))


def first(words: str) -> str:
    """The first paragraph of a text, on one line."""
    return words.partition("\n\n")[0].replace("\n", " ")


def needs(plugin: Any) -> str:
    """What a method needs of the model, or an allocator of what it weighs; nothing for other plug-ins."""
    if getattr(plugin, "needs_classifiers", False):
        return "classifiers"
    requirements = getattr(plugin, "needs", None)
    if requirements is None:
        return ""
    words = beside_modalities(requirements)
    if not requirements.missing:
        words.append("samples with every modality")
    least, most = requirements.min_modalities, requirements.max_modalities
    if least == most:
        return ", ".join([*words, f"{most} modalities"])
    if most is not None:
        words.append(f"at most {most} modalities")
    if least > 1:
        words.append(f"at least {least} modalities")
    return ", ".join(words)


def beside_modalities(requirements: "Needs") -> list[str]:
    """What a method needs of the model other than a number of modalities."""
    parts = {
        "additive fusion": requirements.additive_head,
        "the classifiers of pretrain": requirements.classifiers,
        "encoders with stages": requirements.stages,
        "encoders that train": bool(requirements.trained),
    }
    return [words for words, needed in parts.items() if needed]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines with aligned columns."""
    widths = _widths(rows)
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table as Markdown that reads well as plain text too: aligned columns."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (head, *rows)]
    widths = _widths(cells)
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]
