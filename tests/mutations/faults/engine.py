"""Faults in what the engine does for every method."""

from mutations.fault import Fault

ENGINE = "src/ambidex/learn/engine.py"
SCALING = "src/ambidex/learn/loop/scaling.py"
PRECISION = "tests/contract/test_precision.py::"
SCALED = PRECISION + "test_a_scaled_loss_trains_bit_for_bit_as_the_loss"
COSTS = "tests/contract/test_costs.py::"
OVERFLOWS = PRECISION + "test_a_step_that_overflows_leaves_no_trace"

BATCHES = "src/ambidex/learn/loop/batches.py"
NORM = "src/ambidex/learn/loop/shared_norm.py"
RANKS = "tests/contract/test_ranks.py::"
SHARED = "tests/learn/test_shared_norm.py::test_ranks_normalise_as_one"

OPTIMISE = "src/ambidex/learn/loop/optimise.py"
RATES = "tests/learn/test_optimise.py::"
BUCKETS = "src/ambidex/learn/loop/buckets.py"
EXCHANGE = "tests/learn/test_buckets.py::"

FAULTS = [
    Fault(
        name="engine: a kept feature serves a batch of another size",
        file="src/ambidex/learn/loop/kept.py",
        before="(table.sizes[batch.rows] == size).all()",
        after="(table.sizes[batch.rows] > 0).all()",
        caught_by="tests/learn/test_kept.py::test_every_sample_goes_through_a_frozen_encoder_once_in_each_size_of_batch",
    ),
    Fault(
        name="engine: features that depend on the place in the batch are kept",
        file="src/ambidex/learn/loop/kept.py",
        before="if not self.steady[m, size]:",
        after="if False:",
        caught_by="tests/learn/test_kept.py::test_what_rounds_by_the_place_in_the_batch_is_not_kept",
    ),
    Fault(
        name="engine: features of augmented samples are kept",
        file="src/ambidex/learn/loop/kept.py",
        before="        and m not in batches.augment\n",
        after="",
        caught_by="tests/learn/test_kept.py::test_what_changes_is_not_kept",
    ),
    Fault(
        name="engine: features are kept of an encoder that trains",
        file="src/ambidex/learn/loop/kept.py",
        before="        and not any(parameter.requires_grad for parameter in model.own(m))\n",
        after="",
        caught_by="tests/learn/test_kept.py::test_what_changes_is_not_kept",
    ),
    Fault(
        name="engine: the first step of a warm-up moves nothing",
        file=OPTIMISE,
        before="self.now *= (step + 1) / self.warmup",
        after="self.now *= step / self.warmup",
        caught_by=RATES + "test_warm_up_by_hand",
    ),
    Fault(
        name="engine: after a resume the schedule moves groups that nobody trains",
        file=OPTIMISE,
        before="self.params, self.optimizer = params, optimizer",
        after="self.params, self.optimizer = params, type('Old', (), {'param_groups': optimizer.param_groups})",
        caught_by=RATES + "test_a_run_that_is_stopped_in_mid_warm_up_resumes_bit_identical",
    ),
    Fault(
        name="engine: the rate of all encoders wins over that of a modality's",
        file=OPTIMISE,
        before="extend((modality, ENCODERS_GROUP))",
        after="extend((ENCODERS_GROUP, modality))",
        caught_by=RATES + "test_sgd_moves_each_group_at_its_own_rate",
    ),
    Fault(
        name="engine: a step counts against the split, not against the epoch as the method made it",
        file=ENGINE,
        before='passes * self.batches.steps("train", self.params.batch_size, resample)',
        after='passes * self.batches.steps("train", self.params.batch_size)',
        caught_by=RATES + "test_per_step_the_cosine_ends_with_the_last_step_however_long_an_epoch_is[smv]",
    ),
    Fault(
        name="engine: the cut of an epoch depends on the number of ranks",
        file=BATCHES,
        before="for number, chunk in list(enumerate(split_batches(order, batch_size)))[skip:]:",
        after="for number, chunk in list(enumerate(split_batches(order, batch_size + self.ranks - 1)))[skip:]:",
        caught_by="tests/learn/test_engine.py::test_the_steps_are_the_same_for_any_number_of_ranks",
    ),
    Fault(
        name="engine: a small rest joins the step before",
        file=BATCHES,
        before="len(batches[-1]) == 1:",
        after="len(batches[-1]) <= 3:",
        caught_by="tests/learn/test_engine.py::test_a_single_sample_left_over_joins_the_batch_before",
    ),
    Fault(
        name="engine: the first parts of a step are not the larger ones",
        file=BATCHES,
        before="start = number * each + min(number, more)",
        after="start = number * each",
        caught_by="tests/learn/test_engine.py::test_the_steps_are_the_same_for_any_number_of_ranks",
    ),
    Fault(
        name="store: a view sees the rows of the store's own splits",
        file="src/ambidex/data/store/reading.py",
        before='view.splits, view._rows = [""] * len(self), {}',
        after='view.splits = [""] * len(self)',
        caught_by="tests/data/test_store.py::test_a_view_has_other_splits_and_its_own_statistics",
    ),
    Fault(
        name="store: a row is looked for in the shard before",
        file="src/ambidex/data/store/mapped.py",
        before="shard = torch.bucketize(rows, self._starts, right=True) - 1",
        after="shard = (torch.bucketize(rows, self._starts) - 1).clamp_min(0)",
        caught_by="tests/data/test_store.py::test_gather_gives_the_rows_asked_for_in_order[rows1-0]",
    ),
    Fault(
        name="store: the gap between two shards is not counted",
        file="src/ambidex/data/store/mapped.py",
        before="[(part.data_ptr() - origin) // width + numbers",
        after="[(parts[0].data_ptr() - origin) // width + numbers",
        caught_by="tests/data/test_mapped.py::test_samples_of_parts_that_lie_anywhere",
    ),
    Fault(
        name="engine: a stand-in counts as a sample",
        file=ENGINE,
        before="self.norm.counts = batch.stand_in is None",
        after="self.norm.counts = True",
        caught_by=RANKS + "test_batch_norm_with_a_rank_without_samples[joint]",
    ),
    Fault(
        name="engine: ranks weigh the same, whatever their share",
        file=ENGINE,
        before="part = len(batch.labels) * self.batches.ranks / whole",
        after="part = 1 / len(micro_batches)",
        caught_by=RANKS + "test_two_ranks_train_as_one[joint-{}-halves]",
    ),
    Fault(
        name="engine: a bucket leaves with its first gradient",
        file=BUCKETS,
        before="while self._next < len(self._buckets) and not self._awaited[self._next]:",
        after="while self._next < len(self._buckets) and len(self._awaited[self._next]) < 2:",
        caught_by=EXCHANGE + "test_two_ranks_have_the_gradients_of_one_exchange_to_the_bit[one pass]",
    ),
    Fault(
        name="engine: a bucket waits for parameters that nothing trains",
        file=BUCKETS,
        before="{id(p) for p in bucket if p.requires_grad}",
        after="{id(p) for p in bucket}",
        caught_by=EXCHANGE + "test_buckets_are_sent_while_the_pass_runs[a phase]",
    ),
    Fault(
        name="engine: what waits for a parameter without gradient is not exchanged",
        file=BUCKETS,
        before="        while self._next < len(self._buckets):  #",
        after="        while False:  #",
        caught_by=EXCHANGE
        + "test_two_ranks_have_the_gradients_of_one_exchange_to_the_bit[the first to be sent without gradient]",
    ),
    Fault(
        name="engine: gradients leave with the first micro-batch",
        file=ENGINE,
        before="if batch is micro_batches[-1]:",
        after="if batch is micro_batches[0]:",
        caught_by=EXCHANGE + "test_a_training_is_that_of_one_exchange_to_the_bit[micro-batches and a rest]",
    ),
    Fault(
        name="engine: gradients leave before the last of a method's own backward passes",
        file=ENGINE,
        before="overlaps=single",
        after="overlaps=True",
        caught_by=EXCHANGE + "test_a_training_is_that_of_one_exchange_to_the_bit[passes of its own]",
    ),
    Fault(
        name="engine: batch norm sees its own rank alone",
        file=NORM,
        before="for norm in norms if self.ranks.count > 1 else ():",
        after="for norm in ():",
        caught_by=RANKS + "test_batch_norm_sees_the_whole_step[joint]",
    ),
    Fault(
        name="engine: batch norm's gradient stays on its rank",
        file=NORM,
        before="ctx.ranks.sum(torch.stack([shift, scale]))",
        after="torch.stack([shift, scale])",
        caught_by=SHARED + "[maps]",
    ),
    Fault(
        name="engine: a stand-in has a gradient",
        file=NORM,
        before="input_gradient = own * factor.view(shape) if ctx.counts else torch.zeros_like(upstream)",
        after="input_gradient = own * factor.view(shape)",
        caught_by=SHARED + "[maps]",
    ),
    Fault(
        name="engine: gradients are unscaled after the method edits them",
        file=ENGINE,
        before="        self.method.gradients(step)\n",
        after="        for p in self.trained:\n"
        "            p.grad = p.grad if p.grad is None else p.grad * self.scale.state_dict().get('scale', 1)\n"
        "        self.method.gradients(step)\n"
        "        for p in self.trained:\n"
        "            p.grad = p.grad if p.grad is None else p.grad / self.scale.state_dict().get('scale', 1)\n",
        caught_by=SCALED + "[inforeg-{'threshold': -1000000000.0}]",
    ),
    Fault(
        name="engine: a step with an overflow is taken",
        file=ENGINE,
        before="if not self.scale.unscale(self.optimizer):",
        after="if not self.scale.unscale(self.optimizer) and False:",
        caught_by=OVERFLOWS + "[joint-defaults]",
    ),
    Fault(
        name="engine: gradients stay scaled",
        file=SCALING,
        before="        self._scaler.unscale_(optimizer)\n        self._scaler.update()\n",
        after="",
        caught_by=SCALED + "[joint-defaults]",
    ),
    Fault(
        name="engine: the checkpoint forgets the loss scale",
        file="src/ambidex/learn/loop/state.py",
        before='self.scale.load_state_dict(checkpoint["scale"])',
        after="pass",
        caught_by=PRECISION + "test_a_resumed_run_goes_on_with_its_scale",
    ),
    Fault(
        name="engine: likelihoods of half precision",
        file="src/ambidex/learn/methods/_scores.py",
        before="torch.stack(list(contributions.values())).float()\n    index = labels.expand(len(stacked), -1)"
        ".unsqueeze(-1)\n    return _counted(stacked.softmax",
        after="torch.stack(list(contributions.values())).bfloat16()\n    index = labels.expand(len(stacked), -1)"
        ".unsqueeze(-1)\n    return _counted(stacked.softmax",
        caught_by=PRECISION + "test_weights_stay_and_likelihoods_are_taken_in_float32[ogm_ge-defaults-bf16]",
    ),
    Fault(
        name="engine: a surveyed batch is encoded twice",
        file=ENGINE,
        before="return encoded[0] if len(encoded) == 1 else None",
        after="return None",
        caught_by=COSTS + "test_passes_through_the_encoders_are_those_of_the_table[opm-{'warm_up': 0}]",
    ),
    Fault(
        name="engine: a method waits for its coefficient",
        file="src/ambidex/learn/methods/ogm_ge.py",
        before="        if not gradients:\n",
        after="        if not gradients or factor.item() < 0:\n",
        caught_by=COSTS + "test_a_step_that_logs_nothing_waits_for_nothing[ogm_ge-defaults]",
    ),
]
