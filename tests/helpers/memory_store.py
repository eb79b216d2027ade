"""The ground that ships with the library for checks of plug-ins, under the name that these tests use."""

from ambidex.testing.ground import (
    CLASSES,
    ENCODERS,
    PLAIN_ENCODERS,
    MemoryStore,
    architecture,
    build,
    engine,
    in_order,
    make_method,
)

__all__ = [
    "CLASSES",
    "ENCODERS",
    "PLAIN_ENCODERS",
    "MemoryStore",
    "architecture",
    "build",
    "engine",
    "in_order",
    "make_method",
]
