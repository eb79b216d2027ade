"""pull -> prepare -> extract -> pretrain -> train -> evaluate -> publish: one model, from data to verdict."""

from typing import Any

from components.balanced_training.component import crossfit_model, train_model
from components.data_versioning.component import publish_model
from components.decision_evaluation.component import evaluate_model
from components.final_status.component import report_status
from kfp import dsl

from ambidex.configuration.params import Params
from pipelines.placement import Placement
from pipelines.steps import alone, encoders, feature_store, largest
from pipelines.texts import data_text, learning_text, pointer_text

NAME = "balanced-learning"


def build(params: Params) -> Any:
    """The pipeline for these parameters. Raises ParamsError where the .dvc file to pull by is missing.

    Its arguments can be changed from run to run: `data` and `learning`, the parameters as YAML; `classifiers`, those to
    pretrain in each task; `pointer`, which data to pull; and `resume`, the id of a run to go on from. Everything else
    is fixed here.
    """
    place, s3, groups = Placement(params), params.platform.s3, alone(params, [""])

    @dsl.pipeline(name=NAME, description="Balanced multimodal learning: one model, from data to verdict.")
    def balanced_learning(
        data: str = data_text(params),
        learning: str = learning_text(params),
        classifiers: list[str] = groups,
        pointer: str = pointer_text(params),
        resume: str = "",
    ) -> None:
        texts = {"data": data, "params": learning}
        trains = {**texts, "resume": resume}
        with dsl.ExitHandler(place.exit(report_status(resume=resume)), name="everything"):
            features = feature_store(params, place, data, pointer)
            found = encoders(params, place, features, trains, classifiers, largest(groups))
            model = place.training(train_model(features=features, encoders=found, **trains))
            model.set_display_name("train")
            given = {
                "features": features,
                "encoders": found,
                "model": model.outputs["model"],
            }
            if params.evaluate.fit_on == "crossfit":
                held_out = place.training(crossfit_model(features=features, **trains))
                given["crossfit"] = held_out.set_display_name("crossfit").outputs["crossfit"]
            judged = place.evaluation(evaluate_model(accelerator=place.evaluates_on, **given, **texts))
            judged.set_display_name("evaluate")
            if s3 and s3.publish:
                place.remote(
                    publish_model(
                        model=model.outputs["model"],
                        report=judged.outputs["report"],
                        remote=s3.remote,
                        name=s3.publish,
                        endpoint=s3.endpoint,
                        region=s3.region,
                    )
                ).set_display_name("publish")

    return balanced_learning
