"""Kubeflow components of pretrain: one modality, and all of them gathered."""

from kfp import dsl

IMAGE = "ambidex:local"
"""replaced by `platform.image` when a pipeline is built"""


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def pretrain_encoder(
    features: dsl.Input[dsl.Dataset],
    encoder: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    data: str,
    params: str,
    modality: str,
    seed: str = "",
) -> None:
    """Train the classifier of one modality, alone.

    Args:
        features: The feature store.
        encoder: The classifier, whose encoder the model starts from.
        metrics: Its accuracy, F1, likelihood and calibration.
        data: Sections prepare and extract of params.yaml.
        params: All other sections.
        modality: Which one.
        seed: Of initial weights and data order; empty: train.seed.
    """
    from components._call import call
    from components._show import log_numbers

    values = {"pretrain.modality": modality, "pretrain.seed": seed}
    places = {"features": features.path}
    log_numbers(metrics, call("pretrain", [data, params], places, {"encoder": encoder.path}, values))


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def gather_encoders(found: dsl.Input[list[dsl.Model]], encoders: dsl.Output[dsl.Model]) -> None:
    """Put all classifiers into one folder, <seed>/<modality>.

    Args:
        found: Of all modalities and seeds.
        encoders: The folder.
    """
    from components._call import gather_outputs

    gather_outputs([one.path for one in found], encoders.path)
