"""Whether the method of a cell can work on the model, and when it begins to: before anything is read or trained."""

from ambidex.learn.loop.batches import steps_of
from ambidex.learn.loop.length import epochs_of
from ambidex.learn.method import Method
from ambidex.net.model import Architecture
from ambidex.resolve.cell import Cell
from ambidex.resolve.presets import check_preset


def waiting_note(cell: Cell, samples: int) -> str | None:
    """A line where training on so many samples ends before the method acts: it is joint training then."""
    method = cell.build()
    waits, epochs = method.waits(), epochs_of(cell.train, steps_of(samples, cell.train.batch_size))
    if not method.trains or waits < epochs:
        return None
    return (
        f"{cell.plugin} does not act in its first {waits} epochs, and there are {epochs}: this is joint training; "
        "train longer or let it begin earlier"
    )


def check_method(cell: Cell) -> None:
    """Raise where the cell's method cannot work on the model, in the regime or with the preset asked for.

    ModelError or ParamsError, one line that says what it needs and what would do. No data are looked at.
    """
    check_preset(cell.given, cell.label)
    method = cell.build()
    method.check(_planned(cell, method), frozen=cell.train.regime == "frozen")


def planned(cell: Cell) -> Architecture:
    """The model that the cell's method asks for, without inputs and classes. Raises as check_method does."""
    return _planned(cell, cell.build())


def _planned(cell: Cell, method: Method) -> Architecture:
    params = cell.given
    encoders = {name: params.model.encoders[name] for name in params.modalities}
    return method.architecture(Architecture({}, encoders, params.model.fusion, ()))
