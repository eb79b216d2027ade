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
    accelerator: str = "",
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
        accelerator: Replaces runtime.accelerator.
    """
    from components._call import call
    from components._show import log_confusion, log_numbers, show_report

    values = {"train.method": method, "train.regime": regime, "train.seed": seed}
    values["runtime.accelerator"] = accelerator
    places = {"features": features.path, "model": model.path, "encoders": encoders.path}
    places["crossfit"] = crossfit.path if crossfit else ""
    log_numbers(metrics, call("evaluate", [data, params], places, {"report": report.path}, values))
    log_confusion(confusion, report.path)
    show_report(report.path, page.path, finding.path)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def evaluate_cells(
    features: dsl.Input[dsl.Dataset],
    models: dsl.Input[dsl.Model],
    encoders: dsl.Input[dsl.Model],
    reports: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    confusion: dsl.Output[dsl.ClassificationMetrics],
    page: dsl.Output[dsl.HTML],
    finding: dsl.Output[dsl.Markdown],
    data: str,
    params: str,
    cells: str,
    resume: str = "",
    accelerator: str = "",
    crossfits: dsl.Input[dsl.Dataset] = None,
) -> None:
    """Diagnose the models of some cells of a study, one after the other, and repair their decision layers.

    Args:
        features: The feature store.
        models: The trained models, a folder for each cell.
        encoders: Classifiers of all modalities and seeds.
        reports: Everything that evaluate writes, a folder for each cell.
        metrics: The main numbers, on test.
        confusion: The confusion matrix, on test, where there is one cell.
        page: The report to read, or where there are several cells, their main numbers and findings.
        finding: What was found, in a few sentences.
        data: Sections prepare and extract of params.yaml.
        params: All other sections.
        cells: Which ones, joint/scratch/0 ogm_ge/scratch/0.
        resume: Id of an earlier run, to use what it left on the volume.
        accelerator: Replaces runtime.accelerator.
        crossfits: Scores of the training split, a folder for each cell, for evaluate.fit_on crossfit.
    """
    from components._many import failed_in
    from components._show import log_all, log_confusion, show_reports
    from components._stages import evaluate_group, reports_in

    places = {"features": features.path, "model": models.path, "encoders": encoders.path}
    places["crossfit"] = crossfits.path if crossfits else ""
    log_all(metrics, evaluate_group([data, params], places, accelerator, cells, resume, reports.path))
    found = reports_in([reports.path])
    if len(found) == 1:
        log_confusion(confusion, found[0])
    show_reports(found, failed_in(reports.path), page.path, finding.path)


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
        reports: Of all tasks that evaluated cells.
        encoders: Classifiers of all modalities and seeds.
        study: Everything that compare writes.
        page: The report to read.
        table: The main rows.
        data: Sections prepare and extract of params.yaml.
        params: All other sections.
    """
    from components._call import call
    from components._show import show_study
    from components._stages import reports_in

    places = {"reports": reports_in([one.path for one in reports]), "encoders": encoders.path}
    call("compare", [data, params], places, {"study": study.path})
    show_study(study.path, page.path, table.path)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def name_failed_cells(reports: dsl.Input[list[dsl.Artifact]]) -> None:
    """Fail, naming every cell of the study that failed, where there is one; the comparison of the others is done.

    Args:
        reports: Of all tasks that evaluated cells.
    """
    from components._stages import name_failures

    name_failures([one.path for one in reports])
