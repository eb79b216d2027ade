"""The made-up data set: what it shows is what its truth says, read back from the files with other means."""

import av
import numpy as np
import pytest

from ambidex.base.errors import ParamsError
from ambidex.data.datasets._truth import best_accuracy, class_names, pattern_probabilities
from helpers.datasets import list_samples, prepare

SMALL = {"samples_per_class": 6, "train_speakers": 2, "val_speakers": 1, "test_speakers": 1, "seconds": 0.5}
CLEAN = {"audio_noise": 0.01, "visual_noise": 1.0}


def heard(path):
    """Chord's class out of 6 and hum's out of 6, from the peaks of a Fourier transform."""
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    power, hertz = np.abs(np.fft.rfft(sound, 2**15)), np.fft.rfftfreq(2**15, 1 / rate)
    root = hertz[np.argmax(np.where(hertz > 460, power, 0))]
    hum = hertz[np.argmax(np.where(hertz < 440, power, 0))]
    return round(5 * np.log(root / 500) / np.log(4)), round(5 * (hum - 60) / 340)


def seen(path):
    """The stripes' class out of 6, from the peak of a two-dimensional Fourier transform, and the number of frames."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="gray").astype(float) for frame in container.decode(video=0)]
    power = sum(np.abs(np.fft.fft2(frame - frame.mean(), (192, 192))) for frame in frames)
    v, u = np.unravel_index(power.argmax(), power.shape)
    angle = np.arctan2((v + 96) % 192 - 96, (u + 96) % 192 - 96) % np.pi
    return round(6 * angle / np.pi) % 6, len(frames)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A small clean set; (folder, rows, dataset.json)."""
    folder = tmp_path_factory.mktemp("clean") / "out"
    return folder, *prepare(folder, "synthetic", options={**SMALL, **CLEAN, "samples_per_class": 12})


def test_six_classes_with_names_that_tell_the_truth(clean):
    _, rows, facts = clean
    names = ["audible_a", "audible_b", "visible_a", "visible_b", "both_a", "both_b"]
    assert facts["classes"] == names
    assert facts["truth"]["informativeness"]["audible_a"] == {"audio": 1.0, "visual": 0.0}
    assert facts["truth"]["informativeness"]["visible_b"] == {"audio": 0.0, "visual": 1.0}
    assert facts["counts"]["train"] == dict.fromkeys(names, 6)
    assert facts["root"] is None
    assert {row["group"] for row in rows if row["split"] == "val"} == {"speaker_02"}


def test_informative_streams_show_their_class_and_others_borrow(clean):
    folder, rows, facts = clean
    for row in rows:
        label = facts["classes"].index(row["label"])
        sound, _ = heard(folder / row["audio"])
        sight, frames = seen(folder / row["visual"])
        assert frames == 4
        assert sound == label if label not in (2, 3) else sound in (0, 1, 4, 5)
        assert sight == label if label not in (0, 1) else sight in (2, 3, 4, 5)


def test_the_shortcut_holds_for_training_speakers_only(tmp_path):
    options = {**SMALL, **CLEAN, "samples_per_class": 20, "shortcut": 1.0, "classes": 6}
    rows, facts = prepare(tmp_path / "out", "synthetic", options=options)
    hits = {"train": [], "rest": []}
    for row in rows:
        label = facts["classes"].index(row["label"])
        if label in (2, 3):
            hits["train" if row["split"] == "train" else "rest"].append(
                heard(tmp_path / "out" / row["audio"])[1] == label
            )
    assert np.mean(hits["train"]) == 1
    assert np.mean(hits["rest"]) < 0.4  # one in six by chance


def test_equal_seeds_give_equal_bytes(tmp_path):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        prepare(tmp_path / name, "synthetic", options=SMALL, seed=seed)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert len(files) > 36
    assert all((tmp_path / "one" / f).read_bytes() == (tmp_path / "two" / f).read_bytes() for f in files)
    clips = [f for f in files if f.suffix == ".mp4"]
    assert all((tmp_path / "one" / f).read_bytes() != (tmp_path / "three" / f).read_bytes() for f in clips)


def test_clips_of_one_speaker_and_class_differ(clean):
    """Noise, phase and borrowed patterns are drawn for each clip, not once for all."""
    folder, rows, _ = clean
    for column in ("label", "group"):
        same = [row for row in rows if row[column] == rows[0][column]]
        assert len({(folder / row["audio"]).read_bytes() for row in same}) == len(same) > 1


def test_streams_have_the_stated_form(tmp_path):
    options = {**SMALL, "seconds": 0.75, "fps": 12, "size": 32, "sample_rate": 16_000}
    listing = list_samples("synthetic", None, tmp_path, **options)
    with av.open(str(tmp_path / listing.rows[0].paths["audio"])) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.width, video.height, video.frames) == ("h264", 32, 32, 9)
        assert (audio.codec_context.name, audio.rate, audio.channels) == ("aac", 16_000, 1)
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert samples == pytest.approx(12_000, abs=2_048)


def test_the_best_accuracy_is_that_of_counting():
    """Counted by hand: alone 4 of 6 classes are sure, the others lost; together the four one-sided classes meet
    a class of the other kind in half of their clips, half of which are lost."""
    best = best_accuracy({"audio": [1, 1, 0, 0, 1, 1], "visual": [0, 0, 1, 1, 1, 1]})
    assert best == pytest.approx({"audio": 4 / 6, "visual": 4 / 6, "fused": (2 + 4 * 0.75) / 6})


@pytest.mark.parametrize("q", [[1, 1, 0, 0], [0.9, 0.4, 0, 0.2], [0, 0, 0, 0]])
def test_an_uninformative_class_gets_no_evidence(q):
    shown = pattern_probabilities(q)
    np.testing.assert_allclose(shown.sum(axis=1), 1)
    possible = shown.sum(axis=0) > 0
    posterior = shown[:, possible] / shown[:, possible].sum(axis=0)
    for c, worth in enumerate(q):
        if worth == 0:
            np.testing.assert_allclose(posterior[c], 1 / len(q))


def test_class_names_where_the_truth_is_graded():
    assert class_names([1, 0.5], [0, 1]) == ("class_00", "class_01")
    assert class_names([1, 0, 1], [0, 1, 1]) == ("audible_a", "visible_a", "both_a")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"informativeness": {"audio": [1, 0], "visual": [0, 1]}},
            "informativeness.audio has 2 values for 6",
        ),
        ({"samples_per_class": 5}, "samples_per_class = 5 must reach the number of speakers, 24"),
        ({"size": 33}, "prepare.options.size: got 33"),
        (
            {"informativeness": {"audio": [2, 0], "visual": [0, 1]}},
            "prepare.options.informativeness.audio.0: got 2",
        ),
    ],
)
def test_impossible_options(tmp_path, options, said):
    with pytest.raises(ParamsError) as caught:
        prepare(tmp_path / "out", "synthetic", options=options)
    assert said in str(caught.value)
