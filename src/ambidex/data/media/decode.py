"""Sound and pictures of one media file, in one pass over it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ambidex.data.media.container import open_media
from ambidex.data.media.frames import pictures
from ambidex.data.media.requests import Pictures, Request
from ambidex.data.media.sound import sounds
from ambidex.data.media.tracks import clock_start, read_tracks
from ambidex.data.media.wholeness import ask_for_damage, check_structure, check_whole


def decode(path: Path, wants: Sequence[Request]) -> list[NDArray[Any]]:
    """What each of `wants` asks for, from one file that is read and decoded once.

    Sound: mono waveform float32 [at most seconds * sample_rate] at its rate. Its first sample is second 0 of
    the clip, where the first of the file's sound and picture streams starts. Pictures: uint8 [count, 3, size, size],
    the pictures shown at the centres of `count` equal parts of the film; one picture alone is repeated. Raises
    MediaError with a plain reason.
    """
    kinds = {"video" if isinstance(want, Pictures) else "audio" for want in wants}
    with open_media(path) as container:
        missing = check_structure(path, container)
        tracks, read = read_tracks(container, sorted(kinds))
        check_whole(path, container, missing, tracks, read)
        arrays: dict[Any, NDArray[Any]] = {}
        for kind, track in tracks.items():
            ask_for_damage(track)
            arrays |= (
                sounds(track, wants, clock_start(container)) if kind == "audio" else pictures(track, wants)
            )
    return [arrays[want] for want in wants]
