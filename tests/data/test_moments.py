"""Statistics of the training split, added up sample by sample."""

import json

import numpy as np
import pytest

from ambidex.data.kinds import InputSpec, owner_of
from ambidex.data.moments import Moments


@pytest.mark.parametrize(
    ("kind", "shape", "axes"),
    [("vector", (5,), (0,)), ("spectrogram", (4, 6), (0, 1, 2)), ("frames", (2, 3, 4, 4), (0, 1, 3, 4))],
)
def test_moments_of_parts_equal_numpy_over_all(
    kind: str, shape: tuple[int, ...], axes: tuple[int, ...]
) -> None:
    draws = np.random.default_rng(0)
    x = draws.normal(1e3, 7, (9, *shape)) if kind != "frames" else draws.integers(0, 256, (9, *shape))
    x = x.astype(np.uint8 if kind == "frames" else np.float32)
    parts = [owner_of(kind).moments(sample) for sample in x]
    total = Moments.total(
        [m for m in (Moments.total(parts[:2]), Moments.total([]), Moments.total(parts[2:])) if m]
    )
    assert total is not None
    scaled = x.astype(np.float64) / (255 if kind == "frames" else 1)
    np.testing.assert_allclose(total.mean, np.atleast_1d(scaled.mean(axes)), rtol=1e-12)
    np.testing.assert_allclose(total.std, np.atleast_1d(scaled.std(axes)), rtol=1e-9)


def test_a_constant_feature_gets_the_smallest_deviation() -> None:
    total = Moments.total([Moments.of_features(np.ones(2, np.float32))] * 3)
    assert total is not None
    assert total.std == [1e-5, 1e-5]


def test_a_spec_survives_json() -> None:
    spec = InputSpec("frames", (2, 3, 4, 4), (0.1, 0.2, 0.3), (1.0, 1.0, 1.0))
    assert InputSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
