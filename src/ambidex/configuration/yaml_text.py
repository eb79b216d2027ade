"""Reading YAML strictly: a key that stands twice is an error, and 1e-3 is a number."""

import re
from typing import Any

import yaml

from ambidex.errors import ParamsError


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which builds plain values only."""


def parse_yaml(text: str, source: str) -> Any:
    """The value that `text` describes. Raises ParamsError naming `source`, line and column of the mistake."""
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ParamsError(f"{source}{where}: is not valid YAML ({error.problem})") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{source}: is not valid YAML ({' '.join(str(error).split())})") from None


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in seen:
            raise yaml.MarkedYAMLError(
                problem=f"the key '{key.value}' stands twice", problem_mark=key.start_mark
            )
        seen.add(key.value)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
# YAML 1.1, which PyYAML follows, reads 1e-3 as text, because it has no dot.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)
