"""Kubeflow component that runs last, whatever happened before: what became of the run."""

from kfp import dsl

IMAGE = "ambidex:local"
"""replaced by `platform.image` when a pipeline is built"""


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def report_status(
    status: dsl.PipelineTaskFinalStatus, page: dsl.Output[dsl.Markdown], resume: str = ""
) -> str:
    """Say whether the run succeeded, and if not which task failed and with what error.

    Args:
        status: Of everything before; Kubeflow fills it in.
        page: The same in words.
        resume: Id of the earlier run whose folder on the volume this one uses.
    """
    from components._notes import go_on_from
    from components.final_status.page import show_status

    go_on_from(resume)
    return show_status(
        status.state,
        status.pipeline_task_name,
        status.error_message or "",
        status.pipeline_job_resource_name,
        page.path,
    )
