"""The report of a run: one HTML file that needs nothing else, drawn from the run's record alone.

The same record gives the same bytes. Prompts and model texts are untrusted: the template escapes
every text, and isolates its direction (`<bdi>`, `dir="auto"`) from what stands around it; only the
plots go in as markup, and they hold nothing but numbers and fixed words.
"""

import base64
import difflib
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import chain, zip_longest
from typing import Any, Literal

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from PIL import Image

from ...data.errors import DataError
from ...data.examples import Example
from ...data.images import ImageRef, decode_image
from ...data.shown import shown
from ...models.roles.judge import Verdict, answer_instruction
from ..metrics.agreement import accuracy, group_confusions, macro_f1
from ..metrics.intervals import Interval
from ..result import LAYOUT_NOTE, CallCounts, RunRecord
from ..search.step import ShownCase, Step, num_right
from .conclusion import excludes_zero, finding, signed, signed_interval
from .failure_lines import failure_lines
from .pair_rows import pair_note, pair_rows
from .plots import METRICS, interval_plot, trajectory_plot
from .scorecard_view import scorecard_view

Change = Literal["fixed", "broken", "other"]

_GALLERY_SIZE = 12
_THUMBNAIL_PX = 160
_FEWEST_SHARED_WORDS = 3
_NOT_IN_HTML = re.compile("[\x00\r\ud800-\udfff]")


def render_report(record: RunRecord) -> str:
    """The whole report as HTML text."""
    result = record.result
    steps = [_step_view(step, record.task.labels) for step in record.steps]
    trajectory = [(v.step.index, v.macro_f1, v.accuracy) for v in steps if v.step.examples]
    changes = _changes(record.dataset.test, record.initial_verdicts, record.final_verdicts)
    return _template().render(
        record=record,
        result=result,
        task=record.task,
        layout_note=LAYOUT_NOTE,
        metrics=METRICS,
        answer_instruction=answer_instruction(record.task, record.config.reasoning),
        finding=finding(result, record.task.primary_metric),
        failure_lines=failure_lines(result.failures),
        interval_plot=interval_plot(result.test),
        judge_diff=PromptDiff.make(result.judge_prompt_initial, result.judge_prompt_final),
        i2t_diff=PromptDiff.make(
            record.config.i2t_prompt or record.task.i2t_prompt, result.i2t_prompt_final
        ),
        steps=steps,
        trajectory_plot=trajectory_plot(trajectory) if trajectory else "",
        last_shown=_last_shown(record.steps),
        changes=changes,
        shown_changes=_spread(changes, _GALLERY_SIZE),
        total_calls=_total(result.calls.values()),
        pair_rows=pair_rows(result.test.initial.pairs, result.test.final.pairs),
        pair_note=pair_note(record.task, record.config.orders),
        **scorecard_view(record),
    )


@cache
def _template() -> Template:
    file = resources.files("blpo.pipeline.report") / "templates" / "report.html.j2"
    environment = Environment(
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_representable,
    )
    filters: dict[str, Any] = environment.filters
    filters |= {
        "score": "{:.3f}".format,
        "shown": shown,
        "probability": "{:.2f}".format,
        "thousands": "{:,}".format,
        "signed": signed,
        "interval": _interval,
        "signed_interval": signed_interval,
        "percent": _percent,
        "bar": _bar,
        "excludes_zero": excludes_zero,
        "thumbnail": thumbnail,
    }
    return environment.from_string(file.read_text("utf-8"))


def _representable(value: Any) -> Any:
    """A text with escapes for what no HTML holds: browsers drop NUL and turn CR into LF."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _NOT_IN_HTML.sub(lambda match: ascii(match[0])[1:-1], value)


def _interval(interval: Interval) -> str:
    return "{:.3f} to {:.3f}".format(*interval)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _bar(share: float) -> str:
    """Length of a bar as CSS."""
    return f"{100 * min(max(share, 0), 1):.1f}%"


# ------------------------------------------------------------------------------------ word diff

Span = tuple[bool, str]
"""Whether a stretch of text is on this side only, and the text."""


@dataclass(frozen=True, slots=True)
class PromptDiff:
    """Two prompts cut into what both have and what one has; each side joins to its whole text."""

    old: list[Span]
    new: list[Span]

    @classmethod
    def make(cls, old: str, new: str) -> "PromptDiff":
        """Compares words; white space goes with the word before it and is not compared.

        One or two words that stay the same between two changes count as changed: a rewritten
        sentence would fall to pieces around every "the".
        """
        old_words, new_words = (re.findall(r"\s*\S+\s*|\s+", text) for text in (old, new))
        matcher = difflib.SequenceMatcher(
            None, list(map(str.strip, old_words)), list(map(str.strip, new_words)), autojunk=False
        )
        diff, opcodes = cls([], []), matcher.get_opcodes()
        for i, (tag, old_from, old_to, new_from, new_to) in enumerate(opcodes):
            is_stray = 0 < i < len(opcodes) - 1 and old_to - old_from < _FEWEST_SHARED_WORDS
            changed = tag != "equal" or is_stray
            diff.old.append((changed, "".join(old_words[old_from:old_to])))
            diff.new.append((changed, "".join(new_words[new_from:new_to])))
        return diff

    @property
    def is_same(self) -> bool:
        """Whether they are equal to the last character."""
        old, new = ("".join(text for _, text in side) for side in (self.old, self.new))
        return old == new


# ---------------------------------------------------------------------- trajectory of the run


@dataclass(frozen=True, slots=True)
class StepView:
    """A step with the agreement of its judge prompt on the training examples judged under it."""

    step: Step
    accuracy: float
    macro_f1: float
    num_misjudged: int


def _step_view(step: Step, labels: Sequence[str]) -> StepView:
    confusion = group_confusions(step.examples, step.verdicts, labels).sum(axis=0)
    return StepView(
        step,
        float(accuracy(confusion)),
        float(macro_f1(confusion)),
        len(step.examples) - num_right(step.examples, step.verdicts),
    )


# -------------------------------------------------------------------------------------- gallery


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A test example whose verdict is another one under the final prompt."""

    example: Example
    before: Verdict
    after: Verdict

    @property
    def kind(self) -> Change:
        if self.after.label == self.example.label:
            return "fixed"
        return "broken" if self.before.label == self.example.label else "other"


def _last_shown(steps: Sequence[Step]) -> tuple[Step, Sequence[ShownCase]] | None:
    """The last step whose optimizer was shown examples, and the first of them."""
    step = next((step for step in reversed(steps) if step.shown), None)
    return (step, step.shown[:_GALLERY_SIZE]) if step else None


def _changes(
    examples: Sequence[Example], initial: Sequence[Verdict], final: Sequence[Verdict]
) -> dict[Change, list[ChangeView]]:
    """Test examples with another verdict, by what became of them, in test order."""
    changes: dict[Change, list[ChangeView]] = {"fixed": [], "broken": [], "other": []}
    for example, before, after in zip(examples, initial, final, strict=True):
        if before.label != after.label:
            view = ChangeView(example, before, after)
            changes[view.kind].append(view)
    return changes


def _spread(changes: dict[Change, list[ChangeView]], size: int) -> list[ChangeView]:
    """At most `size` of them, every kind as often as its number allows."""
    turns = chain.from_iterable(zip_longest(*changes.values()))
    chosen = [view for view in turns if view is not None][:size]
    return [view for kind in changes for view in chosen if view.kind == kind]


def thumbnail(image: ImageRef) -> str:
    """A data URI of the image, at most 160 px a side; empty if it cannot be decoded."""
    try:
        pixels = decode_image(image)
    except DataError:
        return ""
    pixels.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    pixels.save(buffer, format="JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _total(calls: Iterable[CallCounts]) -> CallCounts:
    rows = [row.model_dump() for row in calls]
    return CallCounts(**{name: sum(row[name] for row in rows) for name in CallCounts.model_fields})
