"""Faults in PMR."""

from mutations.fault import Fault

METHOD = "src/ambidex/learn/methods/pmr.py"
TESTS = "tests/learn/test_method_pmr.py::"

FAULTS = [
    Fault(
        name="pmr: as released the second renewal averages",
        file=METHOD,
        before="and self.renewals < 2",
        after="and self.renewals < 1",
        caught_by=TESTS + "test_as_released_the_second_renewal_replaces_too",
    ),
    Fault(
        name="pmr: a direction from rounding",
        file=METHOD,
        before="torch.where(apart > ROUNDING * prototypes.norm(dim=1), apart, apart.detach())",
        after="apart",
        caught_by=TESTS + "test_rounding_has_no_direction",
    ),
    Fault(
        name="pmr: the ratio upside down, so that who is ahead gains the loss",
        file=METHOD,
        before="behind = (scores.max() / scores - 1).clamp(0, 1)",
        after="behind = (scores / scores.min() - 1).clamp(0, 1)",
        caught_by=TESTS + "test_coefficients_by_hand",
    ),
    Fault(
        name="pmr: the entropy bonus for who is behind",
        file=METHOD,
        before="(self.gamma * entropies)",
        after="(self.beta * entropies)",
        caught_by=TESTS + "test_terms_by_hand_and_the_bonus_ends",
    ),
    Fault(
        name="pmr: entropy as a penalty",
        file=METHOD,
        before='terms["entropy"] = -self.config.mu',
        after='terms["entropy"] = self.config.mu',
        caught_by=TESTS + "test_terms_by_hand_and_the_bonus_ends",
    ),
    Fault(
        name="pmr: the entropy bonus never ends",
        file=METHOD,
        before=" and run.epoch < config.entropy_epochs",
        after="",
        caught_by=TESTS + "test_terms_by_hand_and_the_bonus_ends",
    ),
    Fault(
        name="pmr: coefficients from the micro-batch",
        file=METHOD,
        before="        logs = torch.stack(list(self.log_probabilities(step.features).values()))  # [M, B, C]\n",
        after="        self.survey(step)\n"
        "        logs = torch.stack(list(self.log_probabilities(step.features).values()))  # [M, B, C]\n",
        caught_by=TESTS + "test_coefficients_are_of_the_whole_batch_and_crossed",
    ),
    Fault(
        name="pmr: a squared distance",
        file=METHOD,
        before='compute_mode="donot_use_mm_for_euclid_dist")',
        after='compute_mode="donot_use_mm_for_euclid_dist") ** 2',
        caught_by=TESTS + "test_distances_are_euclidean_and_have_a_gradient_at_zero",
    ),
    Fault(
        name="pmr: a distance without a gradient at zero",
        file=METHOD,
        before='torch.cdist(x, prototypes, compute_mode="donot_use_mm_for_euclid_dist")',
        after="(x[:, None] - prototypes).square().sum(2).sqrt()",
        caught_by=TESTS + "test_distances_are_euclidean_and_have_a_gradient_at_zero",
    ),
    Fault(
        name="pmr: momentum on the new means",
        file=METHOD,
        before="torch.lerp(means, old, momentum)",
        after="torch.lerp(old, means, self.config.momentum)",
        caught_by=TESTS + "test_prototypes_are_class_means_that_move_with_momentum",
    ),
    Fault(
        name="pmr: an absent class loses its prototype",
        file=METHOD,
        before="torch.where(counts > 0, mixed, old)",
        after="mixed",
        caught_by=TESTS
        + "test_a_class_without_a_sample_keeps_its_prototype_and_an_unknown_one_has_no_probability",
    ),
    Fault(
        name="pmr: the head learns from the prototypes too",
        file=METHOD,
        before="(self.beta * losses).sum()",
        after="(self.beta * losses).sum() + 0.1 * step.task_loss()",
        caught_by=TESTS + "test_terms_reach_the_encoder_that_they_are_for_and_nothing_else",
    ),
    Fault(
        name="pmr: prototypes from the whole split",
        file="src/ambidex/learn/loop/shares.py",
        before="mine if rows is None else rows[mine]",
        after="mine",
        caught_by=TESTS + "test_a_sweep_of_rows_is_that_part_of_the_whole_sweep",
    ),
    Fault(
        name="pmr: the part is drawn from the training's random numbers",
        file=METHOD,
        before="torch.rand(len(run.labels), generator=run.rng, device=run.rng.device).cpu()",
        after="torch.rand(len(run.labels))",
        caught_by=TESTS + "test_the_pass_for_prototypes_leaves_training_as_it_was",
    ),
]
