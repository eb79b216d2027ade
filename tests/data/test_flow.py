"""Flow: pictures of two folders as UCF101 has them, known movement, pairs of pictures, flips that turn u round."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ambidex.data.augment import augment
from ambidex.data.draws import Draws
from ambidex.data.kinds.flow import Flow, FlowAugment
from ambidex.data.kinds.frames import Frames
from ambidex.data.media.container import MediaError
from ambidex.data.media.flow import computed_flow
from ambidex.data.store.extraction import extract_sample
from helpers.media import write_clip, write_image


def texture(seed: int = 0) -> NDArray[np.uint8]:
    """A smooth grey picture, [96, 96, 3]."""
    noise = np.random.default_rng(seed).normal(size=(96, 96))
    spectrum = np.fft.fft2(noise) * np.exp(
        -90 * np.add.outer(np.fft.fftfreq(96) ** 2, np.fft.fftfreq(96) ** 2)
    )
    smooth = np.fft.ifft2(spectrum).real
    grey = np.rint(255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, 2)


def folders(root: Path, count: int) -> str:
    """Pictures whose grey says direction and number: u 10 k, v 10 k + 100."""
    for number, name in enumerate("uv"):
        for k in range(count):
            grey = np.full((20, 30, 3), 10 * k + 100 * number, np.uint8)
            write_image(root / f"flow/{name}/v_Bowl_g01_c01/frame{k + 1:06d}.png", grey)
    return "flow/u/v_Bowl_g01_c01/frame000001.png"


@pytest.mark.parametrize(("count", "places"), [(3, [1, 4, 7]), (1, [4]), (12, sorted([*range(9), 1, 4, 7]))])
def test_fields_are_taken_at_the_centres_of_equal_parts(
    tmp_path: Path, count: int, places: list[int]
) -> None:
    cell = folders(tmp_path, 9)
    sample = extract_sample({"flow": cell}, {"flow": Flow.of(count=count, size=16)}, tmp_path)["flow"]
    assert sample.shape == (count, 2, 16, 16)
    assert np.ptp(sample, axis=(2, 3)).max() == 0
    assert sample[:, 0, 0, 0].tolist() == [10 * k for k in places]
    assert sample[:, 1, 0, 0].tolist() == [10 * k + 100 for k in places]


def test_a_picture_that_v_lacks_is_named(tmp_path: Path) -> None:
    cell = folders(tmp_path, 3)
    (tmp_path / "flow/v/v_Bowl_g01_c01/frame000002.png").unlink()
    with pytest.raises(MediaError, match=r"v_Bowl_g01_c01/frame000002.png: file is missing"):
        extract_sample({"flow": cell}, {"flow": Flow.of(count=3, size=16)}, tmp_path)


@pytest.mark.parametrize("method", ["farneback", "dis"])
@pytest.mark.parametrize(("right", "down"), [(3, 0), (-2, 1), (0, 0)])
def test_a_shift_of_the_picture_is_the_flow(method: str, right: int, down: int) -> None:
    one = texture()
    pair = np.stack([one, np.roll(one, (down, right), (0, 1))]).transpose(0, 3, 1, 2)
    flow = computed_flow(pair, method, 5.0)
    assert flow.shape == (1, 2, 96, 96)
    u, v = (np.median(flow[0, k, 20:-20, 20:-20] / 255 * 10 - 5) for k in (0, 1))
    assert abs(u - right) < 0.25
    assert abs(v - down) < 0.25
    assert np.array_equal(computed_flow(pair, method, 5.0), flow)


def test_a_film_gives_the_movement_from_one_picture_to_the_next(tmp_path: Path) -> None:
    film = np.stack([np.roll(texture(), 2 * k, 1) for k in range(12)])
    write_clip(tmp_path / "film.mp4", fps=12, size=(96, 96), pictures=film, audio=False)
    wants = {"flow": Flow.of(count=4, size=96), "frames": Frames.of(count=4, size=96)}
    both = extract_sample(dict.fromkeys(wants, "film.mp4"), wants, tmp_path)
    u = np.median(both["flow"][:, 0, 20:-20, 20:-20].astype(float) / 255 * 40 - 20, axis=(1, 2))
    np.testing.assert_allclose(u, 2, atol=0.4)
    alone = extract_sample({"frames": "film.mp4"}, {"frames": wants["frames"]}, tmp_path)
    assert np.array_equal(both["frames"], alone["frames"])


@pytest.mark.parametrize(("count", "firsts"), [(4, [1, 4, 7, 10]), (11, list(range(11)))])
def test_pairs_are_neighbours_each_after_the_one_before(
    tmp_path: Path, count: int, firsts: list[int]
) -> None:
    from ambidex.data.media.decode import decode
    from ambidex.data.media.requests import Pictures

    film = np.stack([np.full((32, 32, 3), 20 * k, np.uint8) for k in range(12)])
    write_clip(tmp_path / "film.mp4", fps=12, size=(32, 32), pictures=film, audio=False)
    pairs = decode(tmp_path / "film.mp4", [Pictures(count, 32, pairs=True)])[0]
    greys = np.rint(pairs.mean((1, 2, 3)) / 20).astype(int).tolist()
    assert greys == [k + step for k in firsts for step in (0, 1)]
    with pytest.raises(MediaError, match="has 12 pictures, expected more than 12"):
        decode(tmp_path / "film.mp4", [Pictures(12, 32, pairs=True)])


def test_a_flip_turns_u_round_and_leaves_v() -> None:
    x = torch.randint(0, 256, (8, 3, 2, 16, 16), dtype=torch.uint8)
    config = FlowAugment(kind="flow", min_area=1.0, flip=1.0)
    out = augment({"f": x}, {"f": config}, Draws(torch.Generator().manual_seed(0), 8), {})["f"]
    assert torch.equal(out[:, :, 0], 255 - x[:, :, 0].flip(-1))
    assert torch.equal(out[:, :, 1], x[:, :, 1].flip(-1))
    some = FlowAugment(kind="flow", min_area=1.0, flip=0.0)
    assert augment({"f": x}, {"f": some}, Draws(torch.Generator(), 8), {})["f"] is x


def test_without_opencv_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MediaError, match=r"needs `pip install 'ambidex\[flow\]'`"):
        computed_flow(np.zeros((2, 3, 16, 16), np.uint8), "dis", 5.0)
