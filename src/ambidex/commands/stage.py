"""`ambidex prepare|extract|merge|pretrain|train|crossfit|evaluate|compare`: one stage, its places, its main numbers."""

import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ambidex.base.errors import ParamsError, one_line
from ambidex.base.layout import Layout
from ambidex.base.outputs import check_places
from ambidex.base.readers import fitting
from ambidex.base.torchrun import first_rank
from ambidex.commands.verbs import Verb
from ambidex.commands.wiring import Places, calls, places
from ambidex.configuration.params import refuse_severities
from ambidex.launch.distributed import run_stage
from ambidex.resolve import load_params
from ambidex.resolve.cell import Work
from ambidex.stages import work_of

_SHOWN = 6
_WIDEST = 2_000  # characters of a line of a table


def run(options: Namespace) -> int:
    """Run the stage of `options.verb`, once or (pretrain) once per modality."""
    verb: Verb = options.verb
    layout = Layout(Path(options.runs))
    if verb.name == "compare" and show_only(options):
        show_study(Path(options.study) if options.study else layout.study, options.table)
        return 0
    params = load_params(Path(options.params), overrides(options))
    refuse_severities(params, f"{verb.name} works at one")
    todo = list(calls(verb.name, params))
    if len(todo) > 1 and options.out:
        raise ParamsError(f"--out: is one folder, and there are {len(todo)} modalities; add --modality NAME")
    calls_of: list[tuple[Work, Places, Places]] = []
    for one in (work_of(verb.name, call) for call in todo):
        inputs, outputs = places(verb.name, one, layout)
        _replace(inputs, verb.reads, options)
        if options.out is not None:
            outputs[verb.writes] = Path(options.out)
        check_places(verb.name, {}, outputs)  # of all, before the first begins
        calls_of.append((one, inputs, outputs))
    for one, inputs, outputs in calls_of:
        start = time.monotonic()
        metrics = run_stage(verb.name, one, inputs, outputs)
        if not first_rank():
            continue
        print(f"{verb.name}: wrote {outputs[verb.writes]} in {time.monotonic() - start:.1f} s")
        if verb.name != "compare":
            print_numbers(metrics)
        elif not options.quiet:
            show_study(outputs["study"], options.table)
    return 0


def show_only(options: Namespace) -> bool:
    """Whether `compare` only prints. Raises ParamsError where the place named belongs to the other case."""
    if options.show and options.out:
        raise ParamsError(
            "--out: --show writes nothing; the comparison to print is named with --study FOLDER"
        )
    if options.study and not options.show:
        raise ParamsError(f"--study: {options.verb.not_out}")
    return bool(options.show)


def overrides(options: Namespace) -> list[str]:
    """`--set` as given, then what the short flags stand for."""
    verb: Verb = options.verb
    shorts = (*verb.flags, *verb.switches)
    short = [f"{key}={value}" for flag, key in shorts if (value := getattr(options, flag)) is not None]
    return [*options.set, *short]


def print_numbers(metrics: Mapping[str, Any]) -> None:
    """Print the first few numbers of a stage's metrics, on one line."""
    pairs = list(numbers(metrics).items())[:_SHOWN]
    if pairs:
        print("  " + ", ".join(f"{name} {value:.4g}" for name, value in pairs))


def show_study(study: Path, which: str | None = None) -> None:
    """Print the table of a comparison, or its `methods`, `decision` or `recipe`; where its report stands.

    Raises DataError where there is none.
    """
    from ambidex.report.study.decision_text import decision_text
    from ambidex.report.study.methods_table import read_methods, render_methods
    from ambidex.report.study.recipe_text import recipe_text
    from ambidex.report.study.study_file import source_of
    from ambidex.report.study.table import PAGE_FILE, advice, render_study, warnings

    with fitting(source_of(study), "a whole comparison"):
        if which == "methods":
            table = render_methods(read_methods(study))
        elif which == "decision":
            table = decision_text(study)
        elif which == "recipe":
            table = recipe_text(study)
        else:
            table = render_study(study)
        lines = "".join(f"\nnote: {line}" for line in warnings(study))
        lines += f"\n{words}" if (words := advice(study)) else ""
    text = "\n".join(one_line(line, _WIDEST) for line in table.split("\n"))
    print(f"\n{text}\n{lines}\nreport: {study / PAGE_FILE}")


def show_severities(study: Path) -> None:
    """Print what a study over severities says, and where its page stands. Raises DataError where there is none."""
    from ambidex.base.readers import Source, read_text
    from ambidex.report.severity.write import PAGE_FILE, TEXT_FILE

    text = read_text(study / TEXT_FILE, Source(str(study / TEXT_FILE), hint="run study again"))
    print("\n" + "\n".join(one_line(line, _WIDEST) for line in text.splitlines()))
    print(f"\nreport: {study / PAGE_FILE}")


def _replace(paths: Places, names: tuple[str, ...], options: Namespace) -> None:
    for name in names:
        if path := getattr(options, name):
            paths[name] = Path(path)


def numbers(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Leaves that are numbers, by their dotted path, the outer ones first."""
    flat = {
        f"{prefix}{k}": v
        for k, v in metrics.items()
        if isinstance(v, int | float) and not isinstance(v, bool)
    }
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            flat.update(numbers(value, f"{prefix}{key}."))
    return flat
