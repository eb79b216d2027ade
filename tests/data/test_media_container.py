"""Files that cannot be used are refused, each for a plain reason."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from ambidex.data.media.container import MediaError
from ambidex.data.media.decode import decode
from ambidex.data.media.requests import Pictures, Sound
from helpers.media import random_pictures, tone, write_clip, write_image, write_wav

SOUND = Sound(16_000, 1)
PICTURES = Pictures(count=2, size=16)
BOTH = [SOUND, PICTURES]


def reason(path: Path, wants: list[Sound | Pictures]) -> str:
    with pytest.raises(MediaError) as caught:
        decode(path, wants)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def cut(path: Path, share: float) -> Path:
    """A copy of which only the first `share` of the bytes is there."""
    data = path.read_bytes()
    copy = path.with_name(f"cut-{path.name}")
    copy.write_bytes(data[: int(len(data) * share)])
    return copy


def test_every_mistake_has_its_own_reason(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("This is a note that somebody renamed.\n" * 30)
    (tmp_path / "folder.mp4").mkdir()
    reasons = {
        "missing": reason(tmp_path / "none.mp4", BOTH),
        "folder": reason(tmp_path / "folder.mp4", BOTH),
        "empty": reason(tmp_path / "empty.mp4", BOTH),
        "text": reason(tmp_path / "text.mp4", BOTH),
        "truncated": reason(cut(clip, 0.5), BOTH),
        "silent": reason(write_clip(tmp_path / "silent.mp4", audio=False), BOTH),
        "dark": reason(write_clip(tmp_path / "dark.mp4", video=False), BOTH),
    }
    assert reasons["missing"] == "file is missing"
    assert reasons["empty"] == "file is empty (0 bytes)"
    assert reasons["text"] == "not a media file"
    assert reasons["truncated"].startswith("truncated: ")
    assert reasons["silent"] == "has no audio stream"
    assert reasons["dark"] == "has no video stream"
    assert len(set(reasons.values())) == len(reasons)


def test_a_stream_that_nobody_wants_may_be_missing(tmp_path: Path) -> None:
    assert decode(write_clip(tmp_path / "silent.mp4", audio=False), [PICTURES])[0].shape == (2, 3, 16, 16)
    assert decode(write_clip(tmp_path / "dark.mp4", video=False), [SOUND])[0].shape == (16_000,)


def test_text_that_reads_like_a_playlist_or_subtitles_is_no_media(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4")
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile /dev/zero\n")
    (tmp_path / "sub.mp4").write_text("1\n00:00:00,000 --> 00:00:02,000\nhello\n\n" * 9)
    assert reason(tmp_path / "sub.mp4", BOTH) == "not a media file"
    assert "/dev/zero" not in reason(tmp_path / "list.mp4", BOTH)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7])
@pytest.mark.parametrize("ending", [".mp4", ".flv", ".mkv", ".mpg"])
def test_cut_clips_are_truncated(tmp_path: Path, ending: str, share: float) -> None:
    clip = write_clip(tmp_path / f"a{ending}", seconds=2, fps=25, rate=44_100, seed=1)
    assert [x.shape for x in decode(clip, BOTH)] == [(16_000,), (2, 3, 16, 16)]
    assert reason(cut(clip, share), BOTH).startswith("truncated: ")


def test_cut_sound_and_pictures_are_truncated(tmp_path: Path) -> None:
    sound = write_wav(tmp_path / "a.wav", tone(1, 8_000), 8_000)
    assert reason(cut(sound, 0.5), [SOUND]).startswith("truncated: ")
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    for ending in ("png", "jpg"):
        whole = write_image(tmp_path / f"a.{ending}", picture)
        assert reason(cut(whole, 0.5), [PICTURES]).startswith("truncated: ")


def test_a_wav_written_to_a_pipe_states_no_length_and_is_accepted(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(1, 16_000))
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert decode(path, [SOUND])[0].shape == (16_000,)


def test_bytes_lost_in_the_middle_do_not_pass_unnoticed_as_an_exception(tmp_path: Path) -> None:
    """Damage that the decoder survives is kept, damage that it does not is a reason: never another error."""
    clip = write_clip(tmp_path / "a.mp4", seconds=1, fps=25, pictures=random_pictures(25, (64, 48), 2))
    data = np.frombuffer(clip.read_bytes(), np.uint8).copy()
    for seed in range(20):
        broken = data.copy()
        start = 60 + 37 * seed % (len(data) // 2)
        broken[start : start + 400] = np.random.default_rng(seed).integers(0, 255, 400)
        clip.write_bytes(broken.tobytes())
        with suppress(MediaError):
            assert decode(clip, BOTH)[1].shape == (2, 3, 16, 16)


def test_real_clip_cut_in_half_and_its_broken_friends(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "grid_clips" / "bbaf2n.mpg"
    whole = tmp_path / "whole.mpg"
    whole.write_bytes(source.read_bytes())
    for share in (0.2, 0.5, 0.8, 0.95):
        assert reason(cut(whole, share), BOTH).startswith("truncated: ")
    packs = tmp_path / "packs.mpg"
    packs.write_bytes(whole.read_bytes()[: 100 * 2048])  # ends between two packs of 2048 bytes
    assert reason(packs, BOTH).startswith("truncated: ")
    assert reason(packs, [PICTURES]) == "truncated: its last picture is incomplete"
