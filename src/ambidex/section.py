"""A block of parameters: what every section of params.yaml and every plug-in's `Config` is made of."""

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

LARGEST = 2**32 - 1
"""no number of a parameter is larger, whatever its own bounds are: a seed may be that large"""


class Section(BaseModel):
    """A block of parameters: unknown keys are errors, values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @field_validator("*", mode="after")
    @classmethod
    def _no_number_without_sense(cls, value: Any) -> Any:
        if (number := _too_large(value)) is not None:
            raise ValueError(f"got {number:.4g}, expected a number of at most {LARGEST:,}")
        return value


def _too_large(value: Any) -> float | None:
    """The first number in a value, or in its lists and blocks, that is larger than any parameter may be."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float("inf") if value > 1e300 or value < -1e300 else value if abs(value) > LARGEST else None
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return next((number for one in inner if (number := _too_large(one)) is not None), None)
