"""The methods by name, and their sections of a run file.

To add a method: a file with its settings and its `Search`, and its line in `SEARCHES`; if it has
settings of its own, their line in `MethodSections`.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

from ..baselines.apo import Apo, ApoConfig
from ..baselines.opro import Opro, OproConfig
from ..baselines.textgrad import TextGrad, TextGradConfig
from ..blpo.config import PLUS, BlpoConfig
from ..blpo.criteria import BlpoOfCriteria
from ..blpo.to_steps import Blpo
from .base import Search

# blpo-fixed-i2t and blpo-judge-i2t are the ablations of the paper's Table 2. apo is apo-image with
# words in place of images. blpo-criteria rewrites the prompt of one criterion at a time.
SEARCHES: dict[str, Search] = {
    "blpo": Blpo(i2t="learned"),
    "blpo-fixed-i2t": Blpo(i2t="fixed"),
    "blpo-judge-i2t": Blpo(i2t="judge_prompt"),
    "blpo-criteria": BlpoOfCriteria(),
    "opro": Opro(),
    "apo": Apo("verbalizations"),
    "apo-image": Apo("images"),
    "textgrad": TextGrad(),
    "none": Blpo(outer_steps=0),
}


def known_method(name: str) -> str:
    """The name of a method. Raises ValueError, listing all, for any other."""
    if name not in SEARCHES:
        raise ValueError(f"no such method; choose from {', '.join(SEARCHES)}")
    return name


class MethodSections(BaseModel):
    """The keys of a run file that say how the judge prompt is optimized.

    preset: where the values of `algorithm` come from that are not given: "paper" is Algorithm 1 as
        published, "plus" what `blpo.config.PLUS` says.
    algorithm: parameters of blpo, its ablations, and none; the others: of the method of that name
        (apo: also of apo-image).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Literal["paper", "plus"] = "paper"
    method: Annotated[str, AfterValidator(known_method)] = "blpo"
    algorithm: BlpoConfig = BlpoConfig()
    opro: OproConfig = OproConfig()
    apo: ApoConfig = ApoConfig()
    textgrad: TextGradConfig = TextGradConfig()

    @model_validator(mode="before")
    @classmethod
    def _fill_in_preset(cls, fields: dict[str, Any]) -> dict[str, Any]:
        if fields.get("preset") != "plus":
            return fields
        given: Any = fields.get("algorithm", {})
        if isinstance(given, BlpoConfig):
            given = given.model_dump(exclude_unset=True)
        return {**fields, "algorithm": {**PLUS, **given} if isinstance(given, dict) else given}

    @property
    def search(self) -> Search:
        return SEARCHES[self.method]

    @property
    def resolved_algorithm(self) -> Any:
        """The method's own settings with the values that the method decides."""
        section: BaseModel = getattr(self, self.search.section)
        return section.model_copy(update=self.search.fixed)

    @property
    def without_effect(self) -> list[str]:
        """Keys of `algorithm` that are set and change nothing, each with the reason."""
        return self.algorithm.without_effect if self.search.section == "algorithm" else []
