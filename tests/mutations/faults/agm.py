"""Faults in adaptive gradient modulation and in the responses that it compares."""

from mutations.fault import Fault

METHOD = "src/ambidex/learn/methods/agm.py"
RESPONSES = "src/ambidex/learn/loop/responses.py"
OWN = "tests/learn/test_method_agm.py"
STEPS = "tests/learn/test_method_agm_steps.py"

FAULTS = [
    Fault(
        name="the ratio is upside down, as in the toolkit: who leads is boosted",
        file=METHOD,
        before="return torch.exp(others - losses)",
        after="return torch.exp(losses - others)",
        caught_by=f"{OWN}::test_who_leads_by_more_than_on_average_is_held_back",
    ),
    Fault(
        name="the other modality is scaled",
        file=METHOD,
        before="zip(model.modalities, self._judge(step, self.sums), strict=True)",
        after="zip(reversed(model.modalities), self._judge(step, self.sums), strict=True)",
        caught_by=f"{OWN}::test_a_step_is_the_papers",
    ),
    Fault(
        name="evaluation passes have no gradient in mode hook",
        file=METHOD,
        before="with torch.set_grad_enabled(single):",
        after="with torch.set_grad_enabled(False):",
        caught_by=f"{OWN}::test_late_fusion_expands_as_the_paper_says",
    ),
    Fault(
        name="the running mean already holds this step",
        file=METHOD,
        before="            self.means = self.means + (losses - self.means) / self.steps\n",
        after="            self.means = self.means + (losses - self.means) / self.steps\n"
        "            gap = leads(self.means) - leads(losses)\n",
        caught_by=f"{OWN}::test_the_running_mean_by_hand",
    ),
    Fault(
        name="the coefficient is the last micro-batch's",
        file=METHOD,
        before="self.sums = self.sums + responses.losses(values, step.labels, step.present())",
        after="self.sums = responses.losses(values, step.labels, step.present())",
        caught_by=f"{OWN}::test_a_step_is_the_papers",
    ),
    Fault(
        name="losses are not cleared between steps",
        file=METHOD,
        before="self.sums, self.kept = torch.zeros_like(self.sums), None",
        after="self.kept = None",
        caught_by=f"{OWN}::test_a_step_is_the_papers",
    ),
    Fault(
        name="each rank judges by its own samples",
        file=METHOD,
        before="sums, scored = over_step(step, sums, step.present())",
        after="sums, scored = sums * step.whole / len(step.labels), None",
        caught_by="tests/contract/test_ranks.py::test_two_ranks_train_as_one",
    ),
    Fault(
        name="clipping stretches small gradients",
        file=METHOD,
        before="(self.config.clip_norm / (norm + 1e-6)).clamp(max=1)",
        after="(self.config.clip_norm / (norm + 1e-6))",
        caught_by=f"{STEPS}::test_clipping_waits_for_an_entry_of_the_heads_weights",
    ),
    Fault(
        name="the window's last epoch is left out",
        file=METHOD,
        before="run.epoch <= self.config.end",
        after="run.epoch < self.config.end",
        caught_by=f"{STEPS}::test_only_steps_within_the_window_count",
    ),
    Fault(
        name="the host waits for kappa",
        file=METHOD,
        before="                if own:\n",
        after="                if own and kappa != 1:\n",
        caught_by=f"{STEPS}::test_no_step_waits_for_a_number",
    ),
    Fault(
        name="evaluation passes are in training mode",
        file=RESPONSES,
        before="    with evaluation_mode(model.encoders), evaluation_mode(model.fill):",
        after="    with evaluation_mode(model.fusion), evaluation_mode(model.fill):",
        caught_by=f"{STEPS}::test_statistics_and_random_state_are_those_of_joint_training",
    ),
    Fault(
        name="features are zeroed in place of inputs",
        file=RESPONSES,
        before="present[m], absent[m] = Encoded(features[:-1]), features[-1:]",
        after="present[m], absent[m] = Encoded(features[:-1]), torch.zeros_like(features[-1:])",
        caught_by=f"{OWN}::test_a_step_is_the_papers",
    ),
    Fault(
        name="the loss is of the modulated sum of responses, not of T",
        file=RESPONSES,
        before="return values[-1].detach() + (flow - flow.detach())",
        after="return flow",
        caught_by=f"{OWN}::test_late_fusion_expands_as_the_paper_says",
    ),
    Fault(
        name="the chance has no floor",
        file=RESPONSES,
        before="losses = (-log_p).clamp(max=LARGEST_LOSS)",
        after="losses = -log_p",
        caught_by=f"{OWN}::test_a_loss_is_at_most_that_of_a_chance_of_1e_minus_8",
    ),
    Fault(
        name="gradients are weighed in bf16",
        file=RESPONSES,
        before="shares = ((factors - mean)[:, None] * self.weights).sum(0)",
        after="shares = (factors - mean) @ self.weights",
        caught_by=f"{STEPS}::test_bf16_is_judged_and_weighed_in_single_precision",
    ),
    Fault(
        name="features of zeros are lost when a run resumes (mode cached)",
        file=METHOD,
        before='"absent": self.absent}',
        after='"absent": None}',
        caught_by="tests/contract/test_methods.py::test_stopped_within_an_epoch_it_resumes_bit_identical",
    ),
    Fault(
        name="zeros are encoded once and never again (mode cached)",
        file=METHOD,
        before="if self.steps % self.config.zeros_every == 0:",
        after="if self.steps == 0:",
        caught_by=f"{STEPS}::test_passes_of_an_encoder_in_three_steps",
    ),
]
