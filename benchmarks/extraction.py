"""Extraction in clips per second and core, over pure decoding and over the way the field does it.

limit     PyAV demuxes and decodes all sound and pictures of the clips, and nothing else
ambidex   what a worker of `extract` does: three frames of 224x224 at exact times, a spectrogram of 257x188,
          training statistics, a shard with its checksum
field     a process of ffmpeg writes a wav; librosa loads it and takes the spectrogram, saved per clip by pickle;
          OpenCV reads the video and writes the frames as jpg files

Processes that are started count with their CPU time.
"""

import pickle
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from ambidex.data.kinds.frames import Frames
from ambidex.data.kinds.log_stft import LogStft
from ambidex.data.manifest import Row as Sample
from ambidex.data.store.extraction import extract_rows
from ambidex.data.store.shards import Slice, write_shard
from benchmarks.data import CLASS_NAMES, FIELD, write_clip
from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.timing import in_turns

DECODE_LIMIT, FIELD_LIMIT = 2.0, 2.5
HEIGHT, WIDTH, LENGTH = 288, 360, 2.5


@dataclass(frozen=True)
class Size:
    """How many clips, how often."""

    clips: int
    repetitions: int
    height: int = HEIGHT
    width: int = WIDTH
    length: float = LENGTH


SIZES = {"full": Size(12, 7), "quick": Size(6, 3), "tiny": Size(1, 1, 48, 64, 0.5)}


def measure(scale: Scale) -> list[Row]:
    """Rows for the limit, the field's way and the rates themselves."""
    size = sized(SIZES, scale)
    missing = _missing()
    with tempfile.TemporaryDirectory(prefix="ambidex-bench-") as name:
        folder = Path(name)
        clips = [folder / f"clip{number:02d}.mp4" for number in range(size.clips)]
        for number, clip in enumerate(clips):
            write_clip(clip, size.length, size.height, size.width, seed=number)
        tasks: dict[str, Callable[[], None]] = {
            "decode": lambda: _decode_all(clips),
            "ambidex": lambda: _ambidex(folder, clips),
        }
        if not missing:
            tasks["field"] = lambda: _field(clips, folder / "per-clip")
        taken = in_turns(tasks, size.repetitions)
        kilobits = sum(clip.stat().st_size for clip in clips) / len(clips) / size.length / 125
    what = f"{size.clips} mp4 clips, {size.length} s, {size.width}x{size.height}, {kilobits:.0f} kbit/s"
    ours = taken["ambidex"]
    rows = [
        row("extraction / pure decode (cost)", ours / taken["decode"], limit=DECODE_LIMIT, note=what),
        row("extraction, clips", size.clips / ours, unit="/s", note="per core"),
        row("pure decode, clips", size.clips / taken["decode"], unit="/s", note="per core"),
    ]
    name = "extraction / the field's way (speed)"
    if missing:
        return [*rows, Row(name, None, limit=FIELD_LIMIT, at_least=True, note=missing)]
    return [
        *rows,
        row(name, taken["field"] / ours, limit=FIELD_LIMIT, at_least=True, note="ffmpeg, librosa, OpenCV"),
        row("the field's way, clips", size.clips / taken["field"], unit="/s", note="per core"),
    ]


def _missing() -> str:
    """Why the field's way cannot be measured here; empty where it can."""
    if shutil.which("ffmpeg") is None:
        return "needs the program ffmpeg on the PATH"
    try:
        import cv2  # noqa: F401
        import librosa  # noqa: F401
    except ImportError as error:
        return f"needs {error.name}: pip install 'ambidex[bench]'"
    return ""


def _decode_all(clips: list[Path]) -> None:
    for clip in clips:
        with av.open(str(clip)) as container:
            for stream in container.streams:
                stream.codec_context.thread_count = 1
            for packet in container.demux():
                packet.decode()


def _ambidex(folder: Path, clips: list[Path]) -> None:
    rows = [Sample(clip.stem, CLASS_NAMES[0], "train", "", dict.fromkeys(FIELD, clip.name)) for clip in clips]
    batch = extract_rows(rows, FIELD, folder)
    if batch.rejected:
        raise RuntimeError(f"clip rejected: {batch.rejected[0]}")
    (folder / "progress").mkdir(exist_ok=True)
    write_shard(folder, Slice(0, rows, ""), batch, FIELD)


def _field(clips: list[Path], folder: Path) -> None:
    sound, pictures = FIELD["audio"], FIELD["visual"]
    assert isinstance(sound, LogStft)
    assert isinstance(pictures, Frames)
    folder.mkdir(exist_ok=True)
    for clip in clips:
        _field_sound(clip, folder / f"{clip.stem}.wav", sound.config)
        _field_frames(clip, folder / clip.stem, pictures.config.count)


def _field_sound(clip: Path, wav: Path, want: LogStft.Config) -> None:
    import librosa

    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-threads", "1", "-i", str(clip), "-vn"]
    subprocess.run([*command, "-ac", "1", "-ar", str(want.sample_rate), str(wav)], check=True)
    waveform, _ = librosa.load(wav, sr=want.sample_rate)
    waveform = np.resize(waveform, round(want.seconds * want.sample_rate))  # the field repeats short sound
    spectrum = librosa.stft(waveform, n_fft=want.n_fft, hop_length=want.hop)
    with wav.with_suffix(".pkl").open("wb") as stream:
        pickle.dump(np.log(np.abs(spectrum) + 1e-7), stream)


def _field_frames(clip: Path, folder: Path, count: int) -> None:
    import cv2

    cv2.setNumThreads(1)
    folder.mkdir(exist_ok=True)
    video = cv2.VideoCapture(str(clip), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    every = max(1, int(video.get(cv2.CAP_PROP_FRAME_COUNT)) // count)
    number = 0
    while True:
        there, picture = video.read()
        if not there:
            break
        if number % every == 0:
            cv2.imwrite(str(folder / f"{number:05d}.jpg"), picture)
        number += 1
    video.release()
