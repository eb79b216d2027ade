"""A block of parameters: what every section of params.yaml and every plug-in's `Config` is made of."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ambidex.base.readers.schema import shown

LARGEST = 2**32 - 1
"""no whole number of a parameter is larger, whatever its own bounds are: a seed may be that large"""
LARGEST_DECIMAL = 1e38
"""nor any other number: what float32 can hold"""
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A block of parameters: unknown keys are errors, values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @field_validator("*", mode="after")
    @classmethod
    def _no_number_without_sense(cls, value: Any) -> Any:
        for key, number in _numbers(value):
            largest = LARGEST if isinstance(number, int) else LARGEST_DECIMAL
            if abs(number) > largest:
                raise ValueError(f"{key}got {shown(number)}, expected a number of at most {largest:,}")
        return value


def _numbers(value: Any, key: str = "") -> Iterator[tuple[str, float]]:
    """Every number in a value, its lists and its free blocks, with the keys that lead to it, `joint.weight: `."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield (f"{key}: " if key else ""), value
    pairs = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list | tuple)
        else ()
    )
    for name, inner in pairs:
        yield from _numbers(inner, f"{key}.{name}" if key else str(name))
