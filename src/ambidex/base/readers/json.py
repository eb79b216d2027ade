"""Reading JSON: bounded in size, depth and length of numbers; no NaN, no key twice."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ambidex.base.errors import AmbidexError, DataError
from ambidex.base.readers.schema import Record, check
from ambidex.base.readers.source import MEBIBYTE, Source, read_text

DEPTH = 32
DIGITS = 20
"""of a whole number: 2^64 has as many"""
VALUES = 5_000_000
"""entries of all lists and objects together"""


class _WrongError(Exception):
    """What is wrong, to be said with the file's name."""


def read_json(
    path: Path,
    schema: type[Record] | None = None,
    *,
    error: type[AmbidexError] = DataError,
    hint: str = "",
    limit: int = 64 * MEBIBYTE,
) -> Any:
    """The value of a JSON file, checked against `schema` where there is one (then it is an object).

    Raises `error` with one line, which `hint` (what to do) ends: unreadable, too large, not JSON, of another form.
    """
    source = Source(str(path), error, hint)
    value = parse_json(read_text(path, source, limit), source)
    return value if schema is None else check(value, schema, source)


def parse_json(text: str, source: Source) -> Any:
    """The value that `text` describes. Raises the error of `source`."""
    if text.count(",") + text.count("[") + text.count("{") > VALUES:
        raise source.wrong(f"holds more than {VALUES:,} values")
    try:
        value = json.loads(
            text,
            parse_int=_whole,
            parse_float=_decimal,
            parse_constant=_constant,
            object_pairs_hook=_mapping,
        )
    except json.JSONDecodeError as error:
        raise source.wrong(f"is not JSON (line {error.lineno}, column {error.colno}: {error.msg})") from None
    except _WrongError as error:
        raise source.wrong(str(error)) from None
    except RecursionError:
        raise source.wrong(f"is nested deeper than {DEPTH} levels") from None
    if "\\ud" in text.lower() and not _is_text(value):
        raise source.wrong("holds half of a character (a lone surrogate)")
    if deeper(value, DEPTH):
        raise source.wrong(f"is nested deeper than {DEPTH} levels")
    return value


def deeper(value: Any, depth: int) -> bool:
    """Whether lists and objects stand in one another more than `depth` times."""
    level: list[Any] = [value]
    for _ in range(depth):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _is_text(value: Any) -> bool:
    """Whether all text in a value can be written as UTF-8."""
    try:
        return bool(json.dumps(value, ensure_ascii=False).encode())
    except (UnicodeEncodeError, RecursionError):
        return False


def _inside(value: Any) -> Sequence[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [one for one in inner if isinstance(one, dict | list)]


def _whole(text: str) -> int:
    if len(text.lstrip("-")) > DIGITS:
        raise _WrongError(
            f"holds a whole number of {len(text.lstrip('-')):,} digits, expected at most {DIGITS}"
        )
    return int(text)


def _decimal(text: str) -> float:
    if math.isinf(value := float(text)):
        raise _WrongError("holds a number that is too large")
    return value


def _constant(text: str) -> float:
    raise _WrongError(f"holds {text}, which is no number")


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in mapping if names.count(name) > 1)
        raise _WrongError(f"the key '{twice[:80]}' stands there twice")
    return mapping
