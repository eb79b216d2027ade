"""Every method in every regime with every seed, side by side, in one comparison."""

from typing import Any

from components.balanced_training.component import crossfit_model, train_model
from components.decision_evaluation.component import compare_models, evaluate_model
from components.final_status.component import report_status
from kfp import dsl

from ambidex.params import Params
from pipelines.placement import Placement
from pipelines.steps import alone, encoders, feature_store, loop
from pipelines.texts import data_text, learning_text, pointer_text

NAME = "method-study"


def all_cells(params: Params) -> list[dict[str, str]]:
    """The cells of `study`. Seeds are text, because all values of a loop's item must be of one type."""
    study = params.study
    return [
        {"method": method, "regime": regime, "seed": str(seed)}
        for method in study.methods
        for regime in study.regimes
        for seed in study.seeds
    ]


def build(params: Params) -> Any:
    """The pipeline for these parameters. Raises ParamsError where the .dvc file to pull by is missing.

    Its arguments can be changed from run to run: `data` and `learning`, the parameters as YAML; `classifiers`, one to
    pretrain for each modality and seed; `cells`; and `pointer`, which data to pull. Everything else is fixed here.
    """
    place = Placement(params)

    @dsl.pipeline(name=NAME, description="Methods x regimes x seeds on one data set, compared.")
    def method_study(
        data: str = data_text(params),
        learning: str = learning_text(params),
        classifiers: list[dict[str, str]] = alone(params, params.study.seeds),  # noqa: B008
        cells: list[dict[str, str]] = all_cells(params),  # noqa: B008
        pointer: str = pointer_text(params),
    ) -> None:
        texts = {"data": data, "params": learning}
        with dsl.ExitHandler(place.exit(report_status()), name="everything"):
            features = feature_store(params, place, data, pointer)
            found = encoders(params, place, features, texts, classifiers)
            with loop(params, cells) as cell:
                chosen = {"method": cell.method, "regime": cell.regime, "seed": cell.seed, **texts}
                model = place.training(train_model(features=features, encoders=found, **chosen))
                model.set_display_name("train")
                given = {
                    "features": features,
                    "encoders": found,
                    "model": model.outputs["model"],
                }
                if params.evaluate.fit_on == "crossfit":
                    held_out = place.training(crossfit_model(features=features, **chosen))
                    given["crossfit"] = held_out.set_display_name("crossfit").outputs["crossfit"]
                judged = place.evaluation(evaluate_model(**given, **chosen)).set_display_name("evaluate")
            reports = dsl.Collected(judged.outputs["report"])
            compared = place.light(compare_models(reports=reports, encoders=found, **texts))
            compared.set_display_name("compare")

    return method_study
