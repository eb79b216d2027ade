"""Checks of plug-ins: what the tests of this library hold its own to, for authors elsewhere. pytest is not needed.

    from ambidex.testing import check_encoder, check_method

    def test_lion_keeps_the_contract():
        check_method("lion")

Each check raises CheckError, an AssertionError of one line: what was looked at, what was expected, what was found.
"""

from ambidex.testing.allocators import check_allocator as check_allocator
from ambidex.testing.datasets import check_dataset as check_dataset
from ambidex.testing.diagnostics import check_diagnostic as check_diagnostic
from ambidex.testing.encoders import check_encoder as check_encoder
from ambidex.testing.expect import CheckError as CheckError
from ambidex.testing.fusions import check_fusion as check_fusion
from ambidex.testing.kinds import check_kind as check_kind
from ambidex.testing.loggers import check_logger as check_logger
from ambidex.testing.method import check_method as check_method
