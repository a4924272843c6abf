"""MLflow: a model folder that `mlflow.pyfunc.load_model` loads, with the bundle in it.

The folder is written without MLflow; `blpo` is what it needs where it is loaded.
"""

from typing import TYPE_CHECKING, Any, cast

import yaml

from ..bulk.bundle import Bundle, bundle_text

if TYPE_CHECKING:
    from ..api.judge import Judge

_BUNDLE = "judge.bundle.json"


def mlflow_model(bundle: Bundle) -> dict[str, str]:
    """The files of the model folder."""
    flavor = {
        "loader_module": __name__,
        "data": _BUNDLE,
        "python_version": bundle.software["python"],
        "env": {"virtualenv": "python_env.yaml"},
    }
    found = bundle.expected
    model = {
        "flavors": {"python_function": flavor},
        "metadata": {
            "task": bundle.task.name,
            "model": bundle.aligned.get("model"),
            "revision": bundle.aligned.get("revision"),
            "expected_accuracy": found.accuracy,
            "expected_macro_f1": found.macro_f1,
            "expected_n": found.n,
        },
    }
    requirement = f"blpo=={bundle.software['blpo']}\n"
    environment = {
        "python": bundle.software["python"],
        "build_dependencies": ["pip"],
        "dependencies": ["-r requirements.txt"],
    }
    return {
        "MLmodel": yaml.safe_dump(model, sort_keys=False),
        _BUNDLE: bundle_text(bundle),
        "requirements.txt": requirement,
        "python_env.yaml": yaml.safe_dump(environment, sort_keys=False),
    }


class JudgeModel:
    """What MLflow calls: a pandas frame of images in, one of verdicts out, in the same order."""

    def __init__(self, judge: "Judge") -> None:
        self.judge = judge

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Rows and columns as of `Judge`; `params` are not used."""
        del params
        from ...data.frames import pl  # noqa: PLC0415

        images = cast("pl.DataFrame", pl.from_pandas(model_input))
        return self.judge(images).to_pandas()


def _load_pyfunc(path: str) -> JudgeModel:  # pyright: ignore[reportUnusedFunction]
    """By this name MLflow loads a model. path: of the bundle."""
    from ..api.judge import Judge  # noqa: PLC0415

    return JudgeModel(Judge(path))
