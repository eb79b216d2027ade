"""A Hugging Face model in a local folder: its description and its weights, as data. Nothing is downloaded or run.

Only classes of `transformers` itself are built (`trust_remote_code` is never set), and only safetensors are read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ambidex.base.errors import ModelError, one_line
from ambidex.base.readers import read_json

CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
INDEX = "model.safetensors.index.json"
_LIMIT = 200


def library() -> Any:
    """The library `transformers`. Raises ModelError where it is not installed."""
    try:
        import transformers
    except ImportError:
        raise ModelError("encoder 'hf' needs `pip install 'ambidex[hf]'`") from None
    from ambidex.data.media.audio import transforms

    transforms()  # transformers imports torchaudio, which beside a CPU-only torch needs what this puts in place
    import transformers

    return transformers


def description_of(folder: Path) -> dict[str, Any]:
    """What config.json in `folder` says, with mean and deviation of its pictures. Raises ModelError."""
    if not (folder / CONFIG).is_file():
        raise ModelError(
            f"encoder 'hf': {folder} has no {CONFIG}; model.encoders.NAME.folder names a local folder that a model's "
            "`save_pretrained` wrote"
        )
    described = _mapping(folder / CONFIG)
    if (folder / PREPROCESSOR).is_file():
        pictures = _mapping(folder / PREPROCESSOR)
        described |= {key: pictures[key] for key in ("image_mean", "image_std") if key in pictures}
    return described


def _mapping(file: Path) -> dict[str, Any]:
    values = read_json(file, error=ModelError)
    if not isinstance(values, dict):
        raise ModelError(f"{file}: holds a {type(values).__name__}, expected keys and values")
    return values


def build(described: Mapping[str, Any]) -> Any:
    """The model that `described` says, with weights as they start. Raises ModelError where the library knows none."""
    transformers = library()
    values = {
        key: value for key, value in described.items() if key not in ("image_mean", "image_std", "auto_map")
    }
    kind = str(values.pop("model_type", ""))
    try:
        config = transformers.AutoConfig.for_model(kind, **values)
        net = transformers.AutoModel.from_config(config, attn_implementation="eager")
    except Exception as error:  # the library raises many kinds
        raise ModelError(one_line(f"encoder 'hf': no model '{kind}' ({error})", _LIMIT)) from None
    if config.is_encoder_decoder or not isinstance(getattr(config, "hidden_size", None), int):
        raise ModelError(f"encoder 'hf': a model '{kind}' is no single encoder with a `hidden_size`")
    return net.float()


def weights_of(folder: Path, net: nn.Module) -> dict[str, Tensor]:
    """The published weights in `folder` of all tensors of `net`, by name. Raises ModelError."""
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"{folder}: has no .safetensors; weights that are pickled are not read")
    _check_index(folder)
    transformers = library()
    transformers.utils.logging.disable_progress_bar()
    try:
        loaded, report = transformers.AutoModel.from_pretrained(
            folder,
            config=net.config,
            attn_implementation="eager",  # the folder's config.json may name one that is downloaded and run
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # the library raises many kinds
        raise ModelError(one_line(f"{folder}: its weights cannot be read ({error})", _LIMIT)) from None
    published = loaded.state_dict()
    for name, tensor in net.state_dict().items():
        if name in report["missing_keys"] or name not in published:
            raise ModelError(f"{folder}: tensor '{name}' is missing")
        if published[name].shape != tensor.shape:
            shapes = f"{list(published[name].shape)}, expected {list(tensor.shape)}"
            raise ModelError(f"{folder}: tensor '{name}' has shape {shapes}")
    return {name: published[name] for name in net.state_dict()}


def _check_index(folder: Path) -> None:
    """Raise ModelError where the list of shards in `folder` names anything but .safetensors beside it."""
    if not (folder / INDEX).is_file():
        return
    files = _mapping(folder / INDEX).get("weight_map")
    for name in files.values() if isinstance(files, dict) else [files]:
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            given = one_line(f"{name!r}", 60)
            raise ModelError(
                f"{folder / INDEX}: weight_map: got {given}, expected names of .safetensors in its folder"
            )
