"""What one task has to do, as text: cells `method/regime/seed` and classifiers `modality/seed`, with spaces between.

Text, because Kubeflow loops over a list of texts without surprises, and a person can write it in a form.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ambidex.base.errors import ParamsError, one_line
from ambidex.base.layout import cell_name

_LABEL = r"[A-Za-z0-9_.-]+"
_SEED = r"[0-9]{1,18}"


@dataclass(frozen=True)
class Cell:
    """One cell of a study."""

    method: str
    regime: str
    seed: str

    @property
    def name(self) -> str:
        """The name of its outputs."""
        return cell_name(self.method, self.regime, int(self.seed))

    @property
    def values(self) -> dict[str, str]:
        """The parameters it replaces."""
        return {"train.method": self.method, "train.regime": self.regime, "train.seed": self.seed}


@dataclass(frozen=True)
class Classifier:
    """One unimodal classifier; seed "": train.seed."""

    modality: str
    seed: str = ""


def cells_of(group: object) -> list[Cell]:
    """The cells of one task. Raises ParamsError where the text is none."""
    return [Cell(*one) for one in _parts(group, rf"({_LABEL})/({_LABEL})/({_SEED})", "joint/scratch/0")]


def classifiers_of(group: object) -> list[Classifier]:
    """The classifiers of one task. Raises ParamsError where the text is none."""
    return [Classifier(*one) for one in _parts(group, rf"({_LABEL})(?:/({_SEED}))?", "audio/0")]


def grouped(items: Sequence[str], most: int) -> list[str]:
    """`items` in even groups of at most `most`; neighbours, which take equally long, go to different ones.

    >>> grouped(["a/0", "a/1", "b/0", "b/1", "c/0"], 2)
    ['a/0 b/1', 'a/1 c/0', 'b/0']
    """
    count = -(-len(items) // most)
    return [" ".join(items[number::count]) for number in range(count)]


def _parts(group: object, pattern: str, example: str) -> list[tuple[str, ...]]:
    words = group.split() if isinstance(group, str) else []
    found = [re.fullmatch(pattern, word) for word in words]
    if not words or not all(found):
        wrong = next((word for word, one in zip(words, found, strict=True) if one is None), group)
        raise ParamsError(
            f"got {one_line(repr(wrong), 80)}, expected text such as '{example}' (several: spaces between)"
        )
    if len(set(words)) < len(words):
        twice = next(word for word in words if words.count(word) > 1)
        raise ParamsError(f"{one_line(repr(twice), 80)} stands twice")
    return [tuple(part or "" for part in one.groups()) for one in found if one is not None]
