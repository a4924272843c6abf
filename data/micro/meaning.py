"""What a judge prompt means: which aspects are weighed, how heavily, and where.

To name an aspect is not to weigh it: a prompt may name one to leave it out, or to say where
another counts.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from .world import (
    COARSE_ASPECT,
    Family,
    Scale,
    Scene,
    described_aspects,
    is_fault,
    named_aspects,
    verdict_of_count,
)


@dataclass(frozen=True, slots=True)
class Condition:
    """Where an aspect is weighed: where another is at fault, or where it is not.

    aspect: the other; None for any other that is weighed.
    """

    aspect: str | None
    at_fault: bool = True


@dataclass(frozen=True, slots=True)
class Weighing:
    """How one aspect is weighed: a fault costs so many steps where the condition holds."""

    steps: int = 1
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a prompt says about the aspects of a family.

    weighed: in order of first mention. excluded: named, or of the family, and not to be weighed.
    """

    weighed: Mapping[str, Weighing] = field(default_factory=dict[str, Weighing])
    excluded: Collection[str] = ()


def effective(family: Family, meaning: Meaning) -> Mapping[str, Weighing]:
    """What a verdict goes by: the weighed aspects; without any, the coarse one if not excluded."""
    coarse = COARSE_ASPECT[family]
    if meaning.weighed or coarse in meaning.excluded:
        return meaning.weighed
    return {coarse: Weighing()}


def counted_steps(scene: Scene, meaning: Meaning) -> dict[str, int]:
    """What each fault that counts costs under a prompt of that meaning, by aspect."""
    weighed = effective(scene.family, meaning)
    return {
        name: weighing.steps
        for name, weighing in weighed.items()
        if is_fault(scene, name) and _holds(scene, name, weighing.condition, weighed)
    }


def _holds(scene: Scene, name: str, condition: Condition | None, weighed: Collection[str]) -> bool:
    if condition is None:
        return True
    if condition.aspect is not None:
        return is_fault(scene, condition.aspect) == condition.at_fault
    return condition.at_fault == any(is_fault(scene, other) for other in weighed if other != name)


def understood_verdict(scene: Scene, meaning: Meaning, scale: Scale) -> str:
    """The verdict of a judge that sees perfectly and understands the prompt."""
    return verdict_of_count(sum(counted_steps(scene, meaning).values()), scale)


def described(family: Family, prompt: str, meaning: Meaning) -> list[str]:
    """The aspects that a description reports: what is weighed or says where, in order of mention.

    Where the prompt asks for nothing, the generic ones that it does not exclude.
    """
    wanted = dict.fromkeys(meaning.weighed)
    for weighing in meaning.weighed.values():
        if weighing.condition and weighing.condition.aspect:
            wanted[weighing.condition.aspect] = None
    if not wanted:
        generic = described_aspects(family, ())
        return [name for name in generic if name not in meaning.excluded]
    mentioned = [name for name in named_aspects(prompt, family) if name in wanted]
    return list(dict.fromkeys([*mentioned, *wanted]))
