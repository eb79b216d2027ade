"""Sound lies where it is heard on the file's clock, which pictures share."""

import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

from ambidex.data.media.decode import decode
from ambidex.data.media.requests import Pictures, Sound
from helpers.clips import CLICKS, FILMS, SOUNDS, click_times, write_film

RATE = 16_000
SOUND = Sound(RATE, 4)
PICTURES = Pictures(count=2, size=16)
# Where the film starts after the silence that the encoder put in front of the sound: so these muxers write it.
LEAD = {"frag.mp4": 0.08, "flv": 0.023, "ts": 0.023, "mpg": 0.011}


def heard(path: Path, *others: Pictures) -> list[float]:
    """Where the clicks are, in seconds."""
    (alone,) = decode(path, [SOUND])
    both = decode(path, [SOUND, *others])[0]
    assert np.array_equal(alone, both)  # what else is wanted does not move the sound
    return click_times(alone, RATE)


# avi has no times for sound: it starts with the film and has no holes
@pytest.mark.parametrize("form", [form for form in FILMS if form != "avi"])
@pytest.mark.parametrize(
    ("video", "audio", "gap"),
    [
        ((0.0, 2.0), (0.0, 2.0), None),
        ((0.0, 2.0), (1.0, 2.0), None),
        ((0.0, 2.0), (0.0, 2.0), (0.6, 1.1)),
        ((0.0, 2.0), (0.3, 2.0), (0.6, 1.1)),
    ],
    ids=["together", "late", "hole", "late with a hole"],
)
def test_clicks_lie_where_they_are_heard(
    tmp_path: Path,
    form: str,
    video: tuple[float, float],
    audio: tuple[float, float],
    gap: tuple[float, float],
) -> None:
    clip = write_film(tmp_path / f"a.{form}", video, audio, gap)
    expected = [t for t in CLICKS if audio[0] < t < audio[1] and not (gap and gap[0] < t < gap[1] + 0.1)]
    times = heard(clip, PICTURES)
    start = LEAD.get(form, 0.0) if audio[0] == 0 or form == "frag.mp4" else 0.0
    np.testing.assert_allclose(times, [t + start for t in expected], atol=0.004)


@pytest.mark.parametrize("form", SOUNDS)
def test_what_an_encoder_adds_in_front_is_left_out(tmp_path: Path, form: str) -> None:
    clip = write_film(tmp_path / f"a.{form}")
    np.testing.assert_allclose(heard(clip), CLICKS[:4], atol=0.001)


def test_a_film_that_starts_late_does_not_move_the_sound(tmp_path: Path) -> None:
    for form in ("mp4", "mkv", "webm"):
        clip = write_film(tmp_path / f"a.{form}", video=(1.0, 2.0))
        np.testing.assert_allclose(heard(clip, PICTURES), CLICKS[:4], atol=0.001)


def test_clocks_that_round_make_no_holes(tmp_path: Path) -> None:
    """flv and mkv count milliseconds, 44.1 kHz has none that are whole: the sound is that of a wav."""
    for form in ("flv", "mkv"):
        (found,) = decode(write_film(tmp_path / f"a.{form}", video=None), [SOUND])
        quiet = np.abs(found[RATE // 10 : 19 * RATE // 10]) < 1e-7
        runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], quiet, [0]]))))[::2]
        assert max(runs, default=0) < 8  # samples of silence in a row


def test_the_late_sound_of_a_real_file(shared_data: Path) -> None:
    times = heard(shared_data / "broken_inputs" / "adelay1.mp4", PICTURES)
    np.testing.assert_allclose(times[:3], [1.5, 2.5, 3.5], atol=0.02)


def test_two_recordings_joined_are_heard_one_after_the_other(tmp_path: Path) -> None:
    clip = write_film(tmp_path / "a.mpg", video=None)
    clip.write_bytes(clip.read_bytes() * 2)
    times = heard(clip)
    assert len(times) == 8
    np.testing.assert_allclose(np.diff(times), 0.5, atol=0.05)


@pytest.mark.parametrize("channels", [8, 12, 64])
def test_sound_of_many_channels_is_their_mean(tmp_path: Path, channels: int) -> None:
    samples = np.random.default_rng(0).integers(-9000, 9000, (RATE, channels)).astype("<i2")
    with wave.open(str(tmp_path / "a.wav"), "wb") as stream:
        stream.setnchannels(channels)
        stream.setsampwidth(2)
        stream.setframerate(RATE)
        stream.writeframes(samples.tobytes())
    (found,) = decode(tmp_path / "a.wav", [SOUND])
    np.testing.assert_allclose(found, samples.mean(axis=1) / 32768, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg")
def test_sound_that_ffmpeg_places_is_placed_there(tmp_path: Path) -> None:
    for form in ("mp4", "mov", "flv", "ts", "mpg"):
        for audio in ((0.0, 2.0), (1.0, 2.0)):
            clip = write_film(tmp_path / f"a.{form}", audio=audio)
            command = ["ffmpeg", "-v", "error", "-i", str(clip), "-filter_complex"]
            command += ["[0:a]aresample=async=1:first_pts=0", "-ac", "1", "-ar", str(RATE)]
            raw = subprocess.run([*command, "-f", "f32le", "-"], capture_output=True, check=True).stdout
            expected = click_times(np.frombuffer(raw, np.float32), RATE)
            np.testing.assert_allclose(heard(clip, PICTURES), expected, atol=0.02)
