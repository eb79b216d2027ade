"""Command line for Kubeflow Pipelines: `python -m pipelines.client VERB`.

Exit codes: 0 the run succeeded (or the request was carried out), 1 the run failed, 2 wrong usage, settings or
connection, 75 the run had not ended when the time for waiting was over, 130 interrupted.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from ambidex.base.errors import one_line
from ambidex.commands import doors
from pipelines.kubeflow import package, schedule
from pipelines.kubeflow.api import Api, Order
from pipelines.kubeflow.arguments import collect
from pipelines.kubeflow.cells import check_cells
from pipelines.kubeflow.replies import identifier
from pipelines.kubeflow.screen import Screen
from pipelines.kubeflow.settings import VARIABLES, from_environment, goes_in_the_clear
from pipelines.kubeflow.transport import Patience, Transport
from pipelines.kubeflow.verdict import verdict
from pipelines.kubeflow.wait import RESUME, Clock, wait

PROGRAM = "client"
Options = argparse.Namespace


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, one_line(f"{self.prog}: {message}; see `{self.prog} --help`") + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one verb and return its exit code; what the user can mend costs one line."""
    options = _parse(arguments)
    return doors.run(PROGRAM, lambda: int(options.verb(options)))


def _parse(given: Sequence[str] | None) -> Options:
    """Options and arguments in any order: argparse itself takes no KEY=VALUE after an option."""
    parser = make_parser()
    options, rest = parser.parse_known_args(given)
    late = [word for word in rest if "=" in word and not word.startswith("-") and "arguments" in options]
    if wrong := [word for word in rest if word not in late]:
        parser.error(f"unrecognized arguments: {' '.join(wrong)}")
    if late:
        options.arguments += late
    return options


def make_parser() -> argparse.ArgumentParser:
    """The parser of every verb."""
    variables = "\n".join(f"  {name:<15} {about}" for name, about in VARIABLES.items())
    parser = _Parser(
        prog="python -m pipelines.client",
        description="Compile, upload, run and follow pipelines on Kubeflow Pipelines v2.",
        epilog=f"environment:\n{variables}\n\nexit codes: 0 succeeded, 1 the run failed, 2 usage or connection, "
        "75 still running when waiting ended",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    def add(name: str, verb: Callable[[Options], int], about: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        added.set_defaults(verb=verb)
        if verb is not _compile:
            _add_connection(added)
        return added

    _add_compile(add("compile", _compile, "compile pipelines into files and stop; no server is asked"))
    upload = add("upload", _upload, "upload a compiled pipeline as a new pipeline")
    _add_upload(upload, "name of the pipeline (default: its own)")
    version = add("version", _version, "upload a compiled pipeline as a new version of an uploaded one")
    _add_upload(version, "name of the version (default: date and time)")
    version.add_argument("--of", metavar="NAME", help="name of the uploaded pipeline (default: its own)")
    run = add("run", _run, "submit a compiled pipeline")
    _add_order(run)
    _add_waiting(run)
    run.add_argument("--wait", action=argparse.BooleanOptionalAction, default=False, help="wait for the end")
    follow = add("wait", _wait, "wait for the end of a run submitted before")
    follow.add_argument("run", metavar="RUN_ID")
    _add_waiting(follow)
    _add_recurring(add("recurring", _recurring, "submit a compiled pipeline again and again"))
    add("terminate", _terminate, "stop a run").add_argument("run", metavar="RUN_ID")
    return parser


def _add_connection(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("connection")
    group.add_argument(
        "--request-timeout", metavar="TIME", default="30s", help="for one answer (default: 30s)"
    )
    group.add_argument(
        "--attempts", metavar="N", type=_positive, default=5, help="for one request (default: 5)"
    )
    group.add_argument(
        "--backoff", metavar="TIME", default="1s", help="first pause between attempts (default: 1s)"
    )


def _add_compile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--params", metavar="FILE", help="parameters (default: params.yaml)")
    parser.add_argument("--to", metavar="DIR", help="default: pipelines/compiled")


def _add_upload(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument("pipeline", metavar="PIPELINE", help="a name under pipelines/compiled, or a file")
    parser.add_argument("--name", metavar="NAME", help=name)
    parser.add_argument("--description", metavar="TEXT", default="")


def _add_order(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipeline", metavar="PIPELINE", help="a name under pipelines/compiled, or a file")
    parser.add_argument(
        "arguments", metavar="KEY=VALUE", nargs="*", help="arguments; KEY=@FILE takes a file's text"
    )
    parser.add_argument("--args", metavar="FILE", type=Path, help="arguments as a YAML or JSON mapping")
    parser.add_argument("--name", metavar="NAME", help="name of the run (default: pipeline and time)")
    parser.add_argument("--experiment", metavar="NAME", default="ambidex", help="default: ambidex")
    parser.add_argument(
        "--pipeline-root", metavar="URI", default="", help="where the cluster stores artifacts"
    )
    parser.add_argument("--service-account", metavar="NAME", default="", help="of the pods")
    parser.add_argument("--cache", choices=("on", "off"), help="for all tasks (default: as compiled)")


def _add_waiting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout", metavar="TIME", help="stop waiting after, for example, 6h (default: never)"
    )
    parser.add_argument("--poll", metavar="TIME", default="10s", help="between two looks (default: 10s)")
    parser.add_argument(
        "--terminate-on-interrupt", action="store_true", help="Ctrl-C stops the run, not only the waiting"
    )


def _add_recurring(parser: argparse.ArgumentParser) -> None:
    _add_order(parser)
    parser.add_argument(
        "--cron", metavar="CRON", help="six fields, seconds first: '0 0 3 * * *' is 3:00 each day"
    )
    parser.add_argument("--every", metavar="TIME", help="an interval, for example 12h")
    parser.add_argument(
        "--at-once", metavar="N", type=_positive, default=1, help="runs at the same time (default: 1)"
    )
    parser.add_argument(
        "--catch-up", action="store_true", help="make up for times missed while it was paused"
    )


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 5) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}: expected a whole number from 1 to 9999")
    return int(text)


def _compile(options: Options) -> int:
    from pipelines import compile as compiler  # imports kfp

    given = {"--params": options.params, "--to": options.to}
    return compiler.main([word for flag, value in given.items() if value for word in (flag, value)])


def _upload(options: Options) -> int:
    compiled = package.load(package.find(options.pipeline))
    api = _api(options)
    reply = api.upload(compiled, options.name or compiled.name, options.description)
    pipeline_id = identifier(reply, "pipeline_id")
    print(f"pipeline {pipeline_id}")
    print(api.transport.settings.page("pipelines", "details", pipeline_id))
    return 0


def _version(options: Options) -> int:
    compiled = package.load(package.find(options.pipeline))
    api = _api(options)
    reply = api.add_version(
        compiled, options.of or compiled.name, options.name or _now(), options.description
    )
    ids = identifier(reply, "pipeline_id"), identifier(reply, "pipeline_version_id")
    print(f"version {ids[1]}")
    print(api.transport.settings.page("pipelines", "details", ids[0], "version", ids[1]))
    return 0


def _run(options: Options) -> int:
    order, clock = _order(options), _clock(options)
    api = _api(options)
    run_id = identifier(api.start(order), "run_id")
    print(f"run {run_id}")
    print(api.transport.settings.page("runs", "details", run_id), flush=True)
    if options.wait:
        return _follow(api, run_id, clock, options.terminate_on_interrupt)
    print(f"wait for its end: {RESUME} {run_id}")
    return 0


def _wait(options: Options) -> int:
    return _follow(_api(options), options.run, _clock(options), options.terminate_on_interrupt)


def _recurring(options: Options) -> int:
    trigger, order = schedule.trigger(options.cron, options.every), _order(options)
    api = _api(options)
    reply = api.schedule(order, trigger, options.at_once, options.catch_up)
    recurring = identifier(reply, "recurring_run_id")
    print(f"recurring run {recurring}")
    print(api.transport.settings.page("recurringrun", "details", recurring))
    return 0


def _terminate(options: Options) -> int:
    _api(options).terminate(options.run)
    print(f"run {options.run} is being stopped")
    return 0


def _follow(api: Api, run_id: str, clock: Clock, terminate: bool) -> int:
    try:
        with Screen() as screen:
            run = wait(api, run_id, clock, screen)
    except KeyboardInterrupt:
        if terminate:
            api.terminate(run_id)
            return _fail(f"interrupted; run {run_id} is being stopped", doors.INTERRUPTED)
        return _fail(
            f"interrupted; the run goes on, wait for it again with `{RESUME} {run_id}`", doors.INTERRUPTED
        )
    code, lines = verdict(api, run)
    print("\n".join(map(one_line, lines)), file=sys.stderr if code else sys.stdout)
    return code


def _order(options: Options) -> Order:
    compiled = package.load(package.find(options.pipeline))
    arguments = collect(compiled, options.arguments, options.args)
    check_cells(compiled, arguments)
    if options.cache:
        compiled = compiled.with_caching(options.cache == "on")
    return Order(
        package=compiled,
        arguments=arguments,
        experiment=options.experiment,
        name=options.name or f"{compiled.name} {_now()}",
        pipeline_root=options.pipeline_root,
        service_account=options.service_account,
    )


def _clock(options: Options) -> Clock:
    limit = schedule.seconds(options.timeout) if options.timeout else None
    return Clock(poll=schedule.seconds(options.poll), limit=limit)


def _api(options: Options) -> Api:
    settings = from_environment()
    if goes_in_the_clear(settings):
        _note(
            f"KFP_HOST is {settings.host}: over http everybody on the way can read the credentials, use https"
        )
    patience = Patience(
        timeout=schedule.seconds(options.request_timeout),
        attempts=options.attempts,
        first=schedule.seconds(options.backoff),
    )
    return Api(Transport(settings, patience, _note))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _note(line: str) -> None:
    doors.complain(PROGRAM, line)


def _fail(line: str, code: int) -> int:
    _note(line)
    return code


if __name__ == "__main__":
    sys.exit(main())
