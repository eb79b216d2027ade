"""The platform block applied to tasks: image, nodes, devices, memory, volume, secrets, retries."""

from collections.abc import Callable

from components._notes import RUN, WORK
from kfp import dsl, kubernetes

from ambidex.configuration.cluster.quantities import millicores, whole_bytes
from ambidex.configuration.params import Params
from ambidex.configuration.platform import Platform, Training
from pipelines.texts import pinned

Place = Callable[[dsl.PipelineTask], dsl.PipelineTask]
_RUN_LABEL = "metadata.labels['pipeline/runid']"
_EXIT_SECONDS = 600
_PAUSE = 60
"""seconds between two attempts"""
_QUEUE = 7 * 86_400
"""seconds that attempts together may wait for nodes"""
_SHARED = Training()
_LONGEST = 2**31 - 1
"""seconds: what Kubernetes can count"""


def retry_window(retries: int, deadline: int) -> int:
    """Seconds from the start of the first attempt within which Argo may begin another, and must end the last.

    All attempts may take their whole deadline, with pauses between them, and wait for nodes: a shorter window would
    switch retries off for the tasks that need them most.
    """
    return min((retries + 1) * (deadline + _PAUSE) + _QUEUE, _LONGEST)


class Placement:
    """Puts tasks where `params.platform` says. Each method takes a task, changes it and returns it."""

    def __init__(self, params: Params) -> None:
        self.platform: Platform = params.platform
        self._pinned = pinned(params)

    def data(self, task: dsl.PipelineTask) -> dsl.PipelineTask:
        """A data step: any node, and from the cache where all that it reads is pinned."""
        return self._step(task).set_caching_options(self._pinned)

    def training(self, task: dsl.PipelineTask, cells: int = 1) -> dsl.PipelineTask:
        """A task that trains `cells` models: all accelerators of a node that has them."""
        accelerator = self.platform.accelerator
        return self._on_training_nodes(task, accelerator.count if accelerator else 0, cells)

    def evaluation(self, task: dsl.PipelineTask, cells: int = 1) -> dsl.PipelineTask:
        """A task that runs `cells` trained models: any node, or with `evaluate_on: accelerator` one device."""
        if self.platform.evaluate_on == "accelerator":
            return self._on_training_nodes(task, 1, cells)
        return self._step(task, cells).set_caching_options(False)

    @property
    def evaluates_on(self) -> str:
        """What `runtime.accelerator` is for evaluate; empty: what the parameters say."""
        return "cpu" if self.platform.accelerator and self.platform.evaluate_on == "cpu" else ""

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

    def _on_training_nodes(self, task: dsl.PipelineTask, accelerators: int, cells: int) -> dsl.PipelineTask:
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
                task,
                volume_name="shm",
                mount_path="/dev/shm",
                medium="Memory",
                size_limit=whole_bytes(platform.shm),
            )
        return self._step(task, cells, platform.train).set_caching_options(False)

    def _step(self, task: dsl.PipelineTask, cells: int = 1, own: Training = _SHARED) -> dsl.PipelineTask:
        platform = self.platform
        if cores := own.cpu or platform.cpu:
            task.set_cpu_request(millicores(cores)).set_cpu_limit(millicores(cores))
        if memory := own.memory or platform.memory:
            task.set_memory_request(whole_bytes(memory)).set_memory_limit(whole_bytes(memory))
        deadline = min(platform.deadline * cells, _LONGEST)
        if platform.retries:
            window = retry_window(platform.retries, deadline)
            task.set_retry(platform.retries, f"{_PAUSE}s", 1.0, f"{window}s")
        kubernetes.set_timeout(task, deadline)
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
