"""The micro world: synthetic images with known aspects, and the judge that would be ideal on them.

Three families of RGB images. `objects` come with a text that claims values for some aspects; a
fault is a claim that the image does not keep. In `flaws` and `symbols` an aspect is at fault when
it has its fault value. Everything is a pure function of a seed and an index.

A prompt chooses aspects by naming them: an aspect's name or a synonym, singular or plural, in any
letter case. The ideal judge counts faults among exactly the named aspects, and falls back on one
coarse aspect when the prompt names none of the image's family.

This is a test bench: its images and its people are invented.
"""

import hashlib
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from PIL import Image

from .drawing import draw

Family = Literal["objects", "flaws", "symbols"]
Scale = Literal["safety", "match", "naturalness", "alignment"]

FAMILIES: tuple[Family, ...] = ("objects", "flaws", "symbols")


@dataclass(frozen=True, slots=True)
class Aspect:
    """One thing that an image has a value for.

    fault_value: the value that is a fault; None where a fault is a mismatch with the text.
    """

    name: str
    family: Family
    values: tuple[str, ...]
    fault_value: str | None
    synonyms: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The words that name the aspect, in the singular."""
        return (self.name, *self.synonyms)

    @property
    def states(self) -> tuple[str, str]:
        """What a prompt calls it at fault and without one."""
        return (self.fault_value, self.values[1]) if self.fault_value else ("wrong", "right")


def _flaw(name: str, fault: str, clean: str, *synonyms: str) -> Aspect:
    return Aspect(name, "flaws", (fault, clean), fault, synonyms)


def _symbol(name: str, fault: str, clean: str, *synonyms: str) -> Aspect:
    return Aspect(name, "symbols", (fault, clean), fault, synonyms)


def _attribute(name: str, values: tuple[str, ...], *synonyms: str) -> Aspect:
    return Aspect(name, "objects", values, None, synonyms)


ASPECTS: tuple[Aspect, ...] = (
    _attribute("shape", ("circle", "square", "triangle", "star"), "form", "outline"),
    _attribute("color", ("red", "green", "blue", "yellow"), "colour", "hue"),
    _attribute("count", ("one", "two", "three"), "quantity", "amount"),
    _attribute("size", ("small", "large"), "dimension", "proportion"),
    _attribute("side", ("left", "right"), "placement", "position"),
    _attribute("texture", ("plain", "striped", "dotted"), "pattern", "filling"),
    _attribute("backdrop", ("light", "dark"), "background"),
    _attribute("border", ("framed", "bare"), "frame", "edging"),
    _flaw("grain", "grainy", "smooth", "noise", "speckle"),
    _flaw("focus", "blurred", "sharp", "sharpness", "clarity"),
    _flaw("tint", "tinted", "neutral", "cast"),
    _flaw("shadow", "detached", "grounded", "shade"),
    _flaw("seam", "split", "joined", "stitch"),
    _flaw("horizon", "tilted", "level", "skyline"),
    _flaw("lighting", "dim", "bright", "illumination", "brightness"),
    _flaw("vignette", "darkened", "even", "corner"),
    _symbol("flame", "burning", "unlit", "fire"),
    _symbol("skull", "visible", "hidden", "skeleton"),
    _symbol("blade", "drawn", "sheathed", "knife"),
    _symbol("bottle", "standing", "absent", "alcohol"),
    _symbol("smoke", "rising", "cleared", "fume"),
    _symbol("pill", "scattered", "gone", "drug"),
    _symbol("chain", "linked", "none", "shackle"),
    _symbol("mood", "gloomy", "cheerful", "atmosphere"),
)

COARSE_ASPECT: Mapping[Family, str] = {
    "objects": "backdrop",
    "flaws": "lighting",
    "symbols": "mood",
}
"""What a verdict rests on when the prompt names nothing."""

SECOND_ASPECT: Mapping[Family, str] = {"objects": "size", "flaws": "tint", "symbols": "smoke"}
"""What a description reports beside the coarse aspect when the prompt names nothing."""

_BY_NAME: Mapping[str, Aspect] = {aspect.name: aspect for aspect in ASPECTS}


def aspect(name: str) -> Aspect:
    """The aspect of that name; KeyError if there is none."""
    return _BY_NAME[name]


def family_aspects(family: Family) -> tuple[Aspect, ...]:
    """The aspects of a family, in their fixed order."""
    return tuple(aspect for aspect in ASPECTS if aspect.family == family)


def aspect_names(family: Family) -> list[str]:
    """The names of a family's aspects, in their fixed order."""
    return [aspect.name for aspect in family_aspects(family)]


def plural(word: str) -> str:
    """The English plural, as far as the vocabulary needs it."""
    if word.endswith("fe"):
        return word[:-2] + "ves"
    if word.endswith("y"):
        return word[:-1] + "ies"
    if word.endswith(("s", "sh", "ch", "x")):
        return word + "es"
    return word + "s"


@cache
def _names_by_word() -> Mapping[str, str]:
    """Aspect name by lower-case word form."""
    return {
        form: aspect.name
        for aspect in ASPECTS
        for word in aspect.words
        for form in (word, plural(word))
    }


def named_aspects(prompt: str, family: Family | None = None) -> tuple[str, ...]:
    """Names of the aspects that a prompt names, each once, in order of first mention.

    family: keep only aspects of this family.
    """
    names = (_names_by_word().get(word) for word in re.findall(r"[a-z]+", prompt.lower()))
    found = dict.fromkeys(name for name in names if name is not None)
    return tuple(name for name in found if family is None or _BY_NAME[name].family == family)


# --------------------------------------------------------------------------------------- scenes


@dataclass(frozen=True, slots=True)
class Scene:
    """What an image shows and what its text claims.

    values: one value for every aspect of the family. claims: claimed values by aspect name, only
    for `objects`. seed: seed of everything else in the picture.
    """

    family: Family
    values: Mapping[str, str]
    claims: Mapping[str, str]
    seed: int


def derived_seed(*parts: object) -> int:
    """A 63-bit seed that depends on all parts and on nothing else."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def fraction_of(data: bytes) -> float:
    """A number from 0 to 1, without 1, that depends on the data and on nothing else."""
    return int.from_bytes(hashlib.sha256(data).digest()[:4], "big") / 2**32


def draw_scene(
    family: Family, seed: int, index: int, fault_rates: Mapping[str, float] | None = None
) -> Scene:
    """The index-th scene of a seed.

    fault_rates: probability of a fault by aspect name (for `objects`: of a claim that is wrong);
    aspects that it leaves out share a rate that differs from scene to scene.
    """
    rng = np.random.default_rng(derived_seed("scene", family, seed, index))
    rates = dict.fromkeys(aspect_names(family), float(rng.uniform(0.1, 0.7)))
    rates |= fault_rates or {}
    if family == "objects":
        return _draw_objects(rng, rates)
    values = {
        a.name: a.values[0] if rng.random() < rates[a.name] else a.values[1]
        for a in family_aspects(family)
    }
    return Scene(family, values, {}, int(rng.integers(2**62)))


def _draw_objects(rng: np.random.Generator, rates: Mapping[str, float]) -> Scene:
    aspects = family_aspects("objects")
    chance = rng.random((4, len(aspects)))
    claimed = np.argsort(chance[0])[: int(rng.integers(5, len(aspects) + 1))].tolist()
    values: dict[str, str] = {}
    claims: dict[str, str] = {}
    for place, a in enumerate(aspects):
        shown = int(chance[1, place] * len(a.values))
        values[a.name] = a.values[shown]
        if place in claimed:
            wrong = chance[2, place] < rates[a.name]
            other = shown + 1 + int(chance[3, place] * (len(a.values) - 1))
            claims[a.name] = a.values[other % len(a.values) if wrong else shown]
    return Scene("objects", values, claims, int(rng.integers(2**62)))


def is_fault(scene: Scene, name: str) -> bool:
    """Whether the scene is at fault in the aspect; False for another family's aspect."""
    if name not in scene.values:
        return False
    if scene.family == "objects":
        return name in scene.claims and scene.claims[name] != scene.values[name]
    return scene.values[name] == _BY_NAME[name].fault_value


def faults(scene: Scene) -> tuple[str, ...]:
    """Names of the aspects at fault."""
    return tuple(name for name in scene.values if is_fault(scene, name))


_COUNT_WORDS = ("count", "size", "color", "texture")


def claim_text(scene: Scene) -> str | None:
    """The text that goes with the image: its claims in words, None without claims.

    "two large red striped stars on the left, all on dark, framed"
    """
    if not scene.claims:
        return None
    claims = scene.claims
    words = [claims[name] for name in _COUNT_WORDS if name in claims]
    many = claims.get("count") in {"two", "three"}
    thing = claims.get("shape", "thing")
    phrases = [" ".join([*words, plural(thing) if many else thing])]
    if "side" in claims:
        phrases[0] += f" on the {claims['side']}"
    if "backdrop" in claims:
        phrases.append(f"all on {claims['backdrop']}")
    if "border" in claims:
        phrases.append(claims["border"])
    return ", ".join(phrases)


# ---------------------------------------------------------------------------------- ideal judge


def judged_aspects(family: Family, named: Iterable[str]) -> tuple[str, ...]:
    """The aspects a verdict rests on: the named ones of the family, else the coarse one."""
    own = tuple(dict.fromkeys(name for name in named if _BY_NAME[name].family == family))
    return own or (COARSE_ASPECT[family],)


def described_aspects(family: Family, named: Iterable[str]) -> tuple[str, ...]:
    """The aspects a description reports, in order."""
    own = tuple(dict.fromkeys(name for name in named if _BY_NAME[name].family == family))
    return own or (COARSE_ASPECT[family], SECOND_ASPECT[family])


def verdict_of_count(num_faults: int, scale: Scale) -> str:
    """The label that stands for that many faults."""
    match scale:
        case "safety":
            return "Unsafe" if num_faults else "Safe"
        case "match":
            return "0" if num_faults else "1"
        case "naturalness":
            return str(5 - min(4, num_faults))
        case "alignment":
            return str(7 - min(6, num_faults))


def ideal_verdict(scene: Scene, named: Iterable[str], scale: Scale) -> str:
    """The verdict of a judge that sees perfectly and goes by the named aspects only."""
    judged = judged_aspects(scene.family, named)
    return verdict_of_count(sum(is_fault(scene, name) for name in judged), scale)


def ideal_verbalization(scene: Scene, named: Iterable[str]) -> str:
    """What a perfect verbalizer says: "color: red. count: two." """
    return describe(scene, described_aspects(scene.family, named))


def describe(scene: Scene, names: Iterable[str]) -> str:
    """These aspects of the scene in words."""
    return " ".join(f"{name}: {scene.values[name]}." for name in names)


# -------------------------------------------------------------------------------------- pictures


def render(scene: Scene) -> Image.Image:
    """The scene's picture, RGB, IMAGE_SIZE x IMAGE_SIZE."""
    return draw(scene.family, scene.values, scene.seed)


def png_bytes(image: Image.Image) -> bytes:
    """The picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
