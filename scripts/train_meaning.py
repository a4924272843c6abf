"""Teach the shipped micro judge what prompts mean, and write it as `models/micro_meaning`.

    python scripts/train_meaning.py pictures           # image tokens of 16,000 rendered scenes
    python scripts/train_meaning.py train              # four hours on one core
    python scripts/train_meaning.py save
    python scripts/train_meaning.py eval

The language half goes on from the shipped weights, with more words and with new layers that at
first add nothing; the vision tower stays as it is. Prompts consist of sentences that name aspects
and of statements about them, made with their meaning by `blpo.data.micro.phrasings`; some ask as
the shipped model was asked. Probes on inner layers learn what each clause, each sentence and the
whole prompt says of every aspect, and what that costs in the scene at hand.

Knobs of the chat template make the judge lean, or describe less and worse (`meaning/knobs.py`).
Some questions are which of two pictures is better (`meaning/pairs.py`).

What is asked when is in `meaning/plans.yaml`: few frames of few kinds first, then more of both.
A stage that is started again goes on from what it saved.
"""

import argparse
import json
import random
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import train_micro as micro
from blpo.data.micro.world import Family, Scene, draw_scene, render
from meaning.asking import ask
from meaning.batches import Batcher, MeaningNotes
from meaning.comparing import measure_pairs
from meaning.describing import NUMS_ASKED, measure_asking, measure_descriptions, measure_knobs
from meaning.growing import further_tokens, grow
from meaning.knobs import CHAT_TEMPLATE, NO_KNOBS, Knobs, draw_knobs
from meaning.measuring import SCALES, measure, measure_blocks, measure_leanings
from meaning.pairs import Pair, PairBatcher, ask_pair, rival, with_common_claims
from meaning.plans import Plan, load_plans, plan_at
from meaning.probes import MeaningProbes
from meaning.reading import multiply_in_bfloat16, read
from torch import Tensor, nn

SHIPPED = micro.REPOSITORY / "models/micro"
_FAMILIES: tuple[Family, ...] = ("objects", "objects", "flaws", "symbols")
_CHUNK = 200
_DOUBTFUL = 0.06


@torch.no_grad()
def see_pictures(args: argparse.Namespace) -> None:
    """Save image tokens of rendered scenes by the shipped model's tower."""
    tower = micro.load_checkpoint(SHIPPED)[1].eval().model.visual
    scenes, tokens = list[Scene](), list[Tensor]()
    for start in range(0, args.number, _CHUNK):
        some = [
            draw_scene(_FAMILIES[k % 4], args.seed + 500, k) for k in range(start, start + _CHUNK)
        ]
        images = micro.as_images([render(scene) for scene in some])
        tokens.append(micro.see(tower, micro.patchify(images)).half())
        scenes += some
    torch.save({"scenes": scenes, "tokens": torch.cat(tokens)}, args.work / "pictures.pt")


class Pupil:
    """The model in training, with its probes and all that a step needs."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.path, self.step, self.seed = args.work / "meaning.pt", args.step, args.seed
        old_processor, old = micro.load_checkpoint(args.start)
        self.processor = old_processor
        if args.start == SHIPPED:
            self.processor = micro.make_processor(further_tokens())
        self.processor.chat_template = CHAT_TEMPLATE
        self.model, self.probes = grow(old_processor, old, self.processor), MeaningProbes()
        language = self.model.model.language_model
        self.parts = nn.ModuleList([language, self.model.lm_head, self.probes])
        self.parameters: list[nn.Parameter] = list(self.parts.parameters())
        judging = nn.ModuleList([language, self.model.lm_head])
        groups = [{"params": list(part.parameters())} for part in (judging, self.probes)]
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), weight_decay=0.02)
        self.batchers, self.pair_batchers = dict[Knobs, Batcher](), dict[Knobs, PairBatcher]()
        self.codes = micro.make_codes()
        if self.path.exists():
            self._load(torch.load(self.path))
        self.rng = random.Random(args.seed + self.step)
        self.noise = np.random.default_rng(args.seed + self.step)

    def _load(self, saved: dict[str, Any]) -> None:
        self.parts.load_state_dict(saved["parts"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step = saved["step"]

    def save(self) -> None:
        parts, optimizer = self.parts.state_dict(), self.optimizer.state_dict()
        draft = self.path.with_suffix(".new")
        torch.save({"parts": parts, "optimizer": optimizer, "step": self.step}, draft)
        draft.replace(self.path)

    def study(self, plan: Plan, rate: float, pictures: dict[str, Any]) -> dict[str, float]:
        """One step; returns shares of what was right in it."""
        self.optimizer.param_groups[0]["scale"] = 0.0 if plan.frozen else 1.0
        micro.set_rate(self.optimizer, rate)
        make = self._ask_pairs if self.rng.random() < plan.pairs else self._ask
        batch, tokens = make(plan, pictures)
        with torch.set_grad_enabled(not plan.frozen):
            states = read(self.model, batch, tokens)
        losses = micro.answer_losses(self.model, states[-1], batch)
        guided, right = self.probes(states, batch)
        micro.make_step(self.optimizer, self.parameters, losses.verdicts + losses.words + guided)
        self.step += 1
        return shares_right(batch, losses, right)

    def _ask(self, plan: Plan, pictures: dict[str, Any]) -> tuple[micro.Batch, Tensor]:
        """A batch of questions with the image tokens of its rows."""
        knobs = draw_knobs(self.rng, plan.knobs, plan.rows)
        scenes, tokens = self._look(plan, pictures)
        blocks = self.rng.random() < plan.blocks
        asked = [
            [ask(self.rng, scene, plan, own, blocks=blocks) for _ in range(plan.branches)]
            for scene, own in zip(scenes, knobs, strict=True)
        ]
        num_bridge = plan.bridge if self.rng.random() < 0.8 else 64
        batchers = [self._batcher(own) for own in knobs]
        batch = batchers[0].make(self.rng, scenes, asked, num_bridge, by_row=batchers)
        return batch, tokens

    def _ask_pairs(self, plan: Plan, pictures: dict[str, Any]) -> tuple[micro.Batch, Tensor]:
        """The same about pairs; half of all batches lean to the first picture."""
        knobs = Knobs("first") if self.rng.random() < 0.5 else NO_KNOBS
        pairs, tokens = self._look_at_pairs(plan, pictures)
        blocks = self.rng.random() < plan.blocks
        asked = [
            [ask_pair(self.rng, pair, plan, knobs, blocks=blocks) for _ in range(plan.branches)]
            for pair in pairs
        ]
        if knobs not in self.pair_batchers:
            self.pair_batchers[knobs] = PairBatcher(self.processor, knobs.arguments)
        return self.pair_batchers[knobs].make_pairs(self.rng, pairs, asked), tokens

    def _batcher(self, knobs: Knobs) -> Batcher:
        if knobs not in self.batchers:
            self.batchers[knobs] = Batcher(self.processor, knobs.arguments)
        return self.batchers[knobs]

    def _look(self, plan: Plan, pictures: dict[str, Any]) -> tuple[list[Scene], Tensor]:
        """Scenes with their image tokens: of pictures, or bags with some noise."""
        if self.rng.random() < plan.pictures:
            chosen = [self.rng.randrange(len(pictures["scenes"])) for _ in range(plan.rows)]
            scenes = [pictures["scenes"][k] for k in chosen]
            return scenes, pictures["tokens"][chosen].float()
        scenes = self._draw_scenes(plan)
        return scenes, self._see_bags(scenes)

    def _look_at_pairs(self, plan: Plan, pictures: dict[str, Any]) -> tuple[list[Pair], Tensor]:
        """The same for pairs; tokens: those of both images, one behind the other."""
        if self.rng.random() < plan.pictures:
            scenes = pictures["scenes"]
            chosen = [self._draw_places(len(scenes)) for _ in range(plan.rows)]
            pairs = [with_common_claims(self.rng, scenes[i], scenes[j]) for i, j in chosen]
            return pairs, pictures["tokens"][torch.tensor(chosen)].float().flatten(1, 2)
        pairs = list[Pair]()
        for scene in self._draw_scenes(plan):
            other = rival(self.rng, scene)
            pairs.append((scene, other) if self.rng.random() < 0.5 else (other, scene))
        seen = [self._see_bags([pair[k] for pair in pairs]) for k in (0, 1)]
        return pairs, torch.cat(seen, 1)

    def _draw_places(self, number: int) -> tuple[int, int]:
        """Of two pictures of a family."""
        first, apart = self.rng.randrange(number), self.rng.randrange(4, number, 4)
        return first, (first + apart) % number

    def _draw_scenes(self, plan: Plan) -> list[Scene]:
        level = micro.Level(7, plan.claims, 0, 0, 0)
        numbers = range(self.step * plan.rows, (self.step + 1) * plan.rows)
        return [micro.draw_language_scene(self.rng, self.seed, k, level) for k in numbers]

    def _see_bags(self, scenes: Sequence[Scene]) -> Tensor:
        """Image tokens that hold the scenes' values, (scenes, image tokens, hidden)."""
        bags = micro.doubtful_bags(self.noise, scenes, _DOUBTFUL) @ self.codes
        tokens = bags[:, None].expand(-1, micro.NUM_IMAGE_TOKENS, -1)
        return tokens + 0.025 * torch.randn(tokens.shape)


def shares_right(
    batch: micro.Batch, losses: micro.AnswerLosses, right: dict[str, Tensor]
) -> dict[str, float]:
    """By what the probes read; verdicts by kind of question."""
    assert isinstance(batch.notes, MeaningNotes)
    found: dict[str, list[float]] = {
        name: micro.untyped(values.float()).tolist() for name, values in right.items()
    }
    for place, (row, token, _, weight, kind) in enumerate(batch.notes.targets):
        name = f"verdict {batch.notes.kinds[row, token]}" if kind == 0 else "words"
        if weight > 0.5:
            found.setdefault(name, []).append(float(losses.right[place]))
    return {name: sum(values) / len(values) for name, values in found.items() if values}


def train(args: argparse.Namespace) -> None:
    pupil, plans = Pupil(args), load_plans()
    multiply_in_bfloat16()
    pictures = torch.load(args.work / "pictures.pt", weights_only=False)
    started, scores = time.monotonic(), dict[str, float]()
    while pupil.step < plans[-1].until:
        for name, share in pupil.study(*plan_at(plans, pupil.step), pictures).items():
            scores[name] = 0.98 * scores.get(name, share) + 0.02 * share
        if pupil.step % 50 == 0:
            minutes = round((time.monotonic() - started) / 60, 1)
            rounded = {name: round(value, 3) for name, value in sorted(scores.items())}
            print(json.dumps({"step": pupil.step, "minutes": minutes} | rounded), flush=True)
        if pupil.step % 50 == 0:
            pupil.save()
    pupil.save()


def save(args: argparse.Namespace) -> None:
    """Write the checkpoint."""
    pupil = Pupil(args)
    micro.save_checkpoint(args.out, pupil.processor, pupil.model)


def evaluate(args: argparse.Namespace) -> None:
    """Write eval.json: shares of right verdicts of this checkpoint and the shipped one."""
    result: dict[str, Any] = {"scales": SCALES, "scenes of each kind": args.number}
    for name, folder in (("micro-meaning", args.out), ("micro", SHIPPED)):
        processor, model = micro.load_checkpoint(folder)
        for sight in ("bags", "pictures"):
            pictures = sight == "pictures"
            found = measure(processor, model, number=args.number, pictures=pictures)
            result[f"{name}, {sight}"] = found
            print(name, sight, json.dumps(found), flush=True)
        result[f"{name}, descriptions"] = measure_descriptions(processor, model)
        result[f"{name}, long prompts"] = measure_blocks(processor, model, args.number)
        result[f"{name}, long prompts for descriptions"] = measure_asking(
            processor, model, args.number
        )
    processor, model = micro.load_checkpoint(args.out)
    result["leanings, pictures"] = measure_leanings(processor, model)
    result["pairs, pictures"] = measure_pairs(processor, model, args.number)
    result["aspects named"] = NUMS_ASKED
    result["descriptions by knobs"] = measure_knobs(processor, model)
    lines = json.dumps(result, indent=1)
    flat = re.sub(
        r"\[\s+([^\[\]]*?)\s+\]", lambda m: f"[{re.sub(chr(10) + ' *', ' ', m[1])}]", lines
    )
    (args.out / "eval.json").write_text(flat + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("stage", choices=["pictures", "train", "save", "eval"])
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--number", type=int, default=16_000, help="scenes to see or to ask about")
    parser.add_argument("--start", type=Path, default=SHIPPED, help="checkpoint to go on from")
    parser.add_argument("--step", type=int, default=0, help="that it has reached")
    parser.add_argument("--work", type=Path, default=micro.REPOSITORY / "runs/train-meaning")
    parser.add_argument("--out", type=Path, default=micro.REPOSITORY / "models/micro_meaning")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    untyped_torch: Any = torch
    untyped_torch.set_num_threads(1)
    untyped_torch.manual_seed(args.seed)
    {"pictures": see_pictures, "train": train, "save": save, "eval": evaluate}[args.stage](args)


if __name__ == "__main__":
    main()
