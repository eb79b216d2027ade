"""Checkpoints: everything the rest of a run depends on, written atomically, read without pickle."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ambidex.base.errors import TrainingError
from ambidex.base.files import open_regular, replacing

CHECKPOINT_FILE = "checkpoint.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values) to `folder`, replacing the checkpoint before it in one rename.

    Raises OSError where the disk refuses it; the checkpoint before stays.
    """
    with replacing(folder / CHECKPOINT_FILE) as temporary, temporary.open("wb") as stream:
        try:
            torch.save(state, stream)  # by name it would write the temporary name into the file
        except RuntimeError as error:  # what torch says while it closes a file that the disk refused
            raise error.__context__ if isinstance(error.__context__, OSError) else error from None


def load_checkpoint(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """The checkpoint in `folder`, or None where there is none of this run (`fingerprint`: what the run depends on).

    Raises TrainingError where the file cannot be read: the user decides whether to throw it away.
    """
    if not (folder / CHECKPOINT_FILE).exists():
        return None
    state = read_checkpoint(folder)
    return state if state.get("fingerprint") == fingerprint else None


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """The checkpoint in `folder`, of whatever run. Raises TrainingError where there is none that can be read."""
    path = folder / CHECKPOINT_FILE
    try:
        with open_regular(path) as stream:
            state = torch.load(stream, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises many kinds for a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise TrainingError(
            f"{path}: checkpoint cannot be read ({reason}); delete it to start over"
        ) from None
    if not isinstance(state, dict):
        raise TrainingError(
            f"{path}: found {type(state).__name__}, expected a checkpoint; delete it to start over"
        )
    return state


def random_state() -> dict[str, Tensor]:
    """State of torch's global random generators, of the CPU and of this process's GPU where there is one."""
    state = {"random/cpu": torch.get_rng_state()}
    return state | ({"random/cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def restore_random_state(state: dict[str, Tensor]) -> None:
    """The inverse of random_state; other keys of `state` are not looked at."""
    torch.set_rng_state(state["random/cpu"])
    if "random/cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["random/cuda"])
