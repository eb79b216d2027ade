"""Faults in InfoReg."""

from mutations.fault import Fault

METHOD = "src/ambidex/learn/methods/inforeg.py"
TESTS = "tests/learn/test_method_inforeg.py::"
RANKS = "tests/contract/test_ranks.py::test_two_ranks_train_as_one"

FAULTS = [
    Fault(
        name="inforeg: the sign of the gap flipped",
        file=METHOD,
        before="gaps = scores[:, None] - scores[None, :]",
        after="gaps = scores[None, :] - scores[:, None]",
        caught_by=TESTS + "test_strengths_follow_the_paper",
    ),
    Fault(
        name="inforeg: pushed away",
        file=METHOD,
        before="parameter.detach() - anchor",
        after="anchor - parameter.detach()",
        caught_by=TESTS + "test_the_pull_is_a_times_the_way_back",
    ),
    Fault(
        name="inforeg: the mean gap counts oneself",
        file=METHOD,
        before="/ weaker.sum(1).clamp_min(1)",
        after="/ len(scores)",
        caught_by=TESTS + "test_strengths_follow_the_paper",
    ),
    Fault(
        name="inforeg: the trace has the pull in it",
        file=METHOD,
        before="        if self.released:\n            self._pull(step)\n        self.sums",
        after="        if not self.released:\n            self._pull(step)\n        self.sums",
        caught_by=TESTS + "test_traces_are_of_the_gradient_before_the_pull",
    ),
    Fault(
        name="inforeg: the wrong modality pulled",
        file=METHOD,
        before="zip(run.model.own(name), self.snapshot[name]",
        after="zip(run.model.own(run.modalities[0]), self.snapshot[name]",
        caught_by=TESTS + "test_the_pull_is_a_times_the_way_back",
    ),
    Fault(
        name="inforeg: the snapshot moves with the weights",
        file=METHOD,
        before="p.detach().clone() for",
        after="p.detach() for",
        caught_by=TESTS + "test_the_pull_is_a_times_the_way_back",
    ),
    Fault(
        name="inforeg: the snapshot of a window that has shut",
        file=METHOD,
        before="self.batches, self.snapshot, self.unseen = torch.zeros_like(self.sums), 0, {}, None",
        after="self.batches, self.unseen = torch.zeros_like(self.sums), 0, None",
        caught_by=TESTS + "test_a_window_that_has_shut_pulls_no_more",
    ),
    Fault(
        name="inforeg: the checkpoint forgets the snapshot",
        file=METHOD,
        before='state | {"snapshot": self.snapshot, ',
        after='state | {"snapshot": {}, ',
        caught_by=TESTS + "test_closed_in_between_the_whole_state_survives_a_checkpoint",
    ),
    Fault(
        name="inforeg: the checkpoint forgets the sums",
        file=METHOD,
        before='"sums": self.sums, ',
        after='"sums": self.sums * 0, ',
        caught_by=TESTS + "test_closed_in_between_the_whole_state_survives_a_checkpoint",
    ),
    Fault(
        name="inforeg: scores of this rank's samples alone",
        file=METHOD,
        before="over_step(step, score(step.contributions, step.labels, present), present)",
        after="score(step.contributions, step.labels, present), None",
        caught_by=RANKS + "[inforeg-{'threshold': -1000000000.0}-halves]",
    ),
    Fault(
        name="inforeg: growth read backwards",
        file=METHOD,
        before="self.traces[-1][i], self.traces[-2][i]",
        after="self.traces[-2][i], self.traces[-1][i]",
        caught_by=TESTS + "test_a_window_is_open_where_the_trace_grows_fast",
    ),
    Fault(
        name="inforeg: who has no open window is pulled",
        file=METHOD,
        before="if name in self.snapshot:\n                if not _known",
        after="if True:\n                if not _known",
        caught_by=TESTS + "test_only_who_has_an_open_window_is_pulled",
    ),
    Fault(
        name="inforeg: the trace is not of squares",
        file=METHOD,
        before=".square()\n",
        after=".abs()\n",
        caught_by=TESTS + "test_traces_are_of_the_gradient_before_the_pull",
    ),
    Fault(
        name="inforeg: scores averaged over this rank's samples",
        file=METHOD,
        before="scores / step.whole",
        after="scores / len(step.labels)",
        caught_by=RANKS + "[inforeg-{'threshold': -1000000000.0}-halves]",
    ),
    Fault(
        name="inforeg: who leads is skipped",
        file=METHOD,
        before="strength.is_cpu and not strength.numpy()",
        after="strength.is_cpu and bool(strength.numpy())",
        caught_by=TESTS + "test_the_pull_is_a_times_the_way_back",
    ),
]
