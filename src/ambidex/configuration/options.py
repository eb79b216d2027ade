"""The options of a plug-in, validated by its own Config."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from ambidex.base.errors import ParamsError
from ambidex.base.registry import Plugins
from ambidex.configuration.mistakes import explain, refuse_truth_values
from ambidex.configuration.values import Choice


def plugin_config(plugins: Plugins[Any], name: str, options: Mapping[str, Any], path: str) -> Any:
    """The validated Config of plug-in `name`; `path` is where its options stand, for messages."""
    try:
        config_class: type[BaseModel] = plugins.get(name).Config
    except ParamsError as error:
        raise ParamsError(f"{path}: {error}") from None
    try:
        config = config_class.model_validate(dict(options))
    except ValidationError as error:
        raise ParamsError(explain(error, config_class, "", prefix=f"{path}.")) from None
    refuse_truth_values(options, config, path)
    return config


def choice_config(plugins: Plugins[Any], choice: Choice, path: str) -> Any:
    """The validated Config of a `{name: ..., option: ...}` block."""
    return plugin_config(plugins, choice.name, choice.options, path)
