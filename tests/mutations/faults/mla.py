"""Faults in MLA, in its fusion, and in what the engine does for a step that is taken in parts."""

from mutations.fault import Fault

METHOD = "src/ambidex/learn/methods/mla.py"
FUSION = "src/ambidex/net/fusion/shared_entropy.py"
TESTS = "tests/learn/test_method_mla.py::"
FUSION_TESTS = "tests/net/test_fusion_shared_entropy.py::"

FAULTS = [
    Fault(
        name="mla: least squares with its sign turned",
        file=METHOD,
        before="return projector - torch.outer(k, k)",
        after="return projector + torch.outer(k, k)",
        caught_by=TESTS + "test_recursive_least_squares_is_the_inverse_with_eigenvalues_of_zero_to_one",
    ),
    Fault(
        name="mla: the denominator has hbar^T hbar",
        file=METHOD,
        before="(alpha + mean @ k)",
        after="(alpha + mean @ mean)",
        caught_by=TESTS + "test_recursive_least_squares_is_the_inverse_with_eigenvalues_of_zero_to_one",
    ),
    Fault(
        name="mla: division by a matrix, element by element, as released",
        file=METHOD,
        before="/ (alpha + mean @ k)",
        after="/ (alpha + torch.outer(k, mean))",
        caught_by=TESTS + "test_recursive_least_squares_is_the_inverse_with_eigenvalues_of_zero_to_one",
    ),
    Fault(
        name="mla: alpha does not fall within the epoch",
        file=METHOD,
        before="(1 + batch / batches)",
        after="(1 + 0 * batch / batches)",
        caught_by=TESTS + "test_the_projector_is_an_inverse_and_the_heads_gradient_is_projected",
    ),
    Fault(
        name="mla: alpha does not start over with the epoch",
        file=METHOD,
        before='        """alpha_t starts over, P does not."""\n        self.batch = 0',
        after='        """alpha_t starts over, P does not."""',
        caught_by=TESTS + "test_the_projector_is_an_inverse_and_the_heads_gradient_is_projected",
    ),
    Fault(
        name="mla: the very first update is projected",
        file=METHOD,
        before="if self.updates > 0:",
        after="if self.updates >= 0:",
        caught_by=TESTS + "test_the_first_gradient_and_every_bias_are_not_projected",
    ),
    Fault(
        name="mla: the projected gradient is added, as in the toolkit",
        file=METHOD,
        before="gradient.copy_(gradient.to",
        after="gradient.add_(gradient.to",
        caught_by=TESTS + "test_the_projector_is_an_inverse_and_the_heads_gradient_is_projected",
    ),
    Fault(
        name="mla: projector scaled by its trace",
        file=METHOD,
        before="/= self.projector.norm()",
        after="/= self.projector.trace()",
        caught_by=TESTS + "test_the_projector_is_an_inverse_and_the_heads_gradient_is_projected",
    ),
    Fault(
        name="mla: modalities step in the order in which they are listed",
        file=METHOD,
        before="for name in sorted(step.run.modalities):",
        after="for name in step.run.modalities:",
        caught_by=TESTS + "test_without_projection_it_is_alternating_training_bit_for_bit",
    ),
    Fault(
        name="mla: a checkpoint forgets the batch of the epoch",
        file=METHOD,
        before='"updates": self.updates, "batch": self.batch}',
        after='"updates": self.updates, "batch": 0}',
        caught_by=TESTS + "test_its_state_survives_a_checkpoint_in_mid_epoch",
    ),
    Fault(
        name="mla: the mean is of the last micro-batch",
        file="src/ambidex/learn/loop/seen.py",
        before="joined_features(features), parts",
        after="features[-1], parts",
        caught_by=TESTS + "test_the_projector_is_an_inverse_and_the_heads_gradient_is_projected",
    ),
    Fault(
        name="mla: each rank takes in its own mean",
        file=METHOD,
        before="step.global_sum(feature.float().sum(dim=0, keepdim=True)) / step.whole",
        after="feature.float().mean(dim=0, keepdim=True)",
        caught_by=TESTS + "test_the_mean_is_that_of_all_ranks",
    ),
    Fault(
        name="mla: gradients are zero, not None: other encoders drift by their momentum",
        file="src/ambidex/learn/engine.py",
        before="zero_grad(set_to_none=True)",
        after="zero_grad(set_to_none=False)",
        caught_by=TESTS + "test_an_update_leaves_the_other_encoders_and_their_momentum_as_they_are",
    ),
    Fault(
        name="mla: a batch is counted in each of its parts",
        file="src/ambidex/learn/loop/monitor.py",
        before="if step.modalities is None:",
        after="if step is not None:",
        caught_by=TESTS + "test_history_counts_each_batch_once_and_fuses_what_its_steps_said",
    ),
    Fault(
        name="shared_entropy: the softmax is over the batch, as released",
        file=FUSION,
        before="logits.log_softmax(dim=-1,",
        after="logits.log_softmax(dim=-2,",
        caught_by=FUSION_TESTS + "test_a_prediction_does_not_depend_on_the_batch",
    ),
    Fault(
        name="shared_entropy: who is less sure weighs more",
        file=FUSION,
        before="(-entropy).softmax",
        after="entropy.softmax",
        caught_by=FUSION_TESTS + "test_who_is_surer_weighs_more_and_who_is_as_sure_as_much",
    ),
    Fault(
        name="shared_entropy: said to be additive with weights by entropy",
        file=FUSION,
        before='self.additive = config.weights == "fixed"',
        after="self.additive = True",
        caught_by=FUSION_TESTS + "test_entropy_weights_make_no_contributions",
    ),
    Fault(
        name="shared_entropy: fixed weights do not sum to 1",
        file=FUSION,
        before="weights[name] / total",
        after="weights[name]",
        caught_by=FUSION_TESTS + "test_fixed_weights_are_additive",
    ),
    Fault(
        name="shared_entropy: own heads are read from the contributions",
        file="src/ambidex/net/model.py",
        before="own = self.fusion.branches(features)",
        after="own = self.contributions(features)",
        caught_by=FUSION_TESTS + "test_branches_are_what_the_head_says_of_each_modality",
    ),
]
