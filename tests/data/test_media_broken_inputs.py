"""Every file that once broke the product gives what its folder's README says; and so do made members of its kind."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ambidex.data.kinds.frames import Frames
from ambidex.data.kinds.log_mel import LogMel
from ambidex.data.manifest import Row
from ambidex.data.store.extraction import extract_rows
from helpers.clips import write_film
from helpers.media import tone, write_wav

WANTS = {
    "log_mel": LogMel.of(seconds=4),
    "frames": Frames.of(count=3, size=32),
}
ACCEPTED = "accepted"
# file, how it is read, and what comes out: accepted, or how the reason begins
KNOWN = [
    ("8ch.wav", "log_mel", ACCEPTED),
    ("speech_0.8s.ogg", "log_mel", ACCEPTED),
    ("short_audio.mkv", "log_mel", ACCEPTED),
    ("short_audio.mkv", "frames", ACCEPTED),
    ("riff_is_filesize.wav", "log_mel", ACCEPTED),
    ("info_latin1.wav", "log_mel", ACCEPTED),
    ("adelay1.mp4", "log_mel", ACCEPTED),
    ("testsrc2_av1_10bit.mp4", "frames", ACCEPTED),
    ("corrupt.jpg", "frames", "damaged: "),
    ("rot90.mp4", "frames", ACCEPTED),
    ("anim.webp", "frames", "not supported: "),
]


def outcome(path: Path, kind: str) -> str:
    """What `extract` makes of one row."""
    want = WANTS[kind]
    batch = extract_rows([Row("a", "x", "train", "", {"m": path.name})], {"m": want}, path.parent)
    if batch.rejected:
        return batch.rejected[0].reason
    assert np.isfinite(batch.samples[0]["m"]).all()
    assert batch.samples[0]["m"].std() > 0
    return ACCEPTED


@pytest.mark.parametrize(("name", "kind", "expected"), KNOWN)
def test_known_files(shared_data: Path, name: str, kind: str, expected: str) -> None:
    if name == "anim.webp" and importlib.util.find_spec("ambidex.data.media.foreign") is None:
        pytest.skip("animated webp is recognised elsewhere")
    assert outcome(shared_data / "broken_inputs" / name, kind).startswith(expected)


def header(place: int, value: int, size: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        data = bytearray(write_wav(path, tone(1, 16_000)).read_bytes())
        data[place : place + size] = value.to_bytes(size, "little")
        path.write_bytes(data)

    return write


def words(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def changed(form: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        source = write_film(path.with_name(f"source.{form}"), audio=(0.0, 1.0))
        path.write_bytes(change(source.read_bytes()))

    return write


MADE = {
    "channels 0": ("a.wav", header(22, 0, 2), "its sound has 0 channels"),
    "channels 65535": ("a.wav", header(22, 65_535, 2), "its sound has "),
    "channels 255": ("a.wav", header(22, 255, 2), "its sound has 255 channels"),
    "rate 0": ("a.wav", header(24, 0, 4), ""),
    "rate 4 billion": ("a.wav", header(24, 0xFFFFFFFF, 4), ""),
    "bits 0": ("a.wav", header(34, 0, 2), ""),
    "block 0": ("a.wav", header(32, 0, 2), ""),
    "a codec that is none": ("a.wav", header(20, 0x7777, 2), "no codec is known"),
    "flac, zeros inside": (
        "a.flac",
        changed("flac", lambda d: d[: len(d) // 2] + bytes(2000) + d[len(d) // 2 + 2000 :]),
        ("damaged: ", "truncated: "),
    ),
    "flac, a frame lost": (
        "a.flac",
        changed("flac", lambda d: d[: len(d) // 3] + d[len(d) // 2 :]),
        ("damaged: ", "truncated: "),
    ),
    "flac, half": ("a.flac", changed("flac", lambda d: d[: len(d) // 2]), "truncated: "),
    "opus, a page lost": ("a.opus", changed("opus", lambda d: d[: d.rindex(b"OggS")]), ""),
    "a riff of nothing": ("a.wav", words(b"RIFF\x04\0\0\0WAVE"), "truncated: "),
    "words": ("a.wav", words(b"neither sound nor picture, but words " * 9), "not a media file"),
}


@pytest.mark.parametrize("name", MADE)
def test_made_members_of_the_kinds_are_one_rejected_row_or_read(tmp_path: Path, name: str) -> None:
    file, write, expected = MADE[name]
    write(tmp_path / file)
    found = outcome(tmp_path / file, "log_mel")
    assert found.startswith(expected)
    assert "\n" not in found
    assert len(found) <= 300
