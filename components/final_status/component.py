"""Kubeflow component that runs last, whatever happened before: what became of the run."""

from kfp import dsl

IMAGE = "ambidex:local"
"""replaced by `platform.image` when a pipeline is built"""


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def report_status(status: dsl.PipelineTaskFinalStatus, page: dsl.Output[dsl.Markdown]) -> str:
    """Say whether the run succeeded, and if not which task failed and with what error.

    Args:
        status: Of everything before; Kubeflow fills it in.
        page: The same in words.
    """
    from components.final_status.page import show_status

    return show_status(
        status.state,
        status.pipeline_task_name,
        status.error_message or "",
        status.pipeline_job_resource_name,
        page.path,
    )
