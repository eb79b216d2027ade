"""Faults in sample-level modality valuation and in the resampling that it rests on."""

from mutations.fault import Fault

METHOD = "src/ambidex/learn/methods/smv.py"
BATCHES = "src/ambidex/learn/loop/batches.py"
OWN = "tests/learn/test_method_smv.py"

FAULTS = [
    Fault(
        name="every right coalition counts 1, whatever its size",
        file=METHOD,
        before="sum((here.get(m, one) for m in s), start=0 * one) * (head(s)",
        after="bool(s) * (head(s)",
        caught_by=f"{OWN}::test_a_coalition_counts_for_its_size",
    ),
    Fault(
        name="the first valuation is kept for all epochs",
        file=METHOD,
        before="if not self.config.warm_up <= run.epoch + 1 < run.epochs:",
        after="if self.copies or not self.config.warm_up <= run.epoch + 1 < run.epochs:",
        caught_by=f"{OWN}::test_every_epoch_trains_on_all_samples_and_on_copies_by_its_own_valuation",
    ),
    Fault(
        name="inputs are zeroed in place of features",
        file=METHOD,
        before="return scaled(features, dict(zip(features, kept, strict=True)))",
        after=(
            "return {m: step.run.model.encode_one(m, step.inputs[m] * here.view(-1, *[1] * "
            "(step.inputs[m].dim() - 1))) for (m, h), here in zip(features.items(), kept, strict=True)}"
        ),
        caught_by=f"{OWN}::test_copies_of_one_modality_leave_the_others_encoder_alone",
    ),
    Fault(
        name="copies pile up over the epochs",
        file=METHOD,
        before="return {name: (values[:, None] < limits).sum(1) for name, values in phi.items()}",
        after=(
            "return {name: (values[:, None] < limits).sum(1) + self.copies.get(name, 0) "
            "for name, values in phi.items()}"
        ),
        caught_by=f"{OWN}::test_every_epoch_trains_on_all_samples_and_on_copies_by_its_own_valuation",
    ),
    Fault(
        name="a copy keeps all but the modality that contributed little",
        file=METHOD,
        before="alone = torch.tensor([m == name for m in run.modalities])",
        after="alone = torch.tensor([m != name for m in run.modalities])",
        caught_by=f"{OWN}::test_every_epoch_trains_on_all_samples_and_on_copies_by_its_own_valuation",
    ),
    Fault(
        name="at modality level the stronger modality is kept",
        file=METHOD,
        before="self.rate(sum(others) / len(others) - means[name], len(means))",
        after="self.rate(means[name] - sum(others) / len(others), len(means))",
        caught_by=f"{OWN}::test_the_weaker_modality_is_kept_in_samples_drawn_without_repeat",
    ),
    Fault(
        name="a contribution of 1 that rounding puts below 1 gets a copy",
        file=METHOD,
        before="dtype=torch.float64) - ROUNDING",
        after="dtype=torch.float64) + ROUNDING",
        caught_by=f"{OWN}::test_all_right_gives_no_copy_and_all_wrong_two_of_each",
    ),
    Fault(
        name="the head is valued in training mode",
        file=METHOD,
        before="with evaluating(run.model):",
        after="with torch.no_grad():",
        caught_by=f"{OWN}::test_valuation_is_in_evaluation_mode_and_without_augmentation",
    ),
    Fault(
        name="resumption forgets what the epoch trains on",
        file=METHOD,
        before='self.copies = state["copies"]',
        after="self.copies = {}",
        caught_by=f"{OWN}::test_the_checkpoint_keeps_what_the_next_epoch_trains_on",
    ),
    Fault(
        name="masks stay in list order while entries are shuffled",
        file=BATCHES,
        before="resample.keep[chunk[place]]",
        after="resample.keep[place]",
        caught_by="tests/learn/test_resample.py::test_every_entry_is_served_once_with_its_mask",
    ),
    Fault(
        name="the steps of a pass are those of the split",
        file=BATCHES,
        before="return steps_of(len(self._rows(split, resample)), batch_size)",
        after="return steps_of(len(self._rows(split, None)), batch_size)",
        caught_by="tests/learn/test_resample.py::test_a_run_stopped_in_any_pass_goes_on_with_the_step_after",
    ),
    Fault(
        name="every rank trains on its own entries",
        file="src/ambidex/learn/loop/resample.py",
        before="return Resample(ranks.from_first(resample.rows), ranks.from_first(resample.keep))",
        after="return resample",
        caught_by="tests/learn/test_resample.py::test_ranks_that_value_differently_train_on_what_the_first_says",
    ),
    Fault(
        name="each rank augments from the start of the step's stream",
        file=BATCHES,
        before="len(chunk), place)",
        after="len(chunk), slice(0, place.stop - place.start))",
        caught_by="tests/data/test_augment.py::test_ranks_and_micro_batches_augment_as_one_process",
    ),
]
