"""The data sets that recipes are compared on, and their feature stores, one for each seed where the split is drawn."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ambidex import stages
from ambidex.configuration.params import Params
from ambidex.data.datasets import synthetic
from ambidex.data.store.reading import FeatureStore
from ambidex.resolve import parse_params

SPEECH = {"kind": "log_mel", "sample_rate": 8000, "seconds": 1.0, "n_fft": 256, "hop": 128, "n_mels": 32}
LONG_SPEECH = {
    "kind": "log_mel",
    "sample_rate": 16000,
    "seconds": 3.0,
    "n_fft": 512,
    "hop": 320,
    "n_mels": 48,
}


def _vectors(source: str, sizes: Mapping[str, int], **prepare: Any) -> dict[str, Any]:
    """Ready vectors and a small perceptron for each."""
    return {
        "prepare": {"dataset": "npz", "source": source, **prepare},
        "extract": {"modalities": {m: {"kind": "vector", "size": size} for m, size in sizes.items()}},
        "model": {"encoders": {m: {"name": "mlp"} for m in sizes}},
    }


SENSORS = ("phone_accel", "phone_gyro", "watch_accel", "watch_gyro")
VIEWS = {"pix240": 240, "fou76": 76, "fac216": 216, "zer47": 47, "kar64": 64, "mor6": 6}
SETS: dict[str, dict[str, Any]] = {
    "ravdess_av, vectors": _vectors(
        "ravdess_av/ravdess_av.npz", {"audio": 141, "visual": 35}, options={"groups": "groups"}
    ),
    "wisdm44": _vectors("wisdm44/wisdm44.npz", dict.fromkeys(SENSORS, 91), options={"groups": "groups"}),
    "leaves100": _vectors("leaves100/leaves100.npz", dict.fromkeys(("margin", "shape", "texture"), 64)),
    "mfeat6": _vectors("mfeat6.npz", VIEWS, options={"test": "test"}, shared_content="drop"),
    "synthetic": {
        "prepare": {"dataset": "synthetic", "source": synthetic.__file__},
        "extract": {"modalities": {"audio": SPEECH, "visual": {"kind": "frames", "count": 3, "size": 32}}},
        "augment": {"visual": {"kind": "frames", "min_area": 0.7, "flip": 0.0}},
        "model": {"encoders": {"audio": {"name": "small_cnn"}, "visual": {"name": "small_cnn"}}},
    },
    "ravdess_av, sound": {
        "prepare": {"dataset": "manifest", "source": "ravdess_av/manifest.csv"},
        "extract": {"modalities": {"audio": LONG_SPEECH, "visual": {"kind": "vector", "size": 35}}},
        "model": {"encoders": {"audio": {"name": "small_cnn"}, "visual": {"name": "mlp"}}},
    },
    "av_digits": {
        "prepare": {"dataset": "av_digits", "source": "av_digits"},
        "extract": {"modalities": {"audio": SPEECH, "visual": {"kind": "image", "size": 28}}},
        "model": {"encoders": {"audio": {"name": "small_cnn"}, "visual": {"name": "small_cnn"}}},
    },
}


def params_of(
    name: str, data: Path, seed: int, loop: Mapping[str, Any], pretrain: Mapping[str, Any]
) -> Params:
    """The parameters of a set: `loop` for pretrain and train, `pretrain` for the former alone."""
    raw = {section: dict(values) for section, values in SETS[name].items()}
    raw["prepare"] |= {"source": str(data / raw["prepare"]["source"]), "seed": seed}
    raw["pretrain"] = {"batch_size": 32, "seed": seed, **loop, **pretrain}
    raw["train"] = {"method": "multi_task", "batch_size": 32, "seed": seed, **loop}
    raw["runtime"] = {"accelerator": "cpu", "threads": 1, "loggers": ["history"]}
    return parse_params({**raw, "methods": {"multi_task": {}}})


def store_of(name: str, params: Params, folder: Path) -> FeatureStore:
    """The feature store of a set with the split of `prepare.seed`, made in `folder` where it is not there yet."""
    place = folder / f"{name.replace(', ', '_')}-{params.prepare.seed}"
    if not (place / "features").exists():
        stages.run("prepare", params, {}, {"manifest": place / "manifest"})
        stages.run("extract", params, {"manifest": place / "manifest"}, {"features": place / "features"})
    return FeatureStore.open(place / "features")
