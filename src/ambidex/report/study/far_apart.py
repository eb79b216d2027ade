"""What compare says where validation and test lie far apart in some of its models."""

from collections.abc import Mapping

LISTED = 3
"""the most models that one line names"""


def far_apart_line(lines: Mapping[tuple[str, str, int], str | None]) -> str | None:
    """One line for a study, of what `evaluate` said of each cell (method, regime, seed); None where it said nothing."""
    cells = [f"{method} {regime} {seed}" for (method, regime, seed), line in lines.items() if line]
    if not cells:
        return None
    named = ", ".join(cells[:LISTED]) + (f" and {len(cells) - LISTED} more" if len(cells) > LISTED else "")
    first = next(line for line in lines.values() if line)
    return f"in {len(cells)} of {len(lines)} models ({named}) validation and test lie far apart; of the first: {first}"
