"""The platform block applied to tasks: image, nodes, devices, memory, volume, secrets, retries."""

from collections.abc import Callable

from components._notes import RUN, WORK
from kfp import dsl, kubernetes

from ambidex.params import Params
from ambidex.platform import Platform
from pipelines.texts import pinned

Place = Callable[[dsl.PipelineTask], dsl.PipelineTask]
_RUN_LABEL = "metadata.labels['pipeline/runid']"
_EXIT_SECONDS = 600


class Placement:
    """Puts tasks where `params.platform` says. Each method takes a task, changes it and returns it."""

    def __init__(self, params: Params) -> None:
        self.platform: Platform = params.platform
        self._pinned = pinned(params)

    def data(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        """A data step: any node, and from the cache where all that it reads is pinned."""
        return self._step(task).set_caching_options(self._pinned)

    def training(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        """A task that trains: all accelerators of a node that has them."""
        accelerator = self.platform.accelerator
        return self._on_training_nodes(task, accelerator.count if accelerator else 0)

    def evaluation(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        """A task that runs a trained model: one accelerator."""
        return self._on_training_nodes(task, 1 if self.platform.accelerator else 0)

    def light(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        """A task that only gathers or compares results: any node."""
        return self._step(task).set_caching_options(False)

    def remote(self, task: dsl.PipelineTask, *, cached: bool = False) -> dsl.PipelineTask:
        """A task that touches S3: it alone sees the credentials."""
        if s3 := self.platform.s3:
            kubernetes.use_secret_as_env(task, secret_name=s3.secret, secret_key_to_env=dict(s3.keys))
        return self._step(task).set_caching_options(cached and self._pinned)

    def exit(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        """The task that reports what became of the run."""
        task.set_caching_options(False)
        kubernetes.set_timeout(task, min(_EXIT_SECONDS, self.platform.deadline))
        return self._pod(task)

    def _on_training_nodes(self, task: dsl.PipelineTask, accelerators: int) -> dsl.PipelineTask:
        platform = self.platform
        if accelerators and platform.accelerator:
            task.set_accelerator_type(platform.accelerator.type).set_accelerator_limit(accelerators)
        for key, value in platform.node_selector.items():
            kubernetes.add_node_selector(task, label_key=key, label_value=value)
        for one in platform.tolerations:
            kubernetes.add_toleration(
                task, key=one.key, operator=one.operator, value=one.value or None, effect=one.effect
            )
        if platform.shm:
            kubernetes.empty_dir_mount(
                task, volume_name="shm", mount_path="/dev/shm", medium="Memory", size_limit=platform.shm
            )
        return self._step(task).set_caching_options(False)

    def _step(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        platform = self.platform
        if platform.cpu:
            task.set_cpu_request(platform.cpu).set_cpu_limit(platform.cpu)
        if platform.memory:
            task.set_memory_request(platform.memory).set_memory_limit(platform.memory)
        if platform.retries:
            task.set_retry(platform.retries, "30s", 2.0, "600s")
        kubernetes.set_timeout(task, platform.deadline)
        return self._pod(task)

    def _pod(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        platform = self.platform
        task.set_container_image(platform.image)
        kubernetes.set_image_pull_policy(task, platform.pull_policy)
        if platform.pull_secret:
            kubernetes.set_image_pull_secrets(task, [platform.pull_secret])
        if platform.pvc:
            kubernetes.mount_pvc(task, pvc_name=platform.pvc.claim, mount_path=platform.pvc.path)
            kubernetes.use_field_path_as_env(task, env_name=RUN, field_path=_RUN_LABEL)
            task.set_env_variable(WORK, platform.pvc.path)
        for key, value in platform.labels.items():
            kubernetes.add_pod_label(task, label_key=key, label_value=value)
        return task
