"""What is asked at which step of the training."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).with_name("plans.yaml")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked up to a step.

    until: the step. kinds: weights of the kinds of statements. breadth: share of the words and
    frames in use, at most; breadths: the same for single kinds. twists: how often a condition is
    turned round by unless or by a state without fault; 3 is as often as not. share: of questions
    with statements; the others only name. describe: of those, the share that wants a description.
    max_statements, max_names, fillers: of a prompt. rows, branches: of a batch. bridge: tokens
    before the prompt, at most. claims: of a text. pictures: share of batches about pictures, the
    others are about bags. rate: of learning at the start and the end. frozen: only the probes
    learn. knobs: share of batches in which the chat template has knobs set; many: of questions
    there for descriptions, the share with up to all aspects. blocks: share of
    batches of long prompts in the manner of language models; describe_blocks: of those, the share
    of questions that want a description. pairs: share of batches about two pictures; half of them
    lean to the first.
    """

    until: int
    kinds: dict[str, float]
    breadth: float = 1.0
    breadths: dict[str, float] = field(default_factory=dict[str, float])
    twists: float = 3.0
    share: float = 0.5
    describe: float = 0.15
    max_statements: int = 2
    max_names: int = 4
    fillers: int = 1
    rows: int = 16
    branches: int = 3
    bridge: int = 0
    claims: int = 8
    pictures: float = 0.0
    rate: tuple[float, float] = (1e-3, 1e-3)
    frozen: bool = False
    knobs: float = 0.0
    many: float = 0.0
    blocks: float = 0.0
    describe_blocks: float = 0.4
    pairs: float = 0.0


def load_plans() -> list[Plan]:
    """In order."""
    fields: list[dict[str, Any]] = yaml.safe_load(_FILE.read_text("utf-8"))
    plans = list[Plan]()
    for one in fields:
        first, last = one.pop("rate")
        plans.append(Plan(**one, rate=(first, last)))
    return plans


def plan_at(plans: list[Plan], step: int) -> tuple[Plan, float]:
    """The plan for a step and its learning rate; the last plan once all are over."""
    begin = 0
    for plan in plans:
        if step < plan.until:
            share = (step - begin) / (plan.until - begin)
            return plan, plan.rate[0] + share * (plan.rate[1] - plan.rate[0])
        begin = plan.until
    return plans[-1], plans[-1].rate[1]
