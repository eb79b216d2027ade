"""Numbers and lists in the sentences of a study."""

from collections.abc import Iterable, Mapping
from typing import Any


def listed(parts: Iterable[str]) -> str:
    """`a, b and c`; empty where there is nothing."""
    *first, last = [*parts] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def within(numbers: Mapping[str, Any], digits: int = 2, factor: float = 1.0, sign: bool = False) -> str:
    """`0.12 (0.10 to 0.15)` from `value` or `difference`, `low` and `high`; `undefined` where there is no value."""
    value = numbers.get("value", numbers.get("difference"))
    if value is None:
        return "undefined"
    text = number(factor * value, digits, sign)
    if numbers["low"] is None or numbers["high"] is None:
        return text
    low, high = (number(factor * numbers[end], digits, sign) for end in ("low", "high"))
    return f"{text} ({low} to {high})"


def number(value: float, digits: int, sign: bool = False) -> str:
    """`value` in words of the page; what prints as zero has no sign."""
    rounded = round(value, digits) or 0.0
    return f"{rounded:+.{digits}f}" if sign and rounded else f"{rounded:.{digits}f}"


def counted(answers: Iterable[str], order: Iterable[str] = ("yes", "no", "undecided")) -> str:
    """`yes in 5 of 6, undecided in 1`, or the answer alone where all agree."""
    votes = list(answers)
    counts = [(word, votes.count(word)) for word in order if word in votes]
    if len(counts) == 1:
        return counts[0][0]
    (word, count), *others = counts
    return ", ".join([f"{word} in {count} of {len(votes)}", *(f"{w} in {n}" for w, n in others)])
