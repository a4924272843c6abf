"""The configuration of a run: composed here from the parts that its owners define."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..data.errors import ConfigError
from ..data.images import ImageBounds
from ..data.redaction import redacted
from ..data.text_files import parse_yaml, parse_yaml_value, read_text
from ..data.validation import validated
from ..models.engines.settings import EngineSettings
from ..models.roles.judge import TEXT_VERDICT_TOKENS
from ..models.roles.optimizer import PROPOSAL_TOKENS
from ..models.roles.pair_judge import Orders
from .methods.registry import MethodSections
from .readings.config import ReadingConfig
from .search.budget import BudgetConfig
from .search.failures import MaxFailedShare

Config = TypeVar("Config", bound=BaseModel)


TrackerName = Literal["mlflow", "wandb"]

THINKING_TOKENS = 2048
"""Tokens of a thought, unless a run gives them."""


class VerbalizerConfig(BaseModel):
    """The model that writes images down.

    engine: None shares the judge's, as the paper does. max_tokens: of a verbalization.
    thinking_tokens: on top of them for a thought, where the engine thinks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    engine: EngineSettings | None = None
    max_tokens: int = Field(default=256, ge=1)
    thinking_tokens: int = Field(default=THINKING_TOKENS, ge=1)


class OptimizerConfig(BaseModel):
    """The optimizer LLM. engine: None uses the judge's engine in text mode.

    max_tokens: of a proposal or critique. thinking_tokens: on top of them for a thought, where the
        engine thinks.
    max_attempts: times a proposal is asked for before the step keeps the current prompt.
    own_draws: whether each seed of a run asks for replies of its own; else runs that differ by
        their seed share what they ask alike.
    context_tokens: of prompt and reply together. image_token_px: side of the square of pixels that
        the model takes in as one image token. By these, no request of a baseline is too long.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    engine: EngineSettings | None = None
    max_tokens: int = Field(default=PROPOSAL_TOKENS, ge=1)
    thinking_tokens: int = Field(default=THINKING_TOKENS, ge=1)
    temperature: float = Field(default=0.0, ge=0)
    max_attempts: int = Field(default=3, ge=1)
    own_draws: bool = False
    context_tokens: int = Field(default=32768, ge=1)
    image_token_px: int = Field(default=28, ge=1)


class ImageConfig(BaseModel):
    """Bounds on width x height, in pixels, under which all models see the images."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    min_pixels: int = Field(default=ImageBounds().min_pixels, ge=1)
    max_pixels: int = Field(default=ImageBounds().max_pixels, ge=1)

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.min_pixels > self.max_pixels:
            raise ValueError(
                f"`images.min_pixels` ({self.min_pixels}) is more than `images.max_pixels` "
                f"({self.max_pixels}): lower the one or raise the other"
            )
        return self

    @property
    def bounds(self) -> ImageBounds:
        return ImageBounds(self.min_pixels, self.max_pixels)


class VerdictConfig(BaseModel):
    """How the judge comes to a verdict.

    verdict: direct reads the label at once; reasoned lets the model write freely first, which
        takes a second request to read the label. reasoning_tokens: how much it may write.
    max_tokens: of a verdict given as text, by an engine without label log-probabilities.
    thinking_tokens: on top of these for a thought, where the judge's engine thinks.
    orders: whether a judge that sees both images of a pair at once is asked in both orders, or in
        one that the example's id decides, at half the calls.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    verdict: Literal["direct", "reasoned"] = "direct"
    reasoning_tokens: int = Field(default=256, ge=1)
    max_tokens: int = Field(default=TEXT_VERDICT_TOKENS, ge=1)
    thinking_tokens: int = Field(default=THINKING_TOKENS, ge=1)
    orders: Orders = "both"

    @property
    def reasoning(self) -> int | None:
        """The tokens of a reasoned verdict; None for a direct one."""
        return self.reasoning_tokens if self.verdict == "reasoned" else None


def _refuse_label_within_thought(config: "RunConfig | JudgeConfig") -> None:
    """Raises ValueError for a label that would be read before the judge has thought."""
    if config.verdict == "direct" and config.judge.thinks_before_labels:
        raise ValueError(
            "judge.thinking is on and verdict is direct: the label would be read inside the "
            "thought; set `verdict: reasoned`, or judge.thinking to off"
        )


PROMPT_FIELDS = ("judge_prompt", "i2t_prompt")
"""The initial prompts of a run, where they are not the task's."""


class RunConfig(VerdictConfig, MethodSections):
    """One run: a task, its data, the models, the method.

    task: name of a shipped task or path of a task file. dataset: Parquet file.
    judge_prompt, i2t_prompt: p_0 and q_0 in place of the task's own.
    output: run directory. store: folder of the reply store; any number of runs may share it.
    budget: what the search may ask for. max_failed_share: how much of it may fail.
    reading: how verdicts of the first and of the final prompt are read; fitted on train.
    noise_floor: judge the test split once more under the final prompt and report what that alone
        changes. Off by default: it is one more pass over the split, which the paper does not make.
    log_to: trackers of experiments that the run is logged to, beside its directory.
    report: write report.html. It is drawn from the other files, and the same run with true adds it.
    """

    task: str
    dataset: Path
    output: Path
    store: Path = Path("store")
    seed: int = 0
    judge_prompt: str | None = None
    i2t_prompt: str | None = None
    noise_floor: bool = False
    log_to: tuple[TrackerName, ...] = ()
    reading: ReadingConfig = ReadingConfig()
    images: ImageConfig = ImageConfig()
    judge: EngineSettings = EngineSettings()
    verbalizer: VerbalizerConfig = VerbalizerConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    budget: BudgetConfig = BudgetConfig()
    max_failed_share: MaxFailedShare = MaxFailedShare()
    report: bool = True

    @field_validator(*PROMPT_FIELDS)
    @classmethod
    def _check_prompt(cls, prompt: str | None) -> str | None:
        if prompt is not None and not prompt.strip():
            raise ValueError("should not be empty: write a prompt, or drop the key for the task's")
        return prompt

    @model_validator(mode="after")
    def _check_thinking(self) -> Self:
        _refuse_label_within_thought(self)
        return self


class JudgeConfig(VerdictConfig):
    """A judge outside a run: which model, how it sees the images and comes to a verdict.

    max_failed_share: of the judge's verdicts; what it says of other roles counts for nothing.
    """

    images: ImageConfig = ImageConfig()
    judge: EngineSettings = EngineSettings()
    max_failed_share: MaxFailedShare = MaxFailedShare()

    @model_validator(mode="after")
    def _check_thinking(self) -> Self:
        _refuse_label_within_thought(self)
        return self


LOCATION_FIELDS = frozenset({"dataset", "output", "store"})
"""Fields that say where files lie. What a dataset holds is told by its fingerprint."""

LOG_FIELDS = frozenset({"log_to"})
"""Fields that say where else a run is logged. They are no part of it."""

LIMIT_FIELDS = frozenset({"max_failed_share"})
"""Fields that say when a run stops with an error. They shape no result."""

PAGE_FIELDS = frozenset({"report"})
"""Fields that say what is drawn of a result."""

_DOTTED_KEYS = "grid."
"""Start of a key whose rest is one key, dots and all: those of a sweep's `grid` are dotted."""


def load_run_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a run file; relative paths in it are relative to the working directory."""
    return load_config(RunConfig, path, overrides)


def load_config(model: type[Config], path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file; `overrides` are "key=value" with dotted keys and YAML values.

    Raises ConfigError naming the file, the key and the remedy.
    """
    fields = parse_yaml(read_text(path, ConfigError), str(path), ConfigError)
    return parse_config(model, fields, str(path), overrides)


def parse_config(
    model: type[Config], fields: dict[str, Any], source: str, overrides: Sequence[str] = ()
) -> Config:
    """A configuration from plain values and "key=value" overrides.

    Raises ConfigError; `source` says where the values come from.
    """
    sources = {_apply_override(fields, o): f"--set {redacted(o)}" for o in overrides}
    return validated(model, fields, source, ConfigError, sources)


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Dotted names of the values in which two nested mappings differ, with both values."""
    first, second = _flat(one), _flat(other)
    names = sorted(name for name in first | second if first.get(name) != second.get(name))
    return [f"{name}: {first.get(name)} -> {second.get(name)}" for name in names]


def comparable(config: RunConfig) -> dict[str, Any]:
    """The fields that shape the result, as JSON values."""
    left_out = LOCATION_FIELDS | LIMIT_FIELDS | LOG_FIELDS | PAGE_FIELDS
    return config.model_dump(mode="json", exclude=set(left_out))


def set_options(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Options that give `other` the values of `one` in which it differs, as a shell takes them."""
    first, second = _flat(one), _flat(other)
    names = sorted(name for name in first if first[name] != second.get(name))
    return [f"--set {shlex.quote(f'{name}={_as_yaml(first[name])}')}" for name in names]


def _as_yaml(text: str) -> str:
    """A value in JSON, without quotes where YAML needs none."""
    value = json.loads(text)
    is_plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w./-]*", value)
    return value if is_plain and yaml.safe_load(value) == value else text


def _apply_override(fields: dict[str, Any], override: str) -> tuple[str, ...]:
    """Sets the value; the parts of the first key on its way that is new, or of the value's own."""
    key, separator, value = override.partition("=")
    if not separator or not all(map(str.strip, key.split("."))):
        raise ConfigError(
            f"--set {override}: expected key=value, where the key is a name, or names with a dot "
            "between them, such as --set seed=1 or --set judge.model=micro"
        )
    *parents, name = key.split(".", 1 if key.startswith(_DOTTED_KEYS) else -1)
    num_there = len(parents)
    for depth, parent in enumerate(parents):
        if parent not in fields:
            num_there = min(num_there, depth)
        group: object = fields.setdefault(parent, {})
        if not isinstance(group, dict):
            raise ConfigError(f"--set {override}: {parent} is a value, not a group of keys")
        fields = cast("dict[str, Any]", group)
    fields[name] = parse_yaml_value(value, f"--set {override}", ConfigError)
    return (*parents, name)[: num_there + 1]


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {prefix: json.dumps(value)}
    items = cast("Mapping[str, Any]", value).items()
    return {
        name: leaf
        for key, child in items
        for name, leaf in _flat(child, f"{prefix}.{key}" if prefix else key).items()
    }
