"""One pass over a media file gives the right pictures and the right sound."""

from pathlib import Path

import av
import numpy as np
import pytest
from scipy.signal import resample_poly

from ambidex.data.media.decode import decode
from ambidex.data.media.frames import frame_times
from ambidex.data.media.requests import Pictures, Sound
from helpers.media import grey_pictures, random_pictures, tone, write_clip, write_image, write_wav

LEVELS = [20 + 4 * k for k in range(50)]


def frames(count: int, size: int = 16) -> Pictures:
    return Pictures(count=count, size=size)


def sound(seconds: float = 1.0, rate: int = 16_000) -> Sound:
    return Sound(rate, seconds)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of 50 pictures at 25 per second, whose grey level tells their number; and a tone."""
    folder = tmp_path_factory.mktemp("clips")
    for ending, rate in ((".mp4", 16_000), (".flv", 44_100), (".mpg", 44_100), (".mkv", 16_000)):
        pictures, waveform = grey_pictures(LEVELS, (64, 48)), tone(2, rate)
        write_clip(folder / f"grey{ending}", fps=25, rate=rate, pictures=pictures, waveform=waveform)
    return folder


@pytest.mark.parametrize("ending", ["mp4", "flv", "mpg", "mkv"])
@pytest.mark.parametrize("count", [1, 3, 7, 50, 120])
def test_pictures_are_those_shown_at_the_centres_of_equal_parts(
    folder: Path, ending: str, count: int
) -> None:
    (found,) = decode(folder / f"grey.{ending}", [frames(count)])
    assert found.shape == (count, 3, 16, 16)
    assert found.dtype == np.uint8
    numbers = np.round((found.mean(axis=(1, 2, 3)) - LEVELS[0]) / 4).astype(int)
    expected = [int((part + 0.5) / count * 50) for part in range(count)]
    assert numbers.tolist() == expected


def test_the_test_clip_has_pictures_that_the_decoder_may_skip(folder: Path) -> None:
    """Otherwise the test above would not see a wrong skip."""
    with av.open(str(folder / "grey.mp4")) as container:
        kinds = {int(frame.pict_type) for frame in container.decode(video=0)}
    assert kinds == {1, 2, 3}  # I, P, B


def test_pictures_are_scaled_means_of_those_of_a_full_decode(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", seconds=2, fps=15, size=(96, 64), seed=3)
    with av.open(str(clip)) as container:
        whole = [frame.to_ndarray(format="rgb24").astype(float) for frame in container.decode(video=0)]
    (found,) = decode(clip, [frames(5, 32)])
    blocks = np.stack([whole[k].reshape(32, 2, 32, 3, 3).mean(axis=(1, 3)) for k in (3, 9, 15, 21, 27)])
    assert np.abs(found - blocks.transpose(0, 3, 1, 2)).mean() < 2


def test_frame_times_with_unequal_spacing_by_hand() -> None:
    # shown: 0-10, 10-20, 20-100, 100-110; the centres of three parts of 110 are 18.3, 55, 91.7
    assert frame_times([0, 10, 20, 100], 10, 3) == [10, 20, 20]
    assert frame_times([7], 0, 3) == [7, 7, 7]
    assert frame_times([5, 15], 10, 2) == [5, 15]


def test_several_wants_of_one_file_are_served_in_order(folder: Path) -> None:
    wants = [sound(1.5), frames(2, 24), sound(2.0, 8_000), frames(4, 8)]
    found = decode(folder / "grey.mp4", wants)
    assert [x.shape for x in found] == [(24_000,), (2, 3, 24, 24), (16_000,), (4, 3, 8, 8)]


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_one_picture_is_repeated(tmp_path: Path, ending: str) -> None:
    picture = random_pictures(1, (28, 20), seed=1)[0]
    (found,) = decode(write_image(tmp_path / f"a.{ending}", picture), [frames(3, 28)])
    assert found.shape == (3, 3, 28, 28)
    assert np.array_equal(found[0], found[2])


def test_a_png_of_the_wanted_size_is_kept_exactly(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    (colour,) = decode(write_image(tmp_path / "colour.png", picture), [frames(1)])
    assert np.array_equal(colour[0], picture.transpose(2, 0, 1))
    (grey,) = decode(write_image(tmp_path / "grey.png", picture[:, :, 0]), [frames(1)])
    assert all(np.array_equal(grey[0, channel], picture[:, :, 0]) for channel in range(3))


def test_a_name_with_a_percent_sign_is_one_file(tmp_path: Path) -> None:
    picture = random_pictures(1, (16, 16))[0]
    assert decode(write_image(tmp_path / "a%03d:b.png", picture), [frames(1)])[0].shape == (1, 3, 16, 16)


@pytest.mark.parametrize(("rate_in", "rate_out"), [(44_100, 16_000), (8_000, 16_000), (16_000, 16_000)])
def test_resampling_agrees_with_scipy(tmp_path: Path, rate_in: int, rate_out: int) -> None:
    waveform = tone(1, rate_in, 440) + tone(1, rate_in, 1_500, 0.2)
    (found,) = decode(write_wav(tmp_path / "a.wav", waveform, rate_in), [sound(1, rate_out)])
    assert found.dtype == np.float32
    assert found.shape == (rate_out,)  # the resampler was flushed: nothing is missing at the end
    common = np.gcd(rate_in, rate_out)
    expected = resample_poly(waveform.astype(float), rate_out // common, rate_in // common)
    inner = slice(rate_out // 20, -rate_out // 20)
    assert np.abs(found - expected)[inner].max() < 0.01


def test_sound_longer_than_wanted_is_cut_and_its_beginning_is_unchanged(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, 3 * 22_050).astype(np.float32)
    clip = write_wav(tmp_path / "a.wav", noise, 22_050)
    (whole,), (part,) = decode(clip, [sound(3)]), decode(clip, [sound(0.5)])
    assert part.shape == (8_000,)
    assert np.array_equal(part, whole[:8_000])


def test_stereo_becomes_the_mean_of_both_channels(tmp_path: Path) -> None:
    import wave

    left, right = tone(0.5, 16_000, 440), tone(0.5, 16_000, 900)
    both = (np.stack([left, right], 1) * 32767).round().astype("<i2")
    with wave.open(str(tmp_path / "a.wav"), "wb") as stream:
        stream.setnchannels(2)
        stream.setsampwidth(2)
        stream.setframerate(16_000)
        stream.writeframes(both.tobytes())
    (found,) = decode(tmp_path / "a.wav", [sound(0.5)])
    assert np.abs(found - (left + right) / 2).max() < 1e-3


def test_real_clips_give_the_stated_shapes(shared_data: Path) -> None:
    clips = sorted((shared_data / "grid_clips").glob("*.mpg"))
    assert len(clips) == 10
    for clip in clips:
        waveform, pictures = decode(clip, [sound(3), frames(3, 64)])
        assert pictures.shape == (3, 3, 64, 64)
        assert pictures.std() > 20
        assert 2.9 * 16_000 < len(waveform) <= 48_000
        assert np.abs(waveform).max() > 0.02
