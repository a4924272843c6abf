"""The plan of a run, as `blpo optimize --dry-run` prints it."""

from dataclasses import asdict

from rich.table import Table

from ...plan.plan import RolePlan, RunPlan
from ...plan.probe import NUM_PROBED
from ...report.failure_lines import failure_lines, harmless_lines
from .printing import print_json, stdout_console

_TITLE = (
    "Calls at most, the final test included (an optimizer whose reply is not usable is asked again)"
)
_MINUTE, _HOUR = 60, 3600


def show_plan(plan: RunPlan, *, as_json: bool) -> None:
    if as_json:
        print_json(_plan_json(plan))
        return
    config, console = plan.config, stdout_console()
    console.print(
        f"plan of {config.output}: task {config.task}, method {config.method}, preset "
        f"{config.preset}; {plan.num_train:,} train and {plan.num_test:,} test examples",
        soft_wrap=True,
    )
    table = Table(title=_TITLE, title_justify="left")
    for name in ("role", "model"):
        table.add_column(name)
    for name in ("calls", "in the store", "to ask", "time", "tokens in", "tokens out", "cost"):
        table.add_column(name, justify="right")
    for role, of_role in plan.roles.items():
        table.add_row(role, of_role.model, *_cells(of_role))
    console.print(table)
    for line in _lines(plan):
        console.print(line, soft_wrap=True)


def _cells(role: RolePlan) -> list[str]:
    tokens = [_known(number, ",.0f") for number in (role.prompt_tokens, role.completion_tokens)]
    time = "?" if role.seconds is None else duration(role.seconds)
    counts = [f"{number:,}" for number in (role.calls, role.held, role.to_ask)]
    return [*counts, time, *tokens, _known(role.cost, ",.2f")]


def _known(number: float | None, form: str) -> str:
    return "?" if number is None else format(number, form)


def duration(seconds: float) -> str:
    """In words: "40 s", "12 min", "3.5 h"."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds < _HOUR else f"{seconds / _HOUR:.1f} h"


def _lines(plan: RunPlan) -> list[str]:
    lines = [f"{reason}." for reason in plan.config.without_effect]
    if plan.config.budget.judge_calls == 0:
        lines.append("Without judge calls (budget.judge_calls: 0) the search changes no prompt.")
    if plan.is_finished:
        finished = "The run is finished: it would be replayed from the store."
        return [*lines, finished, *_failures(plan)]
    lines = [_resident(plan), *lines, *_failures(plan)]
    return [*lines, *_per_question(plan), _time(plan), _cost(plan)]


def _failures(plan: RunPlan) -> list[str]:
    """What of the probe and of the store is no answer."""
    found = [*failure_lines(plan.failures), *harmless_lines(plan.failures)]
    lines = [f"Probe: {line}" for line in found]
    held = ", ".join(f"{role} {of.errors:,}" for role, of in plan.roles.items() if of.errors)
    if held:
        lines.append(
            f"Errors in the store, which are not asked again before `blpo store forget --errors`: "
            f"{held}."
        )
    return lines


def _per_question(plan: RunPlan) -> list[str]:
    """What each criterion costs: calls of the judge come by questions, images do not."""
    number, judge = len(plan.questions), plan.roles.get("judge")
    if not number or judge is None:
        return []
    time = "" if judge.seconds is None else f", {duration(judge.seconds / number)}"
    cost = "" if judge.cost is None else f", {judge.cost / number:,.2f}"
    told = f"{judge.calls / number:,.0f} judge calls{time}{cost}"
    return [f"Criteria: {', '.join(plan.questions)}; each at most {told}, over the same images."]


def _time(plan: RunPlan) -> str:
    if plan.probed is None:
        return "Time: not known without a probe."
    if plan.seconds is None:
        return "Time: not known, as the store answered the whole probe."
    return (
        f"Time: at most about {duration(plan.seconds)}, at the rate of {NUM_PROBED} images at a "
        "time. Larger batches are faster, and most searches ask for less."
    )


def _resident(plan: RunPlan) -> str:
    told = f"Images: {plan.num_images:,}"
    number = plan.probed.num_resident if plan.probed else None
    if number is None:
        return f"{told}; how many of them stay in the judge's cache is not known."
    if number >= plan.num_images:
        return f"{told}, all of which stay in the judge's cache ({number:,} fit): encoded once."
    return (
        f"{told}, of which {number:,} stay in the judge's cache: the others are encoded again "
        "under every prompt; give it more kv_cache_gib, or offload_gib."
    )


def _cost(plan: RunPlan) -> str:
    if plan.cost is None:
        return "Cost: name the prices of a million tokens with --price ROLE=PROMPT/COMPLETION."
    priced = ", ".join(role for role, of in plan.roles.items() if of.cost is not None)
    return f"Cost: at most about {plan.cost:,.2f} ({priced})."


def _plan_json(plan: RunPlan) -> dict[str, object]:
    roles = {role: asdict(of) | {"to_ask": of.to_ask} for role, of in plan.roles.items()}
    return {
        "output": str(plan.config.output),
        "train": plan.num_train,
        "test": plan.num_test,
        "images": plan.num_images,
        "images_resident": plan.probed.num_resident if plan.probed else None,
        "questions": list(plan.questions),
        "finished": plan.is_finished,
        "roles": roles,
        "seconds": plan.seconds,
        "cost": plan.cost,
        "failures": {
            role: failed.model_dump(mode="json", include={"asked", "failed", "reasons"})
            for role, failed in plan.failures.items()
        },
    }
