"""Faults in AMCo, and in the head that it trains."""

from mutations.fault import Fault

METHOD = "src/ambidex/learn/methods/amco.py"
HEAD = "src/ambidex/net/fusion/concat_map.py"
TESTS = "tests/learn/test_method_amco.py::"
FUSION = "tests/net/test_fusion.py::"
RANKS = "tests/contract/test_ranks.py::test_two_ranks_train_as_one"
STOPPED = "tests/contract/test_methods.py::test_stopped_within_an_epoch_it_resumes_bit_identical"

FAULTS = [
    Fault(
        name="amco: the verdict outlives the epoch",
        file=METHOD,
        before="self.batch, self.dependent = 0, None\n\n    def surveys",
        after="self.batch = 0\n\n    def surveys",
        caught_by=TESTS + "test_who_is_dependent_is_judged_by_the_batch_and_masked_in_the_next",
    ),
    Fault(
        name="amco: who is not depended on is masked",
        file=METHOD,
        before="scores > limit",
        after="scores < limit",
        caught_by=TESTS + "test_who_is_dependent_is_judged_by_the_batch_and_masked_in_the_next",
    ),
    Fault(
        name="amco: ones where zeros should be",
        file=METHOD,
        before="(order >= int",
        after="(order < int",
        caught_by=TESTS + "test_as_many_zeros_as_the_schedule_says",
    ),
    Fault(
        name="amco: everybody is masked",
        file=METHOD,
        before="torch.where(flags[name], mask, 1.0)",
        after="mask",
        caught_by=TESTS + "test_who_is_dependent_is_judged_by_the_batch_and_masked_in_the_next",
    ),
    Fault(
        name="amco: shares of this rank's samples alone",
        file=METHOD,
        before="step.global_sum(block_shares(judged))",
        after="block_shares(judged)",
        caught_by=RANKS + "[amco-{}-halves]",
    ),
    Fault(
        name="amco: unimodal losses of masked features",
        file=METHOD,
        before="inner = head.inner(self.plain)",
        after="inner = head.inner(step.features)",
        caught_by=TESTS + "test_the_loss_is_of_what_is_masked",
    ),
    Fault(
        name="amco: logits are judged unmasked",
        file=METHOD,
        before='judged = inner if self.config.reading == "features" else self._masked(inner)',
        after="judged = inner",
        caught_by=TESTS + "test_who_is_dependent_is_judged_by_the_batch_and_masked_in_the_next",
    ),
    Fault(
        name="amco: the ramp counts batches twice",
        file=METHOD,
        before="        self.batch += 1\n",
        after="        self.batch += run.epoch > 0\n        self.batch += 1\n",
        caught_by=TESTS + "test_as_many_zeros_as_the_schedule_says",
    ),
    Fault(
        name="amco: the checkpoint forgets the verdict",
        file=METHOD,
        before='self.batch, self.dependent = state["batch"], state["dependent"]',
        after='self.batch = state["batch"]',
        caught_by=STOPPED + "[amco-defaults]",
    ),
    Fault(
        name="amco: the checkpoint forgets the place in the epoch",
        file=METHOD,
        before='self.batch, self.dependent = state["batch"], state["dependent"]',
        after='self.dependent = state["dependent"]',
        caught_by=STOPPED + "[amco-{'reading': 'logits'}]",
    ),
    Fault(
        name="amco: a softmax for each modality",
        file=METHOD,
        before="flatten(1).softmax(1).view_as(joined)",
        after="softmax(2)",
        caught_by=TESTS + "test_who_is_dependent_is_judged_by_the_batch_and_masked_in_the_next",
    ),
    Fault(
        name="amco: the threshold of two for any number",
        file=METHOD,
        before="1 / len(scores) if",
        after="0.5 if",
        caught_by=TESTS + "test_who_is_dependent_is_judged_by_the_batch_and_masked_in_the_next",
    ),
    Fault(
        name="amco: modalities share a mask of features",
        file=METHOD,
        before="or not masks:",
        after="and not masks:",
        caught_by=TESTS + "test_modalities_have_masks_of_their_own_and_logits_share_one",
    ),
    Fault(
        name="amco: draws in the order of the modalities",
        file=METHOD,
        before="in sorted(masked)",
        after="in masked",
        caught_by=TESTS + "test_a_part_is_masked_alike_in_whatever_order_the_modalities_stand",
    ),
    Fault(
        name="amco: the mask never covers all",
        file=METHOD,
        before="pi / 2 * min",
        after="pi / 4 * min",
        caught_by=TESTS + "test_the_schedule_is_monotone_from_none_to_all",
    ),
    Fault(
        name="amco: each modality adds the whole bias",
        file=HEAD,
        before="self.map.bias / len(self.dims)",
        after="self.map.bias",
        caught_by=FUSION + "test_concat_map_is_a_linear_layer_on_the_logits_of_concat",
    ),
    Fault(
        name="amco: the map transposed",
        file=HEAD,
        before="self.map.weight @ block",
        after="self.map.weight.T @ block",
        caught_by=FUSION + "test_contributions_sum_to_the_logits_and_come_from_the_blocks",
    ),
    Fault(
        name="amco: the map does not start as the identity",
        file=HEAD,
        before="        nn.init.eye_(self.map.weight)\n",
        after="",
        caught_by=FUSION + "test_starting_from_classifiers_the_logits_are_their_sum",
    ),
]
