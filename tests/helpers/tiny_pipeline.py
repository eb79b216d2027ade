"""A small pipeline with everything that a client meets: a loop, an exit handler, other names, pod settings."""

from pathlib import Path
from typing import Any

SEEDS: list[int] = [0, 1]
MORE: dict[str, Any] = {}


def compile_tiny(path: Path) -> Path:
    """Compile it to `path`; kfp is imported here, it takes a second."""
    from kfp import compiler, dsl, kubernetes

    @dsl.component(base_image="ambidex:local", install_kfp_package=False)
    def learn(seed: int) -> float:
        return float(seed)

    @dsl.component(base_image="ambidex:local", install_kfp_package=False)
    def tell(words: str) -> str:
        return words

    @dsl.pipeline(name="tiny")
    def tiny(
        data: str, seeds: list = SEEDS, rate: float = 0.1, quick: bool = True, more: dict = MORE
    ) -> None:
        with dsl.ExitHandler(tell(words="done"), name="everything"):
            told: Any = tell(words=data)
            told.set_display_name("prepare")
            kubernetes.use_secret_as_env(told, "s3", {"key": "AWS_ACCESS_KEY_ID"})
            with dsl.ParallelFor(seeds) as seed:
                learn(seed=seed).after(told).set_caching_options(False)

    compiler.Compiler().compile(tiny, str(path))
    return path
