"""Fault: one deliberate mistake in one file, and who must notice. Also where all of them are found."""

import importlib
import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class StaleFaultError(Exception):
    """The code that a fault replaces is not there (any more), or more than once."""


@dataclass(frozen=True)
class Fault:
    """Replace `before` by `after` in `file`, and one of the tests of `caught_by` must fail."""

    name: str
    file: str
    """from the project's root"""
    before: str
    """source text that occurs exactly once in the file"""
    after: str
    caught_by: str | tuple[str, ...]
    """pytest ids from the project's root, of a function or of one of its parameter sets"""

    @property
    def tests(self) -> tuple[str, ...]:
        """`caught_by`, always several."""
        return (self.caught_by,) if isinstance(self.caught_by, str) else tuple(self.caught_by)

    def seeded(self, root: Path) -> str:
        """The file's text with the fault in it. Raises StaleFaultError where `before` is not there exactly once."""
        text = (root / self.file).read_text()
        if (count := text.count(self.before)) != 1:
            raise StaleFaultError(
                f"{self.name}: {self.before!r} occurs {count} times in {self.file}, not once"
            )
        return text.replace(self.before, self.after)


def names() -> list[str]:
    """Of all files in faults/."""
    package = importlib.import_module("mutations.faults")
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def faults(chosen: Iterable[str] = ()) -> dict[str, list[Fault]]:
    """The faults of each file of faults/, or of those that are `chosen`."""
    return {name: importlib.import_module(f"mutations.faults.{name}").FAULTS for name in chosen or names()}
