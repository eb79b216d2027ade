"""A micro-batch through the encoders, and what the head needs of it."""

from ambidex.base.errors import ModelError
from ambidex.learn.loop.batches import Batch
from ambidex.learn.loop.kept import Kept
from ambidex.learn.method import METHODS, Method
from ambidex.net.encoded import EncodedFeatures, Features, rows_of
from ambidex.net.model import MultimodalNet


def encode(
    model: MultimodalNet, batch: Batch, modalities: tuple[str, ...] | None = None, kept: Kept | None = None
) -> Features:
    """Features of the batch's samples, of `modalities` or all; of none where a stand-in runs in their place.

    `kept`: those that were made before are not made again.
    """
    if kept is not None and batch.stand_in is None:
        return kept.encode(model, batch, modalities)
    inputs = batch.stand_in or batch.inputs
    if modalities is None:
        features: Features = model.encode(inputs, batch.present)
    else:
        features = {m: model.encode_one(m, inputs[m]) for m in modalities}
    if batch.stand_in is None:
        return features
    if model.exchange is not None:
        model.exchange.forget()
    return rows_of(features, slice(0))


def check_tokens(model: MultimodalNet, method: Method, features: Features) -> None:
    """Raise ModelError where the method took away the tokens that the head reads."""
    if model.fusion.reads_tokens and not isinstance(features, EncodedFeatures):
        raise ModelError(
            f"method {METHODS.name_of(type(method))}: its hook `features` leaves out the tokens that fusion "
            f"'{model.architecture.fusion.name}' reads; edit them by ambidex.net.encoded.scaled"
        )
