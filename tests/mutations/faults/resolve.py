"""Faults in what a run is: the cell and who resolves it."""

from mutations.fault import Fault

CELL = "src/ambidex/resolve/cell.py"
TESTS = "tests/resolve/test_cell.py::"

FAULTS = [
    Fault(
        name="resolve: a method's own values of train are not applied",
        file=CELL,
        before='{**shared.model_dump(mode="json"), **own, "method": label}',
        after='{**shared.model_dump(mode="json"), "method": label}',
        caught_by=TESTS + "test_a_label_is_a_plugin_its_options_and_the_loop_in_effect",
    ),
    Fault(
        name="resolve: what all methods share wins over a method's own values",
        file=CELL,
        before='{**shared.model_dump(mode="json"), **own, "method": label}',
        after='{**own, **shared.model_dump(mode="json"), "method": label}',
        caught_by=TESTS + "test_what_a_run_leaves_behind_is_its_cell",
    ),
    Fault(
        name="resolve: training records the parameters as given, not in effect",
        file=CELL,
        before='update={"train": self.train})',
        after="update={})",
        caught_by=TESTS + "test_the_loop_of_one_method_is_not_that_of_others",
    ),
    Fault(
        name="resolve: the seed of a cell is that of the file",
        file=CELL,
        before='"regime": regime, "seed": seed}',
        after='"regime": regime}',
        caught_by=TESTS + "test_a_study_resolves_each_cell_once",
    ),
    Fault(
        name="resolve: a label is its own plug-in, whatever it uses",
        file=CELL,
        before='.get("use", label))',
        after='.get("used", label))',
        caught_by=TESTS + "test_a_label_is_a_plugin_its_options_and_the_loop_in_effect",
    ),
    Fault(
        name="resolve: a method that needs classifiers does not ask for them from scratch",
        file=CELL,
        before='self.train.regime != "scratch" or self.method.needs.classifiers',
        after='self.train.regime != "scratch"',
        caught_by=TESTS + "test_which_cells_start_from_encoders[unimodal_ensemble-scratch-True]",
    ),
    Fault(
        name="stages: a cell that is resolved is resolved again",
        file="src/ambidex/stages/__init__.py",
        before="return work if isinstance(work, Cell) else resolve(work)",
        after="return resolve(given_by(work))",
        caught_by=TESTS + "test_a_command_resolves_its_cell_once",
    ),
    Fault(
        name="stages: evaluate records the values of train that are one method's own",
        file="src/ambidex/stages/__init__.py",
        before="        return given_by(work)\n",
        after="        return getattr(work, 'params', work)\n",
        caught_by=TESTS + "test_the_loop_of_one_method_is_not_that_of_others",
    ),
]
