"""A bundle as chat messages, for programs that know nothing of tasks and readings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...data.errors import ConfigError
from ...models.requests.layout import naming_sentences, own_text
from ...models.roles.judge import ANSWER_LEAD, answer_instruction
from ..bulk.bundle import Bundle
from ..readings.choose import Reading
from ..readings.fitted import FittedReading


@dataclass(frozen=True, slots=True)
class Question:
    """What is sent with the images, in this order: images, the example's text, the prompt.

    images: names of the images. has_text: whether a text of the example's own comes between.
    prompt: judge prompt and answer instruction. max_tokens: of the reply.
    """

    images: tuple[str, ...]
    has_text: bool
    prompt: str
    max_tokens: int

    def text(self, placeholder: str) -> str:
        """The text part of the message, with a placeholder for the example's own text."""
        return own_text(placeholder if self.has_text else None) + self.prompt


def question(bundle: Bundle) -> Question:
    """What one request asks.

    Raises ConfigError for a judge that takes several requests for a verdict and puts their
    probabilities together, or whose probabilities are read as a run has fitted them.
    """
    task, config = bundle.task, bundle.judge
    if task.compare == "scores":
        raise _needs_blpo("each image of a pair is judged on its own, and the scores are compared")
    if task.criteria:
        raise _needs_blpo("every criterion is a question of its own, and a rule joins the answers")
    if (reading := lost_reading(bundle)) is not None:
        raise _needs_blpo(f"its probabilities are read as fitted (reading: {reading.family})")
    prompt = f"{bundle.judge_prompt}\n{answer_instruction(task, config.reasoning)}"
    images = task.image_columns
    if len(images) > 1:
        prompt = f"{' '.join(naming_sentences(len(images), task.images))}\n{prompt}"
    return Question(
        images=images,
        has_text=task.carries_text,
        prompt=prompt,
        max_tokens=config.max_tokens + (config.reasoning or 0),
    )


def lost_reading(bundle: Bundle) -> Reading | None:
    """The reading that a prompt alone is without, where that may change a label."""
    reading = bundle.rules.reading
    if isinstance(reading, FittedReading) and reading.keeps_labels:
        return None
    return reading


def chat_messages(asked: Question) -> list[dict[str, Any]]:
    """One user message, with `{{image}}`, `{{text}}` and so on in place of what changes."""
    images = [{"type": "image_url", "image_url": {"url": f"{{{{{n}}}}}"}} for n in asked.images]
    return [
        {"role": "user", "content": [*images, {"type": "text", "text": asked.text("{{text}}")}]}
    ]


def chat_body(bundle: Bundle) -> dict[str, Any]:
    """A chat completion, with the placeholders of `chat_messages`."""
    asked = question(bundle)
    return {
        "model": bundle.judge.judge.model,
        "messages": chat_messages(asked),
        "temperature": 0,
        "max_tokens": asked.max_tokens,
    }


def label_columns(bundle: Bundle) -> tuple[str, ...]:
    """Columns of the labels.csv that the prompt is measured on."""
    asked = question(bundle)
    return (*asked.images, *(("text",) if asked.has_text else ()), "label")


def label_pattern(bundle: Bundle) -> str:
    """A regular expression whose first group is the label in a reply; case does not matter.

    Longer labels go first: one may begin another.
    """
    labels = "|".join(map(_escaped, sorted(bundle.task.labels, key=len, reverse=True)))
    start = f"{ANSWER_LEAD}\\W*" if bundle.judge.reasoning else r"^\W*"
    return rf"{start}({labels})(?!\w)"


def expectation(bundle: Bundle) -> str:
    """What agreement to expect, and of which judge, in a sentence."""
    found = bundle.expected
    low, high = found.ci95["accuracy"]
    told = (
        f"Agreement on {found.n} test images: accuracy {found.accuracy:.3f} (95 % interval "
        f"{low:.3f} to {high:.3f}), macro F1 {found.macro_f1:.3f}, measured with "
        f"{_measured_with(bundle.aligned)}. Another model, or another way to ask it, is another "
        "judge: measure it before you rely on it."
    )
    return f"{told} {bundle.left_out}".rstrip()


def _measured_with(aligned: Mapping[str, str]) -> str:
    """The judge that the prompt was aligned with, in words."""
    revision, layout = aligned.get("revision"), aligned.get("layout")
    told = f"{aligned.get('model')}"
    told += f" (revision {revision})" if revision else ""
    if aligned.get("engine") != aligned.get("model"):
        told += f" on {aligned.get('engine')}"
    return told if layout in {None, "none"} else f"{told}, asked in layout {layout}"


def _escaped(label: str) -> str:
    """For Python and JavaScript alike: only what means something is escaped."""
    return "".join(f"\\{sign}" if sign in r"\^$.|?*+()[]{}/" else sign for sign in label)


def _needs_blpo(why: str) -> ConfigError:
    return ConfigError(
        f"the prompt alone is not this judge: {why}; export it as a bundle (or mlflow), which "
        "`blpo judge --bundle` runs"
    )
