"""Faults in what a method has built into the net, and in how files name it."""

from mutations.fault import Fault

MODEL = "src/ambidex/net/model.py"
ARCHITECTURE = "src/ambidex/net/architecture.py"
TESTS = "tests/net/test_additions.py::"
EARLIER = TESTS + "test_a_file_from_before_there_were_additions_is_read"

FAULTS = [
    Fault(
        name="additions: own heads of an earlier file are not read",
        file=ARCHITECTURE,
        before='if value.get("heads") else []',
        after="if False else []",
        caught_by=EARLIER + "[own_heads]",
    ),
    Fault(
        name="additions: an earlier exchange is not read",
        file=ARCHITECTURE,
        before='([value["exchange"]] if value.get("exchange") else [])',
        after="[]",
        caught_by=EARLIER + "[mmtm]",
    ),
    Fault(
        name="additions: tensors in the weights have names of their own",
        file="src/ambidex/net/additions/mmtm.py",
        before='    stored_as = "exchange."\n',
        after="",
        caught_by=TESTS + "test_all_else_starts_as_it_does_without[mmtm]",
    ),
    Fault(
        name="additions: a second of a name replaces the first",
        file=MODEL,
        before="if choice.name in self.additions or (",
        after="if (",
        caught_by=TESTS + "test_one_from_elsewhere_is_a_file_and_nothing_else",
    ),
    Fault(
        name="additions: the last one alone encodes",
        file=MODEL,
        before="encode = partial(addition.encode, self, encode)",
        after="encode = partial(addition.encode, self, self._each_encoded)",
        caught_by=TESTS + "test_each_encodes_what_those_before_it_made",
    ),
    Fault(
        name="additions: blocks are those of the fusion alone",
        file=MODEL,
        before="blocks = None if blocks is None else addition.blocks(blocks)",
        after="addition.blocks",
        caught_by=TESTS + "test_one_from_elsewhere_is_a_file_and_nothing_else",
    ),
]
