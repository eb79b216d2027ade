"""Amounts as Kubernetes writes them (resource.Quantity): 4, 500m, 1.5, 16Gi, 2e3. Exact, without rounding."""

import re
from fractions import Fraction

LARGEST = 2**63 - 1
SMALLEST_MEMORY = 64 * 2**20
"""bytes: below this no pod of ours starts; whoever writes `memory: 16` means 16Gi"""
_BINARY = {f"{letter}i": 2 ** (10 * power) for power, letter in enumerate("KMGTPE", 1)}
_DECIMAL = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    **{letter: Fraction(1000**power) for power, letter in enumerate("kMGTPE", 1)},
}
_FORM = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:[eE](?P<exponent>[+-]?[0-9]{1,3})|(?P<suffix>[KMGTPE]i|[numkMGTPE]?))"
)
_EXAMPLES = "an amount such as 4, 500m or 16Gi"
_LONGEST = 40


def parse(text: str) -> Fraction:
    """The amount that `text` stands for. Raises ValueError where Kubernetes knows no such amount.

    >>> parse("1.5Gi"), parse("100m"), parse("2E3")
    (Fraction(1610612736, 1), Fraction(1, 10), Fraction(2000, 1))
    """
    match = _FORM.fullmatch(text) if len(text) <= _LONGEST and text.isascii() else None
    if match is None:
        raise ValueError(f"got {text[:_LONGEST]!r}, expected {_EXAMPLES}{_hint(text)}")
    scale: Fraction | int
    if match["exponent"] is not None:
        scale = Fraction(10) ** int(match["exponent"])
    else:
        scale = _BINARY.get(match["suffix"]) or _DECIMAL[match["suffix"]]
    return Fraction(match["number"].rstrip(".")) * scale


def cpu(text: str) -> str:
    """Check an amount of cores. Raises ValueError where it is none, not above 0, or finer than 1m."""
    amount = _positive(text)
    if (amount * 1000).denominator != 1:
        raise ValueError(f"got {text!r}, expected cores in steps of 1m, the finest that Kubernetes knows")
    return text


def memory(text: str) -> str:
    """Check an amount of memory. Raises ValueError where it is none, no whole number of bytes, or too few to start."""
    amount = _positive(text)
    if text.endswith("m"):
        raise ValueError(f"got {text!r}, thousandths of a byte; {text[:-1]}Mi are mebibytes")
    if amount.denominator != 1:
        raise ValueError(f"got {text!r}, which is no whole number of bytes; expected for example 16Gi")
    if amount < SMALLEST_MEMORY:
        raise ValueError(
            f"got {text!r}, {int(amount)} bytes: too little for any pod; expected for example 16Gi"
        )
    return text


def millicores(text: str) -> str:
    """The same cores as kfp takes them: `4` or `500m`."""
    thousandths = parse(text) * 1000
    return str(thousandths / 1000) if thousandths % 1000 == 0 else f"{thousandths}m"


def whole_bytes(text: str) -> str:
    """The same memory as kfp takes it, in the largest unit that divides it: `16Gi`, `1536Mi`, `1000000001`."""
    amount = int(parse(text))
    units = sorted(_BINARY.items(), key=lambda unit: -unit[1])
    return next((f"{amount // size}{name}" for name, size in units if amount % size == 0), str(amount))


def _positive(text: str) -> Fraction:
    amount = parse(text)
    if amount <= 0:
        raise ValueError(f"got {text!r}, expected more than 0; leave the key out for no limit")
    if amount > LARGEST:
        raise ValueError(f"got {text!r}, more than Kubernetes can count")
    return amount


def _hint(text: str) -> str:
    """What a person meant who wrote GB, gi or a space."""
    plain = re.fullmatch(r"([0-9.]+) ?([kmgtpe])(i?)b?(?:ytes?)?", text[:_LONGEST].strip(), re.IGNORECASE)
    if plain and plain[2].lower() != "e":
        return f"; {plain[1]}{plain[2].upper()}i?"
    return ""
