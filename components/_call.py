"""From what Kubeflow gives a component to one call of a stage. Knows the library, and nothing of Kubeflow.

Two texts of YAML carry the parameters: `data` (prepare, extract), which data steps alone get, so that nothing else
can make them run again; and `params`, all other sections.
"""

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ambidex.base.errors import AmbidexError, DataError, ParamsError, PreemptedError, one_line
from ambidex.base.files import below
from ambidex.base.layout import cell_name
from ambidex.base.outputs import whole_folder
from ambidex.base.readers import parse_yaml
from ambidex.base.readers.schema import shown
from ambidex.base.records import CARD_FILE, read_card
from ambidex.commands.doors import complain
from ambidex.commands.wiring import with_values
from ambidex.configuration.mistakes import explain
from ambidex.configuration.params import Params
from ambidex.launch.distributed import run_stage
from ambidex.resolve import apply_override, parse_params
from ambidex.resolve.cell import Work
from ambidex.stages import work_of
from components._notes import note_failure, shared_folder

Inputs = Mapping[str, str | Sequence[str]]
_NO_MODEL: dict[str, Any] = {"encoders": {}}


def call(
    stage: str,
    texts: Sequence[str],
    inputs: Inputs,
    outputs: Mapping[str, str],
    values: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run `stage` and return its metrics; a mistake of the user ends the process with one line and its exit code.

    `texts`: parameters as YAML. `values`: dotted key -> YAML text that replaces one; empty text: as it is. `inputs`:
    name -> folder, or several folders that the stage wants to find in one; empty: left out.
    """
    key = "-".join([stage, *(re.sub(r"\W+", "-", text) for text in (values or {}).values() if text)])
    try:
        with placed(stage, texts, inputs, values or {}) as (work, places):
            metrics = run_stage(stage, work, places, {name: Path(path) for name, path in outputs.items()})
    except AmbidexError as error:
        if not isinstance(error, PreemptedError):
            note_failure(key, str(error))
        say(str(error))
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        note_failure(key, one_line(f"{type(error).__name__}: {error}"))
        raise
    note_failure(key, "")
    return metrics


def say(message: str) -> None:
    """One line for the log."""
    complain("ambidex", message)


@contextmanager
def placed(
    stage: str, texts: Sequence[str], inputs: Inputs, values: Mapping[str, str]
) -> Iterator[tuple[Work, dict[str, Path]]]:
    """What one call works with, and the folders it reads. Raises ParamsError."""
    params = read_params(stage, texts, values)
    with tempfile.TemporaryDirectory(prefix="ambidex-") as folder:
        given = {name: found for name, found in inputs.items() if found}
        yield (
            work_of(stage, params),
            {name: _place(stage, name, found, Path(folder), params) for name, found in given.items()},
        )


def read_params(stage: str, texts: Sequence[str], values: Mapping[str, str]) -> Params:
    """The parameters of one call. Raises ParamsError with one line."""
    raw: dict[str, Any] = {}
    for text in texts:
        raw |= sections(text)
    for key, value in values.items():
        if value:
            apply_override(raw, f"{key}={value}")
    if "model" not in raw:
        return _without_model(raw)
    params = parse_params(raw)
    if stage == "pretrain" and not values.get("pretrain.seed"):
        params = with_values(params, "pretrain", seed=params.train.seed)
    if work := shared_folder():
        params = with_values(params, "runtime", checkpoints=str(work))
    return params


def sections(text: str) -> dict[str, Any]:
    """The sections of parameters given as YAML text. Raises ParamsError where it holds something else."""
    found = parse_yaml(text, "params")
    if not isinstance(found, dict | None) or not all(isinstance(key, str) for key in found or ()):
        raise ParamsError(f"params: expected sections like 'train:', found {shown(found)}")
    return found or {}


def _without_model(raw: Mapping[str, Any]) -> Params:
    """Parameters of a data step, which looks at no model. Its plug-in checks its own options."""
    try:
        return Params.model_validate({**raw, "model": _NO_MODEL})
    except ValidationError as error:
        raise ParamsError(explain(error, Params, "params")) from None


def inside(folder: str, source: str) -> str:
    """Where the `source` of params.yaml stands in the pulled `folder`: data/my/list.csv is list.csv in that of my.dvc.

    Without folder: "" (the source stays as it is); the folder itself where nothing in it has such a path.
    """
    if not folder:
        return ""
    parts = Path(source).parts
    candidates = (Path(folder, *parts[start:]) for start in range(1, len(parts)))
    return str(next((path for path in candidates if path.exists()), folder))


def gather_outputs(folders: Iterable[str], target: str) -> None:
    """Copy what tasks of pretrain wrote, <seed>/<modality> each, into one folder of the same form."""
    with whole_folder(Path(target)) as whole:
        for folder in folders:
            for seed in (path for path in Path(folder).iterdir() if path.is_dir()):
                shutil.copytree(seed, whole / seed.name, dirs_exist_ok=True)


def _place(stage: str, name: str, found: str | Sequence[str], folder: Path, params: Params) -> Path:
    """Where the stage finds one of its inputs."""
    if name == "encoders" and isinstance(found, str):
        return Path(found) if stage == "compare" else Path(found) / str(params.train.seed)
    return Path(found) if isinstance(found, str) else _linked(found, folder / name)


def _linked(folders: Sequence[str], target: Path) -> Path:
    """Make the folder `target` in which each of `folders` stands under its own name, as links to its files."""
    for number, folder in enumerate(folders):
        source = Path(folder).resolve()
        place = _below(target, _name_of(source) or str(number), folder)
        place.mkdir(parents=True)
        for path in sorted(source.rglob("*")):
            if path.is_dir():
                (place / path.relative_to(source)).mkdir()
            else:
                (place / path.relative_to(source)).symlink_to(path)
    return target


def _below(target: Path, name: str, source: str) -> Path:
    try:
        return below(target, name)
    except ValueError as error:
        raise DataError(f"{source}/{CARD_FILE}: is damaged: {error}") from None


def _name_of(output: Path) -> str:
    """What its card makes of it: the cell of a report; empty: a part, which has none."""
    card = read_card(output)
    return cell_name(card["method"], card["regime"], card["seed"]) if card.get("stage") == "evaluate" else ""
