"""The method that `train` asks for, and whether it can work on the model: before anything is read or trained."""

from ambidex.configuration.options import plugin_config
from ambidex.configuration.params import Params
from ambidex.learn.method import METHODS, Method
from ambidex.net.model import Architecture
from ambidex.resolve import method_choice, method_params


def make_method(params: Params) -> tuple[str, Method]:
    """Name and instance of the plug-in behind `train.method`."""
    label = params.train.method
    name, options = method_choice(params, label)
    return name, METHODS.get(name)(plugin_config(METHODS, name, options, f"methods.{label}"))


def waiting_note(params: Params) -> str | None:
    """A line where training ends before the method acts: it is joint training then. `params`: of the method's run."""
    name, method = make_method(params)
    waits, epochs = method.waits(), params.train.epochs
    if not method.trains or waits < epochs:
        return None
    return (
        f"{name} does not act in its first {waits} epochs, and there are {epochs}: this is joint training; "
        "train longer or let it begin earlier"
    )


def check_method(params: Params) -> None:
    """Raise where the method of `train` cannot work on the model, in the regime or with the preset asked for.

    ModelError or ParamsError, one line that says what it needs and what would do. No data are looked at.
    """
    params = method_params(params, params.train.method)
    _, method = make_method(params)
    method.check(_planned(params, method), frozen=params.train.regime == "frozen")


def planned(params: Params) -> Architecture:
    """The model that the method of `train` asks for, without inputs and classes. Raises as check_method does."""
    return _planned(params, make_method(params)[1])


def _planned(params: Params, method: Method) -> Architecture:
    encoders = {name: params.model.encoders[name] for name in params.modalities}
    return method.architecture(Architecture({}, encoders, params.model.fusion, ()))
