"""Loading in samples per second and core: rows of the store over a file per sample, and over copying memory.

A sample is three frames of 224x224 and a spectrogram of 257x188. The field keeps each frame as a jpg and each
spectrogram as a pickle. The files here hold frames of 224x224 already; the field's are larger and cost more.
The crop is the same on both sides: area 0.6 to 1, aspect ratio 3/4 to 4/3, flipped half the time.
"""

import pickle
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ambidex.data.augment import augment
from ambidex.data.draws import Draws
from ambidex.data.kinds._pictures import FramesAugment
from ambidex.data.store.reading import FeatureStore
from benchmarks.data import FIELD, make_store
from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.timing import in_turns

PLAIN_LIMIT, CROP_LIMIT = 8.0, 1.5
CROP = FramesAugment(kind="frames")
JPG_QUALITY = 95
FRAMES = 3


@dataclass(frozen=True)
class Size:
    """Samples in the store, samples in a batch, repetitions."""

    samples: int
    batch: int
    repetitions: int


SIZES = {"full": Size(256, 32, 15), "quick": Size(128, 32, 5), "tiny": Size(4, 2, 1)}


def measure(scale: Scale) -> list[Row]:
    """Rows for loading with and without a crop."""
    size = sized(SIZES, scale)
    with tempfile.TemporaryDirectory(prefix="ambidex-bench-") as name:
        folder = Path(name)
        store = make_store(folder / "store", FIELD, {"train": size.samples}, shard_size=size.samples // 2)
        loader = _Loader(store, size.batch)
        missing = _write_files(store, folder)
        tasks: dict[str, Callable[[], Any]] = {
            "copy": loader.copy,
            "store": loader.stored,
            "store crop": loader.stored_and_cropped,
        }
        if not missing:
            tasks["files"] = lambda: _from_files(folder, loader.rows(), None)
            tasks["files crop"] = lambda: _from_files(folder, loader.rows(), loader.crops)
        taken = in_turns(tasks, size.repetitions)
    rates = [
        row(f"{title}, samples", size.batch / taken[key], unit="/s", note="per core")
        for key, title in (
            ("copy", "copying memory"),
            ("store", "store"),
            ("store crop", "store with crop"),
            ("files", "per-sample files"),
            ("files crop", "per-sample files with crop"),
        )
        if key in taken
    ]
    return [
        *_ratios(taken, missing),
        row("store / copying memory (cost)", taken["store"] / taken["copy"]),
        *rates,
    ]


def _ratios(taken: dict[str, Any], missing: str) -> list[Row]:
    rows = []
    for name, files, ours, limit in (
        ("store / per-sample files (speed)", "files", "store", PLAIN_LIMIT),
        ("the same, with random resized crop (speed)", "files crop", "store crop", CROP_LIMIT),
    ):
        if missing:
            rows.append(Row(name, None, limit=limit, at_least=True, note=missing))
        else:
            rows.append(
                row(name, taken[files] / taken[ours], limit=limit, at_least=True, note="jpg and pickle")
            )
    return rows


class _Loader:
    """Random batches of a store, by the three ways that need nothing else."""

    def __init__(self, store: FeatureStore, batch: int) -> None:
        self.store, self.batch = store, batch
        self.crops = torch.Generator().manual_seed(1)
        self._order = torch.Generator().manual_seed(0)
        self._source = {m: store.gather(m, torch.arange(len(store))) for m in store.modalities}
        self._target = {m: torch.empty_like(values[:batch]) for m, values in self._source.items()}

    def rows(self) -> Tensor:
        """Another random batch."""
        return torch.randperm(len(self.store), generator=self._order)[: self.batch]

    def copy(self) -> None:
        """As many bytes, copied in one piece from memory to memory that is there already."""
        start = int(self.rows()[0]) % (len(self.store) - self.batch + 1)
        for modality, values in self._source.items():
            self._target[modality].copy_(values[start : start + self.batch])

    def stored(self) -> dict[str, Tensor]:
        """A batch as the store holds it."""
        rows = self.rows()
        return {m: self.store.gather(m, rows) for m in self.store.modalities}

    def stored_and_cropped(self) -> dict[str, Tensor]:
        """A batch as training on a CPU sees it."""
        return augment(self.stored(), {"visual": CROP}, Draws(self.crops, self.batch), {})


def _write_files(store: FeatureStore, folder: Path) -> str:
    """Each sample as jpg and pickle files. Returns why not, where Pillow is missing."""
    try:
        from PIL import Image
    except ImportError:
        return "needs Pillow: pip install 'ambidex[bench]'"
    for number in range(len(store)):
        row = torch.tensor([number])
        for k, picture in enumerate(store.gather("visual", row)[0]):
            image = Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
            image.save(folder / f"{number}-{k}.jpg", quality=JPG_QUALITY)
        with (folder / f"{number}.pkl").open("wb") as stream:
            pickle.dump(store.gather("audio", row)[0].numpy(), stream)
    return ""


def _from_files(folder: Path, rows: Tensor, crops: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """A batch from files, sample by sample, as a data set class does it."""
    samples = [_sample(folder, number, crops) for number in rows.tolist()]
    return torch.stack([frames for frames, _ in samples]), torch.stack([sound for _, sound in samples])


def _sample(folder: Path, number: int, crops: torch.Generator | None) -> tuple[Tensor, Tensor]:
    from PIL import Image

    with (folder / f"{number}.pkl").open("rb") as stream:
        sound = torch.from_numpy(pickle.load(stream))  # written a moment ago by this file
    draws = None if crops is None else torch.rand(5, generator=crops).tolist()
    pictures: list[Tensor] = []
    for k in range(FRAMES):
        with Image.open(folder / f"{number}-{k}.jpg") as file:
            image = file.convert("RGB")
        if draws is not None:
            image = _random_resized_crop(image, draws)
        pictures.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
    return torch.stack(pictures), sound


def _random_resized_crop(image: Any, draws: Sequence[float]) -> Any:
    """The same distribution of crops as ambidex's, by Pillow; one crop for all frames of a sample."""
    from PIL import Image

    width, height = image.size
    area = CROP.min_area + (1 - CROP.min_area) * draws[0]
    ratio = min(4 / 3, 1 / area) ** (2 * draws[1] - 1)
    wide, high = round(width * (area * ratio) ** 0.5), round(height * (area / ratio) ** 0.5)
    x, y = int(draws[2] * (width - wide + 1)), int(draws[3] * (height - high + 1))
    image = image.resize((width, height), Image.Resampling.BILINEAR, box=(x, y, x + wide, y + high))
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if draws[4] < CROP.flip else image
