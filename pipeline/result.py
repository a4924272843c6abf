"""What a run found: result.json, and the full record that a report is drawn from."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from ..data.examples import Dataset
from ..data.tasks import Task
from ..models.roles.judge import Verdict
from ..models.wrappers.ledger import Role
from .config import RunConfig
from .methods.registry import SEARCHES
from .metrics.agreement import Agreement, Gain
from .metrics.coverage import OperatingPoint
from .metrics.noise_floor import NoiseFloor
from .readings.choose import Reading, ReadingChoice
from .readings.questions import QuestionFigures
from .search.failures import Tally, commonest
from .search.step import Step


class CallCounts(BaseModel):
    """Calls of one role over all sessions of a run, see `RoleLedger`."""

    model_config = ConfigDict(frozen=True)

    asked: int
    from_store: int
    new: int
    errors: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


class RoleFailures(BaseModel):
    """What a role failed at in a run, store hits included.

    asked: verdicts, verbalizations, or questions to the optimizer. failed: of these, without a
    label, a text, a usable answer. reasons: how many replies each made unusable, commonest first;
    the optimizer is asked again after one. repeats: prompts in the optimizer's replies that only
    repeated the current one or one tried before; repeated: questions to which it had no other
    answer.
    """

    model_config = ConfigDict(frozen=True)

    asked: int
    failed: int
    reasons: dict[str, int]
    repeats: int = 0
    repeated: int = 0


def role_failures(tally: Tally, *, repeats: int = 0, repeated: int = 0) -> RoleFailures:
    """What was counted, the commonest reason first."""
    reasons = dict(commonest(tally.reasons, len(tally.reasons)))
    return RoleFailures(
        asked=tally.asked,
        failed=tally.failed,
        reasons=reasons,
        repeats=repeats,
        repeated=repeated,
    )


class ReadingEffect(BaseModel):
    """What the readings add on the test split, beside what the prompt adds.

    initial_raw, final_raw: p_0 and the final prompt by the likeliest label. gain_raw: of the final
    prompt over p_0, both so. gain_of_reading: under p_0, of its reading over the likeliest label.
    gain_of_both: of the final prompt under its reading over p_0 by the likeliest label.
    """

    model_config = ConfigDict(frozen=True)

    initial_raw: Agreement
    final_raw: Agreement
    gain_raw: Gain
    gain_of_reading: Gain
    gain_of_both: Gain


class SplitResult(BaseModel):
    """Agreement on the test split, of p_0 and of the final prompt.

    initial, final, gain: each prompt under its reading, where the configuration asks for one; a
    claim for the final prompt rests on that gain. reading: what there is beside, then.
    noise_floor: of the final prompt, where the configuration asks for it.
    """

    model_config = ConfigDict(frozen=True)

    initial: Agreement
    final: Agreement
    gain: Gain
    noise_floor: NoiseFloor | None = None
    reading: ReadingEffect | None = None


class ReadingChoices(BaseModel):
    """How verdicts under p_0 and under the final prompt are read, each fitted on train."""

    model_config = ConfigDict(frozen=True)

    initial: ReadingChoice
    final: ReadingChoice


class RunResult(BaseModel):
    """What result.json holds.

    reading: how verdicts of the final prompt are read; None for the likeliest label. readings: how
        it was chosen, and that of p_0; None where the configuration asks for none.
    criteria: what each of several questions costs and adds.
    aligned_by_chat: whether the judge was asked by messages. In the layout of an engine in-process
        the final prompt is another judge.
    stopped: why the search ended before its last step, if a budget ended it.
    failures: by role; empty in results of earlier versions.
    departures: by role, how many of its requests were asked otherwise than they were to be, and in
        which point, because the server takes them in no other way.
    seconds: wall time of the session that finished the run.
    """

    model_config = ConfigDict(frozen=True)

    task: str
    preset: str
    method: str
    seed: int
    judge: str
    verbalizer: str
    optimizer: str
    synthetic: bool
    dataset_fingerprint: str
    judge_prompt_initial: str
    judge_prompt_final: str
    i2t_prompt_final: str
    reading: Reading | None = None
    readings: ReadingChoices | None = None
    criteria: tuple[QuestionFigures, ...] = ()
    aligned_by_chat: bool = False
    test: SplitResult
    stopped: str | None = None
    failures: dict[Role, RoleFailures] = {}
    departures: dict[Role, dict[str, int]] = {}
    calls: dict[Role, CallCounts]
    seconds: float

    @property
    def named_method(self) -> str:
        return named_method(self.method, self.preset)


def named_method(method: str, preset: str) -> str:
    """What people read of a run's method, such as "blpo" and "blpo, preset plus".

    A preset says nothing of methods with settings of their own.
    """
    search = SEARCHES.get(method)
    is_of_preset = search is not None and search.section == "algorithm"
    return f"{method}, preset {preset}" if is_of_preset and preset != "paper" else method


LAYOUT_NOTE = (
    "The judge was asked by chat messages, which the server lays out in its own way: asked by an "
    "engine in-process, or by a vLLM server in its layout, it is another judge under this prompt."
)
"""Of a run that is `aligned_by_chat`."""


@dataclass(frozen=True, slots=True)
class RawVerdicts:
    """Verdicts by the likeliest label, of p_0 and of the final prompt, one per example in order."""

    initial: Sequence[Verdict]
    final: Sequence[Verdict]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """All that a run saw, for its report.

    initial_verdicts, final_verdicts: on the test examples, in their order, as they are read.
        again_verdicts: those of the final prompt's second draw, for the noise floor.
    raw_on_test, raw_on_train: where the configuration asks for a reading, which was fitted to those
        on train.
    began: the day on which the run began, as YYYY-MM-DD; empty where it is not kept.
    operating_point: where it was decided, after the run, on which verdicts to act.
    """

    config: RunConfig
    task: Task
    dataset: Dataset
    steps: list[Step]
    initial_verdicts: list[Verdict]
    final_verdicts: list[Verdict]
    result: RunResult
    again_verdicts: list[Verdict] | None = None
    raw_on_test: RawVerdicts | None = None
    raw_on_train: RawVerdicts | None = None
    began: str = ""
    operating_point: OperatingPoint | None = None
