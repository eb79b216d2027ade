"""The benchmark of category weights: a hierarchy that is there is seen, and weights follow it as far as asked."""

import numpy as np
import torch
from benchmarks.categories import run
from benchmarks.categories.grouped import Grouped, _weights, class_groups

from ambidex.decide.allocators._fit import Likelihood, fit_modality_weights


def confused(count: int = 400) -> Likelihood:
    """Six classes in two triples: within a triple all are confused; modality 0 knows triple 0, modality 1 the other."""
    draws = np.random.default_rng(0)
    labels = np.arange(count) % 6
    z = draws.normal(size=(2, count, 6))
    same = (np.arange(6) // 3)[None] == (labels // 3)[:, None]
    for m in (0, 1):
        knows = (labels // 3 == m)[:, None]
        z[m] += 4 * same + 2 * knows * np.eye(6)[labels] + 3 * ~knows * draws.normal(size=(count, 6))
    return Likelihood(z, labels)


def test_classes_that_are_confused_are_one_group():
    likelihood = confused()
    groups = class_groups(likelihood, np.ones(2))
    assert len(set(groups[:3])) == len(set(groups[3:])) == 1
    assert groups[0] != groups[3]


def test_a_class_stays_with_its_group_where_it_is_told_to():
    likelihood = confused()
    (tied,) = _weights(likelihood, Grouped.Config(apart=1e6), [1.0])
    (loose,) = _weights(likelihood, Grouped.Config(apart=1e-3), [1.0])
    assert np.ptp(tied[:, :3], axis=1).max() < 0.01
    assert np.ptp(loose[:, :3], axis=1).max() > 0.05
    assert abs(tied[0, 0] - tied[0, 3]) > 0.05
    (none,) = _weights(likelihood, Grouped.Config(), [1e9])
    np.testing.assert_allclose(
        none, np.repeat(fit_modality_weights(likelihood, 4.0).x[:, None], 6, 1), atol=1e-3
    )


def test_a_cell_counts_groups():
    gains = [run.Gain("x", str(g), 1.0 + 0.1 * (g % 2), 0.0) for g in range(10) for _ in range(3)]
    assert run._cell(gains) == "+1.1 ± 0.0*  +0.000 ± 0.000"


def test_a_variant_is_the_allocator_of_its_name():
    z = torch.randn(30, 2, 3, generator=torch.Generator().manual_seed(0))
    held = run.HeldOut(
        ("a", "b"), torch.arange(30) % 3, [str(i % 5) for i in range(30)], {"contributions": z}
    )
    (logits,) = run._logits("uniform", held, [held])
    torch.testing.assert_close(logits, z.sum(dim=1).double())
