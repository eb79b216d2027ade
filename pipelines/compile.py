"""`python -m pipelines.compile`: write pipelines/compiled/*.yaml, for the platform of params.yaml and an example."""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from kfp import compiler

from ambidex.base.errors import AmbidexError
from ambidex.base.files import write_text
from ambidex.commands.doors import fail
from ambidex.configuration.params import Params
from ambidex.resolve import parse_params, read_yaml
from pipelines import balanced_learning, method_study
from pipelines.size import check_size

HERE = Path(__file__).resolve().parent
PARAMS, EXAMPLE, COMPILED = HERE.parent / "params.yaml", HERE / "gpu_pool.yaml", HERE / "compiled"
PIPELINES: dict[str, ModuleType] = {"balanced_learning": balanced_learning, "method_study": method_study}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_HEAD = (
    "# Written by `python -m pipelines.compile` from pipelines/{name}.py and the parameters; do not edit.\n"
)


def compile_pipeline(name: str, params: Params, path: Path) -> Path:
    """Write the pipeline `name` for `params` to `path`.

    Raises ParamsError where the data's pointer is missing, or a run would be too large for Kubeflow.
    """
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, path.name)
        compiler.Compiler().compile(PIPELINES[name].build(params), str(raw))
        lines = raw.read_text().splitlines(keepends=True)
    # kfp's own head repeats all defaults, in an order that changes, and breaks where one has several lines
    start = next(number for number, line in enumerate(lines) if line.startswith("components:"))
    text = "".join(lines[start:])
    check_size(next(yaml.load_all(text, _LOADER)), {})
    write_text(path, _HEAD.format(name=name) + text)
    return path


def with_platform(params: Path, platform: Path | None) -> Params:
    """The parameters of a file, with the sections of another one (a platform block) in place of its own."""
    raw = read_yaml(params)
    return parse_params(raw | (read_yaml(platform) if platform else {}), source=str(platform or params))


def write_all(folder: Path, params: Path = PARAMS) -> Iterator[Path]:
    """Compile every pipeline for the platform of `params`, and once more for the example with GPU nodes."""
    for suffix, platform in (("", None), ("_gpu", EXAMPLE)):
        given = with_platform(params, platform)
        for name in PIPELINES:
            yield compile_pipeline(name, given, folder / f"{name}{suffix}.yaml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write all files and print their paths."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.compile", description=__doc__)
    parser.add_argument(
        "--params", type=Path, default=PARAMS, metavar="FILE", help="parameters (default: params.yaml)"
    )
    parser.add_argument(
        "--to", type=Path, default=COMPILED, metavar="DIR", help="default: pipelines/compiled"
    )
    options = parser.parse_args(arguments)
    try:
        for path in write_all(options.to, options.params):
            print(path)
    except AmbidexError as error:
        return fail("ambidex", error, error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
