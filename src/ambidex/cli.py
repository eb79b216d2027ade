"""The command line: `ambidex VERB`. Until a verb runs, only the standard library is imported, so help is instant."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from ambidex.base.errors import one_line
from ambidex.commands import doors
from ambidex.commands.verbs import PATHS, STAGE_VERBS, Verb

_LISTS = {
    "methods": "the ways to keep modalities balanced in training",
    "datasets": "the data sets that prepare can read",
    "kinds": "what the samples of a modality can be",
    "encoders": "the networks that turn one modality into a feature",
    "fusions": "the decision layers that turn features into a class",
    "additions": "what a method can have built into the model beside these",
    "allocators": "the ways to weigh modalities at the decision layer",
    "diagnostics": "the measurements that evaluate makes",
    "loggers": "the places where a training writes its numbers",
}
_TABLES = {
    "methods": "the table of methods: who decides, step cost",
    "decision": "what was found at the decision layer: diagnosis, allocators, verdicts in words",
    "recipe": "the shipped recipe against joint training and the best modality alone, in one small table",
}
_DESCRIPTION = """\
Balanced multimodal learning: train one model on several modalities (audio, video, ...), see how much each
modality decides, and repair the decision layer where one modality drowns another.

The stages, in order: prepare, extract, pretrain, train, evaluate, compare. `study` runs them all.
`merge` comes after extract where that was done in parts; `crossfit` before evaluate where there is no validation split.
All parameters stand in params.yaml; `ambidex params` explains every one of them."""

_PREDICT = """\
Reads clips as `extract` did for this model, and prints a line for each: class, probability, and every modality's
share of the decision. `ambidex evaluate --save` makes a model with its fitted decision layer.
A share is the modality's part of the margin by which the class leads the runner-up: the shares add up to 100 %,
and a negative one argued against. A clip that cannot be read costs one line; the others are predicted."""

_VERIFY = """\
Compares the SHA-256 of every shard with the index, also where it was done before. Stages that read a store do it once a
machine, and again where a file's size, times or inode have changed."""

_WARM = """\
Imports once what stages need, then runs COMMAND, for example `dvc repro`. Every stage that COMMAND starts by
`ambidex VERB` is a fork of this process: a process of its own that begins with everything imported. Results are the
same; each stage saves the seconds that importing takes. extract and predict start as they always do."""


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, one_line(f"{self.prog}: {message}; see `{self.prog} --help`") + "\n")


class _Refused(argparse.Action):
    """A flag that is no more: `const` says what to write instead."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given, nargs="?", default=argparse.SUPPRESS)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        parser.error(f"{self.option_strings[0]} names no input of this verb: {self.const}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a mistake of the user costs one line, not a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = make_parser().parse_args(given or ["--help"])

    def verb() -> int:
        if options.command == "stage" and not options.decodes and os.environ.get("AMBIDEX_WARM"):
            code = importlib.import_module("ambidex.commands.warm_client").handed_over(given)
            if code is not None:
                return int(code)
        if getattr(options, "decodes", False):  # its processes get ready while this one imports torch
            importlib.import_module("ambidex.data.media.isolation").start_server()
        return int(importlib.import_module(f"ambidex.commands.{options.command}").run(options))

    return doors.run("ambidex", verb, "interrupted; the same command goes on where it stopped")


def make_parser() -> argparse.ArgumentParser:
    """The parser of every verb; nothing heavy is imported to build it."""
    parser = _Parser(prog="ambidex", description=_DESCRIPTION, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--version", action="version", version=f"ambidex {_version()}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in STAGE_VERBS:
        _add_stage(verbs, verb)
    study = _add(verbs, "study", "run every stage for every cell of the study, keeping what is up to date")
    _add_params(study, "ambidex study --set 'study.methods=[joint, ogm_ge]' --set 'study.seeds=[0, 1, 2]'")
    study.set_defaults(command="study")
    _add_predict(verbs)
    for name, summary in _LISTS.items():
        _add_list(verbs, name, summary)
    reference = _add(verbs, "params", "explain every parameter of params.yaml, as Markdown")
    reference.set_defaults(command="reference")
    _add_verify(verbs)
    _add_doctor(verbs)
    _add_warm(verbs)
    return parser


def _add(verbs: "argparse._SubParsersAction[_Parser]", name: str, summary: str, text: str = "") -> _Parser:
    description = text or summary[0].upper() + summary[1:] + "."
    return verbs.add_parser(
        name, help=summary, description=description, formatter_class=argparse.RawTextHelpFormatter
    )


def _add_stage(verbs: "argparse._SubParsersAction[_Parser]", verb: Verb) -> None:
    parser = _add(verbs, verb.name, verb.summary, verb.text)
    _add_params(parser, verb.example)
    for flag, key in verb.flags:
        parser.add_argument(f"--{flag}", metavar="VALUE", help=f"short for --set {key}=VALUE")
    for flag, key in verb.switches:
        parser.add_argument(
            f"--{flag}", action="store_const", const="true", help=f"short for --set {key}=true"
        )
    if verb.name == "compare":
        parser.add_argument("--show", action="store_true", help="only print the table written before")
        which = parser.add_mutually_exclusive_group()
        for name, about in _TABLES.items():
            which.add_argument(
                f"--{name}", action="store_const", dest="table", const=name, help=f"print {about}"
            )
        parser.add_argument("--quiet", action="store_true", help="do not print the table")
        parser.add_argument("--study", metavar="PATH", help="with --show: the comparison to print")
    places = parser.add_argument_group("places", "by default all under the folder of --runs")
    for name in verb.reads:
        places.add_argument(f"--{name}", metavar="PATH", help=f"read: {PATHS[name]}")
    places.add_argument("--out", metavar="FOLDER", help=f"write: {PATHS[verb.writes]}")
    if verb.name != "compare":  # its own name is taken for an input, and was the output's once
        parser.add_argument(f"--{verb.writes}", action=_Refused, help=argparse.SUPPRESS, const=verb.not_out)
    parser.set_defaults(command="stage", verb=verb, decodes=verb.name == "extract")


def _add_params(parser: _Parser, example: str) -> None:
    parser.add_argument("--runs", metavar="DIR", default="runs", help="folder of all outputs (default: runs)")
    _add_parameters(parser, example)


def _add_parameters(parser: _Parser, example: str) -> None:
    parser.add_argument(
        "--params", metavar="FILE", default="params.yaml", help="parameters (default: params.yaml)"
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="replace one parameter, for example train.epochs=3; may be repeated",
    )
    parser.epilog = f"example:\n  {example}"


def _add_list(verbs: "argparse._SubParsersAction[_Parser]", name: str, summary: str) -> None:
    parser = _add(verbs, name, f"list {summary}")
    parser.add_argument("name", metavar="NAME", nargs="?", help="explain this one and its parameters")
    if name == "methods":
        parser.add_argument("--page", action="store_true", help="print the page on all of them, as Markdown")
    _add_parameters(parser, f"ambidex {name}")
    parser.set_defaults(command="plugins", kind=name)


def _add_predict(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _add(
        verbs, "predict", "say what clips show, and how much each modality had to do with it", _PREDICT
    )
    parser.add_argument("model", metavar="MODEL", help="folder of a model, or a report with a model inside")
    parser.add_argument(
        "clips", metavar="CLIP", nargs="+", help="a file for all modalities, or audio=a.wav,visual=b.png"
    )
    parser.add_argument(
        "--json", action="store_true", help="a JSON object per clip and line, without a heading"
    )
    parser.add_argument("--top", metavar="K", type=count, default=1, help="show the K likeliest classes")
    parser.add_argument(
        "--adapt",
        action="store_true",
        help="take the clips for one new group (speaker, room, device) and weigh modalities by how\n"
        "they agree in it; needs a model of evaluate --save, reads all clips before the first answer",
    )
    parser.add_argument(
        "--adapt-state",
        metavar="FILE",
        help="--adapt over several calls: FILE remembers the group, and is made where there is none",
    )
    parser.add_argument(
        "--forgetting",
        metavar="F",
        type=share,
        help="with --adapt-state: how much earlier calls count, 0 to 1 (default: 1)",
    )
    parser.add_argument("--workers", metavar="N", type=count, default=0, help="processes that read clips")
    parser.add_argument(
        "--seconds", metavar="S", type=above_zero, help="time that a clip may take to be read (default: 120)"
    )
    parser.add_argument(
        "--megabytes", metavar="M", type=count, help="MiB of memory that a clip may take (default: 4096)"
    )
    parser.add_argument(
        "--accelerator", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="where the model runs"
    )
    parser.epilog = "example:\n  ambidex predict runs/reports/multi_task-pretrained-0/model clips/*.mp4"
    parser.set_defaults(command="predict", decodes=True)


def count(text: str) -> int:
    """A whole number of at least 1."""
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"got {value}, expected 1 or more")
    return value


def above_zero(text: str) -> float:
    """A finite number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text}, expected a number above 0")
    return value


def share(text: str) -> float:
    """A number of 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"got {text}, expected a number of 0 to 1")
    return value


def _add_verify(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _add(
        verbs, "verify", "read all bytes of a feature store and compare them with its index", _VERIFY
    )
    parser.add_argument("features", metavar="FOLDER", nargs="?", default="runs/features")
    parser.epilog = "example:\n  ambidex verify runs/features"
    parser.set_defaults(command="verify")


def _add_doctor(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _add(verbs, "doctor", "check that this machine can run everything, and say what to do where not")
    _add_params(parser, "ambidex doctor --set runtime.accelerator=cuda")
    parser.set_defaults(command="doctor")


def _add_warm(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _add(verbs, "warm", "run a command whose stages need not import torch each", _WARM)
    parser.add_argument("words", metavar="COMMAND", nargs=argparse.PARSER, help="a command and its arguments")
    parser.epilog = "example:\n  ambidex warm dvc repro"
    parser.set_defaults(command="warm")


def _version() -> str:
    from ambidex import __version__

    return __version__


if __name__ == "__main__":
    sys.exit(main())
