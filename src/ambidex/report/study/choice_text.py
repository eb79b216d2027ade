"""The choice of method and regime for people: a sentence for the terminal, a table for the page."""

from collections.abc import Sequence

from ambidex.report import html
from ambidex.report.html import Html, Text
from ambidex.report.study.choice import Candidate, Choice

CAPTION = (
    "Cheapest first. Held-out scores: the headline decision layer, cross-validated on the samples that it is fitted "
    "on, groups whole; means over seeds. Cost: optimiser steps of the whole model; pretraining one of M encoders "
    "counts 1 / M, a step with frozen encoders a third. Behind the best: NLL above that of the best candidate, and how "
    "much of it may be chance (one standard error over groups). An epoch that validation chose flatters a model there, "
    "all candidates alike."
)

UNCOUNTED = "costs leave out pretraining, of which no record holds the steps"


def choice_sentence(choice: Choice) -> str:
    """`take multi_task (frozen): ...`, with how many cells were left out; empty where there is one cell alone."""
    if choice.chosen is None:
        return f"nothing to choose between: {_left_out(choice)}" if choice.left_out else ""
    best = min(choice.candidates, key=lambda c: c.nll)
    taken = next(c for c in choice.candidates if _name(c) == choice.chosen)
    where = f"on {choice.samples} held-out samples of {choice.groups} group{'s' * (choice.groups != 1)}"
    if taken is best:
        rest = f"the lowest NLL {where} ({taken.nll:.3f}), and nothing cheaper is within one standard error of it"
    else:
        saved = f"{100 * (1 - taken.cost / best.cost):.0f} % cheaper" if best.cost > taken.cost else "simpler"
        rest = (
            f"{saved} than {_name(best)}, the best {where}, and within one standard error of it "
            f"({taken.difference:+.3f} nats, {taken.margin:.3f} may be chance)"
        )
    notes = [] if choice.pretraining_counted else [UNCOUNTED]
    notes += [_left_out(choice)] if choice.left_out else []
    return "; ".join([f"take {choice.chosen}: {rest}", *notes])


def _left_out(choice: Choice) -> str:
    """How many cells were left out, and why the first one was."""
    first, *others = choice.left_out
    count = len(choice.left_out)
    return f"{count} models were left out, the first is {first}" if others else f"left out: {first}"


def choice_section(choice: Choice) -> list[Html]:
    """The sentence, the table and what was left out; empty where there is one cell alone."""
    sentence = choice_sentence(choice)
    blocks = [html.paragraph(f"{sentence[:1].upper()}{sentence[1:]}.")] if sentence else []
    if choice.chosen is not None:
        blocks.append(_table(choice))
    if choice.left_out:
        blocks.append(html.bullets([f"Left out: {line}." for line in choice.left_out]))
    return blocks


def _table(choice: Choice) -> Html:
    rows = [_row(candidate, choice) for candidate in choice.candidates]
    columns = ("cost (steps)", "training (s)", "accuracy (%)", "NLL (nats)", "behind the best", "seeds")
    return html.table(["method and regime", *columns], rows, CAPTION)


def _row(candidate: Candidate, choice: Choice) -> Sequence[Text]:
    name = _name(candidate)
    behind = f"{candidate.difference:.3f} ({candidate.margin:.3f})"
    return [
        html.tag("strong", name) if name == choice.chosen else name,
        f"{candidate.cost:.0f}",
        "-" if candidate.seconds is None else f"{candidate.seconds:.1f}",
        f"{100 * candidate.accuracy:.1f}",
        f"{candidate.nll:.3f}",
        behind if candidate.difference else "best",
        str(candidate.seeds),
    ]


def _name(candidate: Candidate) -> str:
    return f"{candidate.method} ({candidate.regime})"
