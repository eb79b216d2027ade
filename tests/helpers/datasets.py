"""Running prepare on a small folder, for tests."""

from pathlib import Path
from typing import Any

from ambidex import stages
from ambidex.base.readers import read_json, read_rows
from ambidex.configuration.params import Params
from ambidex.data.datasets import DATASETS, Listing
from ambidex.data.store.reading import FeatureStore


def prepare_params(dataset: str, source: Path | str = "", **prepare: Any) -> Params:
    return Params.model_validate(
        {
            "prepare": {"dataset": dataset, "source": str(source), **prepare},
            "extract": {"modalities": {"audio": {"kind": "vector"}}},
            "model": {"encoders": {"audio": {"name": "mlp"}}},
        }
    )


def prepare(folder: Path, dataset: str, source: Path | str = "", **section: Any) -> tuple[list[Any], Any]:
    """Run the stage; the manifest's rows and dataset.json."""
    stages.run("prepare", prepare_params(dataset, source, **section), {}, {"manifest": folder})
    return read_rows(folder / "manifest.csv"), read_json(folder / "dataset.json")


def extract(manifest: Path, **modalities: Any) -> FeatureStore:
    """The store of a prepared data set; `modalities`: name -> what extract is to make of it. No sample is rejected."""
    params = Params.model_validate(
        {
            "extract": {"modalities": modalities, "max_rejected_fraction": 0},
            "model": {"encoders": {name: {"name": "mlp"} for name in modalities}},
        }
    )
    features = manifest.with_name(f"{manifest.name}_features")
    stages.run("extract", params, {"manifest": manifest}, {"features": features})
    return FeatureStore.open(features)


def list_samples(dataset: str, source: Path | None, output: Path, seed: int = 0, **options: Any) -> Listing:
    """What the plug-in finds, without the stage around it."""
    plugin = DATASETS.get(dataset)
    return plugin(plugin.Config.model_validate(options)).list_samples(source, output, seed)
