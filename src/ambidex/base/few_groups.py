"""What is said wherever a decision layer is judged on one or two groups (speakers) only, and what helps."""

from collections.abc import Sequence

from ambidex.base.errors import one_line

FEW = 2
"""up to so many groups differ in no way that can be told from chance"""


def few_groups(origin: str, groups: Sequence[str], of_training: Sequence[str] | None = None) -> str | None:
    """One line where the samples of `origin` are of one or two `groups`, else None (also where groups are unknown).

    groups: of each sample there. of_training: of each training sample, where these could be cross-fitted instead.

    >>> few_groups("validation", ["lucas", "lucas"], ["anna"])
    "validation holds one group ('lucas'): nothing can be learnt about how groups differ; give val more groups"
    """
    names = sorted(set(groups))
    if not 0 < len(names) <= FEW or len(groups) == len(names):
        return None
    listing = " and ".join(f"'{one_line(name, 40)}'" for name in names)
    if len(names) == 1:
        parts = [f"{origin} holds one group ({listing}): nothing can be learnt about how groups differ"]
    else:
        parts = [f"{origin} holds two groups ({listing}): how groups differ is guessed from one difference"]
    if of_training is not None:
        training = set(of_training)
        everyone = len(training | set(names))
        wider = f"`ambidex crossfit` (evaluate.fit_on: crossfit) judges over all {everyone} groups of train and val"
        helps = len(training) > len(names)
        parts.append(f"{wider}, or give val more groups" if helps else "give val more groups")
    return "; ".join(parts)
