"""Types by key: what a reader trusts in a file, said as a pydantic model, and one line where it is not so."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from ambidex.base.readers.source import Source

_WORDS = {
    "a valid tuple": "a list",
    "Input should be": "expected",
    "a valid integer": "an integer",
    "a valid boolean": "true or false",
    "a valid string": "text",
    "a valid ": "a ",
}
BLOCK = ("model_type", "dict_type", "model_attributes_type")
_SHOWN = 80
T = TypeVar("T")


def _each_once(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{shown(twice)} stands there twice")
    return names


Names = Annotated[list[str], Field(min_length=1), AfterValidator(_each_once)]
"""names (classes, modalities) in their order, none of them twice"""
_FILE = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$"
_FORMS = {_FILE: "a name of letters, digits, '_', '-' and '.' in the same folder"}
"""what a pattern stands for, in words"""
FileName = Annotated[str, StringConstraints(pattern=_FILE)]
"""a file in the folder at hand, never a path out of it"""
FileNames = Annotated[list[FileName], Field(min_length=1), AfterValidator(_each_once)]
"""names (modalities) that files are called by, in their order, none of them twice"""


class Record(BaseModel):
    """The keys of a file that its reader trusts, with their types; other keys may stand beside them."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


def check(value: Any, schema: type[Record], source: Source) -> dict[str, Any]:
    """`value` as it is, where it fits `schema`. Raises the error of `source` with the first key that does not."""
    if not isinstance(value, dict):
        raise source.wrong(f"expected an object of keys and values, found {shown(value)}")
    try:
        schema.model_validate(value)
    except ValidationError as error:
        raise source.wrong(first_mistake(error)) from None
    return value


def build(kind: type[T], values: Any, source: Source, key: str) -> list[T]:
    """A dataclass `kind` of each of the mappings under `key`. Raises the error of `source` where one does not fit."""
    try:
        return TypeAdapter(list[kind]).validate_python(values)  # type: ignore[valid-type]
    except ValidationError as error:
        raise source.wrong(f"{key}.{first_mistake(error)}") from None


@contextmanager
def fitting(source: Source, what: str) -> Iterator[None]:
    """Turn what goes wrong while an object is built of a file's values into the error of `source`: it is not `what`."""
    try:
        yield
    except KeyError as error:
        raise source.wrong(
            f"is not {what}: key {shown(error.args[0] if error.args else '')} is missing"
        ) from None
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError, RuntimeError) as error:
        raise source.wrong(f"is not {what} ({str(error).partition(chr(10))[0][:120]})") from None


def first_mistake(error: ValidationError) -> str:
    """`key.path: got 3, expected text` of the first mistake; how many more there are."""
    first, *rest = error.errors(include_url=False)
    key = ".".join(str(part)[:_SHOWN] for part in first["loc"] if not str(part).startswith("function-"))
    if first["type"] == "missing":
        text = "missing"
    elif first["type"] == "value_error":
        text = str(first.get("ctx", {}).get("error"))
    elif first["type"] == "extra_forbidden":
        text = "unknown key"
    elif first["type"] == "string_pattern_mismatch":
        pattern = first.get("ctx", {}).get("pattern", "")
        text = f"got {shown(first['input'])}, expected {_FORMS.get(pattern, f'text that matches {pattern}')}"
    elif first["type"] in BLOCK:
        text = f"got {shown(first['input'])}, expected a block of keys and values"
    else:
        text = f"got {shown(first['input'])}, {expected(first['msg'])}"
    return f"{key}: {text}" + (f" (and {len(rest)} more)" if rest else "")


def expected(message: str) -> str:
    """Pydantic's message as the second half of our sentence."""
    message = message.partition(", unable to")[0].partition(", got ")[0]
    for theirs, ours in _WORDS.items():
        message = message.replace(theirs, ours)
    return message[0].lower() + message[1:]


def shown(value: Any) -> str:
    """`value` as the user may have written it, short enough for a line."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 10**_SHOWN:
        return f"a whole number of more than {_SHOWN} digits"
    if isinstance(value, str):
        return repr(value if len(value) <= _SHOWN else f"{value[: _SHOWN - 3]}...")
    if isinstance(value, dict | list | tuple | set):
        return _block(value)
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _block(value: Any) -> str:
    """A small list or mapping as it is, a large one in words: to write it out could take gigabytes."""
    flat = not any(isinstance(inner, dict | list | tuple | set) for inner in value)
    if flat and not isinstance(value, dict) and len(value) <= 8:
        return "[" + ", ".join(shown(inner) for inner in value)[:_SHOWN] + "]"
    return f"a block of {len(value)} keys" if isinstance(value, dict) else f"a list of {len(value)} values"
