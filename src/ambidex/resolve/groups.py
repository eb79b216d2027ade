"""Groups of parameters with a learning rate of their own: which names `groups` of pretrain and train may hold."""

from collections.abc import Iterable, Mapping
from typing import Any

from ambidex.base.errors import ParamsError
from ambidex.base.registry import nearest
from ambidex.configuration.optimisation import ENCODERS_GROUP, HEAD_GROUP
from ambidex.configuration.params import Params


def check_groups(groups: Mapping[str, Any], path: str, params: Params, methods: Iterable[str] = ()) -> None:
    """Raise ParamsError for a name that is no modality, not all encoders or the head, and no group of `methods`."""
    from ambidex.learn.method import METHODS

    if not groups:
        return
    own = {name for method in methods for name in METHODS.get(method).groups}
    allowed = list(dict.fromkeys((ENCODERS_GROUP, HEAD_GROUP, *params.modalities, *sorted(own))))
    for name in groups:
        if name not in allowed:
            raise ParamsError(f"{path}.{name}: no such group of parameters; {nearest(name, allowed)}")
