"""All checks of one method: what the tests of this library hold its own methods to."""

from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from ambidex.learn.method import METHODS
from ambidex.testing import acting, cards, costs, missing, precision, ranks, resuming, training
from ambidex.testing.expect import cases, class_of
from ambidex.testing.training import THREE, TWO, Given

Check = Callable[[Path], None]
"""runs in an empty folder; raises CheckError"""
OFF = frozenset({"ranks"})
"""checks that start processes: asked for by name"""


def check_method(method: Given, *, skip: Collection[str] = (), only: Collection[str] = ()) -> list[str]:
    """Hold a method, by name or class, to the contract. Returns the names of the checks that it passed.

    Raises CheckError (an AssertionError) with one line: the method and its options, what was looked at, what was
    expected, what was found. `only`: these checks; `skip`: all but these; `method_checks` lists them. Takes seconds
    to a minute, on the CPU. `only=["ranks"]` trains in two processes, which find the method by its entry point.

    >>> check_method("joint", only=["finite"])
    ['finite']
    """
    passed: dict[str, None] = {}
    for name, check in method_checks(method):
        if name in skip or (name not in only if only else name in OFF):
            continue
        with TemporaryDirectory() as folder:
            check(Path(folder))
        passed[name] = None
    return list(passed)


def method_checks(method: Given) -> Iterator[tuple[str, Check]]:
    """Name and check, the quick ones first; a name comes once for each set of options."""
    cls = class_of(method)
    yield "card", lambda folder: _card(method)
    if not cls.trains:
        yield "untrained", partial(training.untrained, method)
        return
    for options in cls.neutral:
        yield "neutral", partial(training.neutral, method, options)
    for options in cases(method):
        yield "loss_terms", partial(training.loss_terms, method, options)
        if METHODS.name_of(cls) != "joint":
            yield "active", partial(training.active, method, options)
        for modalities in (TWO, THREE):
            yield "finite", partial(training.finite, method, options, modalities)
        yield "order", partial(training.order, method, options)
        yield "head", partial(training.head, method, options)
        yield "micro_batches", partial(ranks.micro_batches, method, options)
        yield "resumed", partial(resuming.resumed, method, options)
        yield "stopped", partial(resuming.stopped, method, options)
        yield "waits_for_nothing", partial(costs.waits_for_nothing, method, options)
        yield "coefficients", partial(precision.coefficients, method, options)
        for kind in ("bf16", "16"):
            yield "likelihoods", partial(precision.likelihoods, method, options, precision=kind)
        yield "scaled", partial(precision.scaled, method, options)
        yield "overflow", partial(precision.overflow, method, options)
        if cls.needs.missing:
            yield "missing", partial(missing.all_present, method, options)
            yield "missing", partial(missing.absent_content, method, options)
    if METHODS.name_of(cls) != "joint":
        for encoder, frozen in (("mlp", False), ("mlp", True), ("small_cnn", False)):
            yield "acts", partial(acting.acts, method, {}, encoder=encoder, frozen=frozen)
    if isinstance(method, str):
        yield "ranks", partial(ranks.ranks, method)


def _card(method: Given) -> None:
    cards.card(method)
    cards.cost(method)
    cards.published(method)
    for key in class_of(method).presets:
        cards.preset(method, key)
