"""What both pipelines begin with: from the data to the feature store, and one classifier per modality and seed."""

from collections.abc import Iterable
from typing import Any

from components._groups import grouped
from components.data_versioning.component import pull_data
from components.feature_extraction.component import extract_features, merge_features, prepare_data
from components.pretraining.component import gather_encoders, pretrain_encoders
from kfp import dsl

from ambidex.configuration.params import Params
from pipelines.placement import Placement
from pipelines.size import MOST_TASKS


def feature_store(params: Params, place: Placement, data: str, pointer: str) -> Any:
    """pull (where there is a remote and something to pull) -> prepare -> extract, in parts -> merge.

    `data`, `pointer`: arguments of the pipeline. Returns the feature store, an output of a task.
    """
    s3, optional = params.platform.s3, {}
    if s3 and s3.pull:
        pulled = place.remote(
            pull_data(pointer=pointer, remote=s3.remote, endpoint=s3.endpoint, region=s3.region), cached=True
        ).set_display_name("pull")
        optional["source"] = pulled.outputs["data"]
    prepared = place.data(prepare_data(data=data, **optional)).set_display_name("prepare")
    given = {"manifest": prepared.outputs["manifest"], "data": data, **optional}
    parts = params.platform.parts
    if parts == 1:
        extracted = place.data(extract_features(**given)).set_display_name("extract")
        return extracted.outputs["features"]
    with loop(params, [f"{index}/{parts}" for index in range(parts)]) as part:
        extracted = place.data(extract_features(part=part, **given)).set_display_name("extract")
    merged = place.data(merge_features(parts=dsl.Collected(extracted.outputs["features"]), data=data))
    return merged.set_display_name("merge").outputs["features"]


def encoders(
    params: Params, place: Placement, features: Any, texts: dict[str, Any], classifiers: Any, most: int
) -> Any:
    """The classifiers of `classifiers` (see alone), a task for each group of at most `most`.

    Returns all of them as one output.

    A task of its own gathers them: kfp 2.17 cannot hand a Collected of artifacts into a loop.
    """
    with loop(params, classifiers) as group:
        made = pretrain_encoders(features=features, classifiers=group, **texts)
        task = place.training(made, most).set_display_name("pretrain")
    found = place.light(gather_encoders(found=dsl.Collected(task.outputs["encoders"])))
    return found.set_display_name("gather").outputs["encoders"]


def alone(params: Params, seeds: Iterable[int | str]) -> list[str]:
    """The classifiers to pretrain, in a group for each task; seed "": train.seed.

    An argument and not a constant: kfp 2.17 miscompiles loops over constant mappings inside an exit handler.
    """
    names = [f"{modality}/{seed}".rstrip("/") for seed in seeds for modality in params.modalities]
    return grouped(names, -(-len(names) // MOST_TASKS))


def cells_per_task(params: Params) -> int:
    """Cells of the study in one task: as the platform says, or as few as make at most MOST_TASKS tasks."""
    study = params.study
    count = len(study.methods) * len(study.regimes) * len(study.seeds)
    return params.platform.cells_per_task or max(1, -(-count // MOST_TASKS))


def largest(groups: Iterable[str]) -> int:
    """How many cells or classifiers the largest group has."""
    return max(len(group.split()) for group in groups)


def loop(params: Params, items: Any) -> dsl.ParallelFor:
    """ParallelFor, with at most `platform.parallel` at a time."""
    return dsl.ParallelFor(items, parallelism=params.platform.parallel or None)
