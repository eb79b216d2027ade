"""Waveforms to spectrograms. The only file that imports torchaudio."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from torch import Tensor

_EXTENSION = "torchaudio._extension"


@dataclass(frozen=True)
class Analysis:
    """How sound becomes a spectrogram."""

    sample_rate: int
    """Hz"""
    seconds: float
    """of sound; longer is cut, shorter gets silence"""
    n_fft: int
    """samples of a window"""
    hop: int
    """samples from one window to the next"""
    floor: float
    """power below this counts as this"""
    mels: int | None = None
    """mel bands; None: every frequency"""


def spectrogram(waveform: Tensor, analysis: Analysis) -> Tensor:
    """Natural logarithm of the power spectrogram of a mono `waveform` [T].

    Returns float32 [bands, frames]: bands = mels, or n_fft // 2 + 1 without mel bands,
    frames = 1 + round(seconds * sample_rate) // hop whatever T is.
    Frame k is centred at sample k * hop (Hann window).
    """
    samples = round(analysis.seconds * analysis.sample_rate)
    fixed = waveform.new_zeros(samples)
    fixed[: min(samples, waveform.numel())] = waveform[:samples]
    power: Tensor = _transform(analysis)(fixed)
    return power.clamp_(min=analysis.floor).log_()


def masking_transforms() -> tuple[type[Any], type[Any]]:
    """The classes torchaudio.transforms.FrequencyMasking and TimeMasking (SpecAugment), for augmentation."""
    return transforms().FrequencyMasking, transforms().TimeMasking


@cache
def _transform(analysis: Analysis) -> Callable[[Tensor], Tensor]:
    """Sound [T] to power [bands, frames]. Edges see silence, so a clip may be shorter than a window."""
    common = {"n_fft": analysis.n_fft, "hop_length": analysis.hop, "power": 2.0, "pad_mode": "constant"}
    if analysis.mels is None:
        return transforms().Spectrogram(**common)  # type: ignore[no-any-return]
    return transforms().MelSpectrogram(analysis.sample_rate, n_mels=analysis.mels, **common)  # type: ignore[no-any-return]


@cache
def transforms() -> Any:
    """torchaudio.transforms, without torchaudio's compiled extension where that does not fit.

    The wheels link against CUDA libraries, so `import torchaudio` beside a CPU-only torch raises OSError.
    All we use is plain PyTorch and works without the extension; the stub tells torchaudio that there is none.
    """
    try:
        return importlib.import_module("torchaudio.transforms")
    except OSError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules[_EXTENSION] = _no_extension()
        return importlib.import_module("torchaudio.transforms")


def _no_extension() -> ModuleType:
    stub = ModuleType(_EXTENSION)
    stub.__dict__.update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False, _IS_ALIGN_AVAILABLE=False, fail_if_no_align=_fail_if_no_align
    )
    return stub


def _fail_if_no_align(function: Callable[..., Any]) -> Callable[..., Any]:
    def fail(*arguments: Any, **options: Any) -> Any:
        raise RuntimeError(
            f"{function.__name__} needs torchaudio's compiled extension, which does not fit here"
        )

    return fail
