"""`ambidex prepare|extract|merge|pretrain|train|crossfit|evaluate|compare`: one stage, its places, its main numbers."""

import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ambidex.commands.verbs import Verb
from ambidex.commands.wiring import Places, calls, places
from ambidex.configuration import load_params
from ambidex.errors import ParamsError, one_line
from ambidex.layout import Layout
from ambidex.parallel.distributed import run_stage
from ambidex.parallel.torchrun import first_rank
from ambidex.readers import fitting

_SHOWN = 6
_WIDEST = 2_000  # characters of a line of a table


def run(options: Namespace) -> int:
    """Run the stage of `options.verb`, once or (pretrain) once per modality."""
    verb: Verb = options.verb
    layout = Layout(Path(options.runs))
    if getattr(options, "show", False):
        show_study(Path(options.study) if options.study else layout.study, options.table)
        return 0
    params = load_params(Path(options.params), overrides(options))
    todo = list(calls(verb.name, params))
    if len(todo) > 1 and getattr(options, verb.writes):
        raise ParamsError(
            f"--{verb.writes}: is one folder, and there are {len(todo)} modalities; add --modality NAME"
        )
    for one in todo:
        inputs, outputs = places(verb.name, one, layout)
        _replace(inputs, verb.reads, options)
        _replace(outputs, (verb.writes,), options)
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


def overrides(options: Namespace) -> list[str]:
    """`--set` as given, then what the short flags stand for."""
    verb: Verb = options.verb
    shorts = (*verb.flags, *verb.switches)
    short = [f"{key}={value}" for flag, key in shorts if (value := getattr(options, flag)) is not None]
    return [*options.set, *short]


def print_numbers(metrics: Mapping[str, Any]) -> None:
    """Print the first few numbers of a stage's metrics, on one line."""
    found = list(numbers(metrics).items())[:_SHOWN]
    if found:
        print("  " + ", ".join(f"{name} {value:.4g}" for name, value in found))


def show_study(study: Path, which: str | None = None) -> None:
    """Print the table of a comparison, its `methods` or what it found at the `decision` layer; where its report stands.

    Raises DataError where there is none.
    """
    from ambidex.report.study.decision_text import decision_text
    from ambidex.report.study.methods_table import read_methods, render_methods
    from ambidex.report.study.study_file import source_of
    from ambidex.report.study.table import PAGE_FILE, read_rows, render

    with fitting(source_of(study), "a whole comparison"):
        if which == "methods":
            table = render_methods(read_methods(study))
        elif which == "decision":
            table = decision_text(study)
        else:
            table = render(read_rows(study))
    shown = "\n".join(one_line(line, _WIDEST) for line in table.split("\n"))
    print(f"\n{shown}\n\nreport: {study / PAGE_FILE}")


def _replace(found: Places, names: tuple[str, ...], options: Namespace) -> None:
    for name in names:
        if given := getattr(options, name):
            found[name] = Path(given)


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
