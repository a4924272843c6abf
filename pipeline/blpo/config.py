"""Parameters of Algorithm 1: the paper's values, and what `preset: plus` puts in their place.

Every switch stands alone: `--set algorithm.selector=argmax` gives one of them its faithful value.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..search.losses import LossName


def _off(value: object) -> object:
    """YAML reads an unquoted off as false."""
    return "off" if value is False else value


class BlpoConfig(BaseModel):
    """Parameters of Algorithm 1; the defaults are the paper's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    outer_steps: int = Field(default=5, ge=0, description="T, updates of the judge prompt")
    inner_steps: int = Field(default=5, ge=1, description="K, I2T prompts tried in an outer step")
    inner_width: int = Field(
        default=1,
        ge=1,
        description="how many of the K are proposed, verbalized and judged in one batch; K / width "
        "rounds in place of K dependent stages",
    )
    minibatch_size: int = Field(default=10, ge=1, description="|I_B|, misjudged examples at most")
    i2t: Literal["learned", "fixed", "judge_prompt"] = "learned"
    loss: LossName = Field(
        default="zero_one",
        description="probability losses move before a verdict flips: fewer ties among proposals",
    )
    score_on: Literal["errors", "probe"] = Field(
        default="errors",
        description="errors: the minibatch that the optimizer has just seen, a fix rate that is "
        "blind to what p' breaks; probe: right and wrong items that it has not seen",
    )
    probe_size: int = Field(default=60, ge=1, description="items of the probe at most")
    selector: Literal["argmax", "racing"] = Field(
        default="argmax",
        description="argmax: all proposals on all items; racing: block by block, those that "
        "cannot win any more are dropped",
    )
    block_size: int = Field(default=20, ge=1, description="items of a block of a race")
    race_confidence: float = Field(default=0.8, gt=0.5, lt=1, description="of dropping one")
    selection: Literal["out_of_batch", "holdout"] = Field(
        default="out_of_batch",
        description="which items rank proposals: those that no optimizer call of the lineage has "
        "seen; or a fixed part of train that no optimizer call ever sees",
    )
    holdout_share: float = Field(default=0.5, gt=0, lt=1, description="of train, held out")
    accept: Literal["always", "paired"] = Field(
        default="always",
        description="paired: p' becomes p_{t+1} only on a gain in a paired test; the best of a few "
        "noisy scores is often worse than p",
    )
    accept_confidence: float = Field(default=0.9, gt=0.5, lt=1, description="of the paired test")
    more_right: bool = Field(
        default=False,
        description="accept: paired also asks that more verdicts are right; a loss from "
        "probabilities can fall while they are not",
    )
    second_look: bool = Field(
        default=False,
        description="accept: paired judges a p' that passes on all of train, as a step from it "
        "would, and tests it again, over p_t, too; items shown before this step count there: left "
        "out, they would hide that p' breaks what earlier steps gained",
    )
    final: Literal["last", "archive"] = Field(
        default="last",
        description="archive: of all p' that were paid for, the one whose gain over p_0 has the "
        "highest lower bound; p_0 if none is above 0",
    )
    final_confidence: float = Field(default=0.9, gt=0.5, lt=1, description="of the lower bound")
    update_p: Literal["errors", "informed"] = Field(
        default="errors",
        description="informed: Update_p also sees how many verdicts are right and which are "
        "confused, some cases that are right, and judge prompts tried before; Update_q sees two "
        "images as several q describe them and how uncertain scores are. For LLMs: the stand-in "
        "reads cases",
    )
    kept_cases: int = Field(
        default=6, ge=0, description="cases that are right, shared out among labels"
    )
    update_q: Literal["history", "reflective"] = Field(
        default="history",
        description="reflective: Update_q also sees which items the best and the worst q so far "
        "fixed and broke, with their verbalizations",
    )
    reflect_on: int = Field(default=2, ge=1, description="items of each kind it sees at most")
    warm_start_q: bool = Field(
        default=False, description="the history opens with the q* of the step before, not q_0"
    )
    remember_tried: bool = Field(
        default=False,
        description="Update_q also sees what was tried from the same judge prompt in the steps "
        "before, and draws anew in each step; else a step that led nowhere is tried again",
    )
    q0_competes: bool = Field(
        default=False, description="q_0, q = p_t and a warm start can be chosen, too"
    )
    parent: Literal["last", "pareto", "best_first"] = Field(
        default="last",
        description="p_t is what was accepted last; after a step that led nowhere, pareto: drawn "
        "from the accepted prompts that are best on some item; best_first: the best of all that "
        "were judged, accepted or not, from which no step has started",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        description="outer steps in a row that may leave the judge prompt as it is; after that "
        "many the loop ends",
    )
    lint: bool = Field(
        default=False,
        description="a p' that copies cases, changes the scale or is too long is not judged",
    )
    max_prompt_words: int = Field(default=400, ge=1, description="of a p' under lint")
    controls: Annotated[Literal["off", "shuffled"], BeforeValidator(_off)] = Field(
        default="off",
        description="shuffled: a q whose p' gains no more than one made from other images' "
        "descriptions is rejected: no later step starts from it",
    )
    ask_once: bool = Field(
        default=False,
        description="a verdict that the search has seen is not asked for again; the store answers "
        "it without a model either way, but budgets count it",
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_readings(cls, fields: Any) -> Any:
        moved = [key for key in ("calibrate", "decode") if key in _keys(fields)]
        if moved:
            raise ValueError(
                f"`{moved[0]}` is no key of `algorithm`: how verdicts are read is the key "
                "`reading` of the run file, such as `reading: cutpoints`"
            )
        return fields

    @model_validator(mode="after")
    def _check_rounds(self) -> Self:
        if self.inner_steps % self.inner_width:
            raise ValueError(
                f"`inner_steps` ({self.inner_steps}) is not a multiple of `inner_width` "
                f"({self.inner_width}): K is a number of whole rounds"
            )
        return self

    @property
    def inner_rounds(self) -> int:
        return self.inner_steps // self.inner_width

    @property
    def is_published(self) -> bool:
        """Whether every choice is the paper's; loss and sizes change none of its steps."""
        published = type(self)()
        return all(getattr(self, name) == getattr(published, name) for name in _CHOICES)

    @property
    def without_effect(self) -> list[str]:
        """Of keys that differ from the defaults and that no other switch makes use of, why."""
        return [
            f"algorithm.{key} has no effect without algorithm.{switch}: {str(value).lower()}"
            for key, needed in _NEEDS.items()
            if getattr(self, key) != type(self).model_fields[key].default
            for switch, value in needed.items()
            if getattr(self, switch) != value
        ]

    @property
    def judges_chosen(self) -> bool:
        """Whether a chosen p' is judged on the whole training set before the step ends."""
        return self.accept == "paired" or self.final == "archive" or self.parent != "last"


_CHOICES = (
    "score_on",
    "selector",
    "selection",
    "accept",
    "more_right",
    "second_look",
    "final",
    "update_p",
    "update_q",
    "warm_start_q",
    "remember_tried",
    "q0_competes",
    "parent",
    "patience",
    "lint",
    "controls",
    "ask_once",
)
"""The switches for which `policies.plus` takes over."""

_NEEDS: Mapping[str, Mapping[str, str | bool]] = {
    "accept_confidence": {"accept": "paired"},
    "more_right": {"accept": "paired"},
    "second_look": {"accept": "paired", "selection": "out_of_batch"},
    "final_confidence": {"final": "archive"},
    "holdout_share": {"selection": "holdout"},
    "kept_cases": {"update_p": "informed"},
    "max_prompt_words": {"lint": True},
    "probe_size": {"score_on": "probe"},
    "race_confidence": {"selector": "racing"},
    "reflect_on": {"update_q": "reflective"},
}
"""Keys that say more of a switch, with the value that it has to have."""

PLUS: Mapping[str, Any] = {
    "inner_steps": 6,
    "inner_width": 3,
    "loss": "expected_abs",
    "score_on": "probe",
    "probe_size": 30,
    "selector": "racing",
    "block_size": 10,
    "accept": "paired",
    "more_right": True,
    "second_look": True,
    "final": "archive",
    "update_q": "reflective",
    "warm_start_q": True,
    "remember_tried": True,
    "q0_competes": True,
    "parent": "best_first",
    "patience": 5,
    "lint": True,
    "controls": "shuffled",
    "ask_once": True,
}
"""What `preset: plus` puts in place of the paper's values."""


def _keys(group: object) -> set[str]:
    """Of a group of keys; none of a value, or of nothing."""
    return set(cast("dict[str, object]", group)) if isinstance(group, dict) else set()
