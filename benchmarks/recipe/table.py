"""The table of recipes, and which of them would have been chosen without the set that it is judged on."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from benchmarks.recipe.cells import RESULTS

REFERENCE = "eight epochs"


def table(cells: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a line per set and recipe, means over seeds; then the choice with each set left out."""
    head = ["set", "recipe", "seeds", *RESULTS, "epochs", "CPU s"]
    lines = [head, ["---"] * len(head)]
    for name, recipe in dict.fromkeys((cell["set"], cell["recipe"]) for cell in cells):
        own = [cell for cell in cells if (cell["set"], cell["recipe"]) == (name, recipe)]
        scores = [
            f"{mean(c[what][0] for c in own):.1f} / {mean(c[what][1] for c in own):.3f}" for what in RESULTS
        ]
        epochs = "+".join(f"{mean(c[f'epochs {r}'] for c in own):.0f}" for r in ("scratch", "pretrained"))
        seconds = f"{mean(c['seconds'] for c in own):.0f}"
        lines.append([name, recipe, str(len(own)), *scores, epochs, seconds])
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n\n".join([text, *left_out(cells)])


def gain(cells: Sequence[Mapping[str, Any]], recipe: str, name: str) -> float:
    """NLL that a recipe saves over the reference on a set, as a share of the reference's; both regimes, same seeds."""
    by_key = {(c["set"], c["recipe"], c["seed"]): c for c in cells}
    shares = []
    for (of, which, seed), cell in by_key.items():
        base = by_key.get((of, REFERENCE, seed))
        if of == name and which == recipe and base is not None:
            shares += [1 - cell[r][1] / max(base[r][1], 1e-3) for r in ("scratch", "pretrained")]
    return mean(shares) if shares else 0.0


def left_out(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each set the recipe that saves most on the mean of the others, and what that recipe saves on this one."""
    names = list(dict.fromkeys(cell["set"] for cell in cells))
    whole = [
        r
        for r in dict.fromkeys(cell["recipe"] for cell in cells)
        if all(any((c["set"], c["recipe"]) == (n, r) for c in cells) for n in names)
    ]
    if REFERENCE not in whole or len(names) < 2:
        return []
    lines = []
    for name in names:
        others = [n for n in names if n != name]
        best = max(whole, key=lambda r: mean(gain(cells, r, n) for n in others))
        lines.append(
            f"- without {name}: {best}; there it saves {100 * gain(cells, best, name):.0f} % of the NLL"
        )
    return ["Chosen by the mean share of NLL that is saved on the other sets:", "\n".join(lines)]
