"""Faults in multi-task training."""

from mutations.fault import Fault

METHOD = "src/ambidex/learn/methods/multi_task.py"
LOSSES = "tests/contract/test_methods.py::test_every_loss_term_reaches_a_parameter"
TESTS = "tests/learn/test_method_multi_task.py::"

FAULTS = [
    Fault(
        name="multi_task: the weight forgotten",
        file=METHOD,
        before="self.config.weight * step.own_loss(name, logits)",
        after="step.own_loss(name, logits)",
        caught_by=TESTS + "test_terms_are_one_cross_entropy_per_modality",
    ),
    Fault(
        name="multi_task: the fused logits for every modality",
        file=METHOD,
        before="step.own_loss(name, logits)",
        after="step.own_loss(name, step.logits)",
        caught_by=TESTS + "test_terms_are_one_cross_entropy_per_modality",
    ),
    Fault(
        name="multi_task: a modality's features detached from its loss",
        file=METHOD,
        before="step.own_loss(name, logits)",
        after="step.own_loss(name, logits.detach().requires_grad_())",
        caught_by=LOSSES + "[multi_task-defaults]",
    ),
    Fault(
        name="multi_task: own heads are the split head",
        file=METHOD,
        before='architecture.adding("own_heads") if',
        after="architecture if",
        caught_by=TESTS + "test_own_heads_do_not_feel_the_fused_loss",
    ),
    Fault(
        name="multi_task: a split that is not there goes unnoticed",
        file=METHOD,
        before='if self.config.heads == "split" and not FUSIONS.get(fusion).additive:',
        after="if False:",
        caught_by=TESTS + "test_split_heads_on_a_fusion_that_cannot_be_split_are_refused",
    ),
]
