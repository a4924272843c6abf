"""What `blpo tasks` prints."""

from rich.table import Table

from ....data.tasks import load_task, task_names
from .printing import print_json, stdout_console


def show_tasks(*, as_json: bool) -> None:
    loaded = [load_task(name) for name in task_names()]
    if as_json:
        print_json([task.model_dump(mode="json") for task in loaded])
        return
    table = Table()
    for name in ("task", "kind", "labels", "text", "metric", "description"):
        table.add_column(name, no_wrap=name == "task")
    for task in loaded:
        text = "yes" if task.carries_text else "no"
        labels = ", ".join(task.labels)
        table.add_row(task.name, task.kind, labels, text, task.primary_metric, task.description)
    stdout_console().print(table)
