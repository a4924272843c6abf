"""Judge prompts of several criteria: one text, with a section for each that has its own prompt.

    Look at the photo as a buyer would.

    [criterion: light]
    Is the product well lit, and does no highlight hide it?

What goes first is for all other criteria, and stands before the question of each.
"""

import re

from ...data.errors import ConfigError
from ...data.tasks import Task

_HEADING = re.compile(r"^[ \t]*\[criterion: *([^\]\n]*?) *\][ \t]*$", re.MULTILINE)


def question_prompts(judge_prompt: str, task: Task) -> dict[str, str]:
    """By criterion, what stands before the answer instruction when it is asked about."""
    shared, own = _sections(judge_prompt, task)
    return {c.name: own.get(c.name, f"{shared}\n{c.question}") for c in task.criteria}


def with_question_prompt(judge_prompt: str, task: Task, name: str, prompt: str) -> str:
    """The judge prompt with another text for one criterion. Headings in that text are left out."""
    shared, own = _sections(judge_prompt, task)
    own[name] = _HEADING.sub("", prompt).strip()
    parts = [f"[criterion: {c.name}]\n{own[c.name]}" for c in task.criteria if c.name in own]
    return "\n\n".join([shared, *parts])


def check_sections(judge_prompt: str, task: Task, source: str) -> None:
    """Raises ConfigError for a section of a criterion that the task does not have, of one that
    another section is of, too, and for one without text."""
    found = _HEADING.findall(judge_prompt) if task.criteria else []
    names = [criterion.name for criterion in task.criteria]
    for place, name in enumerate(found):
        if name not in names:
            raise ConfigError(
                f"{source}: has a section [criterion: {name}]; the criteria of task {task.name} "
                f"are {', '.join(names)}"
            )
        if name in found[:place]:
            raise ConfigError(f"{source}: has two sections [criterion: {name}]: keep one")
    empty = [name for name, text in _sections(judge_prompt, task)[1].items() if not text]
    if empty:
        raise ConfigError(
            f"{source}: the section [criterion: {empty[0]}] is empty: write a prompt there, or "
            "drop its line for the question of the task"
        )


def _sections(judge_prompt: str, task: Task) -> tuple[str, dict[str, str]]:
    """What is for all criteria, and the sections by criterion."""
    names = {criterion.name for criterion in task.criteria}
    found = [heading for heading in _HEADING.finditer(judge_prompt) if heading[1] in names]
    if not found:
        return judge_prompt, {}
    ends = [*(heading.start() for heading in found[1:]), len(judge_prompt)]
    own = {
        heading[1]: judge_prompt[heading.end() : end].strip()
        for heading, end in zip(found, ends, strict=True)
    }
    return judge_prompt[: found[0].start()].strip(), own
