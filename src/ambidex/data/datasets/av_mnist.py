"""AV-MNIST (Vielzeuf et al. 2018), made here: MNIST pictures of little energy with spoken digits in noise.

Reads MNIST's four idx files (train-images-idx3-ubyte, ..., .gz too) and recordings/7_jackson_32.wav of the Free Spoken
Digit Dataset (digit, speaker, take) under `source`. Each picture is used once, with a recording of the same digit that
may come several times. `energy` is the share of the pictures' variance that stays: the first principal components of
the training pictures. `noise` is white noise on the sound, as a share of its own root mean square.

Split `speaker` keeps speakers apart. Split `field` is by takes, so that every speaker is on both sides: it is leaky.
MNIST's training and test pictures come from different writers; those of val are training pictures.
"""

import re
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ambidex.base.errors import DataError
from ambidex.base.progress import progress
from ambidex.configuration.params import Section
from ambidex.data.datasets import Dataset, Listing
from ambidex.data.datasets._idx import read_idx
from ambidex.data.datasets._png import write_png
from ambidex.data.manifest import SPLITS, Row

_DIGITS = tuple("0123456789")
_RECORDING = re.compile(r"^(?P<digit>\d)_(?P<speaker>[A-Za-z]+)_(?P<take>\d+)$")
_TEST_TAKES, _VAL_TAKES = range(5), range(5, 10)
"""of each speaker and digit, in the split `field`; the first five are those that the recordings' authors test on"""


class AvMnist(Dataset):
    """Writes a png and a wav for each sample."""

    class Config(Section):
        """How many samples, how weak each side, and the protocol."""

        energy: float = Field(0.25, gt=0, le=1, description="share of the pictures' variance that stays")
        noise: float = Field(
            1.0, ge=0, le=100, description="white noise, as a share of the sound's root mean square"
        )
        split: Literal["speaker", "field"] = Field(
            "speaker",
            description="speaker: speakers disjoint; field: by takes, speakers on both sides (leaky)",
        )
        train: int = Field(55_000, ge=10, le=1_000_000, description="samples")
        val: int = Field(5_000, ge=0, le=1_000_000, description="samples")
        test: int = Field(10_000, ge=1, le=1_000_000, description="samples")

    def list_samples(self, source: Path | None, output: Path, seed: int) -> Listing:
        """Write the samples to `output`; equal sources, parameters and seed give equal files."""
        assert source is not None
        pictures, labels = self._pictures(source, seed)
        sounds = self._sounds(source)
        rows = self._write(_reduced(pictures, self.config.energy), labels, sounds, output, seed)
        by_field = self.config.split == "field"
        return Listing(
            rows=rows,
            modalities=("audio", "visual"),
            classes=_DIGITS,
            protocol="field split, all speakers on both sides" if by_field else "speakers disjoint",
            leaky=by_field,
            notes=[
                f"pictures keep {self.config.energy:g} of their variance; noise {self.config.noise:g} of the sound"
            ],
        )

    def _write(
        self,
        pictures: Mapping[str, NDArray[np.uint8]],
        labels: Mapping[str, NDArray[np.uint8]],
        sounds: Mapping[str, Mapping[int, Sequence[Path]]],
        output: Path,
        seed: int,
    ) -> list[Row]:
        """Write the picture and the sound of each sample. Raises DataError where a split has no sound of a digit."""
        for name in ("audio", "visual"):
            (output / name).mkdir()
        rows = []
        with progress("pictures with sound", sum(map(len, labels.values())), "samples") as advance:
            for part, split in enumerate(labels):
                for k, digit in enumerate(labels[split].tolist()):
                    rng = np.random.default_rng([seed, 1, part, k])
                    fitting = sounds[split].get(digit)
                    if not fitting:
                        raise DataError(
                            f"no recording of digit {digit} in {self.config.split} split '{split}'"
                        )
                    sound = fitting[int(rng.integers(len(fitting)))]
                    name = f"{split}_{k:05d}"
                    paths = {"audio": f"audio/{name}.wav", "visual": f"visual/{name}.png"}
                    write_png(output / paths["visual"], pictures[split][k])
                    _write_noisy(sound, output / paths["audio"], self.config.noise, rng)
                    rows.append(Row(name, str(digit), split, _speaker(sound), paths))
                    advance()
        return rows

    def _pictures(
        self, source: Path, seed: int
    ) -> tuple[dict[str, NDArray[np.uint8]], dict[str, NDArray[np.uint8]]]:
        """Pictures [N, 28, 28] and labels [N] by split, drawn without replacement."""
        pictures: dict[str, NDArray[np.uint8]] = {}
        labels: dict[str, NDArray[np.uint8]] = {}
        wanted = {"train": ("train", self.config.train + self.config.val), "test": ("t10k", self.config.test)}
        for split, (name, count) in wanted.items():
            images = read_idx(source, f"{name}-images-idx3-ubyte", 3)
            digits = read_idx(source, f"{name}-labels-idx1-ubyte", 1)
            _check(source, name, images, digits, count)
            order = np.random.default_rng([seed, 0, len(pictures)]).permutation(len(images))[:count]
            pictures[split], labels[split] = images[order], digits[order]
        cut = self.config.train
        for values in (pictures, labels):
            values["val"] = values["train"][cut:]
            values["train"] = values["train"][:cut]
        names = [split for split in SPLITS if len(labels[split])]
        return {name: pictures[name] for name in names}, {name: labels[name] for name in names}

    def _sounds(self, source: Path) -> dict[str, dict[int, list[Path]]]:
        """Recordings by split and digit."""
        files = [
            path for path in sorted((source / "recordings").glob("*.wav")) if _RECORDING.match(path.stem)
        ]
        if not files:
            raise DataError(f"{source}/recordings: no recordings named like 7_jackson_32.wav")
        speakers = sorted({_speaker(path) for path in files})
        if self.config.split == "speaker" and len(speakers) < len(SPLITS):
            raise DataError(
                f"{source}/recordings: {len(speakers)} speakers, the split by speaker needs 3 or more"
            )
        home = _homes(speakers)
        sounds: dict[str, dict[int, list[Path]]] = {split: {} for split in SPLITS}
        for path in files:
            split = home[_speaker(path)] if self.config.split == "speaker" else _by_take(path)
            sounds[split].setdefault(int(path.stem[0]), []).append(path)
        return sounds


def _check(source: Path, name: str, images: NDArray[np.uint8], digits: NDArray[np.uint8], count: int) -> None:
    if len(images) != len(digits):
        raise DataError(f"{source}: {name} has {len(images):,} pictures and {len(digits):,} labels")
    if digits.size and digits.max() > 9:
        place = int(digits.argmax())
        raise DataError(
            f"{source}/{name}-labels-idx1-ubyte: label {place} is {digits[place]}, expected 0 to 9"
        )
    if len(images) < count:
        options = "train and prepare.options.val" if name == "train" else "test"
        raise DataError(
            f"{source}: {name} has {len(images):,} pictures, {count:,} are wanted; lower prepare.options.{options}"
        )


def _reduced(pictures: Mapping[str, NDArray[np.uint8]], energy: float) -> dict[str, NDArray[np.uint8]]:
    """Pictures by the first principal components of the training pictures, with at most `energy` of their variance."""
    if energy == 1:
        return dict(pictures)
    flat = pictures["train"].reshape(len(pictures["train"]), -1).astype(np.float64)
    mean = flat.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(flat, rowvar=False, bias=True))
    shares = np.cumsum(values[::-1]) / values.sum()
    kept = vectors[:, ::-1][:, : max(1, int(np.searchsorted(shares, energy, side="right")))]
    reduced = {}
    for split, some in pictures.items():
        centred = some.reshape(len(some), -1) - mean
        near = centred @ kept @ kept.T + mean
        reduced[split] = np.clip(near.round(), 0, 255).astype(np.uint8).reshape(some.shape)
    return reduced


def _homes(speakers: Sequence[str]) -> dict[str, str]:
    """The split of each speaker: by name, the last third is for testing and the sixth before for validation."""
    test = max(1, round(len(speakers) / 3))
    val = max(1, round(len(speakers) / 6))
    places = ["train"] * (len(speakers) - test - val) + ["val"] * val + ["test"] * test
    return dict(zip(speakers, places, strict=False))


def _by_take(path: Path) -> str:
    take = int(path.stem.rpartition("_")[2])
    return "test" if take in _TEST_TAKES else "val" if take in _VAL_TAKES else "train"


def _speaker(path: Path) -> str:
    return path.stem.split("_")[1]


def _write_noisy(sound: Path, place: Path, noise: float, rng: np.random.Generator) -> None:
    """Copy a recording of 16 bits with white noise of `noise` times its root mean square."""
    try:
        with wave.open(str(sound), "rb") as stream:
            form = stream.getparams()
            data = stream.readframes(form.nframes)
    except (OSError, EOFError, wave.Error) as error:
        raise DataError(f"{sound}: is no whole wav file ({error})") from None
    if form.sampwidth != 2 or not data:
        raise DataError(
            f"{sound}: has {8 * form.sampwidth} bits and {form.nframes} samples, expected 16 bits and some"
        )
    samples = np.frombuffer(data, "<i2").astype(np.float64)
    level = np.sqrt(np.mean(samples**2))
    noisy = samples + noise * level * rng.normal(size=samples.shape)
    with wave.open(str(place), "wb") as stream:
        stream.setparams(form)
        stream.writeframes(np.clip(noisy.round(), -(2**15), 2**15 - 1).astype("<i2").tobytes())
