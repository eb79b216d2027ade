"""Faults in what a stage's output depends on, and in what becomes of unfinished work of another run."""

from mutations.fault import Fault

TEXT = "src/ambidex/base/source/text.py"
GRAPH = "src/ambidex/base/source/graph.py"
CODE = "src/ambidex/stages/code.py"
CHOSEN = "src/ambidex/stages/_chosen.py"
TABLE = "src/ambidex/stages/table.py"
OTHER_RUNS = "src/ambidex/base/outputs/other_runs.py"
ON_SOURCE = "tests/base/test_source.py::"
ON_CODE = "tests/stages/test_stage_code.py::"
ON_OUTSIDE = "tests/stages/test_outside_parts.py::"
ON_OTHER_RUNS = "tests/base/test_outputs_other_runs.py::"
ON_BESIDE = "tests/base/test_beside.py::"
EDIT = ON_CODE + "test_an_edit_matters_to_these_stages"
KILLED = ON_OTHER_RUNS + "test_killed_at_any_file_operation_what_is_kept_is_whole"
IN_TRAINING = "tests/stages/test_other_runs.py::"

FAULTS = [
    Fault(
        name="stages: a docstring counts",
        file=TEXT,
        before="        if isinstance(item, ast.Expr) and",
        after="        if False and",
        caught_by=ON_SOURCE + "test_it_says_the_same",
    ),
    Fault(
        name="stages: values do not count",
        file=TEXT,
        before="            self.words.append(repr(value))\n",
        after="            pass\n",
        caught_by=ON_SOURCE + "test_it_says_something_else",
    ),
    Fault(
        name="stages: what kind of thing stands there does not count",
        file=TEXT,
        before="        self.words.append(type(node).__name__)\n",
        after="",
        caught_by=ON_SOURCE + "test_trees_are_told_apart",
    ),
    Fault(
        name="stages: the packages above a module are not read",
        file=GRAPH,
        before="        todo += _parents(name)\n",
        after="",
        caught_by=ON_SOURCE + "test_imports_are_followed_wherever_they_stand",
    ),
    Fault(
        name="stages: names imported from a package are no modules",
        file=GRAPH,
        before='        yield from (f"{start}.{part}" for part in names)\n',
        after="",
        caught_by=ON_SOURCE + "test_imports_are_followed_wherever_they_stand",
    ),
    Fault(
        name="stages: plug-ins that change nothing count",
        file=CODE,
        before="        if plugins.package in unused:\n",
        after="        if False:\n",
        caught_by=EDIT + "[decide/allocators/gate.py-stages]",
    ),
    Fault(
        name="stages: plug-ins count whether or not they are chosen",
        file=CODE,
        before="in picked.get(plugins.package, dotted) if",
        after="in dotted if",
        caught_by=EDIT + "[learn/methods/agm.py-stages]",
    ),
    Fault(
        name="stages: a folder among the plug-ins is one of them",
        file="src/ambidex/base/registry.py",
        before=" if not module.ispkg)",
        after=" if not module.ispkg or module.name == 'cards')",
        caught_by=ON_BESIDE + "test_the_folders_beside_hold_no_methods",
    ),
    Fault(
        name="stages: the card of the farthest class is a method's",
        file="src/ambidex/base/cards/beside.py",
        before="in owner.__mro__:",
        after="in reversed(owner.__mro__):",
        caught_by=ON_BESIDE + "test_the_nearest_class_counts",
    ),
    Fault(
        name="stages: a method depends on its card",
        file="src/ambidex/learn/methods/ogm_ge.py",
        before="import kernels, weights\n",
        after="import kernels, weights\nfrom ambidex.learn.methods.cards.ogm_ge import card\n",
        caught_by=ON_CODE + "test_what_a_card_says_of_a_method_makes_nothing_anew",
    ),
    Fault(
        name="stages: style sheets do not count",
        file=CODE,
        before="{str(path.name): sha256(path) for path in beside(files)}",
        after="{}",
        caught_by=EDIT + "[report/style.css-stages]",
    ),
    Fault(
        name="stages: a package is not declared",
        file=TABLE,
        before='_TRAINING = ("data", "learn", "net")',
        after='_TRAINING = ("data", "net")',
        caught_by=ON_CODE + "test_the_declared_packages_are_those_that_the_imports_reach",
    ),
    Fault(
        name="stages: a checkpoint of other code is gone on from",
        file="src/ambidex/stages/_training.py",
        before="starts or {}), running_code())",
        after="starts or {}), None)",
        caught_by=IN_TRAINING + "test_changed_code_and_changed_data_are_told",
    ),
    Fault(
        name="stages: work of another run is deleted",
        file=OTHER_RUNS,
        before="        growing.rename(kept)\n        _say",
        after="        discard(growing)\n        _say",
        caught_by=ON_OTHER_RUNS + "test_work_of_another_run_goes_aside_and_is_named",
    ),
    Fault(
        name="stages: work of another run stays for ever",
        file="src/ambidex/base/outputs/delivery.py",
        before="    forget(path)\n",
        after="",
        caught_by=ON_OTHER_RUNS + "test_it_goes_when_the_new_run_is_whole_and_not_before",
    ),
    Fault(
        name="stages: work of another run never comes back",
        file=OTHER_RUNS,
        before="    if earlier == origin.key:\n",
        after="    if False:\n",
        caught_by=ON_OTHER_RUNS + "test_it_comes_back_where_it_fits_again",
    ),
    Fault(
        name="stages: half-deleted work is taken for whole",
        file="src/ambidex/base/outputs/unfinished.py",
        before="    (folder / ORIGIN).unlink(missing_ok=True)\n    last = [",
        after="    last = [folder / ORIGIN, ",
        caught_by=KILLED + "[exchange-AB-C-B]",
    ),
    Fault(
        name="stages: nothing is mended between three renames",
        file=OTHER_RUNS,
        before="        between.rename(aside(growing) if growing.exists() else growing)\n",
        after="        pass\n",
        caught_by=KILLED + "[three renames-AB-A-AB]",
    ),
    Fault(
        name="stages: an addition that the method asks for does not count",
        file=CHOSEN,
        before="{choice.name for choice in model.additions}",
        after="set()",
        caught_by=ON_OUTSIDE + "test_a_change_of_any_of_them_trains_again[lion]",
    ),
    Fault(
        name="stages: the fusion that the parameters name counts, not the method's",
        file=CHOSEN,
        before="{model.fusion.name} if model",
        after="{cell.given.model.fusion.name} if model",
        caught_by=ON_OUTSIDE + "test_a_change_of_any_of_them_trains_again[den]",
    ),
]
