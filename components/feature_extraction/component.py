"""Kubeflow components of the data steps: prepare, extract (whole or in parts), merge."""

from kfp import dsl

IMAGE = "ambidex:local"
"""replaced by `platform.image` when a pipeline is built"""


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def prepare_data(
    manifest: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    data: str,
    source: dsl.Input[dsl.Dataset] = None,
) -> None:
    """Find or make the samples, and split them.

    Args:
        manifest: The list of samples.
        metrics: Counts.
        data: Sections prepare and extract of params.yaml.
        source: What pull_data fetched; without it prepare.source is a path in the pod.
    """
    from components._call import call, inside
    from components._show import log_numbers, section

    place = inside(source.path if source else "", section(data, "prepare").get("source", ""))
    log_numbers(metrics, call("prepare", [data], {}, {"manifest": manifest.path}, {"prepare.source": place}))


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def extract_features(
    manifest: dsl.Input[dsl.Dataset],
    features: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    data: str,
    part: str = "",
    source: dsl.Input[dsl.Dataset] = None,
) -> None:
    """Decode the media into tensors of fixed shape.

    Args:
        manifest: The list of samples.
        features: The feature store, or a part of it.
        metrics: Counts.
        data: Sections prepare and extract of params.yaml.
        part: 0/4 for the first of four parts; empty: everything.
        source: What pull_data fetched: the manifest names files in it.
    """
    from components._call import call
    from components._show import log_numbers

    places = {"manifest": manifest.path}
    log_numbers(metrics, call("extract", [data], places, {"features": features.path}, {"extract.part": part}))


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def merge_features(
    parts: dsl.Input[list[dsl.Dataset]],
    features: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    data: str,
) -> None:
    """Join the parts into the feature store that one extraction would have written.

    Args:
        parts: All parts.
        features: The feature store.
        metrics: Counts.
        data: Sections prepare and extract of params.yaml.
    """
    from components._call import call
    from components._show import log_numbers

    places = {"parts": [part.path for part in parts]}
    log_numbers(metrics, call("merge", [data], places, {"features": features.path}))
