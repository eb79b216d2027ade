"""`python -m benchmarks.checkpoint`: the cost of a checkpoint of two ResNet-18 with Adam: size, CPU time, wall time."""

import tempfile
import time
from pathlib import Path

import torch

from ambidex.data.kinds import InputSpec
from ambidex.learn.loop.checkpoint import CHECKPOINT_FILE, save_checkpoint
from ambidex.net.encoders import ENCODERS

SHAPES = {"audio": ("spectrogram", (64, 100)), "visual": ("frames", (3, 3, 64, 64))}
ROUNDS = 3


def costs(folder: Path, encoder: str = "resnet18") -> list[tuple[float, float, float]]:
    """MB, seconds of CPU time and seconds of wall time of each of a few checkpoints written to `folder`."""
    plugin = ENCODERS.get(encoder)
    model = torch.nn.ModuleDict(
        {name: plugin(plugin.Config(), InputSpec(kind, shape)) for name, (kind, shape) in SHAPES.items()}
    )
    optimizer = torch.optim.Adam(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    found = []
    for _ in range(ROUNDS):
        wall, cpu = time.monotonic(), time.process_time()
        save_checkpoint(folder, {"model": model.state_dict(), "optimizer": optimizer.state_dict()})
        size = (folder / CHECKPOINT_FILE).stat().st_size / 1e6
        found.append((size, time.process_time() - cpu, time.monotonic() - wall))
    return found


def main() -> None:
    """Print a line for each checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        for size, cpu, wall in costs(Path(folder)):
            print(f"{size:.0f} MB: {cpu:.2f} s of CPU time, {wall:.2f} s in all")


if __name__ == "__main__":
    main()
