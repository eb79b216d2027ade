"""Faults in the adaptive head."""

from mutations.fault import Fault

METHOD = "src/ambidex/learn/methods/adaptive_head.py"
TESTS = "tests/learn/test_method_adaptive_head.py::"

FAULTS = [
    Fault(
        name="adaptive_head: up the gradient",
        file=METHOD,
        before="weights - self.config.rate * weights.grad",
        after="weights + self.config.rate * weights.grad",
        caught_by=TESTS + "test_gradient_and_step_of_the_weights_by_hand",
    ),
    Fault(
        name="adaptive_head: the weights' loss reaches the encoders",
        file=METHOD,
        before="[z.detach().float() for z",
        after="[z.float() for z",
        caught_by=TESTS + "test_the_weights_loss_has_no_gradient_but_theirs",
    ),
    Fault(
        name="adaptive_head: the optimiser moves the weights too",
        file=METHOD,
        before="            weights.grad = None\n",
        after="",
        caught_by=TESTS + "test_encoders_and_head_train_as_if_the_weights_were_not_there",
    ),
    Fault(
        name="adaptive_head: weights may be negative",
        file=METHOD,
        before="shrunk.clamp_min(0)",
        after="shrunk",
        caught_by=TESTS + "test_gradient_and_step_of_the_weights_by_hand",
    ),
    Fault(
        name="adaptive_head: pulled to 0",
        file=METHOD,
        before="(classes * mean + shrinkage) /",
        after="(classes * mean) /",
        caught_by=TESTS + "test_the_weights_arrive_at_the_minimum_of_the_stated_loss",
    ),
    Fault(
        name="adaptive_head: strength pulls to 1, not to the modality's mean",
        file=METHOD,
        before="centre + (weights - mean) /",
        after="1 + (weights - 1) /",
        caught_by=TESTS + "test_gradient_and_step_of_the_weights_by_hand",
    ),
    Fault(
        name="adaptive_head: the penalty is not per sample",
        file=METHOD,
        before="self.config.rate / step.run.samples",
        after="self.config.rate",
        caught_by=TESTS + "test_gradient_and_step_of_the_weights_by_hand",
    ),
    Fault(
        name="adaptive_head: the task's loss is of the weighted sum",
        file=METHOD,
        before="step.cross_entropy(sum_contributions(plain))",
        after="step.task_loss()",
        caught_by=TESTS + "test_encoders_and_head_train_as_if_the_weights_were_not_there",
    ),
    Fault(
        name="adaptive_head: rate 0 trains them",
        file=METHOD,
        before="requires_grad_(self.config.rate > 0)",
        after="requires_grad_(True)",
        caught_by=TESTS + "test_rate_zero_keeps_every_weight_at_one",
    ),
]
