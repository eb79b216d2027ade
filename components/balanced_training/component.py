"""Kubeflow components of train and crossfit: of one model, and of the cells of a study."""

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
    resume: str = "",
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
        resume: Id of an earlier run, to use what it left on the volume.
    """
    from components._call import call
    from components._notes import go_on_from
    from components._show import log_numbers

    go_on_from(resume)
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
    resume: str = "",
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
        resume: Id of an earlier run, to use what it left on the volume.
    """
    from components._call import call
    from components._notes import go_on_from
    from components._show import log_numbers

    go_on_from(resume)
    values = {"train.method": method, "train.regime": regime, "train.seed": seed}
    places = {"features": features.path}
    log_numbers(metrics, call("crossfit", [data, params], places, {"crossfit": crossfit.path}, values))


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train_cells(
    features: dsl.Input[dsl.Dataset],
    encoders: dsl.Input[dsl.Model],
    models: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    data: str,
    params: str,
    cells: str,
    resume: str = "",
) -> None:
    """Train the models of some cells of a study, one after the other.

    Args:
        features: The feature store.
        encoders: Classifiers of all modalities and seeds.
        models: The trained models, a folder for each cell; failed.json names those that are missing, and why.
        metrics: Of the selected epochs.
        data: Sections prepare and extract of params.yaml.
        params: All other sections.
        cells: Which ones, joint/scratch/0 ogm_ge/scratch/0.
        resume: Id of an earlier run, to use what it left on the volume.
    """
    from components._show import log_all
    from components._stages import train_group

    log_all(metrics, train_group([data, params], features.path, encoders.path, cells, resume, models.path))


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def crossfit_cells(
    features: dsl.Input[dsl.Dataset],
    crossfits: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    data: str,
    params: str,
    cells: str,
    resume: str = "",
) -> None:
    """Score the training split, for some cells of a study, by models that never saw the samples they score.

    Args:
        features: The feature store.
        crossfits: The scores, a folder for each cell.
        metrics: Of the folds.
        data: Sections prepare and extract of params.yaml.
        params: All other sections.
        cells: Which ones, joint/scratch/0 ogm_ge/scratch/0.
        resume: Id of an earlier run, to use what it left on the volume.
    """
    from components._show import log_all
    from components._stages import crossfit_group

    log_all(metrics, crossfit_group([data, params], features.path, cells, resume, crossfits.path))
