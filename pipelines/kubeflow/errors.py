"""What can go wrong between this machine and the API server. Each is one line: what was tried, what to do."""

from ambidex.base.errors import AmbidexError


class ClientError(AmbidexError):
    """Settings, package, arguments or connection: the user can mend it."""


class NotFoundError(ClientError):
    """The server has no such thing, or no such path."""


class TransientError(ClientError):
    """The connection dropped or a gateway answered for the server: the same request may do well a moment later."""


class NoAnswerError(TransientError):
    """The request was sent and no answer came in time: the server may still carry it out."""


class WaitTimeoutError(AmbidexError):
    """The run had not ended when the time for waiting was over."""

    exit_code = 75
