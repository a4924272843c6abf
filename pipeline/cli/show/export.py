"""What an export wrote, and how to go on with it."""

from pathlib import Path

from ...bulk.bundle import Bundle
from ...export.messages import expectation
from .printing import print_json, stdout_console

_NEXT = {
    "bundle": "blpo judge DATASET --bundle {path} --out verdicts.parquet",
    "text": "send the prompt behind the image",
    "openai": "put a data: or http address in place of {{image}}, and POST it to /chat/completions",
    "vllm": "put a data: or http address in place of {{image}}, and POST it to /chat/completions",
    "promptfoo": "with labels.csv beside it: npx promptfoo eval -c {path}",
    "inspect": "inspect eval {path} --model MODEL -T labels=labels.csv",
    "mlflow": "mlflow.pyfunc.load_model({path!r}).predict(frame), with blpo installed",
}

_PROMPTS = ("text", "openai", "vllm")


def show_export(bundle: Bundle, name: str, path: Path, *, as_json: bool) -> None:
    following = _NEXT[name].replace("{path!r}", repr(str(path))).replace("{path}", str(path))
    if name in _PROMPTS and bundle.task.carries_text:
        following += "; {{text}} stands for the example's own text"
    if as_json:
        expected = bundle.expected.model_dump(mode="json")
        print_json({"format": name, "path": str(path), "next": following, "expected": expected})
        return
    console = stdout_console()
    console.print(f"{path}: judge of {bundle.name} as {name}", soft_wrap=True)
    console.print(expectation(bundle), soft_wrap=True)
    console.print(f"next: {following}", soft_wrap=True)
    if bundle.synthetic:
        console.print("Synthetic test bench: these figures say nothing about real judges.")
