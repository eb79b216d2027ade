"""What the order of steps is worth on real sequences: spoken digits as mel bands in time, heard from unseen speakers.

    python -m benchmarks.sequences ../shared/data/av_digits

Every recording becomes its logarithm of power in 20 mel bands, a row for every 16 ms, as long as it is: a .npy file.
The same numbers are then a `sequence`, padded or stretched to one length, and a `vector`, padded and flattened. Each is
classified alone (stage pretrain), with the same loop. Train, validation and test are disjoint in speaker.
"""

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ambidex.base.errors import AmbidexError, DataError
from ambidex.base.layout import Layout
from ambidex.commands.plugin_text import aligned
from ambidex.configuration.params import Params
from ambidex.data.media.audio import Analysis, spectrogram
from ambidex.data.media.decode import decode
from ambidex.data.media.requests import Sound
from ambidex.data.ragged import packed
from ambidex.resolve import parse_params
from ambidex.stages import run

RATE, WINDOW, HOP, BANDS = 8_000, 256, 128, 20
LONGEST_SOUND = 5.0
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "vector, flattened": ("flat", {"name": "mlp"}),
    "sequence, flattened with its mask": ("padded", {"name": "mlp"}),
    "sequence, stretched to 32 and flattened": ("stretched", {"name": "mlp"}),
    "sequence, stretched to 32": ("stretched", {"name": "sequence_cnn"}),
    "sequence": ("padded", {"name": "sequence_cnn"}),
}
"""what is compared -> the modality that holds it, and its encoder"""
KINDS = {
    "flat": {"kind": "vector"},
    "padded": {"kind": "sequence"},
    "stretched": {"kind": "sequence", "length": 32, "resample": True},
}


def mel_bands(file: Path) -> NDArray[np.float32]:
    """A recording as [steps, 20], one step for every 16 ms that it lasts."""
    (waveform,) = decode(file, [Sound(RATE, LONGEST_SOUND)])
    analysis = Analysis(RATE, len(waveform) / RATE, WINDOW, HOP, floor=1e-6, mels=BANDS)
    return np.ascontiguousarray(spectrogram(torch.from_numpy(waveform), analysis).numpy().T)


def write_data(source: Path, folder: Path) -> Path:
    """The recordings that `source`/manifest.csv names, as sequences and as flat vectors; returns the new manifest."""
    with (source / "manifest.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    sequences = [mel_bands(source / row["audio"]) for row in rows]
    training = [len(x) for x, row in zip(sequences, rows, strict=True) if row["split"] == "train"]
    flat = np.stack([packed(x, max(training))[:, :-1].ravel() for x in sequences])
    np.save(folder / "flat.npy", flat)
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["sample_id", "label", "split", "group", *KINDS])
        writer.writeheader()
        for k, (row, sequence) in enumerate(zip(rows, sequences, strict=True)):
            np.save(folder / f"{k}.npy", sequence)
            cells = {"flat": f"flat.npy[{k}]", "padded": f"{k}.npy", "stretched": f"{k}.npy"}
            writer.writerow({key: row[key] for key in ("sample_id", "label", "split", "group")} | cells)
    return folder / "manifest.csv"


def make_params(source: Path, encoders: Mapping[str, Any], epochs: int) -> Params:
    """Parameters of the comparison."""
    return parse_params(
        {
            "prepare": {"dataset": "manifest", "source": str(source), "shared_content": "allow"},
            "extract": {"modalities": KINDS},
            "model": {"encoders": {m: encoders.get(m, {"name": "mlp"}) for m in KINDS}},
            "pretrain": {"epochs": epochs, "batch_size": 32, "learning_rate": 0.001},
            "runtime": {"accelerator": "cpu", "threads": 1},
        }
    )


def accuracies(layout: Layout, params: Params, modality: str, seeds: Sequence[int]) -> list[float]:
    """Of the classifier of one modality on the test speakers, for each seed."""
    found = []
    for seed in seeds:
        section = params.pretrain.model_copy(update={"modality": modality, "seed": seed})
        out = layout.root / f"{modality}-{params.model.encoders[modality].name}-{seed}"
        chosen = params.model_copy(update={"pretrain": section})
        run("pretrain", chosen, {"features": layout.features}, {"encoder": out})
        found.append(json.loads((out / "metrics.json").read_text())["test"]["accuracy"])
    return found


def measure(source: Path, seeds: Sequence[int], epochs: int) -> list[list[str]]:
    """A line for each case: what it is, encoder, mean and deviation of the accuracy over seeds, in percent."""
    if not (source / "manifest.csv").exists():
        raise DataError(f"{source}: has no manifest.csv; expected the folder of av_digits")
    lines = []
    with tempfile.TemporaryDirectory(prefix="ambidex-bench-") as name:
        folder = Path(name)
        layout = Layout(folder / "runs")
        (folder / "data").mkdir()
        manifest = write_data(source, folder / "data")
        run("prepare", make_params(manifest, {}, epochs), {"source": manifest}, {"manifest": layout.manifest})
        run(
            "extract",
            make_params(manifest, {}, epochs),
            {"manifest": layout.manifest},
            {"features": layout.features},
        )
        for title, (modality, encoder) in CASES.items():
            values = accuracies(layout, make_params(manifest, {modality: encoder}, epochs), modality, seeds)
            spread = f"{100 * stdev(values):.1f}" if len(values) > 1 else "-"
            lines.append([title, encoder["name"], f"{100 * fmean(values):.1f}", spread])
            print(f"{title}: {', '.join(f'{100 * v:.1f}' for v in values)}", file=sys.stderr, flush=True)
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sequences", description=__doc__)
    parser.add_argument("source", metavar="FOLDER", type=Path, help="the data set av_digits")
    parser.add_argument("--seeds", metavar="N", type=int, default=3)
    parser.add_argument("--epochs", metavar="N", type=int, default=20)
    options = parser.parse_args(arguments)
    try:
        lines = measure(options.source, range(options.seeds), options.epochs)
    except AmbidexError as error:
        print(f"benchmarks.sequences: {error}", file=sys.stderr)
        return error.exit_code
    print("\n".join(aligned([["input", "encoder", "accuracy", "sd"], *lines])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
