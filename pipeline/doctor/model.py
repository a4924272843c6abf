"""A judge: its files, template and label tokens, or its server, and a question to it."""

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import closing

from PIL import Image, ImageDraw

from ...data.examples import Example
from ...data.images import ImageBounds, ImageRef
from ...data.shown import shortened
from ...data.tasks import Task
from ...models.engine import SHIPPED, Engine, Reply, Request, Sampling
from ...models.engines.factory import make_engine
from ...models.engines.inspection import ModelFacts, inspect_model
from ...models.engines.settings import EngineSettings
from ...models.ideal.labels import known_labels
from ...models.roles.criteria_judge import as_task
from ...models.roles.judge import TEXT_VERDICT_TOKENS, Verdict, answer_instruction, read_verdict
from ..config import THINKING_TOKENS
from ..metrics.label_mass import LOW_LABEL_MASS
from ..runs.roles import thinking_budget
from ..search.failures import reason_kind
from .check import Check, error, ok, warning


def model_checks(settings: EngineSettings, task: Task) -> Iterator[Check]:
    """What can be told without loading weights. Raises EngineError for a model that is refused."""
    if settings.kind == "openai":
        yield _key(settings)
    elif settings.is_program:
        yield ok("model", f"the {settings.kind} program: for the synthetic test bench only")
    else:
        yield from _local_model(settings, task)


def probe_checks(
    settings: EngineSettings, task: Task, example: Example | None = None
) -> Iterator[Check]:
    """Ask the model two questions about one image. example: of train; None for a drawn image.

    Raises EngineError if the engine does not start or the server does not answer.
    """
    shown = drawn_image() if example is None else example.image
    named = (
        "a drawn image"
        if example is None
        else f"{shortened(example.example_id)}, the first image of the train split,"
    )
    questions = _questions(settings, task, shown)
    with closing(make_engine(settings.taking(task.images_per_request))) as engine:
        replies = _asked_in_turn(engine, questions)
    yield from _verdict_checks(settings, replies, task, named)
    yield from _departures(replies)
    if not settings.is_program:
        yield _encode_once(settings, replies)


def _questions(settings: EngineSettings, task: Task, image: ImageRef) -> list[Request]:
    """Two that differ only in what stands behind the image, which is shown in every role."""
    prompts = (task.judge_prompt, f"{task.judge_prompt} Look at the whole image.")
    asked, question = task, ""
    if task.criteria:
        asked, question = as_task(task.criteria[0], task), f"\n{task.criteria[0].question}"
    num_tokens = TEXT_VERDICT_TOKENS + thinking_budget(settings, THINKING_TOKENS)
    return [
        Request(
            f"{prompt}{question}\n{answer_instruction(asked, None)}",
            image,
            "A test image." if task.carries_text else None,
            task.asked_labels,
            sampling=Sampling(num_tokens),
            further_images=(image,) * (task.images_per_request - 1),
            image_roles=task.images,
        )
        for prompt in prompts
    ]


def drawn_image() -> ImageRef:
    """A disc on a ground, for a question whose answer does not matter."""
    picture = Image.new("RGB", (224, 224), (210, 200, 180))
    ImageDraw.Draw(picture).ellipse((60, 60, 160, 160), fill=(40, 90, 160))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return ImageRef(buffer.getvalue(), ImageBounds())


def _asked_in_turn(engine: Engine, requests: Sequence[Request]) -> list[Reply]:
    """One after the other: the second finds in the cache what the first has left there."""
    return [reply for request in requests for reply in engine.ask([request])]


def _key(settings: EngineSettings) -> Check:
    """Whether the key is there; never the key."""
    name = settings.api_key_env
    if name is None:
        return ok("key", "none configured (api_key_env)")
    key = os.environ.get(name, "")
    if not key.strip():
        return error("key", f"{name} is not set: export it before the run")
    if key != key.strip() or not key.isascii() or not key.isprintable():
        return error("key", f"{name} holds spaces, line breaks or other characters: set it anew")
    return ok("key", f"{name} is set, {len(key)} characters")


def _local_model(settings: EngineSettings, task: Task) -> Iterator[Check]:
    facts = inspect_model(settings.taking(task.images_per_request), task.asked_labels)
    if facts.folder is None:
        told = f"{settings.model} is not on this machine yet: hf download {settings.model}"
        yield warning("model", f"{told} (or the first run downloads it)")
    else:
        yield ok("model", facts.folder)
    yield ok("images", f"before the text, at least {facts.max_images} in one request")
    yield _thought(settings, facts)
    yield ok("end of turn", " or ".join(map(repr, facts.ends)))
    yield _labels(facts)


def _thought(settings: EngineSettings, facts: ModelFacts) -> Check:
    begins = f"the reply begins after {facts.suffix[-40:]!r}"
    if settings.thinking == "off":
        return ok("thinking", f"off; {begins}")
    if facts.thought is None:
        return warning("thinking", "on, but this model has no thoughts: set `thinking: off`")
    return ok("thinking", f"on, in {facts.thought}; direct verdicts need `verdict: reasoned`")


def _labels(facts: ModelFacts) -> Check:
    told = ", ".join(
        f"{label.label} = {'+'.join(map(repr, label.tokens))}" for label in facts.labels
    )
    reads = (
        "1 read of the next token for a verdict"
        if facts.num_reads == 1
        else f"{facts.num_reads} reads of the next token for a verdict; labels of one token need 1"
    )
    return ok("label tokens", f"{told}; {reads}")


def _verdict_checks(
    settings: EngineSettings, replies: Sequence[Reply], task: Task, named: str
) -> Iterator[Check]:
    """named: the image that was asked about, in words."""
    failed = next((reply.error for reply in replies if reply.error), None)
    if failed is not None:
        yield error("probe", f"the question failed: {failed}{_known_labels(settings, task)}")
        return
    verdicts = [read_verdict(reply, task.asked_labels) for reply in replies]
    for reply, verdict in zip(replies, verdicts, strict=True):
        if verdict.label is None:
            yield error("probe", _without_label(reply, verdict, task))
            return
    yield ok("probe", f"the verdict on {named} is {verdicts[0].label}")
    yield _label_mass(verdicts[0].label_mass, _known_labels(settings, task))


def _without_label(reply: Reply, verdict: Verdict, task: Task) -> str:
    """What was replied, which labels there are, and what to do."""
    text = " ".join(reply.text.split())
    said = repr(shortened(text)) if text else "nothing"
    return (
        f"no label in the reply ({reason_kind(verdict.reason)}): the judge wrote {said}, the "
        f"labels are {', '.join(task.asked_labels)}; name the labels in answer_instruction, or "
        "declare them as the model writes them"
    )


def _known_labels(settings: EngineSettings, task: Task) -> str:
    """Which labels a judge of the test bench gives, where those of the task are none of them."""
    is_shipped = settings.kind in ("vllm", "transformers") and settings.model in SHIPPED
    is_of_bench = is_shipped or settings.kind == "ideal"
    told = known_labels(task.asked_labels) if is_of_bench else ""
    return told and f": {told}"


def _departures(replies: Sequence[Reply]) -> Iterator[Check]:
    """What a server does not take of a request; nothing of one that takes it all."""
    points = dict.fromkeys(point for reply in replies for point in reply.departures)
    if points:
        told = f"the server takes a request {', '.join(points)} only"
        yield warning("departures", f"{told}: its verdicts are those of what it is sent")


def _label_mass(mass: float | None, known: str) -> Check:
    """known: of `_known_labels`."""
    if mass is None:
        return warning(
            "label mass",
            "unknown: the engine gives no log-probabilities, and verdicts are read from text",
        )
    told = f"{mass:.3f} of the probability is on the labels"
    if mass >= LOW_LABEL_MASS:
        return ok("label mass", told)
    if known:
        return warning("label mass", f"{told}, which this judge of the test bench lacks{known}")
    return warning(
        "label mass",
        f"{told}: name them in answer_instruction as they are declared, or set `verdict: reasoned`",
    )


def _encode_once(settings: EngineSettings, replies: Sequence[Reply]) -> Check:
    first, second = replies
    share = second.cached_tokens / max(second.prompt_tokens, 1)
    told = f"{second.cached_tokens} of {second.prompt_tokens} tokens of a second prompt were cached"
    if second.cached_tokens > first.cached_tokens or (share > 0 and first.cached_tokens):
        return ok("encode once", told)
    if settings.kind != "vllm":
        return ok("encode once", f"not known of an engine of kind {settings.kind}")
    return warning("encode once", f"{told}: every prompt encodes the image again, which is slow")
