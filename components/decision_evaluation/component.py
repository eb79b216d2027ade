"""Kubeflow components of evaluate and compare: metrics, confusion matrix, report and verdict on the run's page."""

from kfp import dsl

IMAGE = "ambidex:local"
"""replaced by `platform.image` when a pipeline is built"""


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def evaluate_model(
    features: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    encoders: dsl.Input[dsl.Model],
    report: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    confusion: dsl.Output[dsl.ClassificationMetrics],
    page: dsl.Output[dsl.HTML],
    finding: dsl.Output[dsl.Markdown],
    data: str,
    params: str,
    method: str = "",
    regime: str = "",
    seed: str = "",
    crossfit: dsl.Input[dsl.Dataset] = None,
) -> None:
    """Diagnose one model and repair its decision layer.

    Args:
        features: The feature store.
        model: The trained model.
        encoders: Classifiers of all modalities and seeds.
        report: Everything that evaluate writes.
        metrics: The main numbers, on test.
        confusion: The confusion matrix, on test.
        page: The report to read.
        finding: What was found, in a few sentences.
        data: Sections prepare and extract of params.yaml.
        params: All other sections.
        method: Replaces train.method.
        regime: Replaces train.regime.
        seed: Replaces train.seed.
        crossfit: Scores of the training split, for evaluate.fit_on crossfit.
    """
    from components._call import call
    from components._show import log_confusion, log_numbers, show_report

    values = {"train.method": method, "train.regime": regime, "train.seed": seed}
    places = {"features": features.path, "model": model.path, "encoders": encoders.path}
    places["crossfit"] = crossfit.path if crossfit else ""
    log_numbers(metrics, call("evaluate", [data, params], places, {"report": report.path}, values))
    log_confusion(confusion, report.path)
    show_report(report.path, page.path, finding.path)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def compare_models(
    reports: dsl.Input[list[dsl.Artifact]],
    encoders: dsl.Input[dsl.Model],
    study: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
    table: dsl.Output[dsl.Markdown],
    data: str,
    params: str,
) -> None:
    """Put all evaluated models into one table, tested against a reference.

    Args:
        reports: Of all cells.
        encoders: Classifiers of all modalities and seeds.
        study: Everything that compare writes.
        page: The report to read.
        table: The main rows.
        data: Sections prepare and extract of params.yaml.
        params: All other sections.
    """
    from components._call import call
    from components._show import show_study

    places = {"reports": [one.path for one in reports], "encoders": encoders.path}
    call("compare", [data, params], places, {"study": study.path})
    show_study(study.path, page.path, table.path)
