"""White noise on pictures: its size, its repeatability."""

import numpy as np

from ambidex.data.media.noise import noisy


def test_noise_has_the_deviation_asked_for_and_no_bias() -> None:
    grey = np.full((3, 3, 200, 200), 128, np.uint8)
    added = (noisy(grey, 0.1).astype(float) - 128) / 255
    assert abs(added.std() - 0.1) < 0.001
    assert abs(added.mean()) < 0.001


def test_the_same_pictures_get_the_same_noise_and_others_another() -> None:
    one, other = np.zeros((1, 3, 8, 8), np.uint8), np.ones((1, 3, 8, 8), np.uint8)
    assert (noisy(one, 1.0) == noisy(one, 1.0)).all()
    assert (noisy(one, 1.0) != noisy(other, 1.0)).any()


def test_values_are_clipped_not_wrapped() -> None:
    white = np.full((1, 3, 50, 50), 255, np.uint8)
    assert noisy(white, 0.02).min() > 200
