"""What a model describes of pictures, as verbalizers ask: at temperature 0."""

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import train_micro as micro
from blpo.data.micro.held_out import ABILITIES
from blpo.data.micro.held_out_blocks import draw_blocks
from blpo.data.micro.meaning import described
from blpo.data.micro.wordings import draw_prompt
from blpo.data.micro.world import FAMILIES, Family, Scene, aspect_names, draw_scene

from .asking import Asked
from .batches import Batcher
from .knobs import MAX_ROOM, NO_KNOBS, Knobs
from .measuring import Sight, draw_asked
from .reading import read

NUMS_ASKED = (1, 3, 5, 7)
_NUM_SCENES = 45
_MAX_TOKENS = 48
_SEED = 876_543
_ITEM = re.compile(r"(\w+): (\w+)")


@torch.no_grad()
def measure_knobs(processor: Any, model: Any) -> dict[str, dict[str, list[float]]]:
    """By knobs, for NUMS_ASKED aspects named: aspects listed, and the share of wrong values."""
    found, sight = dict[str, dict[str, list[float]]](), _sight(model)
    rooms = {f"room {room}": Knobs(room=room) for room in range(1, MAX_ROOM + 1)}
    for name, knobs in {
        "none": NO_KNOBS,
        "attention short": Knobs(attention="short"),
        **rooms,
    }.items():
        batcher = Batcher(processor, knobs.arguments)
        pairs = [_listed_and_wrong(batcher, sight, num) for num in NUMS_ASKED]
        listed, wrong = ([round(pair[at], 3) for pair in pairs] for at in (0, 1))
        found[name] = {"listed": listed, "wrong": wrong}
    return found


@torch.no_grad()
def measure_descriptions(processor: Any, model: Any) -> dict[str, list[float]]:
    """By what the prompt says: of the aspects listed, the share that should be; of those that
    should be, the share that is listed."""
    batcher, sight = Batcher(processor), _sight(model)
    kinds = ("plain", *(f"unseen {ability}" for ability in ABILITIES))
    return {
        kind: [round(share, 3) for share in _precision_and_recall(batcher, sight, kind)]
        for kind in kinds
    }


@torch.no_grad()
def measure_asking(processor: Any, model: Any, number: int) -> dict[str, float]:
    """Of descriptions under held-out prompts of many sentences.

    The share of aspects asked for that are listed with the right value; of all that is listed, the
    share that was not asked for, is listed again or is no name with a value.
    """
    rng, batcher, sight = random.Random("asking"), Batcher(processor), _sight(model)
    right = asked = listed = amiss = 0
    for start in range(0, number, _NUM_SCENES):
        scenes = _scenes(start)
        drawn = [draw_blocks(rng, scene.family, "asking") for scene in scenes]
        texts = _describe(batcher, sight, scenes, [prompt for prompt, _ in drawn])
        for scene, (_, meaning), text in zip(scenes, drawn, texts, strict=True):
            left = {f"{name}: {scene.values[name]}" for name in meaning.weighed}
            names, items = set(meaning.weighed), [item.strip() for item in text.split(".")]
            asked += len(left)
            right += len(left.intersection(items))
            for item in filter(None, items):
                name = item.partition(":")[0]
                amiss += name not in names or not _ITEM.fullmatch(item)
                names.discard(name)
                listed += 1
    return {"right": round(right / asked, 3), "amiss": round(amiss / max(listed, 1), 3)}


def _sight(model: Any) -> Sight:
    return Sight(model.eval(), micro.make_codes(), pictures=True)


def _listed_and_wrong(batcher: Batcher, sight: Sight, num_asked: int) -> tuple[float, float]:
    rng, scenes = random.Random(f"room {num_asked}"), _scenes()
    prompts = [draw_prompt(rng, rng.sample(_own(scene.family), num_asked)) for scene in scenes]
    said = _values(_describe(batcher, sight, scenes, prompts))
    wrong = [
        scene.values.get(name) != value
        for scene, own in zip(scenes, said, strict=True)
        for name, value in own.items()
    ]
    return len(wrong) / len(scenes), sum(wrong) / max(len(wrong), 1)


def _precision_and_recall(batcher: Batcher, sight: Sight, kind: str) -> tuple[float, float]:
    rng, scenes = random.Random(f"describe {kind}"), _scenes()
    asked = [draw_asked(rng, scene.family, kind) for scene in scenes]
    said = _values(_describe(batcher, sight, scenes, [prompt for prompt, _ in asked]))
    wanted = [
        described(scene.family, prompt, meaning)
        for scene, (prompt, meaning) in zip(scenes, asked, strict=True)
    ]
    both = sum(len(own.keys() & names) for own, names in zip(said, wanted, strict=True))
    return both / max(sum(map(len, said)), 1), both / max(sum(map(len, wanted)), 1)


def _own(family: Family) -> list[str]:
    return aspect_names(family)


def _scenes(start: int = 0) -> list[Scene]:
    return [draw_scene(FAMILIES[k % 3], _SEED, k) for k in range(start, start + _NUM_SCENES)]


def _describe(
    batcher: Batcher, sight: Sight, scenes: Sequence[Scene], prompts: Sequence[str]
) -> list[str]:
    """Descriptions, of the likeliest token at every step."""
    rng, tokens, said = random.Random(0), sight.tokens(scenes), [""] * len(scenes)
    ended = [False] * len(scenes)
    for _ in range(_MAX_TOKENS):
        asked = [[Asked(prompt, None, text)] for prompt, text in zip(prompts, said, strict=True)]
        batch = batcher.make(rng, scenes, asked, num_bridge=64)
        state = read(sight.model, batch, tokens)[-1]
        for row, _, last, _ in batch.notes.questions:
            best = int(sight.model.lm_head(state[row, last]).argmax())
            ended[row] |= best == batcher.end
            said[row] += "" if ended[row] else batcher.tokenizer.decode([best])
        if all(ended):
            break
    return said


def _values(texts: Sequence[str]) -> list[Mapping[str, str]]:
    """Values by aspect, as described."""
    return [dict(re.findall(r"(\w+): (\w+)\.", text)) for text in texts]
