"""Inspect: a task file that measures the prompt on labelled images."""

import shlex

from ..bulk.bundle import Bundle
from .messages import expectation, label_columns, label_pattern, question

_FILE = '''"""{title}

{expectation}

    inspect eval {file} --model MODEL -T labels=labels.csv

labels.csv has the columns {columns}; images are paths or URLs.
"""

from inspect_ai import Task, task
from inspect_ai.dataset import Sample, csv_dataset
from inspect_ai.model import ChatMessageUser, ContentImage, ContentText, GenerateConfig
from inspect_ai.scorer import pattern
from inspect_ai.solver import generate

PROMPT = {prompt!r}
IMAGES = {images!r}
HAS_TEXT = {has_text!r}
LABEL = {pattern!r}


def sample(row: dict) -> Sample:
    text = f"Text: {{row['text']}}\\n{{PROMPT}}" if HAS_TEXT else PROMPT
    images = [ContentImage(image=row[name]) for name in IMAGES]
    message = ChatMessageUser(content=[*images, ContentText(text=text)])
    return Sample(input=[message], target=row["label"], id="|".join(row[name] for name in IMAGES))


@task
def {function}(labels: str = "labels.csv") -> Task:
    return Task(
        dataset=csv_dataset(labels, sample),
        solver=generate(),
        scorer=pattern(LABEL),
        config=GenerateConfig(temperature=0, max_tokens={max_tokens}),
    )
'''


def inspect_task(bundle: Bundle) -> str:
    """A Python file with one Inspect task. Its scorer reads the label from the reply."""
    asked = question(bundle)
    return _FILE.format(
        title=_one_line(f"{bundle.task.name}: {bundle.task.description}"),
        expectation=_one_line(expectation(bundle)),
        file=shlex.quote(f"{bundle.name}_inspect.py"),
        columns=", ".join(label_columns(bundle)),
        prompt=asked.prompt,
        images=asked.images,
        has_text=asked.has_text,
        pattern=label_pattern(bundle),
        function=f"judge_{bundle.task.name.replace('-', '_')}",
        max_tokens=asked.max_tokens,
    )


def _one_line(text: str) -> str:
    """A text that cannot end the docstring that it stands in."""
    return " ".join(text.split()).replace("\\", "/").replace('"', "'")
