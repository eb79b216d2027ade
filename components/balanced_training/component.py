"""Kubeflow components of train and crossfit."""

from kfp import dsl

IMAGE = "ambidex:local"
"""replaced by `platform.image` when a pipeline is built"""


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train_model(
    features: dsl.Input[dsl.Dataset],
    encoders: dsl.Input[dsl.Model],
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    data: str,
    params: str,
    method: str = "",
    regime: str = "",
    seed: str = "",
) -> None:
    """Train one model, all modalities together.

    Args:
        features: The feature store.
        encoders: Classifiers of all modalities and seeds.
        model: The trained model.
        metrics: Of the selected epoch.
        data: Sections prepare and extract of params.yaml.
        params: All other sections.
        method: Replaces train.method.
        regime: Replaces train.regime.
        seed: Replaces train.seed.
    """
    from components._call import call
    from components._show import log_numbers

    values = {"train.method": method, "train.regime": regime, "train.seed": seed}
    places = {"features": features.path, "encoders": encoders.path}
    log_numbers(metrics, call("train", [data, params], places, {"model": model.path}, values))


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def crossfit_model(
    features: dsl.Input[dsl.Dataset],
    crossfit: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    data: str,
    params: str,
    method: str = "",
    regime: str = "",
    seed: str = "",
) -> None:
    """Score the training split by models that never saw the samples they score.

    Args:
        features: The feature store.
        crossfit: The scores.
        metrics: Of the folds.
        data: Sections prepare and extract of params.yaml.
        params: All other sections.
        method: Replaces train.method.
        regime: Replaces train.regime.
        seed: Replaces train.seed.
    """
    from components._call import call
    from components._show import log_numbers

    values = {"train.method": method, "train.regime": regime, "train.seed": seed}
    places = {"features": features.path}
    log_numbers(metrics, call("crossfit", [data, params], places, {"crossfit": crossfit.path}, values))
