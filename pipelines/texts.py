"""Parameters as they travel: YAML texts, because Kubeflow turns the 1 of a mapping into 1.0.

In one line, because a text field of the browser drops line ends.
"""

import math
from pathlib import Path
from typing import Any

import yaml

from ambidex.base.errors import ParamsError
from ambidex.base.readers import Source, read_text
from ambidex.commands.wiring import with_values
from ambidex.configuration.params import Params
from ambidex.data.datasets import DATASETS

DATA = ("prepare", "extract")
"""sections that data steps get, and nothing else, so that nothing else makes them run again"""


def data_text(params: Params) -> str:
    """Sections prepare and extract, as far as they were set."""
    values = _set(params)
    values["extract"].pop("part", None)  # the pipeline hands out the parts
    return _yaml({name: values[name] for name in DATA if name in values})


def learning_text(params: Params) -> str:
    """All other sections that shape a result, as far as they were set; the platform's accelerators are in `runtime`."""
    if accelerator := params.platform.accelerator:
        params = with_values(params, "runtime", accelerator="cuda", devices=accelerator.count)
    return _yaml({name: value for name, value in _set(params).items() if name not in (*DATA, "platform")})


def pointer_text(params: Params) -> str:
    """What `platform.s3.pull` names: the text of a .dvc file, or the md5 as it is; empty where nothing is pulled.

    Raises ParamsError where the file is missing.
    """
    wanted = params.platform.s3.pull if params.platform.s3 else ""
    if not wanted.endswith(".dvc"):
        return wanted
    source = Source(f"platform.s3.pull: {wanted}", ParamsError, "`dvc add` writes it")
    return read_text(Path(wanted), source)


def pinned(params: Params) -> bool:
    """Whether the data steps always give the same: the image by digest, the data by md5 or made from a seed."""
    made_up = not DATASETS.get(params.prepare.dataset).needs_source
    return "@sha256:" in params.platform.image and (made_up or bool(pointer_text(params)))


def _set(params: Params) -> dict[str, Any]:
    return params.model_dump(mode="json", exclude_unset=True)


def _yaml(value: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(
        value, sort_keys=False, allow_unicode=True, default_flow_style=True, width=math.inf
    )
    return text.strip()
