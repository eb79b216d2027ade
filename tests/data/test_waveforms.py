"""Waveforms: the samples of a file as its header says, cut and padded; noise and shift."""

import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from ambidex.data.augment import augment
from ambidex.data.draws import Draws
from ambidex.data.kinds.log_mel import LogMel
from ambidex.data.kinds.waveform import Waveform, WaveformAugment
from ambidex.data.store.extraction import extract_sample

RATE = 8_000


@pytest.fixture
def sound(tmp_path: Path) -> np.ndarray:
    values = np.random.default_rng(0).integers(-9_000, 9_000, size=(RATE // 2, 2), dtype=np.int16)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((2, 2, RATE, 0, "NONE", ""))
        file.writeframes(values.tobytes())
    return values.mean(1) / 32_768


@pytest.mark.parametrize("seconds", [0.25, 1.0])
def test_samples_are_those_of_the_file_cut_or_followed_by_silence(
    sound: np.ndarray, tmp_path: Path, seconds: float
) -> None:
    kind = Waveform.of(sample_rate=RATE, seconds=seconds)
    sample = extract_sample({"a": "a.wav"}, {"a": kind}, tmp_path)["a"]
    expected = np.zeros(int(seconds * RATE))
    expected[: len(sound)] = sound[: len(expected)]
    np.testing.assert_allclose(sample, expected, atol=1e-6)


def test_a_file_is_decoded_once_for_sound_in_two_forms(sound: np.ndarray, tmp_path: Path) -> None:
    wants = {
        "wave": Waveform.of(sample_rate=RATE, seconds=0.5),
        "mel": LogMel.of(sample_rate=RATE, seconds=0.5),
    }
    assert wants["wave"].request() == wants["mel"].request()
    both = extract_sample(dict.fromkeys(wants, "a.wav"), wants, tmp_path)
    alone = extract_sample({"wave": "a.wav"}, {"wave": wants["wave"]}, tmp_path)
    assert np.array_equal(both["wave"], alone["wave"])


def test_a_shift_is_circular_and_noise_is_in_deviations() -> None:
    x = torch.arange(200.0).expand(64, -1).contiguous()

    def changed(**options: float) -> torch.Tensor:
        config = WaveformAugment(kind="waveform", **options)
        draws = Draws(torch.Generator().manual_seed(0), 64)
        return augment({"a": x}, {"a": config}, draws, {"a": torch.tensor([3.0])})["a"]

    shifts = set()
    for row in changed(noise=0, time_shift=0.1).numpy():
        shift = int(row[0] and 200 - row[0]) if row[0] > 100 else -int(row[0])
        assert np.array_equal(row, np.roll(x[0].numpy(), shift))
        shifts.add(shift)
    assert min(shifts) >= -20
    assert max(shifts) <= 20
    assert len(shifts) > 15
    noise = changed(noise=0.5) - x
    assert abs(noise.std().item() - 1.5) < 0.05  # 12,800 values: 1 % of the deviation is 1.6 standard errors
    assert changed(noise=0, time_shift=0) is x
