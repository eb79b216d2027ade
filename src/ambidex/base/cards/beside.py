"""What stands beside the file of a class: `card` in `cards/NAME.py` for the class in `NAME.py`, found by name.

It is imported when it is asked for and not before, so that what only computes depends on none of its text.
"""

import importlib
import importlib.util
from typing import Any

_ABSENT = object()


def beside(folder: str, otherwise: object = _ABSENT) -> Any:
    """A class attribute whose value is the name that it has in `folder/NAME.py`, NAME the file of the class.

    A class that sets the attribute itself has that value, and subclasses have it from the nearest of their classes.
    Where there is none `otherwise`; without that, AttributeError.
    """
    return _Beside(folder, otherwise)


def own(cls: type, name: str, folder: str) -> Any:
    """What `cls` itself calls `name`, in its body or beside its file; None where that is nothing, or inherited."""
    value = vars(cls).get(name, _ABSENT)
    value = _read(cls, name, folder) if value is _ABSENT or isinstance(value, _Beside) else value
    return None if value is _ABSENT else value


class _Beside:
    def __init__(self, folder: str, otherwise: object) -> None:
        self.folder, self.otherwise = folder, otherwise

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> Any:
        for cls in owner.__mro__:
            if (value := _read(cls, self.name, self.folder)) is not _ABSENT:
                return value
        if self.otherwise is _ABSENT:
            raise AttributeError(
                f"{owner.__name__} has no {self.name}, neither in its class nor in {self.folder}/"
            )
        return self.otherwise


def _read(cls: type, name: str, folder: str) -> object:
    """The value of `name` in the module beside that of `cls`."""
    package, _, file = cls.__module__.rpartition(".")
    if not package:
        return _ABSENT
    try:
        there = importlib.util.find_spec(f"{package}.{folder}.{file}")
    except ModuleNotFoundError as error:
        if error.name not in (package, f"{package}.{folder}"):
            raise
        there = None
    return _ABSENT if there is None else getattr(importlib.import_module(there.name), name, _ABSENT)
