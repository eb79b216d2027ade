"""What the page of a Kubeflow run shows: numbers, a confusion matrix, our reports. Knows nothing of kfp's classes."""

import csv
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ambidex.commands.stage import numbers
from ambidex.configuration.yaml_text import parse_yaml
from ambidex.files import read_json, write_text
from ambidex.records import CARD_FILE
from ambidex.report.run_files import CONFUSION_FILE, FINDING_FILE, PAGE_FILE, PLOTS
from ambidex.report.study.table import PAGE_FILE as STUDY_PAGE
from ambidex.report.study.table import render_study


def section(text: str, name: str) -> dict[str, Any]:
    """One section of parameters given as YAML text."""
    found = (parse_yaml(text, "params") or {}).get(name) or {}
    return dict(found)


def log_numbers(artifact: Any, metrics: Mapping[str, Any]) -> None:
    """Log the headline numbers of a stage into a Metrics artifact by their paths: `accuracy`, `val.nll`."""
    for name, value in numbers(metrics).items():
        artifact.log_metric(name, float(value))


def log_confusion(artifact: Any, report: str) -> None:
    """Log the confusion matrix of a report (rows: actual, columns: predicted) into a ClassificationMetrics artifact."""
    classes = read_json(Path(report) / CARD_FILE)["classes"]
    with (Path(report) / PLOTS / CONFUSION_FILE).open(newline="") as stream:
        counts = Counter((row["actual"], row["predicted"]) for row in csv.DictReader(stream))
    artifact.log_confusion_matrix(classes, [[counts[a, p] for p in classes] for a in classes])


def show_report(report: str, page: str, finding: str) -> None:
    """Copy a report's page and finding to where Kubeflow shows them."""
    shutil.copyfile(Path(report) / PAGE_FILE, page)
    shutil.copyfile(Path(report) / FINDING_FILE, finding)


def show_study(study: str, page: str, table: str) -> None:
    """Copy a study's page, and write its table as Markdown, to where Kubeflow shows them."""
    shutil.copyfile(Path(study) / STUDY_PAGE, page)
    write_text(Path(table), f"```\n{render_study(Path(study))}\n```\n")
