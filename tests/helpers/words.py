"""Words that users write, said once for all tests that expect them."""

REGISTRIES = (
    "methods",
    "datasets",
    "kinds",
    "encoders",
    "fusions",
    "additions",
    "allocators",
    "diagnostics",
    "loggers",
)
"""kinds of plug-ins: verbs that list them, and `ambidex.KIND` their entry points"""
