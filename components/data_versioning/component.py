"""Kubeflow components that read from and publish to the DVC remote.

Credentials reach the pod as the environment variables of the AWS tools (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
optionally AWS_SESSION_TOKEN); region and endpoint as arguments, or as AWS_DEFAULT_REGION and AWS_ENDPOINT_URL.
"""

from kfp import dsl

IMAGE = "ambidex:local"
"""replaced by `platform.image` when a pipeline is built"""


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def pull_data(
    data: dsl.Output[dsl.Dataset], pointer: str, remote: str, endpoint: str = "", region: str = ""
) -> None:
    """Fetch what a `.dvc` pointer names into a folder; every file is checked against its md5.

    Args:
        data: The folder.
        pointer: Text of a `.dvc` file, or the md5 of an object (`... .dir` of a folder).
        remote: s3://bucket/prefix of the DVC remote.
        endpoint: URL of the S3 service; empty: AWS, or AWS_ENDPOINT_URL.
        region: Region of the bucket; empty: AWS_DEFAULT_REGION.
    """
    from components.data_versioning import tasks

    data.metadata.update(tasks.pull_data(pointer, remote, endpoint, region, data.path))


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def publish_model(
    model: dsl.Input[dsl.Artifact],
    report: dsl.Input[dsl.Artifact],
    page: dsl.Output[dsl.Markdown],
    remote: str,
    name: str = "model",
    endpoint: str = "",
    region: str = "",
) -> str:
    """Put a model and its report into the DVC remote; returns the text of the `.dvc` file to commit.

    Args:
        model: Folder of the model.
        report: Folder of its report.
        page: What to do with the pointer, in words.
        remote: s3://bucket/prefix of the DVC remote.
        name: Name of the pointer: `published/NAME.dvc` brings `published/NAME/model` and `published/NAME/report`.
        endpoint: URL of the S3 service; empty: AWS, or AWS_ENDPOINT_URL.
        region: Region of the bucket; empty: AWS_DEFAULT_REGION.
    """
    from components.data_versioning import tasks

    return tasks.publish_model(model.path, report.path, remote, endpoint, region, name, page.path)
