"""Whole files are accepted, whatever their headers say; files that are really cut are refused."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from ambidex.data.media.container import MediaError
from ambidex.data.media.decode import decode
from ambidex.data.media.requests import Pictures, Sound
from helpers.clips import FILMS, SOUNDS, write_film
from helpers.media import tone, write_image, write_wav

SOUND = Sound(16_000, 3)
PICTURES = Pictures(count=4, size=16)
WHOLE = {
    "equal": {},
    "short sound": {"audio": (0.0, 1.0)},
    "short film": {"video": (0.0, 1.0)},
    "late sound": {"audio": (1.0, 2.0)},
    "late film": {"video": (1.0, 2.0)},
}


def outcome(path: Path, *wants: Sound | Pictures) -> str:
    """`accepted`, or the reason why not."""
    try:
        decode(path, wants)
    except MediaError as error:
        return str(error)
    return "accepted"


def part(path: Path, share: float) -> Path:
    """The first `share` of the file, under the same ending."""
    data = path.read_bytes()
    copy = path.with_name(f"cut.{path.name.split('.', 1)[1]}")
    copy.write_bytes(data[: int(len(data) * share)])
    return copy


@pytest.mark.parametrize("form", FILMS)
def test_streams_may_start_and_end_when_they_like(tmp_path: Path, form: str) -> None:
    for name, streams in WHOLE.items():
        clip = write_film(tmp_path / f"a.{form}", **streams)  # type: ignore[arg-type]
        for wants in ((SOUND, PICTURES), (SOUND,), (PICTURES,)):
            assert outcome(clip, *wants) == "accepted", (name, wants)


@pytest.mark.parametrize("form", FILMS)
def test_cut_films_are_refused_whatever_is_wanted_of_them(tmp_path: Path, form: str) -> None:
    clip = write_film(tmp_path / f"a.{form}")
    for share in (0.1, 0.5, 0.77, 0.9):
        for wants in ((SOUND, PICTURES), (SOUND,), (PICTURES,)):
            cut = part(clip, share)
            if form == "mpg" and cut.stat().st_size % 2048 == 0 and PICTURES not in wants:
                continue  # cut between two packs: only an incomplete picture tells
            assert outcome(cut, *wants).startswith("truncated: "), (share, wants)


@pytest.mark.parametrize("form", FILMS)
def test_films_that_lose_a_packet_or_two_at_the_end_are_refused(tmp_path: Path, form: str) -> None:
    """Except where only tables behind the last packet are lost (avi, mkv, webm), or an mpg lost padding."""
    clip = write_film(tmp_path / f"a.{form}", video=(0.0, 3.0), audio=(0.0, 3.0))
    shares = {"mpg": (0.93,), "avi": (0.9,), "mkv": (0.97,), "webm": (0.97,)}.get(form, (0.97, 0.99))
    for share in shares:
        assert outcome(part(clip, share), SOUND, PICTURES).startswith("truncated: ")
        if form.endswith(("mp4", "mov")):  # also where the sound alone lost something, and nobody wants it
            assert outcome(part(clip, share), PICTURES).startswith("truncated: ")


@pytest.mark.parametrize("form", SOUNDS)
def test_cut_sound_is_refused(tmp_path: Path, form: str) -> None:
    clip = write_film(tmp_path / f"a.{form}")
    assert outcome(clip, SOUND) == "accepted"
    for share in (0.1, 0.5, 0.9, 0.96):
        assert outcome(part(clip, share), SOUND).startswith("truncated: "), share


@pytest.mark.parametrize("form", ["aiff", "au"])
def test_cut_recordings_whose_header_states_their_length_are_refused(tmp_path: Path, form: str) -> None:
    clip = tmp_path / f"a.{form}"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("pcm_s16be", rate=8_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.ones((1, 16_000), np.int16), layout="mono")
        frame.sample_rate = 8_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert outcome(clip, SOUND) == "accepted"
    for share in (0.1, 0.5, 0.9):
        assert outcome(part(clip, share), SOUND).startswith("truncated: "), share


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_cut_pictures_are_refused_and_what_follows_a_picture_is_not_looked_at(
    tmp_path: Path, ending: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    whole = write_image(tmp_path / f"a.{ending}", noise)
    data = whole.read_bytes()
    for share in (0.1, 0.5, 0.9, 0.99, 1 - 1 / len(data)):
        assert outcome(part(whole, share), PICTURES).startswith("truncated: "), share
    reference = decode(whole, [PICTURES])[0]
    behind = {
        "zeros": bytes(3000),
        "text": b"<html>a page</html>",
        "a scan": b"\xff\xda\x00\x0cabcdefghij" * 9,
        "a second picture": data,
        "half a second picture": data[: len(data) // 2],
    }
    for name, tail in behind.items():
        for file in (f"b.{ending}", "b"):  # the ending decides how FFmpeg reads it
            (tmp_path / file).write_bytes(data + tail)
            assert np.array_equal(decode(tmp_path / file, [PICTURES])[0], reference), (name, file)


def test_other_pictures_cut(tmp_path: Path) -> None:
    gif = write_film_gif(tmp_path / "a.gif")
    assert outcome(gif, PICTURES) == "accepted"
    for share in (0.3, 0.5, 0.9, 0.99):
        assert outcome(part(gif, share), PICTURES).startswith("truncated: "), share
    gif.write_bytes(gif.read_bytes()[:-1])  # some writers leave the last mark out
    assert outcome(gif, PICTURES) == "accepted"


def write_film_gif(path: Path) -> Path:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("gif", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "rgb8"
        noise = np.random.default_rng(0)
        for number in range(5):
            picture = noise.integers(0, 255, (24, 32, 3)).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="rgb8")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_wav_is_as_long_as_its_samples_and_its_header_may_be_a_little_off(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(2, 16_000))
    data, samples = path.read_bytes(), 64_000
    lengths = {
        "file's size as riff's": (4, len(data)),
        "riff 0": (4, 0),
        "riff unknown": (4, 0xFFFFFFFF),
        "data 0": (40, 0),
        "data unknown": (40, 0xFFFFFFFF),
        "data as sox writes it to a pipe": (40, 0x7FFFF000),
        "data one too long": (40, samples + 1),
        "data with the header": (40, samples + 44),
    }
    for name, (place, value) in lengths.items():
        path.write_bytes(data[:place] + struct.pack("<I", value) + data[place + 4 :])
        assert decode(path, [SOUND])[0].shape == (32_000,), name
    tags = b"LIST\x12\x00\x00\x00INFOICMT\x06\x00\x00\x00\xf6\xe4\xfc\xdf\x00\x00"
    for name, changed in {
        "tags in Latin-1 before": data[:36] + tags + data[36:],
        "tags behind": data + tags,
        "padding behind": data + bytes(777),
        "an odd last byte lost": data[:-1],
    }.items():
        path.write_bytes(changed)
        assert abs(len(decode(path, [SOUND])[0]) - 32_000) < 2, name
    path.write_bytes(data[:-2000])
    assert outcome(path, SOUND) == "truncated: at least 2000 bytes are missing at its end"


def test_an_mp3_may_carry_tags_or_zeros_around_its_sound(tmp_path: Path) -> None:
    data = write_film(tmp_path / "a.mp3").read_bytes()
    latin = b"ID3\x03\0\0\0\0\0\x16TIT2\0\0\0\x05\0\0\0\xf6\xe4\xfc\xdf" + bytes(7)
    for name, changed in {
        "ID3v1": data + b"TAG" + b"\xff" * 125,
        "zeros": data + bytes(5000),
        "text": data + b"junk at the end of the file " * 20,
        "ID3v2 in Latin-1": latin + data,
    }.items():
        (tmp_path / "b.mp3").write_bytes(changed)
        assert outcome(tmp_path / "b.mp3", SOUND) == "accepted", name


@pytest.mark.parametrize("form", FILMS)
@pytest.mark.parametrize("tail", [bytes(4096), b"trailing junk " * 40], ids=["zeros", "text"])
def test_what_stands_behind_a_film_is_not_looked_at(tmp_path: Path, form: str, tail: bytes) -> None:
    clip = write_film(tmp_path / f"a.{form}", video=(0.0, 0.5), audio=(0.0, 0.5))
    clip.write_bytes(clip.read_bytes() + tail)
    assert outcome(clip, SOUND, PICTURES) == "accepted"


def test_a_recording_that_starts_between_two_key_pictures_is_accepted(tmp_path: Path) -> None:
    clip = write_film(tmp_path / "a.ts", codec="libx264", codec_options={"g": "10"})
    data = clip.read_bytes()
    clip.write_bytes(data[188 * (len(data) // 188 // 3) :])
    assert outcome(clip, SOUND, PICTURES) == "accepted"
