"""The graded world: every knob of the synthetic test bench in one file of settings.

The defaults are the world of the shipped micro tasks. Each knob is a number that can be turned
until a comparison comes out otherwise: what a description reveals unasked, what it costs to ask
for more, whether a judge understands a prompt or counts names, how it leans, how far people agree,
and how much an optimizer can read. Rubrics and datasets are draws.

Synthetic throughout: figures say how methods behave here, nothing about real judges.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ..errors import ConfigError
from ..text_files import parse_yaml, read_text
from ..validation import validated
from .world import ASPECTS

Share = Annotated[float, Field(ge=0, le=1)]
Draws = Literal["shipped", "dev", "report", "kept"]
SEEDS_PER_NAME = 1_000
_FIRST_SEED = {"dev": 1_000_000, "report": 2_000_000, "kept": 3_000_000}
NUM_SHIPPED_RUBRICS = 2


def _known_aspects(shares: dict[str, float]) -> dict[str, float]:
    known = [aspect.name for aspect in ASPECTS]
    unknown = next((name for name in shares if name not in known), None)
    if unknown is not None:
        raise ValueError(f"{unknown!r} is no aspect: choose from {', '.join(known)}")
    return shares


class _Knobs(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DrawConfig(_Knobs):
    """Which rubric and which data.

    draws: the shipped ones, or seeds under a name that no other name shares: dev for development,
        report for tables, kept for later.
    rubric_seed: what people mind. Of the shipped ones 0 is the everyday rubric, 1 the held-out.
    data_seed: scenes and labels. num_train, num_test: examples of each split.
    """

    draws: Draws = "shipped"
    rubric_seed: int = Field(default=0, ge=0, lt=SEEDS_PER_NAME)
    data_seed: int = Field(default=0, ge=0, lt=SEEDS_PER_NAME)
    num_train: int = Field(default=100, ge=1)
    num_test: int = Field(default=200, ge=1)

    @model_validator(mode="after")
    def _check_shipped(self) -> Self:
        if self.draws == "shipped" and self.rubric_seed >= NUM_SHIPPED_RUBRICS:
            raise ValueError(
                "`rubric_seed` is 0 or 1 among the shipped rubrics: set `draws` to dev or report "
                "for others"
            )
        return self

    def own_seed(self, seed: int) -> int:
        """A seed of this name's range, which shares none with another name's."""
        return seed if self.draws == "shipped" else _FIRST_SEED[self.draws] + seed


class PeopleConfig(_Knobs):
    """The simulated annotators.

    label_noise: share of labels that are off by one. disagreement: chance that a person minds an
        aspect that most do not, or does not mind one that most do.
    raters, share_rated: so many people rate each image of that share of the data; the label is
        their median, and the dataset has their ratings.
    """

    label_noise: Share = 0.03
    disagreement: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    raters: int = Field(default=1, ge=1)
    share_rated: Share = 0.0


class JudgeConfig(_Knobs):
    """How the ideal judge reads, sees and leans.

    reads: names counts each aspect that a prompt names; meaning understands what it says of them.
    noise: chance that a value is seen wrongly. noise_growth: what each further aspect that is
        asked for adds to it in a description.
    saliency: chance that a description mentions an aspect unasked; saliency_of: the same for
        single aspects. room: aspects that a description holds; None for any number.
    leniency: steps by which a verdict is too good. flatness: share of the way that it is drawn to
        the middle of the scale. first_position: steps by which the first image of a pair, shown
        beside the second, looks better than it is.
    """

    reads: Literal["names", "meaning"] = "names"
    noise: Share = 0.05
    noise_growth: Share = 0.0
    saliency: Share = 0.0
    saliency_of: Annotated[dict[str, Share], AfterValidator(_known_aspects)] = {}
    room: int | None = Field(default=None, ge=1)
    leniency: float = 0.0
    flatness: Share = 0.0
    first_position: float = 0.0


class ReaderConfig(_Knobs):
    """How much the optimizer's stand-in can read.

    hazard: chance, for each token of all that it reads, that it loses track of what a case shows.
    confusion: of the cases that it loses track of, the share that it takes for another one.
    context_tokens: of prompt and reply; a longer prompt fails, as at a server. image_tokens: of
        one image.
    """

    hazard: Share = 0.0
    confusion: Share = 0.0
    context_tokens: int | None = Field(default=None, ge=1)
    image_tokens: int = Field(default=0, ge=0)


class GradedWorld(_Knobs):
    """All knobs. The defaults are the world of the shipped micro tasks."""

    draw: DrawConfig = DrawConfig()
    people: PeopleConfig = PeopleConfig()
    judge: JudgeConfig = JudgeConfig()
    optimizer: ReaderConfig = ReaderConfig()


SHIPPED_WORLD = GradedWorld()


def load_world(path: Path) -> GradedWorld:
    """Read a world file. Raises ConfigError naming the file, the key and the remedy."""
    fields = parse_yaml(read_text(path, ConfigError, "world file"), str(path), ConfigError)
    return validated(GradedWorld, fields, str(path), ConfigError)
