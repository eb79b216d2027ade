"""Spoken digits with pictures of the same digit: a folder with manifest.csv, wav recordings and png pictures.

The pairing is made up, as in AV-MNIST: each recording is used once, with a picture of the same digit. Speakers and
the writers of the pictures are disjoint between the splits. `visual_noise` makes sight the weak side.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ambidex.base.errors import DataError
from ambidex.base.progress import progress
from ambidex.configuration.params import Section
from ambidex.data.datasets import Dataset, Listing
from ambidex.data.datasets._manifest_csv import read_listing
from ambidex.data.datasets._paths import media_files
from ambidex.data.datasets._png import write_png
from ambidex.data.manifest import Row

_DIGITS = tuple("0123456789")


class AvDigits(Dataset):
    """Reads the folder's manifest.csv; with noise it writes copies of everything."""

    class Config(Section):
        """What is done to the pictures."""

        visual_noise: float = Field(
            0.0, ge=0, le=1_000, description="standard deviation of white noise on the pictures, 0..255 units"
        )

    def list_samples(self, source: Path | None, output: Path, seed: int) -> Listing:
        """The rows of the manifest. Noise is drawn anew for each sample, equal for equal seeds."""
        assert source is not None
        listing = read_listing(source, ["audio", "visual"], _DIGITS)
        listing = replace(listing, protocol="speakers and writers of the pictures disjoint")
        if self.config.visual_noise == 0:
            return listing
        assert listing.root is not None
        media_files(listing.rows, listing.root)
        with progress("noisy pictures", len(listing.rows), "samples") as advance:
            rows = []
            for index, row in enumerate(listing.rows):
                rng = np.random.default_rng([seed, index])
                rows.append(_noisy_copy(row, listing.root, output, index, self.config.visual_noise, rng))
                advance()
        note = f"white noise of standard deviation {self.config.visual_noise:g} on the pictures"
        return replace(listing, rows=rows, root=None, notes=[note], original=listing)


def _noisy_copy(
    row: Row, root: Path, output: Path, index: int, noise: float, rng: np.random.Generator
) -> Row:
    """Copy a sample's sound as it is and its picture with noise; the paths are relative to `output`."""
    names = {
        "audio": f"audio/{index:05d}{Path(row.paths['audio']).suffix}",
        "visual": f"visual/{index:05d}.png",
    }
    for name in names.values():
        (output / name).parent.mkdir(exist_ok=True)
    shutil.copyfile(root / row.paths["audio"], output / names["audio"])
    picture = _read_picture(root / row.paths["visual"], row)
    noisy = picture + rng.normal(0, noise, picture.shape)
    write_png(output / names["visual"], np.clip(noisy.round(), 0, 255).astype(np.uint8))
    return replace(row, paths=names)


def _read_picture(path: Path, row: Row) -> NDArray[np.uint8]:
    """A picture as [height, width] where it is grey, else [height, width, 3]."""
    import av

    try:
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
    except (OSError, ValueError, IndexError, StopIteration) as error:
        raise DataError(f"{row.where}: column 'visual': {path} is not a picture ({error})") from None
    picture: NDArray[np.uint8] = frame.to_ndarray(format="gray" if frame.format.name == "gray" else "rgb24")
    return picture
