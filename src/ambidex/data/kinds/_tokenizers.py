"""From a text to token ids: by hashing, which needs no file, or by the tokenizer of a local Hugging Face folder.

Hashing: the text in Unicode's form NFKC, without case, is cut into words (runs of letters, digits and `_`) and single
other signs. The id of a word is 1 + h mod (vocabulary - 1), where h is the first 8 bytes of the BLAKE2b digest (of 8
bytes) of its UTF-8, little-endian. It is the same on every machine and in every version; 0 is padding alone.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ambidex.base.errors import DataError, one_line

_WORD = re.compile(r"\w+|[^\w\s]")
_BYTES = 8
FILE = "tokenizer.json"
MOST = 2**24
"""ids: a store holds them as float32, which counts no further"""


def words(text: str) -> list[str]:
    """The words and signs that hashing takes apart.

    >>> words("A white DOG, running.")
    ['a', 'white', 'dog', ',', 'running', '.']
    """
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def hashed(text: str, vocabulary: int) -> list[int]:
    """An id from 1 up to but not `vocabulary` for each word of `text`."""
    return [_hash(word, vocabulary) for word in words(text)]


@lru_cache(100_000)
def _hash(word: str, vocabulary: int) -> int:
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest()
    number = int.from_bytes(digest, "little")
    return 1 + number % (vocabulary - 1)


def encoded(text: str, folder: Path, length: int) -> Sequence[int]:
    """Ids by the tokenizer in `folder`, with its marks ([CLS], [SEP] ...), at most `length`. Raises DataError."""
    tokenizer, vocabulary = _tokenizer(folder, length), vocabulary_of(folder)
    try:
        ids: Sequence[int] = tokenizer.encode(text).ids
    except Exception as error:  # the library raises no class of its own
        raise DataError(one_line(f"{folder / FILE}: cannot cut a text ({error})", 200)) from None
    if ids and max(ids) >= vocabulary:  # marks may have ids that no word has
        raise DataError(f"{folder / FILE}: gives the id {max(ids)}, its vocabulary ends at {vocabulary - 1}")
    return ids


@lru_cache(8)
def vocabulary_of(folder: Path) -> int:
    """One more than the largest id that the tokenizer in `folder` gives. Raises DataError."""
    ids = _tokenizer(folder, None).get_vocab(with_added_tokens=True).values()
    if not ids or max(ids) >= MOST:
        what = f"the id {max(ids):,}" if ids else "no id"
        raise DataError(f"{folder / FILE}: its vocabulary holds {what}, expected ids below {MOST:,}")
    return 1 + int(max(ids))


@lru_cache(8)
def _tokenizer(folder: Path, length: int | None) -> Any:
    """The tokenizer in `folder`; it pads nothing and cuts to `length` such that its marks stay. Raises DataError."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise DataError(f"the tokenizer in {folder} needs `pip install 'ambidex[hf]'`") from None
    if not (folder / FILE).is_file():
        raise DataError(
            f"{folder}: has no {FILE}, expected a folder that a tokenizer's `save_pretrained` wrote"
        )
    try:
        tokenizer = Tokenizer.from_file(str(folder / FILE))
    except Exception as error:  # the library raises no class of its own
        raise DataError(one_line(f"{folder / FILE}: is no tokenizer ({error})", 200)) from None
    tokenizer.no_padding()
    if length is None:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(length)
    return tokenizer
