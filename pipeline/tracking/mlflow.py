"""MLflow. Where: `MLFLOW_TRACKING_URI`. Which experiment: `MLFLOW_EXPERIMENT_NAME`, or blpo."""

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...data.errors import ConfigError

_EXPERIMENT = "blpo"
_RUN_ID = "blpo.run_id"
_MOST_PARAMS = 100
"""In one request."""
_LONGEST_PARAM = 500
"""Characters that every server takes."""
_opening = threading.Lock()


class MlflowTracker:
    """Contract: `Tracker`. A run that is resumed is the same run there."""

    def __init__(self) -> None:
        # MLflow's own patience with a server that is gone is minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        import mlflow  # noqa: PLC0415

        self._mlflow: Any = mlflow
        self._client: Any = None
        self._run = ""

    def start(self, name: str, run_id: str, params: Mapping[str, str]) -> str:
        self._client = self._opened()
        with _opening:
            experiment = self._experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", _EXPERIMENT))
        self._run = self._open(experiment, name, run_id)
        given = [self._param(key, value) for key, value in params.items()]
        for first in range(0, len(given), _MOST_PARAMS):
            self._client.log_batch(self._run, params=given[first : first + _MOST_PARAMS])
        return f"run {self._run} at {self._mlflow.get_tracking_uri()}"

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        for key, value in metrics.items():
            self._client.log_metric(self._run, key, value, step=step)

    def finish(
        self, metrics: Mapping[str, float], files: Sequence[Path], texts: Mapping[str, str]
    ) -> None:
        for key, value in metrics.items():
            self._client.log_metric(self._run, key, value)
        for file in files:
            self._client.log_artifact(self._run, str(file))
        for name, text in texts.items():
            self._client.log_text(self._run, text, name)
        self._client.set_terminated(self._run)

    def _opened(self) -> Any:
        """Raises ConfigError for a place that MLflow, as it is installed here, cannot log to."""
        try:
            return self._mlflow.MlflowClient()
        except self._mlflow.MlflowException:
            told = os.environ.get("MLFLOW_TRACKING_URI")
            why = f"MLFLOW_TRACKING_URI is {told}" if told else "MLFLOW_TRACKING_URI is not set"
            raise ConfigError(
                f"{why}: set it to the address of an MLflow server, such as http://HOST:5000"
            ) from None

    def _param(self, key: str, value: str) -> Any:
        return self._mlflow.entities.Param(key, value[:_LONGEST_PARAM])

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        return found.experiment_id if found else self._client.create_experiment(name)

    def _open(self, experiment: str, name: str, run_id: str) -> str:
        earlier = self._client.search_runs([experiment], f"tags.`{_RUN_ID}` = '{run_id}'")
        if earlier:
            return earlier[0].info.run_id
        tags = {_RUN_ID: run_id}
        return self._client.create_run(experiment, run_name=name, tags=tags).info.run_id
