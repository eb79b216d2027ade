"""Spoken digits with pictures, and white noise on the pictures."""

import av
import numpy as np
import pytest

from ambidex.base.errors import DataError
from helpers.datasets import list_samples, prepare
from helpers.media import tone, write_image, write_wav


@pytest.fixture
def digits(tmp_path):
    """A folder with 30 samples; all pictures are mid-grey."""
    folder = tmp_path / "digits"
    lines = ["sample_id,label,split,group,audio,visual"]
    for k in range(30):
        write_wav(folder / f"audio/{k}.wav", tone(0.05, 8000, hertz=200 + 10 * k), 8000)
        write_image(folder / f"images/{k}.png", np.full((28, 28), 128, np.uint8))
        lines.append(
            f"d/{k},{k % 10},{('train', 'val', 'test')[k // 10]},p{k // 10},audio/{k}.wav,images/{k}.png"
        )
    (folder / "manifest.csv").write_text("\n".join(lines))
    return folder


def pixels(path):
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return frame.format.name, frame.to_ndarray(format="gray").astype(float)


def test_without_noise_nothing_is_copied(digits, tmp_path):
    rows, facts = prepare(tmp_path / "out", "av_digits", digits)
    assert facts["root"] == str(digits)
    assert rows[3]["visual"] == "images/3.png"
    assert "disjoint" in facts["protocol"]
    assert facts["classes"] == list("0123456789")


def test_noise_has_the_stated_size_and_sound_stays(digits, tmp_path):
    rows, facts = prepare(tmp_path / "out", "av_digits", digits, options={"visual_noise": 20})
    assert facts["root"] is None
    assert facts["notes"][0] == "white noise of standard deviation 20 on the pictures"
    assert facts["notes"][1].startswith(
        "column 'visual' is the same in all 30 rows ('images/"
    )  # but for the noise
    pictures = []
    for k, row in enumerate(rows):
        kind, picture = pixels(tmp_path / "out" / row["visual"])
        assert (kind, picture.shape) == ("gray", (28, 28))
        pictures.append(picture)
        assert (tmp_path / "out" / row["audio"]).read_bytes() == (digits / f"audio/{k}.wav").read_bytes()
    noise = np.stack(pictures) - 128
    assert noise.std() == pytest.approx(20, rel=0.02)
    assert abs(noise.mean()) < 0.5
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.15


def test_equal_seeds_give_equal_noise(digits, tmp_path):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        prepare(tmp_path / name, "av_digits", digits, options={"visual_noise": 20}, seed=seed)
    first, second, other = ((tmp_path / n / "visual/00004.png").read_bytes() for n in ("one", "two", "three"))
    assert first == second != other


def test_a_broken_picture_is_named(digits, tmp_path):
    (digits / "images/4.png").write_text("no picture")
    with pytest.raises(DataError, match=r"manifest.csv, line 6: column 'visual': .*4.png is not a picture"):
        list_samples("av_digits", digits, tmp_path, visual_noise=1)


def test_the_real_digits(shared_data, tmp_path):
    listing = list_samples("av_digits", shared_data / "av_digits", tmp_path)
    assert len(listing.rows) == 3000
