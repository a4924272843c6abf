"""Questions about scenes whose prompts say how aspects are weighed."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import train_micro as micro
from blpo.data.micro.blocks import Blocks, manner_of
from blpo.data.micro.clause_words import LLM_FILLERS
from blpo.data.micro.clauses import strip_marks
from blpo.data.micro.meaning import Meaning, Weighing, described, understood_verdict
from blpo.data.micro.phrasings import KINDS, Phrasings, Statement, combined
from blpo.data.micro.wordings import compose, draw_prompt, instruction, mentions
from blpo.data.micro.world import Family, Scale, Scene, aspect_names, describe, named_aspects

from .knobs import NO_KNOBS, Knobs
from .plans import Plan

_OTHER_SCALES: tuple[Scale, ...] = (
    "safety", "naturalness", "alignment", "naturalness", "alignment", "match",
)  # fmt: skip
_NUM_NAMES = (0, 1, 1, 2, 2, 3, 3, 4, 5)
"""How many aspects plain sentences name, each with equal chances."""


Drawn = tuple[str, Meaning, Sequence[Statement]]
"""A prompt with marks, without an answer instruction; what it means; its statements."""


@dataclass(frozen=True, slots=True)
class Asked(micro.Question):
    """A question with its meaning.

    marked: the prompt with the marks of clauses and sentences. kind: of its first statement.
    labels: what a leaning makes of the verdict, with shares; empty without one.
    """

    meaning: Meaning = field(default_factory=Meaning)
    marked: str = ""
    statements: tuple[Statement, ...] = ()
    kind: str = "plain"
    labels: Mapping[str, float] = field(default_factory=dict[str, float])


def ask(
    rng: random.Random,
    scene: Scene,
    plan: Plan,
    knobs: Knobs = NO_KNOBS,
    *,
    blocks: bool = False,
) -> Asked:
    """A random question about the scene; most want a description where knobs change those.

    blocks: with a long prompt in the manner of language models.
    """
    if knobs.changes_descriptions:
        if rng.random() < plan.many:
            return with_knobs(ask_many(rng, scene), scene, knobs)
        plan = replace(plan, describe=0.8)
    elif blocks:
        plan = replace(plan, describe=plan.describe_blocks)
    asked = ask_blocks(rng, scene, plan) if blocks else _ask(rng, scene, plan)
    return with_knobs(asked, scene, knobs)


def ask_many(rng: random.Random, scene: Scene) -> Asked:
    """For a description, by plain sentences that name up to all aspects."""
    own = aspect_names(scene.family)
    prompt = draw_prompt(rng, rng.sample(own, rng.randint(2, len(own))))
    meaning = named_meaning(prompt, scene.family)
    answer = describe(scene, described(scene.family, prompt, meaning))
    return Asked(prompt, None, answer, meaning, prompt)


def ask_blocks(rng: random.Random, scene: Scene, plan: Plan) -> Asked:
    """A question whose prompt is long, with headings and items."""
    if rng.random() < plan.describe:
        prompt = Blocks(rng, scene.family).asking()
        meaning = named_meaning(prompt, scene.family)
        names = described(scene.family, prompt, meaning)
        return Asked(prompt, None, describe(scene, names), meaning, prompt, kind="asking")
    scale = _draw_scale(rng, scene.family)
    marked, meaning, said = draw_judging_blocks(rng, scene.family, scale)
    end = f"\n{instruction(rng, scale)}"
    verdict, prompt = understood_verdict(scene, meaning, scale), strip_marks(marked)[0]
    return Asked(prompt + end, scale, verdict, meaning, marked + end, tuple(said), "blocks")


def _draw_scale(rng: random.Random, family: Family) -> Scale:
    native = rng.random() < 0.5
    return rng.choice(micro.NATIVE_SCALES[family] if native else _OTHER_SCALES)


def _ask(rng: random.Random, scene: Scene, plan: Plan) -> Asked:
    return (
        ask_meaning(rng, scene, plan) if rng.random() < plan.share else ask_plain(rng, scene, plan)
    )


def with_knobs(asked: Asked, scene: Scene, knobs: Knobs) -> Asked:
    """The same question where knobs are set."""
    if asked.scale:
        if knobs.leaning is None:
            return asked
        labels = knobs.label_shares(asked.answer, asked.scale)
        answer = max(labels, key=lambda label: labels[label])
        return replace(asked, answer=answer, labels=labels, kind=knobs.leaning)
    if not knobs.changes_descriptions:
        return asked
    names = described(scene.family, asked.prompt, asked.meaning)
    return replace(asked, answer=knobs.description(scene, names))


def ask_plain(rng: random.Random, scene: Scene, plan: Plan) -> Asked:
    """A question of the shipped model's training, in which naming is all that counts."""
    level = micro.Level(max(2, plan.max_names + 1), 8, plan.fillers, 0, 0)
    question = micro.ask(rng, scene, level)
    meaning = named_meaning(question.prompt, scene.family)
    return Asked(question.prompt, question.scale, question.answer, meaning, question.prompt)


def named_meaning(prompt: str, family: Family) -> Meaning:
    """The meaning of a prompt that weighs whatever it names."""
    return Meaning(dict.fromkeys(named_aspects(prompt, family), Weighing()))


def ask_meaning(rng: random.Random, scene: Scene, plan: Plan) -> Asked:
    """A question whose prompt has statements beside sentences that name aspects."""
    marked, meaning, statements = draw_meaning(rng, scene.family, plan)
    prompt = strip_marks(marked)[0]
    kind = statements[0].kind
    if rng.random() < plan.describe:
        answer = describe(scene, described(scene.family, prompt, meaning))
        if answer:
            return Asked(prompt, None, answer, meaning, marked, tuple(statements), kind)
    scale = _draw_scale(rng, scene.family)
    verdict, end = understood_verdict(scene, meaning, scale), f"\n{instruction(rng, scale)}"
    return Asked(prompt + end, scale, verdict, meaning, marked + end, tuple(statements), kind)


def draw_meaning(rng: random.Random, family: Family, plan: Plan) -> Drawn:
    """Statements beside sentences that name aspects."""
    names, statements = draw_statements(rng, family, plan)
    marked = compose_statements(rng, names, statements, plan.fillers)
    return marked, combined(family, names, statements), statements


def draw_judging_blocks(rng: random.Random, family: Family, scale: Scale) -> Drawn:
    """A long prompt with headings and items that asks for a verdict."""
    marked, said = Blocks(rng, family, manner_of(family, scale)).judging()
    return marked, combined(family, (), said), said


def compose_statements(
    rng: random.Random, names: Sequence[str], statements: Sequence[Statement], num_fillers: int
) -> str:
    """A prompt with marks: plain sentences about the names, and the statements among them."""
    blocks = mentions(rng, names) if names else []
    for statement in statements:
        blocks.insert(rng.randint(0, len(blocks)), statement.text)
    for _ in range(rng.randint(0, num_fillers)):
        if rng.random() < 0.6:
            blocks.insert(rng.randint(0, len(blocks)), rng.choice(LLM_FILLERS))
    return compose(rng, blocks, num_fillers if rng.random() < 0.5 else 0)


def draw_statements(
    rng: random.Random, family: Family, plan: Plan
) -> tuple[list[str], list[Statement]]:
    """Names for plain sentences, and statements of the plan's kinds, each about other aspects."""
    own = aspect_names(family)
    names = rng.sample(own, min(rng.choice(_NUM_NAMES), plan.max_names))
    free, statements = rng.sample(own, len(own)), list[Statement]()
    num = (
        1
        if plan.max_statements == 1 or rng.random() < 0.55
        else rng.randint(2, plan.max_statements)
    )
    for _ in range(num):
        kind = rng.choices(list(plan.kinds), list(plan.kinds.values()))[0]
        if kind == "except" and any(statement.all_weighed for statement in statements):
            kind = "excluded"
        about = _choose(rng, kind, names, free, own)
        if about is None:
            break
        statement = Phrasings(rng, _breadth(rng, plan, kind), plan.twists).draw(kind, about)
        free = [n for n in free if n not in statement.weighed and n not in statement.excluded]
        statements.append(statement)
    return names, statements


def _breadth(rng: random.Random, plan: Plan, kind: str) -> float:
    most = plan.breadths.get(kind, plan.breadth)
    return most if rng.random() < 0.7 else rng.random() * most


def _choose(
    rng: random.Random, kind: str, names: Sequence[str], free: Sequence[str], own: Sequence[str]
) -> list[str] | None:
    """Aspects for a statement, with even chances among the named ones; None: too few are free."""
    need = KINDS[kind] if kind != "excluded_list" else rng.choice((2, 2, 3))
    if len(free) < need:
        return None
    about = list[str]()
    for _ in range(need):
        left = [name for name in free if name not in about]
        inside = [name for name in left if name in names]
        outside = [name for name in left if name not in names]
        about.append((inside if inside and (rng.random() < 0.5 or not outside) else outside)[0])
    if kind in ("conditional", "forgiven"):
        about.append(rng.choice([name for name in own if name != about[0]]))
    return about
