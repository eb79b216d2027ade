"""What is done with rows of the manifest, one by one: each becomes tensors, or a reason why not."""

import errno
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray

from ambidex.errors import one_line
from ambidex.manifest import Row
from ambidex.media.audio import spectrogram
from ambidex.media.container import MediaError
from ambidex.media.decode import decode
from ambidex.media.foreign import check_file
from ambidex.media.limits import DEFAULT, Limits
from ambidex.media.noise import noisy
from ambidex.media.tensors import Moments, kind_of
from ambidex.media.vectors import read_vector
from ambidex.params import Frames, Spectrogram, Vector

Wants = Mapping[str, Spectrogram | Frames | Vector]
Sample = dict[str, NDArray[Any]]
Begin = Callable[[tuple[str, str]], None]
"""called with (modality, cell) before a file is opened"""
UNEXPECTED = "unexpected "
"""how a reason begins that nobody foresaw: a fault of this library or one that it uses"""
_SILENCE = 2.0**-14
"""sound within this range is silent: two steps of 16-bit sound, so that dithered silence counts"""


@dataclass(frozen=True)
class Rejected:
    """A sample that was left out, and why."""

    sample_id: str
    modality: str
    path: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What became of one row: its tensors, or why there are none."""

    sample_id: str
    sample: Sample | None = None
    rejected: Rejected | None = None
    moments: dict[str, Moments] = field(default_factory=dict)
    """of a training sample"""
    silent: tuple[str, ...] = ()
    """modalities whose sound is muted"""


@dataclass
class Batch:
    """Some rows' samples in their order; `moments` are those of the training samples among them."""

    samples: list[Sample] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    moments: dict[str, list[Moments]] = field(default_factory=dict)
    silent: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> "Batch":
        """The batch of one task's rows; their moments are added up."""
        batch = cls()
        for outcome in outcomes:
            if outcome.rejected is not None:
                batch.rejected.append(outcome.rejected)
            elif outcome.sample is not None:
                batch.samples.append(outcome.sample)
                batch.accepted.append(outcome.sample_id)
            batch.silent.update(outcome.silent)
            for name, moments in outcome.moments.items():
                batch.moments.setdefault(name, []).append(moments)
        batch.moments = {
            name: [total] for name, parts in batch.moments.items() if (total := Moments.total(parts))
        }
        return batch

    def add(self, other: "Batch") -> None:
        """Append the samples of the rows that follow."""
        self.samples += other.samples
        self.accepted += other.accepted
        self.rejected += other.rejected
        self.silent += other.silent
        for name, parts in other.moments.items():
            self.moments.setdefault(name, []).extend(parts)


class _SampleError(Exception):
    """Why a sample cannot be used, and which modality and file that is about."""

    def __init__(self, modality: str, path: str, cause: Exception) -> None:
        super().__init__(str(cause))
        self.modality, self.path, self.cause = modality, path, cause


def _unheard(_: tuple[str, str]) -> None:
    pass


def extract_rows(rows: Sequence[Row], wants: Wants, root: Path, limits: Limits = DEFAULT) -> Batch:
    """Turn `rows` into tensors in this process. A row with a file that cannot be used is rejected with a reason.

    A file that kills its process ends this one; see `pool.extracted`.
    """
    return Batch.of(extract_row(row, _unheard, wants, root, limits) for row in rows)


def extract_row(row: Row, begin: Begin, wants: Wants, root: Path, limits: Limits) -> Outcome:
    """One row's tensors, or the reason why there are none, whatever goes wrong."""
    try:
        with np.errstate(all="ignore"):  # numbers that are not finite are refused with a reason
            sample, silent = _extract(row.paths, wants, root, limits, begin)
    except _SampleError as error:
        reason = reason_of(error.cause, limits)
        return Outcome(row.sample_id, rejected=Rejected(row.sample_id, error.modality, error.path, reason))
    moments = {}
    if row.split == "train":
        moments = {name: Moments.of(value, kind_of(wants[name])) for name, value in sample.items()}
    return Outcome(row.sample_id, sample, None, moments, silent)


def reason_of(error: Exception, limits: Limits) -> str:
    """Why a file cannot be used, in one line. Only a MediaError was foreseen; any other names its type.

    What a library said first counts: no memory, or a form of the format that it does not know.
    """
    causes = list(_causes(error))
    if any(map(_is_memory, causes)):
        return f"needs more memory than extract.megabytes_per_file allows ({limits.megabytes})"
    if any(isinstance(cause, av.PatchWelcomeError) or _number(cause) == errno.ENOSYS for cause in causes):
        return "not supported: the decoder knows its format, but not this form of it"
    if isinstance(error, MediaError):
        return one_line(error)
    return one_line(f"{UNEXPECTED}{type(error).__name__}: {error}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_memory(error: BaseException) -> bool:
    allocation = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)  # of torch
    return allocation or isinstance(error, MemoryError) or _number(error) == errno.ENOMEM


def _number(error: BaseException) -> int | None:
    number = getattr(error, "errno", None)  # of OSError, and of what FFmpeg says
    return number if isinstance(number, int) else None


def extract_sample(cells: Mapping[str, str], wants: Wants, root: Path, limits: Limits = DEFAULT) -> Sample:
    """One sample's tensor per modality. A media file that several modalities name is decoded once.

    Raises MediaError where a file cannot be used.
    """
    try:
        return _extract(cells, wants, root, limits, _unheard)[0]
    except _SampleError as error:
        raise error.cause from None


def _extract(
    cells: Mapping[str, str], wants: Wants, root: Path, limits: Limits, begin: Begin
) -> tuple[Sample, tuple[str, ...]]:
    """The tensors, and the modalities whose sound is silent. Raises _SampleError."""
    files: dict[str, list[str]] = {}
    sample: Sample = {}
    silent: list[str] = []
    for name, want in wants.items():
        if isinstance(want, Vector):
            begin((name, cells[name]))
            try:
                sample[name] = read_vector(cells[name], root, want.size, limits.bytes)
            except Exception as error:
                raise _SampleError(name, cells[name], error) from None
        else:
            files.setdefault(cells[name], []).append(name)
    for cell, names in files.items():
        begin(("+".join(names), cell))
        try:
            check_file(root / cell, limits.bytes)
            sample.update(_media(root / cell, {name: wants[name] for name in names}, silent))
        except Exception as error:
            raise _SampleError("+".join(names), cell, error) from None
    return {name: sample[name] for name in wants}, tuple(silent)


def _media(path: Path, wants: Mapping[str, Any], silent: list[str]) -> Sample:
    found = dict(zip(wants, decode(path, list(wants.values())), strict=True))
    for name, want in wants.items():
        if isinstance(want, Spectrogram):
            if is_silent(found[name]):
                silent.append(name)
            found[name] = spectrogram(torch.from_numpy(found[name]), want).numpy()
            if not np.isfinite(found[name]).all():
                raise MediaError("its sound holds values that are not finite")
        elif want.noise:
            found[name] = noisy(found[name], want.noise)
    return found


def is_silent(waveform: NDArray[np.float32]) -> bool:
    """Whether sound [T] never moves by more than the last bits of 16-bit sound."""
    return not waveform.size or float(np.ptp(waveform)) <= _SILENCE
