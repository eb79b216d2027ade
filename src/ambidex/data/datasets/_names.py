"""Names that people write: what is invisible in them goes, and what only looks alike is noted.

Names are those of labels, splits, groups, samples and columns; a path stays as it is, or its file would not be found.
"""

import re
import unicodedata
from collections.abc import Iterable

_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2065\u3164\uffa0")
"""characters without a picture that Unicode does not count as format characters"""
_VISIBLE = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
"""format characters (Cf) that are drawn: number signs of Arabic and its neighbours"""
_JOINERS = frozenset("\u200c\u200d")
_VIRAMA = 9
"""combining class of the marks after which a joiner changes how an Indic syllable is written"""
_SHOWN = 3
_LATIN = (
    # Cyrillic, large and small
    (
        "\u0410\u0412\u0415\u0405\u0406\u0408\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425",
        "ABESIJKMHOPCTYX",
    ),
    ("\u0430\u0435\u0455\u0456\u0458\u043e\u0440\u0441\u0443\u0445", "aesijopcyx"),
    # Greek
    (
        "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bd\u03bf",
        "ABEZHIKMNOPTYXvo",
    ),
)
_ALIKE = {ord(c): latin for text, looks in _LATIN for c, latin in zip(text, looks, strict=True)}
_ALIKE |= dict.fromkeys(map(ord, "\u2212\u2043\u02d7"), "-")
_ALIKE |= dict.fromkeys(map(ord, "\u2018\u2019\u201b\u2032`\u00b4"), "'")
_ALIKE |= dict.fromkeys(map(ord, "\u201c\u201d\u2033"), '"')
"""look-alikes of other scripts, hyphens and quotes, to what they look like"""


def clean(name: str) -> str:
    """`name` in Unicode's form NFC, without invisible characters, every kind of space a plain one, none at the ends.

    A joiner stays where its script needs it (Arabic letters, Indic syllables, emoji).

    >>> clean("\\ufeffcafe\\u0301\\u00a0noir\\u200b ")
    'café noir'
    """
    if name.isascii():
        return name.strip()
    text = unicodedata.normalize("NFC", name)
    characters = [_space(c) for place, c in enumerate(text) if not _is_invisible(text, place)]
    return unicodedata.normalize("NFC", "".join(characters)).strip()


def merged(what: str, names: Iterable[str]) -> list[str]:
    """A note on `names`, as they were written, of which several become one: one class, or one group."""
    distinct = set(names)
    written: dict[str, set[str]] = {}
    for name in distinct:
        if (cleaned := clean(name)) != name:
            written.setdefault(cleaned, {cleaned} & distinct).add(name)
    several = sorted(name for name, forms in written.items() if len(forms) > 1)
    if not several:
        return []
    listing = ", ".join(f"'{name}'" for name in several[:_SHOWN])
    more = f" (and {len(several) - _SHOWN} more)" if len(several) > _SHOWN else ""
    return [f"one {what} where Unicode forms, spaces or invisible characters differ: {listing}{more}"]


def look_alikes(what: str, names: Iterable[str]) -> list[str]:
    """A note on `names` that differ only in case, spaces, leading zeros, width or look-alike characters."""
    first: dict[str, str] = {}
    alike: dict[str, set[str]] = {}
    for name in set(names):
        look = _likeness(name)
        if (other := first.setdefault(look, name)) is not name:
            alike.setdefault(look, {other}).add(name)
    sets = sorted(map(sorted, alike.values()))
    if not sets:
        return []
    listing = "; ".join(" and ".join(map(_quoted, group[:_SHOWN])) for group in sets[:_SHOWN])
    more = f" (and {len(sets) - _SHOWN} more such sets)" if len(sets) > _SHOWN else ""
    return [f"{what}s that look alike and stay different: {listing}{more}"]


def _likeness(name: str) -> str:
    """What `name` looks like: equal for two names that a reader would take for one."""
    text = unicodedata.normalize("NFKC", name)
    text = "".join("-" if unicodedata.category(c) == "Pd" else c for c in text).translate(_ALIKE)
    text = re.sub(r"[\s_]+", "", text.casefold().translate(_ALIKE))
    if re.fullmatch(r"[+-]?[0-9]+([.][0-9]*)?|[+-]?[.][0-9]+", text):
        sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text.lstrip("+"))
        whole, _, rest = digits.partition(".")
        number = f"{whole.lstrip('0') or '0'}.{rest.rstrip('0')}"
        return f"{'' if number == '0.' else sign}{number}"
    return text


def _quoted(name: str) -> str:
    """The name in quotes; what is not ASCII in code points too, where a look-alike would hide."""
    return f"'{name}'" if name.isascii() else f"'{name}' ({name!a})"


def _space(character: str) -> str:
    return " " if unicodedata.category(character) in ("Zs", "Zl", "Zp") else character


def _is_invisible(text: str, place: int) -> bool:
    character = text[place]
    if character in _JOINERS:
        return not _joins(text, place)
    if (
        character in _INVISIBLE or "\ufe00" <= character <= "\ufe0f"
    ):  # which picture of a sign: colour or plain
        return True
    return unicodedata.category(character) == "Cf" and character not in _VISIBLE


def _joins(text: str, place: int) -> bool:
    """Whether the joiner at `place` is one that its script needs, as Unicode's rules for domain names say."""
    before = text[:place].rstrip("\ufe0f")[-1:]
    after = text[place + 1 : place + 2]
    if not before or not after:
        return False
    if unicodedata.combining(before) == _VIRAMA:
        return True
    if unicodedata.bidirectional(before) == "AL" == unicodedata.bidirectional(after):
        return True
    return unicodedata.category(before) in ("So", "Sk") and unicodedata.category(after) == "So"
