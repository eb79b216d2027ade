"""The coverage report: which clips a list or a folder promises, and which of them are there."""

from collections import Counter
from collections.abc import Sequence

from ambidex.base.files import csv_text

COVERAGE_FILE = "coverage.csv"
FOUND = "found"

Coverage = Sequence[tuple[str, str, str]]
"""(clip, label, status) in order; status is `found` or says what is missing"""


def coverage_extra(coverage: Coverage) -> dict[str, str]:
    """The report as a file to write beside the manifest: clip, label, status."""
    return {COVERAGE_FILE: csv_text(("clip", "label", "status"), coverage)}


def coverage_notes(coverage: Coverage, what: str = "clips") -> list[str]:
    """One line on the whole and, where something is missing, one with the share found of each class."""
    total, number = len(coverage), sum(status == FOUND for _, _, status in coverage)
    if number == total:
        return [f"all {total} {what} found"]
    reasons = Counter(status for _, _, status in coverage if status != FOUND)
    why = ", ".join(f"{count} {status}" for status, count in sorted(reasons.items()))
    totals = Counter(label for _, label, _ in coverage)
    there = Counter(label for _, label, status in coverage if status == FOUND)
    shares = ", ".join(f"{label} {_percent(there[label], totals[label])}" for label in sorted(totals))
    return [
        f"{number} of {total} {what} found ({_percent(number, total)}); {why}; see {COVERAGE_FILE}",
        f"found by class: {shares}",
    ]


def matched(coverage: Coverage, there: int, others: Sequence[str]) -> str:
    """How many listed clips match one of the `there` clips of a folder, and what the rest is like on either side.

    `others`: names of clips in the folder that are not listed.
    """
    number = sum(status == FOUND for _, _, status in coverage)
    text = f"{number} of {len(coverage)} listed clips match one of the {there} clips there"
    missing = next((clip for clip, _, status in coverage if status != FOUND), None)
    return text + (f"; listed is '{missing}', there is '{others[0]}'" if missing and others else "")


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"
