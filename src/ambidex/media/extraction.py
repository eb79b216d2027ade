"""What a worker process does: some rows of the manifest become tensors, or a reason why not."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ambidex.manifest import Row
from ambidex.media.audio import spectrogram
from ambidex.media.container import MediaError
from ambidex.media.decode import decode
from ambidex.media.noise import noisy
from ambidex.media.tensors import Moments, kind_of
from ambidex.media.vectors import read_vector
from ambidex.params import Frames, Spectrogram, Vector

Wants = Mapping[str, Spectrogram | Frames | Vector]
Sample = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Rejected:
    """A sample that was left out, and why."""

    sample_id: str
    modality: str
    path: str
    reason: str


@dataclass
class Batch:
    """Some rows' samples in their order; `moments` are those of the training samples among them."""

    samples: list[Sample] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    moments: dict[str, list[Moments]] = field(default_factory=dict)

    def add(self, other: "Batch") -> None:
        """Append the samples of the rows that follow."""
        self.samples += other.samples
        self.accepted += other.accepted
        self.rejected += other.rejected
        for name, parts in other.moments.items():
            self.moments.setdefault(name, []).extend(parts)


class _SampleError(MediaError):
    """A MediaError that knows which modality and file it is about."""

    def __init__(self, modality: str, path: str, reason: str) -> None:
        super().__init__(reason)
        self.modality, self.path = modality, path


def start_worker() -> None:
    """Prepare a worker process: one thread, and an end when the parent is gone (even by kill -9)."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends the pool
    parent = multiprocessing.parent_process()

    def leave_with_parent() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=leave_with_parent, daemon=True).start()


def extract_rows(rows: Sequence[Row], wants: Wants, root: Path) -> Batch:
    """Turn `rows` into tensors. A row with a file that cannot be used is rejected with a reason."""
    batch = Batch()
    for row in rows:
        try:
            sample = extract_sample(row.paths, wants, root)
        except _SampleError as error:
            batch.rejected.append(Rejected(row.sample_id, error.modality, error.path, str(error)))
            continue
        batch.samples.append(sample)
        batch.accepted.append(row.sample_id)
        if row.split == "train":
            for name, value in sample.items():
                batch.moments.setdefault(name, []).append(Moments.of(value, kind_of(wants[name])))
    batch.moments = {
        name: [total] for name, parts in batch.moments.items() if (total := Moments.total(parts))
    }
    return batch


def extract_sample(cells: Mapping[str, str], wants: Wants, root: Path) -> Sample:
    """One sample's tensor per modality. A media file that several modalities name is decoded once."""
    files: dict[str, list[str]] = {}
    sample: Sample = {}
    for name, want in wants.items():
        if isinstance(want, Vector):
            try:
                sample[name] = read_vector(cells[name], root, want.size)
            except MediaError as error:
                raise _SampleError(name, cells[name], str(error)) from None
        else:
            files.setdefault(cells[name], []).append(name)
    for cell, names in files.items():
        try:
            sample.update(_media(root / cell, {name: wants[name] for name in names}))
        except MediaError as error:
            raise _SampleError("+".join(names), cell, str(error)) from None
    return {name: sample[name] for name in wants}


def _media(path: Path, wants: Mapping[str, Any]) -> Sample:
    found = dict(zip(wants, decode(path, list(wants.values())), strict=True))
    for name, want in wants.items():
        if isinstance(want, Spectrogram):
            found[name] = spectrogram(torch.from_numpy(found[name]), want).numpy()
            if not np.isfinite(found[name]).all():
                raise MediaError("its sound holds values that are not finite")
        elif want.noise:
            found[name] = noisy(found[name], want.noise)
    return found
