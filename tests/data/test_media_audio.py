"""Spectrograms against plain NumPy."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ambidex.data.kinds import KINDS
from ambidex.data.media.audio import Analysis, masking_transforms, spectrogram
from helpers.media import tone

STFT = Analysis(8_000, 0.5, n_fft=256, hop=100, floor=1e-6)
MEL = Analysis(8_000, 0.5, n_fft=256, hop=100, floor=1e-6, mels=20)


def power(waveform: NDArray[np.float64], n_fft: int, hop: int) -> NDArray[np.float64]:
    """|DFT|^2 of Hann-windowed frames centred at multiples of hop; silence beyond the edges."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    padded = np.pad(waveform, n_fft // 2)
    starts = range(0, len(waveform) + 1, hop)
    return np.stack([np.abs(np.fft.rfft(padded[s : s + n_fft] * window)) ** 2 for s in starts], axis=1)


def mel_filters(spec: Analysis) -> NDArray[np.float64]:
    """Triangles of height 1 between points equally spaced in mel = 2595 log10(1 + f / 700)."""
    top = 2595 * np.log10(1 + spec.sample_rate / 2 / 700)
    points = 700 * (10 ** (np.linspace(0, top, spec.mels + 2) / 2595) - 1)
    bins = np.linspace(0, spec.sample_rate / 2, spec.n_fft // 2 + 1)
    return np.stack([np.interp(bins, points[k : k + 3], [0, 1, 0]) for k in range(spec.mels)])


def test_both_kinds_agree_with_numpy() -> None:
    waveform = np.random.default_rng(0).normal(0, 0.1, 4_000)
    expected = power(waveform, 256, 100)
    found = spectrogram(torch.from_numpy(waveform).float(), STFT)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), np.log(np.maximum(expected, 1e-6)), atol=2e-3)
    found = spectrogram(torch.from_numpy(waveform).float(), MEL)
    np.testing.assert_allclose(
        found.numpy(), np.log(np.maximum(mel_filters(MEL) @ expected, 1e-6)), atol=2e-3
    )


def test_a_tone_lands_in_its_bin() -> None:
    found = spectrogram(torch.from_numpy(tone(0.5, 8_000, 440)), STFT)
    assert found[:, 20].argmax().item() == round(440 / (8_000 / 256))


@pytest.mark.parametrize("seconds", [0.013, 0.5, 1.37])
@pytest.mark.parametrize("name", ["log_mel", "log_stft"])
@pytest.mark.parametrize("length", [0, 1, 3_000, 40_000])
def test_the_shape_hangs_on_the_parameters_alone(name: str, seconds: float, length: int) -> None:
    kind = KINDS.get(name).of(seconds=seconds, sample_rate=8_000, n_fft=256, hop=77, n_mels=20)
    found = torch.from_numpy(kind.made(np.zeros(length, np.float32)))
    assert tuple(found.shape) == kind.shape
    torch.testing.assert_close(found, torch.full_like(found, float(np.log(1e-6))))


def test_short_sound_is_followed_by_silence_and_long_sound_is_cut() -> None:
    waveform = torch.from_numpy(tone(1, 8_000))
    whole = spectrogram(waveform, STFT)
    short = spectrogram(waveform[:2_000], STFT)
    torch.testing.assert_close(short[:, :18], whole[:, :18])  # windows that end before sample 2000
    assert (short[:, 22:] == np.float32(np.log(np.float32(1e-6)))).all()
    torch.testing.assert_close(spectrogram(waveform[:4_000], STFT), whole, atol=0, rtol=0)


def test_masking_transforms_hide_a_band() -> None:
    frequency, time = masking_transforms()
    torch.manual_seed(1)
    x = torch.ones(2, 1, 30, 40)
    assert 0 < int((frequency(10)(x) == 0).all(dim=-1).sum()) < 40
    assert time(10)(x).shape == x.shape
