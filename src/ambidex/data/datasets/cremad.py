"""CREMA-D (Cao et al. 2014): 91 actors say 12 sentences in 6 emotions.

Reads the folder as downloaded: AudioWAV/*.wav and VideoFlash/*.flv, or another Video* folder of flv, mp4, mpg, avi.
A file is called 1001_DFA_ANG_XX: actor, sentence, emotion, level.

Split `speaker` (default) keeps actors apart. Split `field` is a published list that the user names; the list common
in the field (6,698 train, 744 test) has all 91 actors on both sides and no validation part, so validation is carved
out of its training clips and the result is marked as leaky.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from ambidex.base.errors import DataError
from ambidex.configuration.params import Section
from ambidex.data.datasets import Dataset, Listing
from ambidex.data.datasets._coverage import FOUND, coverage_extra, coverage_notes, matched
from ambidex.data.datasets._table import read_table
from ambidex.data.manifest import Row

EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
_CLIP = re.compile(r"^(?P<actor>\d{4})_[A-Z]{3}_(?P<emotion>[A-Z]{3})_[A-Z]{1,2}$")
_VIDEO_ENDINGS = (".flv", ".mp4", ".mpg", ".mpeg", ".avi", ".mov", ".mkv")
_SPLIT_COLUMNS = ("split", "ogm_split", "field_split")


class CremaD(Dataset):
    """Reads AudioWAV and a Video* folder under `source`."""

    class Config(Section):
        """The protocol."""

        split: Literal["speaker", "field"] = Field(
            "speaker", description="speaker: actors disjoint; field: as in field_list, actors on both sides"
        )
        field_list: str | None = Field(
            None,
            description="CSV (or .csv.gz) with the columns clip and split (or ogm_split), for split: field",
        )
        video_folder: str | None = Field(
            None, description="for example VideoFlash; missing: the first Video* folder with clips"
        )

        @model_validator(mode="after")
        def _list_for_field(self) -> "CremaD.Config":
            if (self.split == "field") != (self.field_list is not None):
                raise ValueError("field_list names the clips of split: field; give both or neither")
            return self

    def list_samples(self, source: Path | None, output: Path, seed: int) -> Listing:
        """The clips that have both streams. Raises DataError where nothing is found."""
        assert source is not None
        sounds = _clips(source / "AudioWAV", (".wav",))
        videos = _clips(_video_folder(source, self.config.video_folder), _VIDEO_ENDINGS)
        if not sounds or not videos:
            others = _others(source / "AudioWAV") + _others(_video_folder(source, self.config.video_folder))
            raise DataError(
                f"{source}: found {len(sounds)} clips in AudioWAV/*.wav and {len(videos)} in "
                f"{self.config.video_folder or 'Video*'}/*.flv or *.mp4, named like 1001_DFA_ANG_XX; need both"
                + (f"; {len(others)} files are named otherwise, for example '{others[0]}'" if others else "")
            )
        splits = _field_splits(Path(self.config.field_list)) if self.config.field_list else None
        names = sorted(set(splits) if splits is not None else {*sounds, *videos})
        status = {clip: _status(clip, sounds, videos) for clip in names}
        rows = [
            _row(clip, source, sounds[clip], videos[clip], splits) for clip in names if status[clip] == FOUND
        ]
        coverage = [(clip, _emotion(clip), status[clip]) for clip in names]
        if not rows:
            clips = {*sounds, *videos}
            why = matched(coverage, len(clips), sorted(clips - set(names)))
            raise DataError(f"{source}: {why}; each needs its sound and its video")
        return Listing(
            rows=rows,
            modalities=("audio", "visual"),
            root=source,
            classes=EMOTIONS,
            protocol="actors disjoint" if splits is None else "field split, all actors on both sides",
            leaky=splits is not None,
            notes=coverage_notes(coverage),
            extras=coverage_extra(coverage),
        )


def _clips(folder: Path | None, endings: tuple[str, ...]) -> dict[str, Path]:
    """Clip name -> file, for the well-named files of a folder."""
    if folder is None or not folder.is_dir():
        return {}
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in endings)
    return {path.stem: path for path in files if _emotion(path.stem) in EMOTIONS}


def _others(folder: Path | None) -> list[str]:
    """The names of sounds and videos in a folder that are not named like clips."""
    if folder is None or not folder.is_dir():
        return []
    files = (path for path in sorted(folder.iterdir()) if path.suffix.lower() in (".wav", *_VIDEO_ENDINGS))
    return [path.name for path in files if _emotion(path.stem) not in EMOTIONS]


def _video_folder(source: Path, name: str | None) -> Path | None:
    """The folder `name`, or the first Video* folder with clips (VideoFlash before all others)."""
    if name is not None:
        return source / name
    folders = sorted(source.glob("Video*"), key=lambda path: (path.name != "VideoFlash", path.name))
    return next((folder for folder in folders if _clips(folder, _VIDEO_ENDINGS)), None)


def _emotion(clip: str) -> str:
    match = _CLIP.match(clip)
    return match["emotion"] if match else ""


def _status(clip: str, sounds: Mapping[str, Path], videos: Mapping[str, Path]) -> str:
    if clip in sounds and clip in videos:
        return FOUND
    return "no video" if clip in sounds else "no audio" if clip in videos else "neither stream"


def _row(clip: str, source: Path, sound: Path, video: Path, splits: Mapping[str, str] | None) -> Row:
    return Row(
        sample_id=clip,
        label=_emotion(clip),
        split="" if splits is None else splits[clip],
        group=clip.partition("_")[0],
        paths={"audio": str(sound.relative_to(source)), "visual": str(video.relative_to(source))},
    )


def _field_splits(path: Path) -> dict[str, str]:
    """Clip -> split, as the list says."""
    table = read_table(path)
    column = table.first_of(_SPLIT_COLUMNS)
    if column is None:
        table.require(["clip", "split"])
    table.require(["clip"])
    assert column is not None
    splits: dict[str, str] = {}
    for line in table.lines:
        clip = line.get("clip")
        if _emotion(clip) not in EMOTIONS:
            raise DataError(f"{line.origin}: clip '{clip}' is not named like 1001_DFA_ANG_XX")
        if clip in splits:
            raise DataError(f"{line.origin}: clip '{clip}' stands there twice")
        splits[clip] = line.get(column)
    return splits
