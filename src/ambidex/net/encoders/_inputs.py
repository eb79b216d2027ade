"""The line that an encoder says of an input that it cannot take."""

from ambidex.base.errors import ModelError
from ambidex.data.kinds import InputSpec


def refusal(spec: InputSpec, encoder: str, expected: str) -> ModelError:
    """What to raise where `encoder` is built for inputs of `spec`, but takes `expected`."""
    given = f"an input of kind '{spec.kind}' {list(spec.shape)}"
    return ModelError(f"encoder '{encoder}': found {given}, expected {expected}")
