"""Degradations: each against numbers by hand or SciPy; what holds of every one of them; who loses a modality."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ambidex.configuration.degrade import name_of
from ambidex.data.kinds import KINDS
from ambidex.data.kinds.degradations import Degradation
from ambidex.data.kinds.degradations.absent import Absent
from ambidex.data.kinds.degradations.band_mask import BandMask
from ambidex.data.kinds.degradations.blur import Blur
from ambidex.data.kinds.degradations.feature_noise import FeatureNoise
from ambidex.data.kinds.degradations.frame_drop import FrameDrop
from ambidex.data.kinds.degradations.occlusion import Occlusion
from ambidex.data.kinds.degradations.picture_noise import PictureNoise
from ambidex.data.kinds.degradations.sound_noise import SoundNoise
from ambidex.data.kinds.degradations.sound_shift import SoundShift
from ambidex.data.kinds.degradations.step_mask import StepMask
from ambidex.data.kinds.degradations.step_noise import StepNoise
from ambidex.data.kinds.degradations.step_shift import StepShift
from ambidex.data.kinds.degradations.word_drop import WordDrop
from ambidex.data.manifest import Row
from ambidex.data.ragged import packed

DRAWS = np.random.default_rng(7)
SOUND = np.sin(np.arange(4_000) / 7).astype(np.float32)
PICTURES = DRAWS.integers(0, 256, (5, 3, 20, 30), dtype=np.uint8)
STEPS = packed(DRAWS.normal(size=(8, 2)), 12)
IDS = packed(np.arange(1.0, 9.0)[:, None], 12)
SAMPLES = {
    SoundNoise: SOUND,
    SoundShift: SOUND,
    BandMask: DRAWS.normal(size=(16, 40)).astype(np.float32),
    PictureNoise: PICTURES,
    Blur: PICTURES,
    Occlusion: PICTURES,
    FrameDrop: PICTURES,
    FeatureNoise: DRAWS.normal(size=2).astype(np.float32),
    StepNoise: STEPS,
    StepShift: STEPS,
    StepMask: STEPS,
    WordDrop: IDS,
}
DEVIATION = np.array([2.0, 0.5])


def made(kind: type[Degradation], **options: Any) -> Any:
    return kind(name=name_of(kind), modality="m", **options)


def applied(step: Degradation, x: NDArray[Any], severity: float = 1.0, seed: int = 0) -> NDArray[Any]:
    return step.apply(x, severity, np.random.default_rng(seed), DEVIATION)


def test_every_degradation_of_every_kind_is_here() -> None:
    assert {step for kind in KINDS.all().values() for step in kind.degradations} == {*SAMPLES}


@pytest.mark.parametrize("kind", SAMPLES, ids=name_of)
def test_shape_type_and_input_stay_and_equal_seeds_are_equal(kind: type[Degradation]) -> None:
    x = SAMPLES[kind]
    before = x.copy()
    once, again = applied(made(kind), x, 0.7), applied(made(kind), x, 0.7)
    assert (once.shape, once.dtype) == (x.shape, x.dtype)
    assert np.array_equal(once, again)
    assert np.array_equal(x, before)
    assert not np.array_equal(once, x)
    others = [applied(made(kind), x, 0.7, seed) for seed in range(1, 9)]
    assert kind is Blur or any(not np.array_equal(once, other) for other in others)


@pytest.mark.parametrize(("snr", "severity"), [(0, 1.0), (-6, 1.0), (10, 0.5), (3, 0.1)])
def test_sound_has_the_ratio_of_powers_that_was_asked_for(snr: float, severity: float) -> None:
    noise = (applied(made(SoundNoise, snr=snr), SOUND, severity) - SOUND).astype(np.float64)
    measured = 10 * np.log10((SOUND.astype(np.float64) ** 2).mean() / (noise**2).mean())
    assert measured == pytest.approx(snr - 20 * np.log10(severity), abs=1e-3)


def test_the_same_noise_at_every_severity_and_none_on_silence() -> None:
    weak, strong = (applied(made(SoundNoise), SOUND, severity) - SOUND for severity in (0.25, 1.0))
    np.testing.assert_allclose(4 * weak, strong, atol=1e-5)
    assert not applied(made(SoundNoise), np.zeros(100, np.float32)).any()


def test_shifted_sound_is_followed_by_silence() -> None:
    x = np.arange(1, 11, dtype=np.float32)
    later = np.array([0, 0, 0, 1, 2, 3, 4, 5, 6, 7])
    earlier = np.array([4, 5, 6, 7, 8, 9, 10, 0, 0, 0])
    outcomes = {tuple(applied(made(SoundShift, share=0.6), x, 0.5, seed)) for seed in range(20)}
    assert outcomes == {tuple(later), tuple(earlier)}


@pytest.mark.parametrize("deviation", [0.4, 1.3, 9.0])
def test_blur_is_scipys(deviation: float) -> None:
    ours = applied(made(Blur, deviation=2 * deviation), PICTURES, 0.5)
    theirs = gaussian_filter(PICTURES.astype(np.float64), deviation, axes=(2, 3), mode="reflect", truncate=4)
    assert np.abs(ours - theirs).max() <= 0.5 + 1e-3


def test_picture_noise_has_its_deviation_and_is_clipped() -> None:
    grey = np.full((2, 3, 100, 100), 128, np.uint8)
    assert (applied(made(PictureNoise, deviation=0.2), grey, 0.5) / 255.0).std() == pytest.approx(
        0.1, rel=0.02
    )
    assert applied(made(PictureNoise, deviation=0.1), np.full_like(grey, 255)).min() > 100


@pytest.mark.parametrize(("share", "severity"), [(0.5, 1.0), (0.5, 0.5), (1.0, 1.0)])
def test_a_box_covers_its_share_in_all_pictures_with_the_mean_colour(share: float, severity: float) -> None:
    x = np.where(np.rint(PICTURES.mean()) == PICTURES, 0, PICTURES).astype(np.uint8)
    covered = applied(made(Occlusion, share=share), x, severity)
    fill = np.rint(x.mean(axis=(0, 2, 3))).astype(np.uint8)[None, :, None, None]
    where = (covered == fill).all(axis=(0, 1))
    side = np.sqrt(share * severity)
    assert where.sum() == round(20 * side) * round(30 * side)
    assert np.array_equal(np.where(where, x, covered), x)


@pytest.mark.parametrize(("severity", "lost"), [(0.05, 0), (0.4, 1), (0.6, 2), (1.0, 3)])
def test_a_lost_picture_shows_the_last_that_arrived(severity: float, lost: int) -> None:
    x = np.arange(5)[:, None]
    shown = applied(made(FrameDrop, fraction=0.6), x, severity, seed=3)[:, 0].tolist()
    arrived = [k for k in range(5) if shown[k] == k]
    assert len(arrived) == 5 - lost
    assert shown == [max((k for k in arrived if k <= place), default=arrived[0]) for place in range(5)]
    assert len({*applied(made(FrameDrop, fraction=1.0), x)[:, 0].tolist()}) == 1


def test_a_band_and_a_stretch_are_masked_with_the_mean() -> None:
    x = SAMPLES[BandMask]
    masked = applied(made(BandMask, frequency=0.5, time=0.2), x, 0.5)
    where = masked == x.mean()
    assert where.all(axis=1).sum() == 4
    assert where.all(axis=0).sum() == 4
    assert np.array_equal(np.where(where, x, masked), x)
    assert where.sum() == 4 * 40 + 4 * 16 - 4 * 4


def test_feature_noise_is_measured_in_deviations() -> None:
    x = np.zeros((20_000, 2), np.float32)
    noise = np.stack(
        [applied(made(FeatureNoise, deviation=3), row, 0.5, seed) for seed, row in enumerate(x[:4_000])]
    )
    np.testing.assert_allclose(noise.std(axis=0), 1.5 * DEVIATION, rtol=0.05)


def test_steps_are_weakened_and_padding_is_not() -> None:
    for kind in (StepNoise, StepShift, StepMask):
        weak = applied(made(kind), STEPS)
        assert np.array_equal(weak[8:], STEPS[8:])
        assert np.array_equal(weak[:, -1], STEPS[:, -1])
    noise = np.stack([applied(made(StepNoise), STEPS, 1.0, seed) - STEPS for seed in range(2_000)])[:, :8, :2]
    np.testing.assert_allclose(noise.std(axis=(0, 1)), DEVIATION, rtol=0.03)
    moved = {tuple(applied(made(StepShift, share=0.25), STEPS, 1.0, seed)[:8, 0]) for seed in range(20)}
    first = STEPS[:8, 0]
    assert moved == {(*first[:1], *first[:1], *first[:6]), (*first[2:], *first[7:], *first[7:])}
    masked = applied(made(StepMask, share=0.75), STEPS, 0.5)
    assert (masked[:8, :2] == STEPS[:8, :2].mean(axis=0)).all(axis=1).sum() == 3


def test_words_are_left_out_and_one_always_stays() -> None:
    texts = [applied(made(WordDrop, share=0.75), IDS, severity, seed=5) for severity in (0.25, 0.5, 1.0)]
    left = [{int(token) for token, real in text if real} for text in texts]
    assert [len(ids) for ids in left] == [6, 5, 2]  # of 8: 1.5 rounded up, 3 and 6 are left out
    assert left[2] < left[1] < left[0] < {*range(1, 9)}
    assert all(np.array_equal(text[text[:, 1] > 0], IDS[text[:, 1] > 0]) for text in texts)
    assert all((text[text[:, 1] == 0] == 0).all() for text in texts)
    assert applied(made(WordDrop, share=1.0), IDS)[:, 1].sum() == 1


ROWS = [
    Row(
        f"s{k}",
        "abc"[k % 3],
        ("train", "train", "val", "test")[k // 3 % 4],
        f"g{k % 7}",
        {"m": "x", "other": "y"} if k % 10 else {"m": "x"},
    )
    for k in range(240)
]


@pytest.mark.parametrize(("fraction", "severity"), [(0.5, 1.0), (0.7, 0.5), (1.0, 1.0), (0.01, 0.1)])
def test_exactly_a_fraction_of_each_split_lacks_it(fraction: float, severity: float) -> None:
    lacking = made(Absent, fraction=fraction).lacking(ROWS, severity, 0)
    for split in ("train", "val", "test"):
        own = [row.sample_id for row in ROWS if row.split == split and len(row.paths) > 1]
        assert abs(len(lacking & {*own}) - fraction * severity * len(own)) <= 0.5
    assert not lacking & {row.sample_id for row in ROWS if len(row.paths) == 1}


def test_who_lacks_it_hangs_on_ids_and_seed_and_grows_with_severity() -> None:
    step = made(Absent, fraction=0.8, splits=("test",))
    half = step.lacking(ROWS, 0.5, 0)
    assert half == step.lacking(ROWS[::-1], 0.5, 0)
    assert half < step.lacking(ROWS, 1.0, 0)
    assert half != step.lacking(ROWS, 0.5, 1)
    assert {row.split for row in ROWS if row.sample_id in half} == {"test"}


@pytest.mark.parametrize(("by", "key", "count"), [("class", "label", 2), ("group", "group", 4)])
def test_whole_classes_or_groups_lack_it(by: str, key: str, count: int) -> None:
    lacking = made(Absent, fraction=0.6, by=by, splits=("train",)).lacking(ROWS, 1.0, 0)
    own = [row for row in ROWS if row.split == "train" and len(row.paths) > 1]
    units = {getattr(row, key) for row in own if row.sample_id in lacking}
    assert len(units) == count
    assert lacking == {row.sample_id for row in own if getattr(row, key) in units}


def test_only_samples_of_the_classes_named_lack_it() -> None:
    lacking = made(Absent, fraction=1.0, classes=("b",)).lacking(ROWS, 0.5, 0)
    own = [row for row in ROWS if row.label == "b" and len(row.paths) > 1]
    assert {row.label for row in ROWS if row.sample_id in lacking} == {"b"}
    assert abs(len(lacking) - len(own) / 2) <= 1.5
