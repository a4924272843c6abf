"""The plan of a run: calls by role, what the store holds of them, time and cost."""

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from ...data.errors import ConfigError
from ...models.engine import EngineIdentity
from ...models.wrappers.ledger import ROLES, Role
from ..config import RunConfig
from ..result import RoleFailures
from ..runs.calls import planned_calls
from ..runs.directory import RESULT_FILE, refuse_other_use
from ..runs.engine_pool import EnginePool
from ..runs.inputs import checked_inputs
from ..runs.roles import role_engines, stored_engines
from ..runs.run import run_inputs
from ..tracking.run_log import check_trackers
from .probe import Probed, Rate, probe
from .replay import Held, held_replies

_PRICE = re.compile(r"(\w+)=(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)")
_PER_TOKEN = 1e-6
"""Prices are of a million tokens."""


@dataclass(frozen=True, slots=True)
class Price:
    """Of a million tokens, in any currency."""

    prompt: float
    completion: float


@dataclass(frozen=True, slots=True)
class RolePlan:
    """Calls of one role: how many at most, how many of them the store answers, what the rest takes.

    errors: replies in the store that are errors and lie in the request: no answers, and not asked
    again.
    seconds, prompt_tokens, completion_tokens, cost: of the rest at the rate of the probe; None
    without one, and the cost without a price.
    """

    model: str
    calls: int
    held: int
    errors: int = 0
    seconds: float | None = None
    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    cost: float | None = None

    @property
    def to_ask(self) -> int:
        """At most."""
        return max(self.calls - self.held - self.errors, 0)


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run would ask for. is_finished: whether it has a result already. questions: names of
    the criteria that each image is judged by, if any."""

    config: RunConfig
    num_train: int
    num_test: int
    num_images: int
    is_finished: bool
    roles: Mapping[Role, RolePlan]
    questions: tuple[str, ...]
    probed: Probed | None

    @property
    def seconds(self) -> float | None:
        """Of all roles, one after the other; None where one is not known."""
        return _sum([role.seconds for role in self.roles.values() if role.to_ask])

    @property
    def failures(self) -> Mapping[Role, RoleFailures]:
        """What the roles failed at in the probe."""
        return self.probed.failures if self.probed else {}

    @property
    def cost(self) -> float | None:
        """Of the roles that have a price; None where none has."""
        return _sum([role.cost for role in self.roles.values() if role.cost is not None] or [None])


def plan_run(
    config: RunConfig,
    *,
    with_probe: bool = True,
    prices: Mapping[Role, Price] | None = None,
    source: str = "",
) -> RunPlan:
    """Plan a run; nothing is written but the replies of the probe, which the run takes up.

    A finished run is not probed. source: the run file, for messages. Raises what the run itself
    would raise before its first question.
    """
    task, dataset = checked_inputs(config, source)
    check_trackers(config)
    is_finished = (config.output / RESULT_FILE).exists()
    with closing(EnginePool()) as pool:
        engines = role_engines(config, task, pool)
        identities: dict[Role, EngineIdentity] = {
            role: engine.identity for role, engine in engines.items()
        }
        refuse_other_use(config, task, run_inputs(dataset, identities))
        store = pool.store(config.store)
        probed = None
        if with_probe and dataset.train and not is_finished:
            behind_store = stored_engines(config, task, pool, store, run_id="probe")
            probed = probe(config, task, dataset.train, behind_store, engines["judge"])
        held = held_replies(config, task, dataset, identities, store)
    splits = len(dataset.train), len(dataset.test)
    calls = planned_calls(config, task, *splits)
    num_images = sum(splits) * len(task.image_columns)
    roles: dict[Role, RolePlan] = {
        role: _role_plan(
            _counted(identities[role].name, calls.of(role), held[role]),
            _rates(role, probed, num_images),
            (prices or {}).get(role),
        )
        for role in ROLES
        if calls.of(role)
    }
    questions = tuple(criterion.name for criterion in task.criteria)
    return RunPlan(config, *splits, num_images, is_finished, roles, questions, probed)


def _counted(model: str, most: int, held: Held) -> RolePlan:
    """Calls of a role, at most `most`; what the store holds, where a run needs nothing else."""
    calls = held.answers + held.errors if held.is_all else most
    return RolePlan(model, calls, held.answers, held.errors)


def parse_prices(values: Sequence[str]) -> dict[Role, Price]:
    """Prices from "ROLE=PROMPT/COMPLETION". Raises ConfigError."""
    return dict(_parse_price(value) for value in values)


def _parse_price(value: str) -> tuple[Role, Price]:
    found = _PRICE.fullmatch(value)
    role: Role | None = next((r for r in ROLES if found and r == found[1]), None)
    if found is None or role is None:
        raise ConfigError(
            f"--price {value}: expected ROLE=PROMPT/COMPLETION, prices of a million tokens, such "
            f"as optimizer=2/8; roles: {', '.join(ROLES)}"
        )
    return role, Price(float(found[2]), float(found[3]))


def _rates(
    role: Role, probed: Probed | None, num_images: int
) -> Sequence[tuple[Rate | None, float]]:
    """The rates of a role's calls, each with how many of them it is the rate of, at most.

    An image that the judge's cache holds is fast to judge again.
    """
    if probed is None:
        return [(None, float("inf"))]
    if role != "judge":
        return [(getattr(probed, role), float("inf"))]
    fits = probed.num_resident is None or probed.num_resident >= num_images
    again = probed.again if fits else probed.judge
    return [(probed.judge, num_images), (again or probed.judge, float("inf"))]


def _role_plan(
    plan: RolePlan, rates: Sequence[tuple[Rate | None, float]], price: Price | None
) -> RolePlan:
    left = float(plan.to_ask)
    seconds = prompt = completion = 0.0
    for rate, number in rates:
        calls = min(left, number)
        left -= calls
        if rate is None and calls:
            return plan
        if rate is not None:
            seconds += calls * rate.seconds
            prompt += calls * rate.prompt_tokens
            completion += calls * rate.completion_tokens
    cost = None
    if price is not None:
        cost = (prompt * price.prompt + completion * price.completion) * _PER_TOKEN
    return replace(
        plan, seconds=seconds, prompt_tokens=prompt, completion_tokens=completion, cost=cost
    )


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
