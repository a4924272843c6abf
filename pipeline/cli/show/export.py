"""What an export wrote, and how to go on with it."""

import shlex
from pathlib import Path

from ...bulk.bundle import Bundle
from ...export.messages import expectation, label_columns
from ...runs.local_model import is_path_here
from .printing import SYNTHETIC, print_json, stdout_console

_NEXT = {
    "bundle": "blpo judge DATASET --bundle {path} --out verdicts.parquet",
    "text": "send the prompt behind the image",
    "openai": "put a data: or http address in place of {{image}}, and POST it to /chat/completions",
    "vllm": "put a data: or http address in place of {{image}}, and POST it to /chat/completions",
    "promptfoo": "with labels.csv (columns {columns}) beside it: npx promptfoo eval -c {path}",
    "inspect": "with labels.csv (columns {columns}): inspect eval {path} --model MODEL "
    "-T labels=labels.csv",
    "mlflow": "mlflow.pyfunc.load_model({path}).predict(frame), with blpo installed",
}

_PROMPTS = ("text", "openai", "vllm")
_FOR_SERVERS = ("openai", "vllm", "promptfoo")
_MEASURED = ("promptfoo", "inspect")
_WHOLE = ("bundle", "mlflow")


def show_export(bundle: Bundle, name: str, path: Path, *, as_json: bool) -> None:
    following, notes = _following(bundle, name, path), _notes(bundle, name)
    if as_json:
        notes = [bundle.left_out, *notes] if bundle.left_out else notes
        expected = bundle.expected.model_dump(mode="json")
        told = {"format": name, "path": str(path), "next": following, "notes": notes}
        print_json(told | {"expected": expected})
        return
    console = stdout_console()
    console.print(f"{path}: judge of {bundle.name} as {name}", soft_wrap=True)
    console.print(expectation(bundle), soft_wrap=True)
    for note in notes:
        console.print(note, soft_wrap=True)
    console.print(f"next: {following}", soft_wrap=True)
    if bundle.synthetic:
        console.print(SYNTHETIC)


def _following(bundle: Bundle, name: str, path: Path) -> str:
    columns = ", ".join(label_columns(bundle)) if name in _MEASURED else ""
    quoted = repr(str(path)) if name == "mlflow" else shlex.quote(str(path))
    following = _NEXT[name].replace("{columns}", columns).replace("{path}", quoted)
    if name in _PROMPTS and bundle.task.carries_text:
        following += "; {{text}} stands for the example's own text"
    return following


def _notes(bundle: Bundle, name: str) -> list[str]:
    """What of the judge's model has to be set elsewhere."""
    judge = bundle.judge.judge
    is_path = is_path_here(judge)
    if name in _WHOLE and is_path and not Path(judge.model).expanduser().is_absolute():
        return [
            f"its model {judge.model} is a path from this folder: from another one, use it beside "
            "or below the model's folder, or name the model with --set judge.model=PATH"
        ]
    if name in _FOR_SERVERS and (is_path or (judge.is_synthetic and judge.kind != "openai")):
        return [
            f"no server has its model {judge.model} under that name: set model and address to "
            "your server's"
        ]
    return []
