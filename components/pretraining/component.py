"""Kubeflow components of pretrain: some classifiers, and all of them gathered."""

from kfp import dsl

IMAGE = "ambidex:local"
"""replaced by `platform.image` when a pipeline is built"""


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def pretrain_encoders(
    features: dsl.Input[dsl.Dataset],
    encoders: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    data: str,
    params: str,
    classifiers: str,
    resume: str = "",
) -> None:
    """Train classifiers of one modality alone, one after the other.

    Args:
        features: The feature store.
        encoders: The classifiers, <seed>/<modality>, whose encoders the models start from.
        metrics: Their accuracy, F1, likelihood and calibration.
        data: Sections prepare and extract of params.yaml.
        params: All other sections.
        classifiers: Which ones, audio/0 visual/0; without a seed that of train.
        resume: Id of an earlier run, to use what it left on the volume.
    """
    from components._show import log_all
    from components._stages import pretrain_group

    log_all(metrics, pretrain_group([data, params], features.path, classifiers, resume, encoders.path))


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def gather_encoders(found: dsl.Input[list[dsl.Model]], encoders: dsl.Output[dsl.Model]) -> None:
    """Put all classifiers into one folder, <seed>/<modality>.

    Args:
        found: What the tasks of pretrain wrote.
        encoders: The folder.
    """
    from components._call import gather_outputs

    gather_outputs([one.path for one in found], encoders.path)
