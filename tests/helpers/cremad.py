"""A folder like CREMA-D's: real wav and video files under the names of its clips."""

from collections.abc import Sequence
from pathlib import Path

from helpers.media import tone, write_clip, write_wav

EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
CLIPS = [f"{actor}_DFA_{emotion}_XX" for actor in range(1001, 1005) for emotion in EMOTIONS]


def write_tree(
    folder: Path, clips: Sequence[str] = CLIPS, ending: str = "flv", videos: str = "VideoFlash"
) -> Path:
    """Real wav and video files for `clips`; the same video for all, as only names matter."""
    (folder / videos).mkdir(parents=True)
    video = write_clip(folder / f"one.{ending}", seconds=0.2, size=(32, 32), audio=False).read_bytes()
    for clip in clips:
        write_wav(folder / f"AudioWAV/{clip}.wav", tone(0.05, 8000), 8000)
        (folder / videos / f"{clip}.{ending}").write_bytes(video)
    return folder
