"""Faults in Greedy and in the exchange that it trains."""

from mutations.fault import Fault

METHOD = "src/ambidex/learn/methods/greedy.py"
EXCHANGE = "src/ambidex/net/additions/mmtm.py"
TESTS = "tests/learn/test_method_greedy.py::"

FAULTS = [
    Fault(
        name="greedy: both running means from the first stream's gates",
        file=EXCHANGE,
        before="for gate in gates.values()])",
        after="for gate in [gates[self.names[0]]] * len(gates)])",
        caught_by=TESTS + "test_running_means_are_those_of_the_steps_batches",
    ),
    Fault(
        name="greedy: validation moves the running means",
        file=EXCHANGE,
        before="        if self.training:\n",
        after="        if True:\n",
        caught_by=TESTS + "test_validation_holds_nothing_and_counts_nothing",
    ),
    Fault(
        name="greedy: accumulators run on while re-balancing",
        file=METHOD,
        before="self.bypass = self.bypass + torch.where(regular, bypass, 0)",
        after="self.bypass = self.bypass + bypass",
        caught_by=TESTS + "test_re_balancing_lasts_exactly_so_many_steps_and_freezes_the_accumulators",
    ),
    Fault(
        name="greedy: the other stream is held",
        file=METHOD,
        before="(apart <= 0).long()",
        after="(apart > 0).long()",
        caught_by=TESTS + "test_the_stream_that_learns_faster_through_its_gates_is_held",
    ),
    Fault(
        name="greedy: running means carry a gradient",
        file=EXCHANGE,
        before="gate.detach().float().sum(0)",
        after="gate.float().sum(0)",
        caught_by=TESTS + "test_gates_have_a_gradient_and_running_means_none",
    ),
    Fault(
        name="greedy: the current batch is in the mean that it is held at",
        file=EXCHANGE,
        before="            if held is not None:\n",
        after="            self.means += torch.cat([gate.detach().mean(0) for gate in gates.values()])\n"
        "            if held is not None:\n",
        caught_by=TESTS + "test_held_gates_stand_at_their_means",
    ),
    Fault(
        name="greedy: the gate of the stream that is not held is replaced",
        file=EXCHANGE,
        before="torch.where(one, mean.to(gates[name].dtype), gates[name])",
        after="torch.where(one, gates[name], mean.to(gates[name].dtype))",
        caught_by=TESTS + "test_a_held_stream_depends_on_nothing_but_its_own_modality",
    ),
    Fault(
        name="greedy: re-balancing lasts a step too long",
        file=METHOD,
        before="torch.where(begins, self.config.steps, ",
        after="torch.where(begins, self.config.steps + 1, ",
        caught_by=TESTS + "test_re_balancing_lasts_exactly_so_many_steps_and_freezes_the_accumulators",
    ),
    Fault(
        name="greedy: what both squeeze is not counted",
        file=METHOD,
        before="(moved[2:4] + moved[4]) / (weights[2:4] + weights[4])",
        after="moved[2:4] / weights[2:4]",
        caught_by=TESTS + "test_accumulators_are_the_sums_of_mu_over_regular_steps",
    ),
    Fault(
        name="greedy: the running mean takes every step to be as large",
        file=EXCHANGE,
        before="means = reduce(torch.cat([stage.sums for stage in stages])) / samples",
        after="means = reduce(torch.cat([stage.sums for stage in stages])) / 9",
        caught_by=TESTS + "test_running_means_are_those_of_the_steps_batches",
    ),
    Fault(
        name="greedy: the loss is of the halved logits",
        file="src/ambidex/net/fusion/__init__.py",
        before="return {name: scale * z for name, z in contributions.items()}",
        after="return contributions",
        caught_by=TESTS + "test_the_prediction_is_the_mean_of_two_classifiers_and_the_loss_the_sum_of_theirs",
    ),
    Fault(
        name="greedy: the speed's ratio is turned over",
        file=METHOD,
        before="torch.log10(self.bypass / self.main)",
        after="torch.log10(self.main / self.bypass)",
        caught_by=TESTS + "test_the_verdict_by_hand",
    ),
    Fault(
        name="greedy: frames get gates of other samples",
        file=EXCHANGE,
        before="return maps.view(samples, -1, *maps.shape[1:])",
        after="return maps.view(-1, samples, *maps.shape[1:]).transpose(0, 1)",
        caught_by="tests/net/test_exchange.py::test_features_are_those_of_mmtm_by_hand",
    ),
    Fault(
        name="utilisation: a stream is told its partner all the same",
        file=EXCHANGE,
        before="squeezed = torch.cat([*average[:place], own, *average[place + 1 :]], dim=1)",
        after="squeezed = actual",
        caught_by="tests/judge/test_diagnose_utilisation.py::test_of_encoders_that_exchange_it_is_that_of_the_paper",
    ),
    Fault(
        name="utilisation: the average is over validation and test too",
        file="src/ambidex/judge/evaluation.py",
        before='training_totals = totals if split == "train" else training_totals',
        after="training_totals = totals",
        caught_by="tests/judge/test_diagnose_utilisation.py::test_of_encoders_that_exchange_it_is_that_of_the_paper",
    ),
    Fault(
        name="utilisation: relative to the accuracy without",
        file="src/ambidex/judge/diagnose/utilisation.py",
        before="(right - without) / right",
        after="(right - without) / without",
        caught_by="tests/judge/test_diagnose_utilisation.py::test_of_other_models_it_is_of_features_and_says_so",
    ),
    Fault(
        name="greedy: the host asks for the verdict in every step",
        file=METHOD,
        before="        regular = self.left == 0\n",
        after="        regular = torch.tensor(int(self.left) == 0)\n",
        caught_by=TESTS + "test_no_step_waits_for_the_verdict",
    ),
]
