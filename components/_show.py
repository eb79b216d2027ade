"""What the page of a Kubeflow run shows: numbers, a confusion matrix, our reports. Knows nothing of kfp's classes."""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ambidex.base.errors import ParamsError
from ambidex.base.files import write_text
from ambidex.base.readers import read_rows
from ambidex.base.readers.schema import shown
from ambidex.base.records import read_card
from ambidex.commands.stage import numbers
from ambidex.report.run_files import CONFUSION_FILE, FINDING_FILE, PAGE_FILE, PLOTS
from ambidex.report.study.table import PAGE_FILE as STUDY_PAGE
from ambidex.report.study.table import render_study
from components._call import sections


def section(text: str, name: str) -> dict[str, Any]:
    """One section of parameters given as YAML text."""
    found = sections(text).get(name) or {}
    if not isinstance(found, dict):
        raise ParamsError(f"params: {name}: expected a block of keys and values, found {shown(found)}")
    return found


def log_numbers(artifact: Any, metrics: Mapping[str, Any]) -> None:
    """Log the headline numbers of a stage into a Metrics artifact by their paths: `accuracy`, `val.nll`."""
    for name, value in numbers(metrics).items():
        artifact.log_metric(name, float(value))


def log_all(artifact: Any, results: Mapping[str, Mapping[str, Any]]) -> None:
    """Log the numbers of a single one of `results`; of several the outermost ones alone, `NAME: accuracy`."""
    for name, metrics in results.items():
        if len(results) == 1:
            log_numbers(artifact, metrics)
            continue
        for key, value in numbers(metrics).items():
            if "." not in key:
                artifact.log_metric(f"{name}: {key}", float(value))


def log_confusion(artifact: Any, report: str) -> None:
    """Log the confusion matrix of a report (rows: actual, columns: predicted) into a ClassificationMetrics artifact."""
    classes = read_card(Path(report)).get("classes", [])
    rows = read_rows(Path(report) / PLOTS / CONFUSION_FILE, ("actual", "predicted"))
    counts = Counter((row["actual"], row["predicted"]) for row in rows)
    artifact.log_confusion_matrix(classes, [[counts[a, p] for p in classes] for a in classes])


def show_report(report: str, page: str, finding: str) -> None:
    """Copy a report's page and finding to where Kubeflow shows them."""
    shutil.copyfile(Path(report) / PAGE_FILE, page)
    shutil.copyfile(Path(report) / FINDING_FILE, finding)


def show_reports(reports: Sequence[str], failed: Mapping[str, str], page: str, finding: str) -> None:
    """Show the report, or of several their findings, and where in the output each whole report stands.

    `failed`: the cells without a report, and why.
    """
    if len(reports) == 1 and not failed:
        show_report(reports[0], page, finding)
        return
    texts = {Path(report).name: (Path(report) / FINDING_FILE).read_text().strip() for report in reports}
    parts = [f"<h2>{escape(name)}</h2><p>Failed: {escape(why)}</p>" for name, why in failed.items()]
    parts += [
        f"<h2>{escape(name)}</h2><pre style='white-space: pre-wrap'>{escape(text)}</pre>"
        f"<p>The whole report: <code>{escape(name)}/{PAGE_FILE}</code> in the output <code>reports</code>.</p>"
        for name, text in texts.items()
    ]
    write_text(Path(page), f"<!doctype html><meta charset='utf-8'><title>Reports</title>{''.join(parts)}\n")
    every = {name: f"Failed: {why}" for name, why in failed.items()} | texts
    write_text(Path(finding), "\n\n".join(f"## {name}\n\n{text}" for name, text in every.items()) + "\n")


def show_study(study: str, page: str, table: str) -> None:
    """Copy a study's page, and write its table as Markdown, to where Kubeflow shows them."""
    shutil.copyfile(Path(study) / STUDY_PAGE, page)
    write_text(Path(table), f"```\n{render_study(Path(study))}\n```\n")
