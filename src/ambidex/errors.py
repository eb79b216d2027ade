"""The errors a user can cause and mend. Each carries one line: where, what was found, what was expected."""


class AmbidexError(Exception):
    """A problem the user can mend. The command line prints its one line and exits with `exit_code`."""

    exit_code = 2


class ParamsError(AmbidexError):
    """A key or value in the parameters is wrong."""


class DataError(AmbidexError):
    """A manifest, media file or feature store is wrong."""


class ModelError(AmbidexError):
    """A model file or a combination of model parts does not fit."""


class PreemptedError(AmbidexError):
    """Asked to stop (SIGTERM). What was done is kept, and the same call goes on from there."""

    exit_code = 75  # EX_TEMPFAIL: try again


class TrainingError(AmbidexError):
    """Training cannot go on (for example a loss that is not finite)."""

    exit_code = 3
