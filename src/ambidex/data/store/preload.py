"""Imported once by the server that decoding processes are forked from, so that each of them begins at once."""

from contextlib import suppress

from ambidex.data.kinds import KINDS
from ambidex.data.media import audio
from ambidex.data.store import extraction

__all__ = ["extraction"]

KINDS.all()
with suppress(Exception):  # where torchaudio cannot be imported, whoever needs it says why
    audio.masking_transforms()
