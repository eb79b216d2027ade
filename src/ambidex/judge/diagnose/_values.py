"""Numbers as they are written: a value that is not defined is None, and an interval is two more keys."""

from typing import Any


def defined(value: float) -> float | None:
    """`value`, or None where it is not a number."""
    return value if value == value else None


def with_ends(name: str, value: float, ends: tuple[float, float]) -> dict[str, Any]:
    """`name`, `<name>_low` and `<name>_high`, None where undefined."""
    low, high = ends
    return {name: defined(value), f"{name}_low": defined(low), f"{name}_high": defined(high)}
