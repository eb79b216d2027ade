"""One content, one group: samples that hold the same file or vector never stand on two sides of a split.

Listed splits that share content are refused, mended by leaving copies out, or accepted (and then marked as leaky).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ambidex.base.errors import DataError, one_line
from ambidex.data.datasets._content import VALUES, Key, Keys
from ambidex.data.manifest import SPLITS, Row

_CELL_LIMIT = 60
"""characters of a manifest value in a message"""


@dataclass(frozen=True)
class Settled:
    """The rows after sharing was dealt with."""

    rows: list[Row]
    keys: list[Keys]
    """what each of `rows` holds, without what all of them hold"""
    notes: list[str] = field(default_factory=list)
    joined: str = ""
    """the note on groups that were joined, for a message where too few are left; empty where none were"""


def settle(
    rows: Sequence[Row],
    keys: Sequence[Keys],
    how: Literal["refuse", "drop", "allow"],
    accepts_shared_groups: bool = False,
) -> Settled:
    """`rows` (every one with a group) with groups joined that share content, as told by `keys`.

    how: what becomes of listed splits that share content: `refuse`; `drop` the copies whose content is in a later
    split; `allow`, and then content joins no groups at all. Raises DataError naming two rows.
    """
    keys, notes = _without_constants(rows, keys)
    if how == "allow":
        return Settled(list(rows), keys, notes)
    if how == "drop":
        copies = _copies(rows, _crossing(rows, keys).values())
        notes += _drop_note(rows, copies)
        rest = [k for k in range(len(rows)) if k not in copies]
        rows, keys = [rows[k] for k in rest], [keys[k] for k in rest]
    crossing = _crossing(rows, keys)
    if crossing and not accepts_shared_groups:
        raise DataError(_refusal(rows, keys, crossing))
    places = {key: holders for key, holders in _places(keys).items() if key not in crossing}
    joined = _joined(rows, places.values())
    note = _join_note(rows, keys, places, joined)
    settled = [replace(row, group=joined[row.group]) for row in rows]
    return Settled(settled, keys, [*notes, *note], "".join(note))


def crosses(rows: Sequence[Row], keys: Sequence[Keys]) -> bool:
    """Whether the same content stands in two splits."""
    return bool(_crossing(rows, keys))


def _crossing(rows: Sequence[Row], keys: Sequence[Keys]) -> dict[Key, list[int]]:
    """Key -> the rows that hold it, where these stand in several splits; rows without a split do not count."""
    candidates = {key: [k for k in holders if rows[k].split] for key, holders in _places(keys).items()}
    return {key: holders for key, holders in candidates.items() if len({rows[k].split for k in holders}) > 1}


def _without_constants(rows: Sequence[Row], keys: Sequence[Keys]) -> tuple[list[Keys], list[str]]:
    """`keys` without those of a modality that is the same in all rows: it tells no sample from another."""
    modalities = list(rows[0].paths) if len(rows) > 1 else []
    constant = [m for m in modalities if m in keys[0] and len({row_keys.get(m) for row_keys in keys}) == 1]
    notes = [
        f"column '{m}' is the same in all {len(rows)} rows ({_cell(rows[0].paths[m])}): nothing can be learnt from it, "
        "and it joins no groups"
        for m in constant
    ]
    return [{m: key for m, key in row_keys.items() if m not in constant} for row_keys in keys], notes


def _places(keys: Sequence[Keys]) -> dict[Key, list[int]]:
    """Key -> the rows that hold it, where there are several."""
    places: dict[Key, list[int]] = defaultdict(list)
    for k, row_keys in enumerate(keys):
        for key in set(row_keys.values()):  # sight and sound of one row may be one file
            places[key].append(k)
    return {key: holders for key, holders in places.items() if len(holders) > 1}


def _copies(rows: Sequence[Row], crossing: Iterable[Sequence[int]]) -> set[int]:
    """Rows whose content stands in a later split: test before val before train."""
    order = {split: place for place, split in enumerate(SPLITS)}
    copies: set[int] = set()
    for holders in crossing:
        last = max(order[rows[k].split] for k in holders)
        copies.update(k for k in holders if order[rows[k].split] < last)
    return copies


def _drop_note(rows: Sequence[Row], copies: set[int]) -> list[str]:
    if not copies:
        return []
    count = f"{len(copies)} sample{'s' * (len(copies) > 1)}"
    return [
        f"{count} left out, as a later split holds the same content (the first: '{rows[min(copies)].sample_id}')"
    ]


def _refusal(rows: Sequence[Row], keys: Sequence[Keys], crossing: Mapping[Key, Sequence[int]]) -> str:
    key, holders = min(crossing.items(), key=lambda item: item[1][0])
    here = holders[0]
    there = next(k for k in holders if rows[k].split != rows[here].split)
    first, other = rows[here], rows[there]
    what = _what(first, keys[here], key)
    if what == _what(other, keys[there], key):
        same = f"{what} is that of {first.where} too"
    else:
        same = f"{_what(other, keys[there], key)} has the content of {first.where} ({what})"
    more = f" (and {len(crossing) - 1} more such pairs)" if len(crossing) > 1 else ""
    return (
        f"{other.where}: {same}, in splits '{other.split}' and '{first.split}'{more}; mend the splits, "
        "or add --set prepare.shared_content=drop (leaves the copies out) or =allow (marked as leaky)"
    )


def _what(row: Row, keys: Keys, key: Key) -> str:
    modality = next(m for m, value in keys.items() if value == key)
    return "its content" if modality == VALUES else f"{modality} {_cell(row.paths[modality])}"


def _cell(value: str) -> str:
    return f"'{one_line(value, _CELL_LIMIT)}'"


def _joined(rows: Sequence[Row], places: Iterable[Sequence[int]]) -> dict[str, str]:
    """Group -> the group that it belongs to now: of those that share content, directly or by others, the first name."""
    above: dict[str, str] = {row.group: row.group for row in rows}

    def top(group: str) -> str:
        while above[group] != group:
            above[group] = above[above[group]]
            group = above[group]
        return group

    for holders in places:
        for k in holders[1:]:
            one, other = sorted((top(rows[holders[0]].group), top(rows[k].group)))
            above[other] = one
    return {group: top(group) for group in above}


def _join_note(
    rows: Sequence[Row], keys: Sequence[Keys], places: Mapping[Key, Sequence[int]], joined: Mapping[str, str]
) -> list[str]:
    """One line on what was joined, and by which content most of all; nothing where no group was."""
    sizes = Counter(joined.values())
    several = {group: count for group, count in sizes.items() if count > 1}
    if not several:
        return []
    joining = {key: holders for key, holders in places.items() if len({rows[k].group for k in holders}) > 1}
    key, holders = max(joining.items(), key=lambda item: len(item[1]))
    example = _what(rows[holders[0]], keys[holders[0]], key)
    return [
        f"{sum(several.values())} groups joined into {len(several)}, as they share content "
        f"(most often {example}: in {len(holders)} samples); {len(sizes)} groups remain"
    ]
