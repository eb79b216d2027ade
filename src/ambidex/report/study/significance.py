"""Which differences between rows of a study are clear: paired tests, each family corrected over its own table.

Three families: against the reference of the same regime, against the plain sum of the same method and regime (what the
repair does), and against the best single modality. Within a family every metric is corrected by itself (Holm 1979). The
rows that a study is about, plain sums and the headline allocator, are corrected among themselves; the other allocators,
of which a reader picks the best afterwards, over all rows of the table.

- accuracy, NLL, Brier: the paired differences of the seeds that both rows have, seeds and test samples (or groups: see
  `units`) crossed: what is called clear would be found with new seeds on new samples (`statistics.crossed`). A test
  over samples alone takes the luck of a seed for the method: it finds differences between two halves of one method's
  seeds.
- the same with the trained models as they are: paired bootstrap over test samples of the mean over seeds. It is
  `p_models`, and the mark's own where there is one seed only. The smallest p-value of R resamples is 2 / (R + 1); small
  ones are found again with an R that grows with the family, so that a clear difference survives the correction; where
  there are more seeds, and `p_models` is corrected for nothing, with 20,000 at most.
- exact McNemar per seed. The seeds share their test samples, so their counts may not be pooled as if independent:
  p = K / k times the k-th smallest of the K seeds' p-values, k a majority of them, which holds under any dependence
  (Rueger 1978).
"""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import mean
from typing import Any, TypeVar

import torch
from torch import Tensor

from ambidex.base.statistics import (
    bootstrap_blocks,
    bootstrap_means,
    crossed,
    crossing_bound,
    holm,
    interval,
    mcnemar_exact,
)
from ambidex.configuration.params import Compare
from ambidex.report.study.measured import Measured, Samples
from ambidex.report.study.rows import ALONE, HIGHER_IS_BETTER, PLAIN_SUM, TESTED, Comparison, Row
from ambidex.report.study.units import by_unit, units

MCNEMAR = "mcnemar"
_FINENESS = 8  # the smallest p-value, corrected over the whole family, is at most a quarter of the level
_COLUMNS = 256  # at a time: quantiles hold several copies
_COARSE = 10  # p-values up to this many times the smallest are found again
_ENOUGH = 20_000  # resamples for a p-value that nothing is made of: its cost may not grow with the family
_NEVER = 1e-9  # a chance, of all resamples of a column, that counts as none
Key = TypeVar("Key", bound=Hashable)


def with_tests(measured: Measured, compare: Compare) -> list[Row]:
    """The rows with all three families of tests."""
    rows, samples = [row for row, _ in measured], [results for _, results in measured]
    best, main = best_single(rows), main_places(rows)
    families = {
        "tests": _family(samples, references(rows), compare, main),
        "repair": _family(samples, _plain_sums(rows), compare, main),
        "single": _family(samples, _fused_against(rows, best), compare, main),
    }
    tested_rows = []
    for i, row in enumerate(rows):
        single = _single(row, rows, best) if row.kind == "fused" else {}
        if i in families["single"]:
            single["tests"] = families["single"][i]
        tests, repair = families["tests"].get(i, {}), families["repair"].get(i, {})
        tested_rows.append(replace(row, tests=tests, repair=repair, single=single))
    return tested_rows


def main_places(rows: Sequence[Row]) -> set[int]:
    """Where the rows stand that a study is about: plain sums and the headline allocator."""
    return {i for i, row in enumerate(rows) if row.allocator == PLAIN_SUM or row.headline}


def best_single(rows: Sequence[Row]) -> int | None:
    """Index of the single modality with the highest mean accuracy on test."""
    singles = [i for i, row in enumerate(rows) if row.kind == "single" and row.mean["accuracy"] is not None]
    return max(singles, key=lambda i: rows[i].mean["accuracy"] or 0.0) if singles else None


def compare_pairs(
    pairs: Mapping[Key, tuple[Samples, Samples]], compare: Compare, main: Collection[Key] = ()
) -> dict[Key, Comparison]:
    """One family: each pair (a, b) with a seed in common is tested for a - b, Holm-corrected over the family; those of
    `main` among themselves."""
    triples = {key: (a, b, seeds) for key, (a, b) in pairs.items() if (seeds := common_seeds(a, b))}
    if not triples:
        return {}
    family: dict[Key, Comparison] = {key: {} for key in triples}
    places = [(name, key) for name in TESTED for key in triples]
    unit = units(next(iter(triples.values()))[0].groups)
    means = torch.stack([paired(*triples[key], name).mean(dim=0) for name, key in places], dim=1)
    alone = torch.tensor([len(triples[key][2]) < 2 for _, key in places])
    models = _bootstrapped(means, alone, compare, unit)
    for (name, key), test in zip(places, models, strict=True):
        difference = paired(*triples[key], name)  # again: those of all pairs would fill the memory
        family[key][name] = {**test, **_over_seeds(by_unit(difference, unit), compare), "p_models": test["p"]}
    for key, (a, b, seeds) in triples.items():
        family[key][MCNEMAR] = _mcnemar(a, b, seeds)
    _correct(family, compare)
    _correct({key: family[key] for key in family if key in main}, compare)
    return family


def paired(a: Samples, b: Samples, seeds: Sequence[int], name: str) -> Tensor:
    """Differences of one metric, [S, N]."""
    return torch.stack([a.values[name][seed] - b.values[name][seed] for seed in seeds])


def _over_seeds(differences: Tensor, compare: Compare) -> dict[str, Any]:
    """What holds for new seeds too; nothing where there is one seed."""
    if len(differences) < 2:
        return {}
    return crossed(differences[..., None], 1 - compare.significance)[0]._asdict()


def _bootstrapped(
    columns: Tensor, corrected: Tensor, compare: Compare, unit: Tensor | None
) -> list[dict[str, Any]]:
    """Mean of each column of `columns` [N, K], those of all metrics, with interval and p-value.

    Where the p-value is as small as the resamples allow for, it is found again with more of them: with as many as its
    correction needs where it will be `corrected` [K], else with `_ENOUGH` at most.
    """
    draws = bootstrap_means(columns, compare.resamples, compare.seed, unit)
    ends = [
        end
        for part in torch.split(draws, _COLUMNS, dim=1)
        for end in interval(part, 1 - compare.significance)
    ]
    p = _p_values([draws])
    fine = round(_FINENESS * len(columns.T) / len(TESTED) / compare.significance)
    small = p <= _COARSE * 2 / (compare.resamples + 1)
    for chosen, resamples in ((small & corrected, fine), (small & ~corrected, min(fine, _ENOUGH))):
        if resamples > compare.resamples and chosen.any():
            p[chosen] = _fine(columns[:, chosen], resamples, compare.seed, unit)
    return [
        {"difference": mean, "low": end.low, "high": end.high, "p": value}
        for mean, end, value in zip(columns.mean(dim=0).tolist(), ends, p.tolist(), strict=True)
    ]


def _fine(columns: Tensor, resamples: int, seed: int, unit: Tensor | None) -> Tensor:
    """P-values [K] of many resamples. Most are the smallest there is: no draw is made where none can cross 0."""
    chances = [crossing_bound(part, unit) for part in torch.split(columns, _COLUMNS, dim=1)]
    open_ = (resamples * torch.cat(chances) > _NEVER).nonzero()[:, 0]
    p = torch.full((columns.shape[1],), 2 / (resamples + 1), dtype=torch.float64)
    if len(open_):
        p[open_] = _p_values(bootstrap_blocks(columns[:, open_], resamples, seed, unit))
    return p


def _p_values(blocks: Iterable[Tensor]) -> Tensor:
    """Two-sided, of each column of draws [R, K] that come in blocks: 2 min(P(d <= 0), P(d >= 0)), as (k + 1) / (R + 1).

    R grows with the table, and so does K: all draws of 315 models would be gigabytes.
    """
    count, low, high = 0, torch.zeros((), dtype=torch.int64), torch.zeros((), dtype=torch.int64)
    for block in blocks:
        count, low, high = count + len(block), low + (block <= 0).sum(dim=0), high + (block >= 0).sum(dim=0)
    return (2 * (torch.minimum(low, high).double() + 1) / (count + 1)).clamp_max(1.0)


def _family(
    samples: Sequence[Samples], against: Mapping[int, int], compare: Compare, main: Collection[int]
) -> dict[int, Comparison]:
    return compare_pairs({i: (samples[i], samples[j]) for i, j in against.items()}, compare, main)


def references(rows: Sequence[Row]) -> dict[int, int]:
    """Row -> the reference of its regime."""
    place = {row.regime: i for i, row in enumerate(rows) if row.reference and row.per_seed}
    return {i: place[row.regime] for i, row in enumerate(rows) if place.get(row.regime, i) != i}


def _plain_sums(rows: Sequence[Row]) -> dict[int, int]:
    """Row -> the plain sum of its method and regime."""
    place = {(row.method, row.regime): i for i, row in enumerate(rows) if row.allocator == PLAIN_SUM}
    return {
        i: place[row.method, row.regime]
        for i, row in enumerate(rows)
        if row.kind == "fused" and place.get((row.method, row.regime), i) != i
    }


def _fused_against(rows: Sequence[Row], best: int | None) -> dict[int, int]:
    return {} if best is None else {i: best for i, row in enumerate(rows) if row.kind == "fused"}


def common_seeds(a: Samples, b: Samples) -> list[int]:
    """The seeds that both rows have, in the order of `a`."""
    return [seed for seed in a.seeds if seed in b.seeds]


def _mcnemar(a: Samples, b: Samples, seeds: Sequence[int]) -> dict[str, Any]:
    p, won, lost = {}, 0, 0
    for seed in seeds:
        ours, theirs = a.values["accuracy"][seed], b.values["accuracy"][seed]
        p[str(seed)] = mcnemar_exact(ours, theirs)
        won += int((ours > theirs).sum())
        lost += int((ours < theirs).sum())
    return {"seeds": p, "won": won, "lost": lost, "p": by_majority(list(p.values()))}


def by_majority(p_values: Sequence[float]) -> float:
    """One p-value of K dependent ones: K / k p_(k), k the smallest majority of K, at most 1 (Rueger 1978)."""
    count = len(p_values)
    majority = count // 2 + 1
    return min(1.0, count / majority * sorted(p_values)[majority - 1])


def _correct(family: Mapping[Key, Comparison], compare: Compare) -> None:
    """Set `p_holm` and `comparisons` of every test, and `mark` of those of a metric, in place."""
    for name in (*TESTED, MCNEMAR):
        tests = [comparison[name] for comparison in family.values()]
        for test, p in zip(tests, holm([test["p"] for test in tests]), strict=True):
            test |= {"p_holm": p, "comparisons": len(tests)}
            if name != MCNEMAR:
                test["mark"] = _mark(name, test["difference"], p, compare)


def _mark(metric: str, difference: float, p: float, compare: Compare) -> str:
    if p >= compare.significance or difference == 0:
        return "same"
    return "better" if (difference > 0) == HIGHER_IS_BETTER[metric] else "worse"


def _single(row: Row, rows: Sequence[Row], best: int | None) -> dict[str, Any]:
    """Seed by seed against the best single modality of that seed, in accuracy."""
    if best is None:
        return {}
    singles = [other for other in rows if other.regime == ALONE]
    pairs = []
    for seed, numbers in row.per_seed.items():
        others = [a for s in singles if (a := s.per_seed.get(seed, {}).get("accuracy")) is not None]
        if (own := numbers["accuracy"]) is not None and others:
            pairs.append((own, max(others)))
    return {
        "modality": rows[best].allocator,
        "seeds": len(pairs),
        "seeds_at_least": sum(own >= other for own, other in pairs),
        "mean_difference": mean(own - other for own, other in pairs) if pairs else None,
    }
