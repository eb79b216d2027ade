"""The cross-fitted training split as evaluate uses it: only with the model whose cell it was made for."""

from pathlib import Path
from typing import Any

from ambidex.base.errors import DataError, ParamsError
from ambidex.base.records import CARD_FILE, read_card
from ambidex.configuration.params import Params
from ambidex.data.store.reading import FeatureStore
from ambidex.decide.crossfitted import read_held_out
from ambidex.judge.held_out import HeldOut
from ambidex.stages import Paths

_CELL = ("method", "regime", "seed")


def cross_fitted(params: Params, inputs: Paths, store: FeatureStore, card: dict[str, Any]) -> HeldOut | None:
    """What allocators are fitted on instead of val; None where they are fitted on val.

    `card`: the run card of the model. Raises ParamsError where there is none or it is not asked for, DataError
    where it was made from another store or for another method, regime or seed.
    """
    folder = inputs.get("crossfit")
    if params.evaluate.fit_on == "val":
        if folder is not None:
            raise ParamsError(f"evaluate.fit_on: is 'val'; to fit on {folder}, set evaluate.fit_on=crossfit")
        return None
    if folder is None:
        cell = " ".join(f"--{key} {card.get(key, getattr(params.train, key))}" for key in _CELL)
        raise ParamsError(
            f"evaluate.fit_on: is 'crossfit', and the training split was not cross-fitted for this model; run "
            f"`ambidex crossfit {cell}` first"
        )
    _check_origin(folder, store, card)
    return read_held_out(folder)


def _check_origin(folder: Path, store: FeatureStore, card: dict[str, Any]) -> None:
    origin = read_card(folder, hint="run crossfit again") if (folder / CARD_FILE).exists() else {}
    if origin.get("stage") != "crossfit":
        raise DataError(f"{folder}: is not an output of crossfit; allocators are fitted on no other samples")
    if origin.get("features") != store.fingerprint and not store.taught(origin.get("learning")):
        raise DataError(
            f"{folder}: was made from another feature store than {store.path}; run crossfit again"
        )
    for key in _CELL:
        if key in card and origin.get(key) != card[key]:
            raise DataError(
                f"{folder}: was made for {key} {origin.get(key)}, the model is of {key} {card[key]}; name the one "
                "that belongs to it"
            )
