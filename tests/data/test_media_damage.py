"""Files whose bytes were changed are rejected wherever the format or the decoder can tell."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ambidex.data.media.container import MediaError
from ambidex.data.media.decode import decode
from ambidex.data.media.requests import Pictures, Sound
from helpers.clips import write_film
from helpers.media import random_pictures, write_image

SOUND = Sound(16_000, 3)
PICTURES = Pictures(count=10, size=32)
ONE = Pictures(count=1, size=64)


def flipped(data: bytes, first: int, seed: int, most: int = 20) -> bytes:
    """`data` with 1 to `most` bytes from `first` on changed."""
    noise = np.random.default_rng(seed)
    changed = np.frombuffer(data, np.uint8).copy()
    places = noise.integers(first, len(data) - 2, noise.integers(1, most + 1))
    changed[places] ^= noise.integers(1, 256, len(places)).astype(np.uint8)
    return changed.tobytes()


def outcomes(
    path: Path, want: Sound | Pictures, first: int, copies: int, most: int = 20
) -> tuple[Counter[str], list[float]]:
    """How often damaged copies were accepted or rejected, and how far accepted ones are from the true file."""
    data, (true,) = path.read_bytes(), decode(path, [want])
    counts: Counter[str] = Counter()
    errors: list[float] = []
    for seed in range(copies):
        path.write_bytes(flipped(data, first, seed, most))
        try:
            (found,) = decode(path, [want])
        except MediaError as error:
            counts[str(error).split(":")[0]] += 1
            continue
        counts["accepted"] += 1
        same = found.shape == true.shape
        errors.append(float(np.abs(found.astype(float) - true).mean()) if same else np.inf)
    return counts, errors


def photograph() -> NDArray[np.uint8]:
    """A picture with detail everywhere, as photographs have it [96, 128, 3]."""
    noise = np.random.default_rng(3).normal(0, 18, (96, 128, 3))
    return np.clip(random_pictures(1, (128, 96), 5)[0] + noise, 0, 255).astype(np.uint8)


def test_a_damaged_photograph_of_real_life_is_rejected(shared_data: Path) -> None:
    with pytest.raises(MediaError, match=r"^damaged: the picture cannot be decoded"):
        decode(shared_data / "broken_inputs" / "corrupt.jpg", [ONE])


def test_png_and_flac_carry_checksums(tmp_path: Path) -> None:
    picture = write_image(tmp_path / "a.png", photograph())
    counts, errors = outcomes(picture, ONE, 41, 30)
    assert counts["accepted"] == 0, errors
    sound = write_film(tmp_path / "a.flac", audio=(0.0, 1.0))
    counts, errors = outcomes(sound, SOUND, 9000, 30)
    assert max(errors, default=0) < 1e-9, counts


def test_a_png_chunk_that_was_changed_after_its_checksum(tmp_path: Path) -> None:
    picture = write_image(tmp_path / "a.png", photograph())
    data = picture.read_bytes()
    place = data.index(b"IDAT") + 40
    picture.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    with pytest.raises(MediaError, match=r"^damaged"):
        decode(picture, [ONE])


@pytest.mark.parametrize("form", ["mp4", "mkv", "mpg", "avi", "flv", "ts"])
def test_damaged_films_never_become_other_pictures(tmp_path: Path, form: str) -> None:
    """The decoder marks pictures that it had to guess; what it accepts is nearly the film."""
    clip = write_film(tmp_path / f"a.{form}", audio=None)
    data = clip.read_bytes()
    counts, errors = outcomes(clip, PICTURES, len(data) // 4, 12)
    near = [error for error in errors if error < 3]
    assert len(near) >= len(errors) - 1, (counts, errors)
    assert counts["damaged"] + counts["truncated"] >= 6, counts


def test_a_photograph_that_lost_its_rhythm_is_rejected(tmp_path: Path) -> None:
    counts, errors = outcomes(write_image(tmp_path / "a.jpg", photograph()), ONE, 700, 60)
    wrong = [error for error in errors if error > 20]
    assert len(wrong) <= 3, (counts, wrong)
