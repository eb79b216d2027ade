"""Every method in every regime with every seed, side by side, in one comparison."""

from typing import Any

from components._groups import grouped
from components.balanced_training.component import crossfit_cells, train_cells
from components.decision_evaluation.component import compare_models, evaluate_cells, name_failed_cells
from components.final_status.component import report_status
from kfp import dsl

from ambidex.configuration.params import Params, refuse_severities
from pipelines.placement import Placement
from pipelines.steps import alone, cells_per_task, encoders, feature_store, largest, loop
from pipelines.texts import data_text, learning_text, pointer_text

NAME = "method-study"


def all_cells(params: Params) -> list[str]:
    """The cells of `study`, in a group for each task."""
    study = params.study
    cells = [
        f"{m}/{regime}/{seed}" for m in study.methods for regime in study.regimes for seed in study.seeds
    ]
    return grouped(cells, cells_per_task(params))


def build(params: Params) -> Any:
    """The pipeline for these parameters. Raises ParamsError where the .dvc file to pull by is missing.

    Its arguments can be changed from run to run: `data` and `learning`, the parameters as YAML; `classifiers`, those to
    pretrain in each task; `cells`, those of each task; `pointer`, which data to pull; and `resume`, the id of a run to
    go on from. Everything else is fixed here.
    """
    refuse_severities(params, "the Kubeflow pipeline works at one")
    place, groups, together = Placement(params), alone(params, params.study.seeds), all_cells(params)
    many = largest(together)

    @dsl.pipeline(name=NAME, description="Methods x regimes x seeds on one data set, compared.")
    def method_study(
        data: str = data_text(params),
        learning: str = learning_text(params),
        classifiers: list[str] = groups,
        cells: list[str] = together,
        pointer: str = pointer_text(params),
        resume: str = "",
    ) -> None:
        texts = {"data": data, "params": learning, "resume": resume}
        with dsl.ExitHandler(place.exit(report_status(resume=resume)), name="everything"):
            features = feature_store(params, place, data, pointer)
            found = encoders(params, place, features, texts, classifiers, largest(groups))
            with loop(params, cells) as group:
                chosen = {"cells": group, **texts}
                trained = place.training(train_cells(features=features, encoders=found, **chosen), many)
                trained.set_display_name("train")
                given = {"features": features, "encoders": found, "models": trained.outputs["models"]}
                if params.evaluate.fit_on == "crossfit":
                    held_out = place.training(crossfit_cells(features=features, **chosen), many)
                    given["crossfits"] = held_out.set_display_name("crossfit").outputs["crossfits"]
                judged = evaluate_cells(accelerator=place.evaluates_on, **given, **chosen)
                place.evaluation(judged, many).set_display_name("evaluate")
            reports = judged.outputs["reports"]
            compared = compare_models(
                reports=dsl.Collected(reports), encoders=found, data=data, params=learning
            )
            place.light(compared).set_display_name("compare")
            last = place.light(name_failed_cells(reports=dsl.Collected(reports)))
            last.after(compared).set_display_name("failed-cells")

    return method_study
