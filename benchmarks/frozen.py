"""`python -m benchmarks.frozen`: a head on frozen encoders, whose features are kept, against running them anew."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import torch

from ambidex.configuration.values import Choice
from ambidex.net.model import MultimodalNet
from ambidex.testing.ground import architecture, engine

MODALITIES = ("audio", "visual")
EPOCHS = (1, 5, 20)
SAMPLES = 256
ROUNDS = 3


def seconds(folder: Path, epochs: int, width: int, kept: bool) -> tuple[float, dict[str, torch.Tensor]]:
    """Seconds of CPU time of one training, and the weights that it ends with."""
    encoders = {m: Choice.model_validate({"name": "resnet18", "width": width}) for m in MODALITIES}
    torch.manual_seed(0)
    model = MultimodalNet(replace(architecture(MODALITIES), encoders=encoders))
    trained = engine(
        folder, modalities=MODALITIES, model=model, frozen=True, samples=SAMPLES, epochs=epochs, batch_size=32
    )
    started = time.process_time()
    if kept:
        trained.fit()
    else:
        with patch("ambidex.learn.engine.kept_features", lambda *_: None):
            trained.fit()
    return time.process_time() - started, trained.model.state_dict()


def compare(epochs: int, width: int = 64, rounds: int = ROUNDS) -> tuple[float, float, bool]:
    """Seconds anew, seconds kept (the fastest of a few rounds each), and whether all weights have the same bits."""
    anew, kept, same = [], [], True
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            one, first = seconds(Path(folder) / f"anew{number}", epochs, width, kept=False)
            two, second = seconds(Path(folder) / f"kept{number}", epochs, width, kept=True)
        anew.append(one)
        kept.append(two)
        same &= all(torch.equal(first[name], second[name]) for name in first)
    return min(anew), min(kept), same


def main() -> None:
    """Print a line for each number of epochs."""
    torch.set_num_threads(1)
    for epochs in EPOCHS:
        anew, kept, same = compare(epochs)
        bits = "the same bits" if same else "OTHER BITS"
        print(
            f"{epochs:2d} epochs: {anew:.2f} s anew, {kept:.2f} s kept, {anew / kept:.1f} times as fast, {bits}"
        )


if __name__ == "__main__":
    main()
