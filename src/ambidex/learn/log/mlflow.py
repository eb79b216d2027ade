"""MLflow: a run with the parameters, the points of each logging step, and the values of each epoch.

Needs the extra: pip install 'ambidex[mlflow]'. A resumed training goes on in its run, whose id stands beside the model.
Names and passwords of a server belong into MLflow's own environment variables, never into parameters.
"""

import importlib.util
import os
import time
from collections.abc import Mapping
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from ambidex.base.errors import ParamsError
from ambidex.base.files import write_text
from ambidex.base.section import Section
from ambidex.learn.log import Logger, Training

RUN_FILE = "mlflow_run.txt"
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # training waits while a server does not answer
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds
    "MLFLOW_ALLOW_FILE_STORE": "true",  # MLflow 3 writes into a plain folder only where this is said
}
"""MLflow's settings where the environment has none"""
_PARAMS_AT_ONCE = 100


class MLflow(Logger):
    """A run on a tracking server, or in a folder."""

    class Config(Section):
        """Where the run is kept."""

        tracking_uri: str | None = Field(
            None,
            description="a server or a folder; missing: what MLFLOW_TRACKING_URI says, else what MLflow takes",
        )
        experiment: str = Field(
            "ambidex", min_length=1, max_length=200, description="made where there is none"
        )
        run_name: str | None = Field(None, max_length=200, description="missing: the name of the output")

        @field_validator("tracking_uri")
        @classmethod
        def _no_secret(cls, value: str | None) -> str | None:
            if value is not None and "@" in urlsplit(value).netloc:
                raise ValueError(
                    "an address with a name or password; use MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
                )
            return value

    @classmethod
    def check(cls) -> None:
        """MLflow is an extra."""
        if importlib.util.find_spec("mlflow") is None:
            raise ParamsError(
                "logger 'mlflow' needs a package that is not here: pip install 'ambidex[mlflow]'"
            )

    def __init__(self, config: Any, training: Training) -> None:
        super().__init__(config, training)
        for name, value in _DEFAULTS.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient

        self.client = MlflowClient(config.tracking_uri)
        place = training.folder / RUN_FILE
        if training.steps and place.exists():
            self.run = place.read_text().strip()
            self.client.update_run(self.run, status="RUNNING")
            return
        self.run = self._new_run()
        write_text(place, self.run + "\n")
        self._log_facts()

    def points(self, values: Mapping[str, float], step: int) -> None:
        """A metric each, all in one request."""
        from mlflow.entities import Metric

        now = int(time.time() * 1_000)
        self.client.log_batch(
            self.run, metrics=[Metric(name, value, now, step) for name, value in values.items()]
        )

    def close(self, complete: bool) -> None:
        """Say how the run ended: finished, or stopped for now."""
        self.client.set_terminated(self.run, "FINISHED" if complete else "KILLED")

    def _new_run(self) -> str:
        name = self.config.experiment
        experiment = self.client.get_experiment_by_name(name)
        experiment_id = (
            self.client.create_experiment(name) if experiment is None else experiment.experiment_id
        )
        run = self.client.create_run(experiment_id, run_name=self.config.run_name or self.training.name)
        return str(run.info.run_id)

    def _log_facts(self) -> None:
        from mlflow.entities import Param

        facts = (Param(name, str(value)[:500]) for name, value in self.training.facts.items())
        while some := list(islice(facts, _PARAMS_AT_ONCE)):
            self.client.log_batch(self.run, params=some)
