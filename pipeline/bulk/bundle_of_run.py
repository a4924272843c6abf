"""From a finished run to a bundle."""

import re
from pathlib import Path

from ...models.engines.settings import EngineSettings
from ..runs.finished_run import read_past_run
from .bundle import Bundle, Rules, installed_versions, lost_decision
from .judge_source import judge_source

_COMMIT = re.compile("[0-9a-f]{40}")


def bundle_of_run(run: Path, *, without_reading: bool = False) -> Bundle:
    """The judge of a finished run, with what its test says of it.

    without_reading: by the likeliest label, with what the test says of that.
    A model that the run took from the Hugging Face hub is pinned to the commit that answered.
    Raises ConfigError for a folder that is no finished run, DataError for damaged files.
    """
    past = read_past_run(run)
    source = judge_source(run, None, None, [], past.config.store)
    judge = _pinned(source.config.judge, source.aligned.get("revision", ""))
    rules = Rules(reading=source.reading, decision=source.decision)
    test = past.result.test
    expected, left_out = test.final, ""
    if without_reading and test.reading is not None:
        left_out = lost_decision(rules) if rules.decision else ""
        rules, expected = Rules(), test.reading.final_raw
    return Bundle(
        name=run.resolve().name,
        task=source.task,
        judge_prompt=source.judge_prompt,
        judge=source.config.model_copy(update={"judge": judge}),
        rules=rules,
        aligned=dict(source.aligned),
        expected=expected,
        dataset_fingerprint=past.result.dataset_fingerprint,
        synthetic=past.result.synthetic,
        software=installed_versions(),
        left_out=left_out,
    )


def _pinned(judge: EngineSettings, revision: str) -> EngineSettings:
    """The same model at the commit that answered, where it has one."""
    if not _COMMIT.fullmatch(revision):
        return judge
    return judge.model_copy(update={"revision": revision})
