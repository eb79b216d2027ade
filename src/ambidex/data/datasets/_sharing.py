"""One content, one group: samples that hold the same file or vector never stand on two sides of a split.

Listed splits that share content are refused, mended by leaving copies out, or accepted (and then marked as leaky).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from ambidex.base.errors import DataError, one_line
from ambidex.data.datasets._content import NONE, VALUES, Keys
from ambidex.data.manifest import SPLITS
from ambidex.data.rows import Rows

_CELL_LIMIT = 60
"""characters of a manifest value in a message"""


@dataclass(frozen=True)
class Settled:
    """The rows after sharing was dealt with."""

    rows: Rows
    keys: Keys
    """what each of `rows` holds, without what all of them hold"""
    notes: list[str] = field(default_factory=list)
    joined: str = ""
    """the note on groups that were joined, for a message where too few are left; empty where none were"""


@dataclass(frozen=True)
class _Holders:
    """A key that several rows hold."""

    key: int
    rows: list[int]


def settle(
    rows: Rows,
    keys: Keys,
    how: Literal["refuse", "drop", "allow"],
    accepts_shared_groups: bool = False,
) -> Settled:
    """`rows` (every one with a group) with groups joined that share content, as told by `keys`.

    how: what becomes of listed splits that share content: `refuse`; `drop` the copies whose content is in a later
    split; `allow`, and then content joins no groups at all. Raises DataError naming two rows.
    """
    keys, notes = _without_constants(rows, keys)
    if how == "allow":
        return Settled(rows, keys, notes)
    if how == "drop":
        copies = _copies(rows, _crossing(rows, _places(keys)))
        notes += _drop_note(rows, copies)
        rest = [k for k in range(len(rows)) if k not in copies] if copies else []
        rows, keys = (
            (rows.chosen(rest), {m: own[rest] for m, own in keys.items()}) if copies else (rows, keys)
        )
    places = _places(keys)
    crossing = _crossing(rows, places)
    if crossing and not accepts_shared_groups:
        raise DataError(_refusal(rows, keys, crossing))
    apart = {holders.key for holders in crossing}
    places = [holders for holders in places if holders.key not in apart]
    if not places:
        return Settled(rows, keys, notes)
    joined = _joined(rows, places)
    note = _join_note(rows, keys, places, joined)
    settled = replace(rows, groups=[joined[group] for group in rows.groups])
    return Settled(settled, keys, [*notes, *note], "".join(note))


def crosses(rows: Rows, keys: Keys) -> bool:
    """Whether the same content stands in two splits."""
    return bool(_crossing(rows, _places(keys)))


def _crossing(rows: Rows, places: Iterable[_Holders]) -> list[_Holders]:
    """Keys and the rows that hold them, where these stand in several splits; rows without a split do not count."""
    candidates = (_Holders(one.key, [k for k in one.rows if rows.splits[k]]) for one in places)
    return [one for one in candidates if len({rows.splits[k] for k in one.rows}) > 1]


def _without_constants(rows: Rows, keys: Keys) -> tuple[Keys, list[str]]:
    """`keys` without those of a modality that is the same in all rows: it tells no sample from another."""
    modalities = [m for m in rows.cells if m in keys] if len(rows) > 1 else []
    constant = [m for m in modalities if keys[m][0] != NONE and (keys[m] == keys[m][0]).all()]
    notes = [
        f"column '{m}' is the same in all {len(rows)} rows ({_cell(rows[0].paths[m])}): nothing can be learnt from it, "
        "and it joins no groups"
        for m in constant
    ]
    return {m: own for m, own in keys.items() if m not in constant}, notes


def _places(keys: Keys) -> list[_Holders]:
    """Every key that several rows hold, and these rows; by the first of them."""
    if not keys:
        return []
    count = len(next(iter(keys.values())))
    flat, rows = np.concatenate(list(keys.values())), np.tile(np.arange(count, dtype=np.int32), len(keys))
    order = np.lexsort((rows, flat))
    flat, rows = flat[order], rows[order]
    again = (np.diff(flat) == 0) & (np.diff(rows) == 0)  # sight and sound of one row may be one file
    kept = np.append(True, ~again)[: len(flat)] & (flat != NONE)
    flat, rows = flat[kept], rows[kept]
    starts = np.flatnonzero(np.append(True, np.diff(flat) != 0)[: len(flat)])
    stops = np.append(starts[1:], len(flat))
    several = np.flatnonzero(stops - starts > 1)
    places = [
        _Holders(int(flat[start]), rows[start:stop].tolist())
        for start, stop in zip(starts[several].tolist(), stops[several].tolist(), strict=True)
    ]
    return sorted(places, key=lambda one: one.rows[0])


def _copies(rows: Rows, crossing: Iterable[_Holders]) -> set[int]:
    """Rows whose content stands in a later split: test before val before train."""
    order = {split: place for place, split in enumerate(SPLITS)}
    copies: set[int] = set()
    for one in crossing:
        last = max(order[rows.splits[k]] for k in one.rows)
        copies.update(k for k in one.rows if order[rows.splits[k]] < last)
    return copies


def _drop_note(rows: Rows, copies: set[int]) -> list[str]:
    if not copies:
        return []
    count = f"{len(copies)} sample{'s' * (len(copies) > 1)}"
    return [
        f"{count} left out, as a later split holds the same content (the first: '{rows[min(copies)].sample_id}')"
    ]


def _refusal(rows: Rows, keys: Keys, crossing: Sequence[_Holders]) -> str:
    one = min(crossing, key=lambda one: one.rows[0])
    here = one.rows[0]
    there = next(k for k in one.rows if rows.splits[k] != rows.splits[here])
    first, other = rows[here], rows[there]
    what = _what(rows, keys, here, one.key)
    if what == _what(rows, keys, there, one.key):
        same = f"{what} is that of {first.where} too"
    else:
        same = f"{_what(rows, keys, there, one.key)} has the content of {first.where} ({what})"
    more = f" (and {len(crossing) - 1} more such pairs)" if len(crossing) > 1 else ""
    return (
        f"{other.where}: {same}, in splits '{other.split}' and '{first.split}'{more}; mend the splits, "
        "or add --set prepare.shared_content=drop (leaves the copies out) or =allow (marked as leaky)"
    )


def _what(rows: Rows, keys: Keys, place: int, key: int) -> str:
    modality = next(m for m, own in keys.items() if own[place] == key)
    return "its content" if modality == VALUES else f"{modality} {_cell(rows[place].paths[modality])}"


def _cell(value: str) -> str:
    return f"'{one_line(value, _CELL_LIMIT)}'"


def _joined(rows: Rows, places: Iterable[_Holders]) -> dict[str, str]:
    """Group -> the group that it belongs to now: of those that share content, directly or by others, the first name."""
    above: dict[str, str] = {group: group for group in rows.groups}

    def top(group: str) -> str:
        while above[group] != group:
            above[group] = above[above[group]]
            group = above[group]
        return group

    for holders in places:
        for k in holders.rows[1:]:
            one, other = sorted((top(rows.groups[holders.rows[0]]), top(rows.groups[k])))
            above[other] = one
    return {group: top(group) for group in above}


def _join_note(rows: Rows, keys: Keys, places: Iterable[_Holders], joined: Mapping[str, str]) -> list[str]:
    """One line on what was joined, and by which content most of all; nothing where no group was."""
    sizes = Counter(joined.values())
    several = {group: count for group, count in sizes.items() if count > 1}
    if not several:
        return []
    joining = [one for one in places if len({rows.groups[k] for k in one.rows}) > 1]
    most = max(joining, key=lambda one: len(one.rows))
    example = _what(rows, keys, most.rows[0], most.key)
    return [
        f"{sum(several.values())} groups joined into {len(several)}, as they share content "
        f"(most often {example}: in {len(most.rows)} samples); {len(sizes)} groups remain"
    ]
