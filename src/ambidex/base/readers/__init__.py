"""One guarded reader for each format: bounded in size, depth and length of numbers, regular files only.

Whatever is wrong with a file is one AmbidexError of one line: the file, the key or line, what was found, what was
expected. `Source` names the file and says which error and which advice belong to it; `schema` checks types by key.
"""

from ambidex.base.readers.json import parse_json, read_json
from ambidex.base.readers.schema import Record, check, fitting
from ambidex.base.readers.source import Source, read_bytes, read_text
from ambidex.base.readers.table import read_columns, read_rows
from ambidex.base.readers.yaml import parse_yaml

__all__ = [
    "Record",
    "Source",
    "check",
    "fitting",
    "parse_json",
    "parse_yaml",
    "read_bytes",
    "read_columns",
    "read_json",
    "read_rows",
    "read_text",
]
