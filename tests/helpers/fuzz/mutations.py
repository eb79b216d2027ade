"""Seeded damage to a file: blind (bits, cuts, repeats), and informed (types and values of JSON, YAML, CSV, weights)."""

import csv
import io
import json
import random
import struct
from collections.abc import Callable
from typing import Any

import yaml

DEEP: Any = 1
for _ in range(60):
    DEEP = [DEEP]
POISON: list[Any] = [
    *(
        None,
        True,
        False,
        -1,
        0,
        3,
        0.5,
        -2.5,
        10**25,
        -(10**25),
        10**12,
        1e308,
        float("nan"),
        float("inf"),
        2**63,
    ),
    *(
        "",
        "x",
        "x" * 5000,
        "\x1b[2J\x07\nred\r",
        "../../outside",
        "/etc/passwd",
        "$a_$",
        "1",
        "\u202e",
        "=1+1",
    ),
    *([], {}, [[]], [None], {"a": {}}, ["x", "x"], [1e400, 2], DEEP),
]
ALIASES = "&a [x,x,x,x,x,x,x,x,x,x]\n" + "\n".join(f"k{i}: &k{i} [*a,*a,*a,*a]" for i in range(40))
TEXTS = [
    *("[" * 20_000, "{" * 5_000, "9" * 5_000, "1e999", "NaN", "-Infinity", "\x00", "\ufeff", "&a [*a]", "*x"),
    *(
        "!!python/object:os.system",
        "!!binary x",
        "2024-13-45",
        ".inf",
        "? [a]\n: b\n",
        ALIASES,
        '"',
        "'",
        ",,,,",
    ),
    *("\n\n", "- " * 3_000, "a: " * 400),
]


def mutate(name: str, data: bytes, draws: random.Random) -> bytes:
    """`data`, which stands in a file called `name`, with some damage."""
    kinds: list[Callable[[bytes, random.Random], bytes]] = [blind]
    for ending, informed in INFORMED.items():
        if name.endswith(ending):
            kinds += [informed, informed, informed]
    try:
        return draws.choice(kinds)(data, draws)
    except (ValueError, RecursionError, IndexError, struct.error, csv.Error, yaml.YAMLError):
        return blind(data, draws)


def blind(data: bytes, draws: random.Random) -> bytes:
    """Damage that knows no format."""
    raw = bytearray(data)
    place = draws.randrange(len(raw) + 1)
    match draws.randrange(7):
        case 0:
            for _ in range(draws.choice([1, 1, 3, 40])):
                if raw:
                    raw[draws.randrange(len(raw))] ^= 1 << draws.randrange(8)
        case 1:
            del raw[place:]
        case 2:
            raw[place:place] = draws.randbytes(draws.choice([1, 8, 500]))
        case 3:
            del raw[place : place + draws.choice([1, 10, 200])]
        case 4:
            raw[place:place] = raw[place : place + 300] * draws.choice([1, 5])
        case 5:
            raw[place:place] = draws.choice(TEXTS).encode()
        case _:
            raw[place : place + draws.choice([4, 50])] = bytes(draws.choice([4, 50]))
    return bytes(raw)


def change(value: Any, draws: random.Random) -> Any:
    """A JSON value with one place in it changed: another type, a poisoned value, a key gone, a list of other length."""
    places = list(_places(value))
    holder, key = draws.choice(places) if places else (None, None)
    if holder is None:
        return draws.choice(POISON)
    old = holder[key]
    match draws.randrange(6):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[f"{key}_"] = holder.pop(key)
        case 2 if isinstance(holder, list):
            holder.insert(draws.randrange(len(holder) + 1), draws.choice([old, draws.choice(POISON)]))
        case 3 if isinstance(holder, list):
            del holder[key]
        case 4:
            holder[key] = draws.choice([str(old), [old], {"k": old}, None if old else 1])
        case _:
            holder[key] = draws.choice(POISON)
    return value


def _places(value: Any) -> Any:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield value, key
            yield from _places(inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value[:20]):
            yield value, index
            yield from _places(inner)


def json_value(data: bytes, draws: random.Random) -> bytes:
    """One place of a JSON file changed."""
    return json.dumps(change(json.loads(data), draws)).encode()


def yaml_value(data: bytes, draws: random.Random) -> bytes:
    """One place of a YAML file changed, or a piece of hostile YAML put behind a key."""
    if draws.random() < 0.4:
        lines = data.decode().splitlines()
        place = draws.randrange(len(lines))
        lines[place] = f"{lines[place].partition(':')[0]}: {draws.choice(TEXTS)}"
        return "\n".join(lines).encode()
    return yaml.safe_dump(change(yaml.safe_load(data), draws), allow_unicode=True).encode()


def csv_value(data: bytes, draws: random.Random) -> bytes:
    """One cell, row or column of a CSV file changed."""
    rows = list(csv.reader(io.StringIO(data.decode())))
    row = draws.randrange(len(rows))
    column = draws.randrange(len(rows[row]))
    match draws.randrange(5):
        case 0:
            del rows[row]
        case 1:
            rows[row].insert(column, str(draws.choice(POISON)))
        case 2:
            del rows[row][column]
        case 3:
            rows.insert(row, rows[row])
        case _:
            rows[row][column] = str(draws.choice(POISON))
    stream = io.StringIO()
    csv.writer(stream).writerows(rows)
    return stream.getvalue().encode(errors="replace")


def weights(data: bytes, draws: random.Random) -> bytes:
    """The header or the numbers of a safetensors file changed."""
    length = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
    if draws.random() < 0.4:
        bad = draws.choice([float("nan"), float("inf"), -1.0, 7.0, 1e30])
        for _ in range(draws.choice([1, 50])):
            place = 4 * draws.randrange(max(1, len(body) // 4))
            body[place : place + 4] = struct.pack("<f", bad)
    elif draws.random() < 0.3:
        kind = draws.choice(["F32", "F16", "I64", "U8", "BOOL"])
        for entry in header.values():
            entry["dtype"] = kind
    else:
        header = change(header, draws)
    text = json.dumps(header).encode()
    return struct.pack("<Q", draws.choice([len(text)] * 9 + [2**60])) + text + bytes(body)


INFORMED: dict[str, Callable[[bytes, random.Random], bytes]] = {
    ".json": json_value,
    ".yaml": yaml_value,
    ".dvc": yaml_value,
    ".lock": yaml_value,
    ".csv": csv_value,
    ".safetensors": weights,
    ".dir": json_value,
}
