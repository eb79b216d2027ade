"""A made-up data set with a known truth: short mp4 clips that are written here, with a video and an audio stream.

A class shows a pattern in each stream: a chord, and drifting stripes at an angle. `informativeness` is the
probability that a stream shows the class's own pattern; otherwise it shows one borrowed from the classes that are
informative in that stream, so that a class of informativeness 0 gets evidence neither for nor against it. By
default two classes are audible only, two visible only, two both; chords are learned faster than angles.

Every stream also carries a cue, a hum or a tint. For the training speakers (one studio) it gives a class away where
the pattern does not, with probability `shortcut`; for the speakers of val and test it is random. So a trained
branch believes to know the classes that it cannot know, and a right decision layer takes that say away from it.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from ambidex.base.progress import progress
from ambidex.configuration.params import Fraction, Section
from ambidex.data.datasets import Dataset, Listing
from ambidex.data.datasets._clips import Look, Speaker, draw_sight, draw_sound, draw_speaker, write_clip
from ambidex.data.datasets._truth import best_accuracy, class_names
from ambidex.data.manifest import Row


class _Informativeness(Section):
    """Probability, by class, that a stream shows the class's own pattern."""

    audio: list[Fraction] = Field(min_length=2, max_length=64)
    visual: list[Fraction] = Field(min_length=2, max_length=64)


class Synthetic(Dataset):
    """Writes clips and knows what each class's streams are worth."""

    class Config(Section):
        """How many clips of what kind."""

        classes: int = Field(6, ge=2, le=64)
        samples_per_class: int = Field(96, ge=3, le=100_000, description="over all splits")
        train_speakers: int = Field(10, ge=1, le=10_000)
        val_speakers: int = Field(8, ge=1, le=10_000)
        test_speakers: int = Field(6, ge=1, le=10_000)
        informativeness: _Informativeness | None = Field(
            None, description="by class; missing: a third audible only, a third visible only, the rest both"
        )
        shortcut: Fraction = Field(
            0.9, description="probability that a training clip's cue gives away what its pattern does not"
        )
        seconds: float = Field(1.0, ge=0.1, le=60)
        fps: int = Field(8, ge=1, le=60)
        size: int = Field(48, ge=16, le=512, multiple_of=2, description="pixels, height and width")
        sample_rate: int = Field(8_000, ge=8_000, le=48_000, description="Hz")
        audio_noise: float = Field(
            0.1, ge=0, le=100, description="standard deviation; the chord's amplitude is 0.2"
        )
        visual_noise: float = Field(
            30.0, ge=0, le=10_000, description="standard deviation, 0..255 units; stripes: 40"
        )

        @model_validator(mode="after")
        def _fits(self) -> "Synthetic.Config":
            for name, values in (self.informativeness.model_dump() if self.informativeness else {}).items():
                if len(values) != self.classes:
                    raise ValueError(
                        f"informativeness.{name} has {len(values)} values for {self.classes} classes"
                    )
            speakers = self.train_speakers + self.val_speakers + self.test_speakers
            if self.samples_per_class < speakers:
                raise ValueError(
                    f"samples_per_class = {self.samples_per_class} must reach the number of speakers, {speakers}"
                )
            return self

    needs_source = False

    def list_samples(self, source: Path | None, output: Path, seed: int) -> Listing:
        """Write the clips to `output`/clips; equal parameters and seed give equal bytes."""
        worth = self._informativeness()
        names = class_names(worth["audio"], worth["visual"])
        splits = self._splits()
        (output / "clips").mkdir()
        look = Look(
            **{f: getattr(self.config, f) for f in ("classes", "seconds", "fps", "size", "sample_rate")},
            audio_noise=self.config.audio_noise,
            visual_noise=self.config.visual_noise,
        )
        speakers = [draw_speaker(np.random.default_rng([seed, 0, k])) for k in range(len(splits))]
        rows, jobs = [], []
        for index in range(self.config.classes * self.config.samples_per_class):
            label, speaker = index // self.config.samples_per_class, index % self.config.samples_per_class
            speaker %= len(splits)
            path = f"clips/{names[label]}_{index:05d}.mp4"
            rows.append(
                Row(
                    sample_id=Path(path).stem,
                    label=names[label],
                    split=splits[speaker],
                    group=f"speaker_{speaker:02d}",
                    paths={"audio": path, "visual": path},
                )
            )
            shortcut = self.config.shortcut if splits[speaker] == "train" else 0.0
            jobs.append((output / path, look, speakers[speaker], label, worth, shortcut, [seed, 1, index]))
        _write_all(jobs)
        return Listing(
            rows=rows,
            modalities=("audio", "visual"),
            classes=names,
            protocol="speakers disjoint; the training speakers' shortcut does not hold for the others",
            truth={
                "informativeness": {
                    name: {m: worth[m][c] for m in ("audio", "visual")} for c, name in enumerate(names)
                },
                "best_accuracy": best_accuracy(worth),
                "shortcut": self.config.shortcut,
            },
        )

    def _informativeness(self) -> dict[str, list[float]]:
        if self.config.informativeness is not None:
            return {m: list(values) for m, values in self.config.informativeness.model_dump().items()}
        third = self.config.classes // 3
        both = [1.0] * (self.config.classes - 2 * third)
        return {
            "audio": [1.0] * third + [0.0] * third + both,
            "visual": [0.0] * third + [1.0] * third + both,
        }

    def _splits(self) -> list[str]:
        """The split of each speaker."""
        counts = {split: getattr(self.config, f"{split}_speakers") for split in ("train", "val", "test")}
        return [split for split, count in counts.items() for _ in range(count)]


def _write_all(jobs: Sequence[tuple[Any, ...]]) -> None:
    """Write clips on all cores: encoding runs outside Python's lock, so threads do."""
    with (
        progress("synthetic clips", len(jobs), "clips") as advance,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for _ in pool.map(lambda job: _write_one(*job), jobs):
            advance()


def _write_one(
    path: Path,
    look: Look,
    speaker: Speaker,
    label: int,
    worth: dict[str, list[float]],
    shortcut: float,
    seed: list[int],
) -> None:
    rng = np.random.default_rng(seed)
    audio_class, hum = _shown(label, worth["audio"], shortcut, rng)
    visual_class, tint = _shown(label, worth["visual"], shortcut, rng)
    sound = draw_sound(look, speaker, audio_class, hum, rng)
    write_clip(path, draw_sight(look, speaker, visual_class, tint, rng), sound, look)


def _shown(label: int, worth: list[float], shortcut: float, rng: np.random.Generator) -> tuple[int, int]:
    """Pattern and cue of one stream of one clip. The cue gives the label away only where the pattern is borrowed."""
    if rng.uniform() < worth[label]:
        return label, int(rng.integers(len(worth)))
    pool = np.asarray(worth) if any(worth) else np.ones(len(worth))
    pattern = int(rng.choice(len(worth), p=pool / pool.sum()))
    return pattern, label if rng.uniform() < shortcut else int(rng.integers(len(worth)))
