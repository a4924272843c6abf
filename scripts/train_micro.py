"""Train the micro world's judge from scratch and write it as a Qwen2.5-VL checkpoint.

    python scripts/train_micro.py vision   --minutes 30              # these two side by side,
    python scripts/train_micro.py language --minutes 45 --batch 10 --rate 2e-3    # one core each
    python scripts/train_micro.py join     --minutes 15 --batch 12 --rate 8e-4
    python scripts/train_micro.py eval

A stage that is started again goes on from what it saved (join: with --resume). The join stage
writes models/micro.

Every (aspect, value) has a fixed code vector, all codes orthogonal. The sum of a scene's codes,
its bag, is what an image token should say.

1. vision: the vision tower and its merger learn to put the bag into every image token.
2. language: the language model learns to judge and to verbalize with bags in the place of image
   tokens. Bags of doubtful scenes mix the codes of two values, with the truth drawn by the mixing
   share, so that label probabilities come out calibrated. Claims and names grow in number as soon
   as the model is right about few. Probes on inner layers (thrown away) speed this up.
3. join: both are tuned together on pictures, the vision tower at a low rate.

Several prompts about one image are trained in one sequence: they branch off a common trunk
(template prefix, image, text, bridge), each sees the trunk and itself.
"""

import argparse
import dataclasses
import json
import math
import random
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tokenizers
import torch
from blpo.data.micro.drawing import IMAGE_SIZE
from blpo.data.micro.wordings import draw_prompt, instruction, vocabulary
from blpo.data.micro.world import (
    ASPECTS,
    FAMILIES,
    Family,
    Scale,
    Scene,
    aspect_names,
    claim_text,
    draw_scene,
    ideal_verbalization,
    ideal_verdict,
    is_fault,
    plural,
    render,
)
from blpo.models.requests.layout import BRIDGE_SENTENCES, make_layout
from PIL.Image import Image
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoProcessor,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
)
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLVisionConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VisionTransformerPretrainedModel,
)
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

HIDDEN = 128
NUM_LAYERS = 4
CODE_NORM = 0.6
PATCH, MERGE, TEMPORAL = 14, 2, 2
GRID = IMAGE_SIZE // PATCH
NUM_IMAGE_TOKENS = (GRID // MERGE) ** 2
REPOSITORY = Path(__file__).resolve().parents[1]

Images = npt.NDArray[np.uint8]
"""(images, height, width, RGB)"""


def untyped(thing: object) -> Any:
    """The same thing without its type, where a library's annotations are incomplete."""
    return thing


# ----------------------------------------------------------------------------------------- codes

VALUES: tuple[tuple[str, str], ...] = tuple((a.name, v) for a in ASPECTS for v in a.values)
VALUE_INDEX = {pair: index for index, pair in enumerate(VALUES)}
VALUE_RANGES = {
    a.name: (VALUE_INDEX[a.name, a.values[0]], VALUE_INDEX[a.name, a.values[-1]] + 1)
    for a in ASPECTS
}
ASPECT_INDEX = {a.name: index for index, a in enumerate(ASPECTS)}


def make_codes() -> Tensor:
    """Orthogonal code vectors, (values, hidden), each of norm CODE_NORM."""
    generator = torch.Generator().manual_seed(20260)
    square = torch.randn(HIDDEN, HIDDEN, generator=generator, dtype=torch.float64)
    basis: Tensor = untyped(torch.linalg).qr(square)[0]
    return CODE_NORM * basis[: len(VALUES)].float()


def value_targets(scenes: Sequence[Scene]) -> Tensor:
    """0/1 over all values, (scenes, values)."""
    targets = torch.zeros(len(scenes), len(VALUES))
    for row, scene in enumerate(scenes):
        for pair in scene.values.items():
            targets[row, VALUE_INDEX[pair]] = 1.0
    return targets


# ------------------------------------------------------------------------------------ vision tower


def vision_config() -> dict[str, Any]:
    return {
        "depth": 4,
        "hidden_size": 96,
        "intermediate_size": 256,
        "num_heads": 4,
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": TEMPORAL,
        "out_hidden_size": HIDDEN,
        "window_size": 112,
        "fullatt_block_indexes": [0, 1, 2, 3],
    }


def patchify(images: Images) -> Tensor:
    """(images, patches, channels * temporal * patch * patch), as the image processor does it."""
    pixels = torch.as_tensor(images).float().permute(0, 3, 1, 2) / 127.5 - 1.0
    blocks = pixels.reshape(len(images), 3, GRID // 2, 2, PATCH, GRID // 2, 2, PATCH)
    blocks = blocks.permute(0, 2, 5, 3, 6, 1, 4, 7).unsqueeze(6)
    blocks = blocks.expand(*blocks.shape[:6], TEMPORAL, PATCH, PATCH)
    return blocks.reshape(len(images), GRID * GRID, -1)


def _patch_positions() -> Tensor:
    """Row and column of every patch in the processor's order, (patches, 2)."""
    rows, columns = torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij")
    grid = torch.stack([rows, columns], dim=-1).reshape(GRID // 2, 2, GRID // 2, 2, 2)
    return grid.permute(0, 2, 1, 3, 4).reshape(-1, 2)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def see(tower: Any, patches: Tensor) -> Tensor:
    """Image tokens, (images, image tokens, hidden): the tower's forward pass over a whole batch.

    Every block attends to the whole image, so windows do not matter. (The library's own forward
    pass goes through the images one by one.)
    """
    num_images, num_patches, _ = patches.shape
    h: Tensor = tower.patch_embed(patches.reshape(num_images * num_patches, -1))
    h = h.view(num_images, num_patches, -1)
    cos, sin = tower.rotary_pos_emb(h, _patch_positions())
    for block in tower.blocks:
        attention = block.attn
        qkv = attention.qkv(block.norm1(h)).view(
            num_images, num_patches, 3, attention.num_heads, -1
        )
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(
            _rotate(q, cos, sin), _rotate(k, cos, sin), v
        )
        h = h + attention.proj(mixed.transpose(1, 2).reshape(num_images, num_patches, -1))
        h = h + block.mlp(block.norm2(h))
    return tower.merger(h.reshape(num_images * num_patches, -1)).view(num_images, -1, HIDDEN)


def as_images(pictures: Sequence[Image]) -> Images:
    return np.stack([np.asarray(picture) for picture in pictures])


@dataclass(slots=True)
class ImagePool:
    """Scenes with their pictures, slowly renewed."""

    scenes: list[Scene]
    images: Images
    next_index: int

    @classmethod
    def draw(cls, size: int, seed: int) -> "ImagePool":
        scenes = [_scene(seed, index) for index in range(size)]
        return cls(scenes, as_images([render(scene) for scene in scenes]), size)

    def renew(self, count: int, seed: int) -> None:
        """Replace the `count` oldest pictures by fresh ones."""
        for _ in range(count):
            place = self.next_index % len(self.scenes)
            self.scenes[place] = _scene(seed, self.next_index)
            self.images[place] = np.asarray(render(self.scenes[place]))
            self.next_index += 1


def _scene(seed: int, index: int) -> Scene:
    return draw_scene(FAMILIES[index % len(FAMILIES)], seed, index)


@dataclass(slots=True)
class Clock:
    """A time budget and the learning rate that goes with it."""

    minutes: float
    started: float = field(default_factory=time.monotonic)

    @property
    def share(self) -> float:
        """Share of the budget used, 0 to 1."""
        return min(1.0, (time.monotonic() - self.started) / (60 * self.minutes))

    def __str__(self) -> str:
        return f"{100 * self.share:.0f} %"

    def rate(self, peak: float, step: int, warmup: int = 100) -> float:
        """Linear warm-up, then a cosine down to 2 % of the peak."""
        return (
            peak
            * min(1.0, (step + 1) / warmup)
            * (0.02 + 0.49 * (1 + math.cos(math.pi * self.share)))
        )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("scale", 1.0)


def value_losses(tokens: Tensor, targets: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Squared error against the bag, cross-entropy per aspect, and values read off the mean token.

    tokens: (images, image tokens, hidden); targets: (images, values).
    """
    bag = targets @ codes
    mean = tokens.mean(dim=1)
    error = (mean - bag).square().sum(-1).mean()
    error = error + 0.3 * (tokens - bag[:, None]).square().sum(-1).mean()
    scores = mean @ codes.T / CODE_NORM**2
    losses: list[Tensor] = []
    for start, end in VALUE_RANGES.values():
        shown = targets[:, start:end].sum(-1) > 0
        if shown.any():
            truth = targets[shown, start:end].argmax(-1)
            losses.append(functional.cross_entropy(5 * scores[shown, start:end], truth))
    return error / CODE_NORM**2, torch.stack(losses).mean(), scores


def perception(scores: Tensor, targets: Tensor) -> dict[str, float]:
    """Share of images whose value is read right, by aspect."""
    result: dict[str, float] = {}
    for name, (start, end) in VALUE_RANGES.items():
        shown = targets[:, start:end].sum(-1) > 0
        right = scores[shown, start:end].argmax(-1) == targets[shown, start:end].argmax(-1)
        result[name] = right.float().mean().item()
    return result


def new_tower() -> Any:

    tower = Qwen2_5_VisionTransformerPretrainedModel(Qwen2_5_VLVisionConfig(**vision_config()))
    scale_weights(tower, depth=4)
    return tower


@torch.no_grad()
def start_patch_filters(tower: Any, patches: Tensor) -> None:
    """Start a third of the patch filters smooth and the rest as small zero-sum ones, all at one
    output scale on these patches; from random filters, fine detail takes far longer to be seen.
    """
    generator = torch.Generator().manual_seed(11)
    weight = tower.patch_embed.proj.weight
    num_filters = len(weight)
    filters = torch.zeros(num_filters, 3, PATCH, PATCH)
    coarse = torch.randn(num_filters, 3, 3, 3, generator=generator)
    smooth = functional.interpolate(coarse, (PATCH, PATCH), mode="bilinear", align_corners=True)
    for number in range(num_filters):
        if number % 3 == 0:
            filters[number] = smooth[number]
            continue
        size = (2, 3, 4, 6)[number % 4]
        tone = torch.randn(3, 1, 1, generator=generator) + 1.0
        local = torch.randn(1, size, size, generator=generator)
        row, column = (
            int(k) for k in torch.randint(0, PATCH - size + 1, (2,), generator=generator)
        )
        local = (local - local.mean()) * tone
        filters[number, :, row : row + size, column : column + size] = local
    weight.copy_(filters[:, :, None].expand_as(weight))
    scale = tower.patch_embed(patches.reshape(-1, patches.shape[-1])).std(dim=0)
    weight /= scale[:, None, None, None, None]


def scale_weights(module: nn.Module, depth: int) -> None:
    """Start every linear map at a scale of its own width; residual outputs smaller."""
    children: dict[str, nn.Module] = dict(untyped(module).named_modules())
    for name, child in children.items():
        if isinstance(child, nn.Linear):
            gain = (
                1 / math.sqrt(2 * depth)
                if name.endswith(("proj.proj", "attn.proj", "o_proj", "down_proj"))
                else 1.0
            )
            nn.init.normal_(child.weight, std=gain / math.sqrt(child.in_features))


def train_vision(args: argparse.Namespace) -> None:
    untyped(torch).manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    tower, codes = new_tower(), make_codes()
    path = args.work / "vision.pt"
    if path.exists():
        tower.load_state_dict(torch.load(path))
    pool = ImagePool.draw(args.pool, args.seed + 100)
    check = ImagePool.draw(900, args.seed + 999)
    if not path.exists():
        start_patch_filters(tower, patchify(pool.images[:600]))
    print(f"pool of {args.pool} drawn", flush=True)
    optimizer = torch.optim.AdamW(tower.parameters(), lr=0.0, betas=(0.9, 0.98), weight_decay=0.02)
    clock, step = Clock(args.minutes), 0
    while clock.share < 1:
        set_rate(optimizer, clock.rate(args.rate, step))
        rows: list[int] = untyped(rng).integers(0, args.pool, args.batch).tolist()
        targets = value_targets([pool.scenes[row] for row in rows])
        tokens = see(tower, patchify(pool.images[rows]))
        error, entropy, _ = value_losses(tokens, targets, codes)
        make_step(optimizer, list(tower.parameters()), 0.25 * error + entropy)
        pool.renew(args.renew, args.seed + 100)
        step += 1
        if step % 200 == 0:
            print(
                f"step {step} share {clock.share:.2f} mse {error:.3f} ce {entropy:.3f}", flush=True
            )
            if step % 400 == 0:
                _check_vision(tower, check, codes)
                torch.save(tower.state_dict(), path)
    _check_vision(tower, check, codes)
    torch.save(tower.state_dict(), path)


@torch.no_grad()
def _check_vision(tower: Any, check: ImagePool, codes: Tensor) -> None:
    targets = value_targets(check.scenes)
    error, _, scores = value_losses(see(tower, patchify(check.images)), targets, codes)
    seen = perception(scores, targets)
    print(
        f"  fresh mse {error:.3f}  " + " ".join(f"{k}={v:.2f}" for k, v in seen.items()), flush=True
    )


# -------------------------------------------------------------------------- tokenizer and model

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
CHAT_TEMPLATE = (
    "<|im_start|>system\nLook at the image.<|im_end|>\n"
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' or 'image' in part or 'image_url' in part %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _lexicon() -> list[str]:
    """Every token that the tokenizer must have whole, with its space and letter case."""
    texts = [*BRIDGE_SENTENCES, CHAT_TEMPLATE, "Text", "system user assistant Safe Unsafe"]
    words = dict.fromkeys(vocabulary())
    words |= dict.fromkeys(re.findall(r"[A-Za-z]+", " ".join(texts)))
    tokens = dict.fromkeys(words) | dict.fromkeys(f" {word}" for word in words)
    names = {form for a in ASPECTS for word in a.words for form in (word, plural(word))}
    for word in names:
        tokens |= dict.fromkeys((word.capitalize(), f" {word.capitalize()}"))
    return list(tokens)


def make_processor(further: Sequence[str] = ()) -> Any:
    """Processor with a byte-level BPE tokenizer in which every ordinary word is one token.

    further: tokens to have whole beside those of the shipped model.
    """

    draft = tokenizers.Tokenizer(tokenizers.models.BPE())
    draft.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(
        add_prefix_space=False, use_regex=False
    )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=30_000,
        min_frequency=1,
        show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    draft.train_from_iterator([*_lexicon(), *further], trainer)
    trained = json.loads(draft.to_str())["model"]
    vocab: dict[str, int] = trained["vocab"]
    vocab |= {token: len(vocab) + place for place, token in enumerate(SPECIAL_TOKENS)}
    tokenizer = Qwen2Tokenizer(
        vocab=vocab,
        merges=untyped([tuple(pair) for pair in trained["merges"]]),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
        model_max_length=2048,
    )
    pixels: dict[str, Any] = {"min_pixels": 28 * 28, "max_pixels": 4 * IMAGE_SIZE * IMAGE_SIZE}
    normal: dict[str, Any] = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**pixels, **normal),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(**normal),
        chat_template=CHAT_TEMPLATE,
    )


def new_model(processor: Any) -> Any:
    """The untrained model; words that name one aspect start close together, and so do values."""

    tokenizer = processor.tokenizer
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": HIDDEN,
        "intermediate_size": 384,
        "num_hidden_layers": NUM_LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 2048,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 6, 6]},
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision_config(),
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
    scale_weights(model.model.language_model, depth=NUM_LAYERS)
    scale_weights(model.model.visual, depth=4)
    nn.init.normal_(model.lm_head.weight, std=0.02)
    table = model.model.language_model.embed_tokens.weight
    nn.init.normal_(table, std=0.09)
    words = Words.of(tokenizer)
    for owners in (words.names, words.values):
        with torch.no_grad():
            for token, owner in owners.items():
                base = torch.Generator().manual_seed(1000 + owner + 100 * len(owners))
                table[token] = 0.09 * torch.randn(HIDDEN, generator=base) + 0.2 * table[token]
    return model


@dataclass(frozen=True, slots=True)
class Words:
    """Aspect index by id of a token that names it; value index by id of a token that states it."""

    names: dict[int, int]
    values: dict[int, int]

    @classmethod
    def of(cls, tokenizer: Any) -> "Words":
        names = {
            cls._id(tokenizer, space + variant): ASPECT_INDEX[a.name]
            for a in ASPECTS
            for word in a.words
            for form in (word, plural(word))
            for variant in (form, form.capitalize())
            for space in ("", " ")
        }
        values = {
            cls._id(tokenizer, space + form): VALUE_INDEX[a.name, value]
            for a in ASPECTS
            for value in a.values
            for form in ((value, plural(value)) if a.name == "shape" else (value,))
            for space in ("", " ")
        }
        return cls(names, values)

    @staticmethod
    def _id(tokenizer: Any, token: str) -> int:
        ids = tokenizer.encode(token, add_special_tokens=False)
        if len(ids) != 1:
            raise ValueError(f"{token!r} is {len(ids)} tokens")
        return ids[0]


# ------------------------------------------------------------------------- questions about scenes

NATIVE_SCALES: dict[Family, tuple[Scale, ...]] = {
    "objects": ("match", "alignment"),
    "flaws": ("naturalness",),
    "symbols": ("safety",),
}
SCALES: tuple[Scale, ...] = ("safety", "match", "naturalness", "alignment")


@dataclass(frozen=True, slots=True)
class Level:
    """How hard the questions are."""

    num_names: int
    num_claims: int
    num_fillers: int
    num_bridge: int
    num_branches: int


LEVELS = (
    Level(num_names=1, num_claims=2, num_fillers=0, num_bridge=0, num_branches=6),
    Level(num_names=2, num_claims=4, num_fillers=0, num_bridge=0, num_branches=6),
    Level(num_names=4, num_claims=8, num_fillers=1, num_bridge=12, num_branches=5),
    Level(num_names=5, num_claims=8, num_fillers=2, num_bridge=64, num_branches=4),
    Level(num_names=7, num_claims=8, num_fillers=5, num_bridge=64, num_branches=4),
)


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt about a scene, with the answer wanted. scale None: a verbalization."""

    prompt: str
    scale: Scale | None
    answer: str


def ask(rng: random.Random, scene: Scene, level: Level) -> Question:
    """A random question about the scene."""
    own = aspect_names(scene.family)
    num = rng.randint(1, level.num_names) if rng.random() < 0.9 else 0
    names = rng.sample(own, num)
    if num and len(scene.claims) < 5 and scene.claims and rng.random() < 0.6:
        names[0] = rng.choice(list(scene.claims))
        names = list(dict.fromkeys(names))
    if level.num_names > 2 and rng.random() < 0.1:
        for a in rng.sample(ASPECTS, 2):
            if a.name not in names and a.family != scene.family:
                names.insert(rng.randint(0, len(names)), a.name)
    prompt = draw_prompt(rng, names, level.num_fillers)
    if rng.random() < 0.45:
        return Question(prompt, None, ideal_verbalization(scene, names))
    native = rng.random() < 0.65
    scale = rng.choice(NATIVE_SCALES[scene.family] if native else SCALES)
    verdict = ideal_verdict(scene, names, scale)
    return Question(f"{prompt}\n{instruction(rng, scale)}", scale, verdict)


def neighbour(rng: random.Random, verdict: str, scale: Scale) -> str:
    """A label beside the verdict."""
    match scale:
        case "safety":
            return "Safe" if verdict == "Unsafe" else "Unsafe"
        case "match":
            return "0" if verdict == "1" else "1"
        case _:
            value, top = int(verdict), 5 if scale == "naturalness" else 7
            beside = [other for other in (value - 1, value + 1) if 1 <= other <= top]
            return str(rng.choice(beside))


@dataclass(slots=True)
class Notes:
    """What the tokens of a batch are trained towards; row and token first in every entry.

    targets: label id, weight, kind (0 a verdict, 1 a word; words that choose what to report weigh
    most). probes: whether the aspect named there is at fault. value_probes: its value. claims:
    whether the image keeps the claim. order_probes: the aspect named before it, see NO_ASPECT.
    said_probes: the aspect said last. questions: row, first answer token, end, question.
    """

    targets: list[tuple[int, int, int, float, int]] = field(default_factory=list)
    probes: list[tuple[int, int, int]] = field(default_factory=list)
    value_probes: list[tuple[int, int, int]] = field(default_factory=list)
    claims: list[tuple[int, int, int]] = field(default_factory=list)
    order_probes: list[tuple[int, int, int]] = field(default_factory=list)
    said_probes: list[tuple[int, int, int]] = field(default_factory=list)
    questions: list[tuple[int, int, int, Question]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Batch:
    """Questions about scenes, several in a row, as the language model takes them.

    ids, branches: (rows, tokens); the branch of the trunk is -1, of padding -2.
    positions: (3, rows, tokens).
    """

    image_start: int
    ids: Tensor
    positions: Tensor
    branches: Tensor
    notes: Notes


LABEL_FLIPS = 0.04
NO_ASPECT, REPEATED = len(ASPECTS), len(ASPECTS) + 1
"""Classes beside the aspects: nothing was named before; this name is a repetition."""


class Batcher:
    """Makes batches of questions; all token ids come from the request layout."""

    def __init__(self, processor: Any, template_kwargs: Mapping[str, Any] | None = None) -> None:
        self.tokenizer = processor.tokenizer
        self.layouts = [
            make_layout(processor, block_size, template_kwargs=template_kwargs)
            for block_size in (16, 32)
        ]
        self.words = Words.of(self.tokenizer)
        self.end = self.tokenizer.convert_tokens_to_ids("<|im_end|>")
        self.pad = self.tokenizer.convert_tokens_to_ids("<|image_pad|>")
        self.image_start = self.layouts[0].prefix(1).index(self.pad)

    def batch(self, rng: random.Random, scenes: Sequence[Scene], level: Level) -> Batch:
        out = Notes()
        rows: list[tuple[list[int], list[int], list[int]]] = []
        for row, scene in enumerate(scenes):
            asked = [ask(rng, scene, level) for _ in range(level.num_branches)]
            rows.append(self._row(rng, row, scene, asked, level.num_bridge, out))
        length = max(len(ids) for ids, _, _ in rows)
        ids, offsets, branches = (
            torch.tensor([part + [fill] * (length - len(part)) for part in column])
            for column, fill in zip(zip(*rows, strict=True), (self.end, 0, -2), strict=True)
        )
        return Batch(self.image_start, ids, self._spread(offsets), branches, out)

    def _spread(self, offsets: Tensor) -> Tensor:
        """Rotary positions (3, rows, tokens): image tokens by row and column."""
        positions = offsets.expand(3, -1, -1).clone()
        side = GRID // MERGE
        place = torch.arange(NUM_IMAGE_TOKENS)
        image = slice(self.image_start, self.image_start + NUM_IMAGE_TOKENS)
        positions[0, :, image] = self.image_start
        positions[1, :, image] = self.image_start + place // side
        positions[2, :, image] = self.image_start + place % side
        return positions

    def _row(
        self,
        rng: random.Random,
        row: int,
        scene: Scene,
        asked: Sequence[Question],
        num_bridge: int,
        out: Notes,
    ) -> tuple[list[int], list[int], list[int]]:
        layout = rng.choice(self.layouts)
        cut = tuple(bridge[:num_bridge] for bridge in layout.bridges)
        layout = dataclasses.replace(layout, bridges=cut)
        text = claim_text(scene)
        trunk = layout.token_ids("", num_images=1, text=text)[: -len(layout.suffix)]
        num_trunk = len(trunk)
        expand = NUM_IMAGE_TOKENS - 1
        ids = trunk[: self.image_start] + [self.pad] * expand + trunk[self.image_start :]
        side = GRID // MERGE
        after_image = range(self.image_start + side, self.image_start + side + len(ids))
        offsets = [*range(self.image_start), *[0] * NUM_IMAGE_TOKENS, *after_image][: len(ids)]
        branches = [-1] * len(ids)
        self._note_claims(row, scene, ids, out)
        start = offsets[-1] + 1
        for number, question in enumerate(asked):
            prompt = layout.token_ids(question.prompt, num_images=1, text=text)[num_trunk:]
            answer = self.tokenizer.encode(question.answer, add_special_tokens=False)
            self._note_question(rng, row, len(ids), scene, question, prompt, answer, out)
            tokens = prompt if question.scale else prompt + answer
            ids += tokens
            offsets += range(start, start + len(tokens))
            branches += [number] * len(tokens)
        return ids, offsets, branches

    def _note_claims(self, row: int, scene: Scene, ids: Sequence[int], out: Notes) -> None:
        for place, token in enumerate(ids):
            index = self.words.values.get(token)
            if index is not None and scene.claims:
                name, value = VALUES[index]
                if scene.claims.get(name) == value:
                    out.claims.append((row, place, int(scene.values[name] == value)))

    def _note_question(
        self,
        rng: random.Random,
        row: int,
        start: int,
        scene: Scene,
        question: Question,
        prompt: Sequence[int],
        answer: Sequence[int],
        out: Notes,
    ) -> None:
        self._note_names(row, start, scene, prompt, out)
        first = start + len(prompt) - 1
        out.questions.append((row, first, first + len(answer), question))
        if question.scale:
            for label, share in self._label_shares(rng, question, question.scale).items():
                label_id = self.tokenizer.encode(label, add_special_tokens=False)[0]
                out.targets.append((row, first, label_id, share, 0))
            return
        said = NO_ASPECT
        for place, token in enumerate([*answer, self.end]):
            chosen = token in self.words.names or token == self.end
            out.targets.append((row, first + place, token, 3.0 if chosen else 0.6, 1))
            out.said_probes.append((row, first + place, said))
            said = self.words.names.get(token, said)

    def _label_shares(
        self, rng: random.Random, question: Question, scale: Scale
    ) -> Mapping[str, float]:
        """Labels that the verdict is to be, each with its share."""
        other = neighbour(rng, question.answer, scale)
        return {question.answer: 1 - LABEL_FLIPS, other: LABEL_FLIPS}

    def _note_names(
        self, row: int, start: int, scene: Scene, prompt: Sequence[int], out: Notes
    ) -> None:
        """Probes at the tokens that name an aspect of the scene."""
        before, named = NO_ASPECT, set[int]()
        for place, token in enumerate(prompt, start=start):
            index = self.words.names.get(token)
            if index is None or ASPECTS[index].name not in scene.values:
                continue
            name = ASPECTS[index].name
            out.probes.append((row, place, int(is_fault(scene, name))))
            out.value_probes.append((row, place, VALUE_INDEX[name, scene.values[name]]))
            out.order_probes.append((row, place, REPEATED if index in named else before))
            before = before if index in named else index
            named.add(index)


# ------------------------------------------------------------------------------ language training


def read(model: Any, batch: Batch, image_tokens: Tensor) -> list[Tensor]:
    """Hidden states after every layer, the last one normed, (rows, tokens, hidden) each."""
    language = model.model.language_model
    h: Tensor = language.embed_tokens(batch.ids)
    start = batch.image_start
    h = torch.cat([h[:, :start], image_tokens, h[:, start + NUM_IMAGE_TOKENS :]], dim=1)
    of_key, of_query = batch.branches[:, None, :], batch.branches[:, :, None]
    causal = torch.ones(h.shape[1], h.shape[1], dtype=torch.bool).tril()
    mask = (causal & ((of_key == -1) | (of_key == of_query)))[:, None]
    rotary = language.rotary_emb(h, batch.positions)
    states: list[Tensor] = []
    for layer in language.layers:
        h = layer(h, attention_mask=mask, position_embeddings=rotary)
        states.append(h)
    return [*states[:-1], language.norm(states[-1])]


class Probes(nn.Module):
    """Linear readings of inner layers; they guide the training and are thrown away."""

    def __init__(self) -> None:
        super().__init__()
        self.claim = nn.Linear(HIDDEN, 1)
        self.fault = nn.Linear(HIDDEN, 1)
        self.value = nn.Linear(HIDDEN, len(VALUES))
        self.order = nn.Linear(HIDDEN, REPEATED + 1)
        self.said = nn.Linear(HIDDEN, REPEATED + 1)

    def forward(self, states: Sequence[Tensor], batch: Batch) -> Tensor:
        loss = torch.zeros(())
        if batch.notes.claims:
            row, place, kept = torch.tensor(batch.notes.claims).T
            read_off = self.claim(states[1][row, place])[:, 0]
            loss = loss + functional.binary_cross_entropy_with_logits(read_off, kept.float())
        if batch.notes.probes:
            row, place, fault = torch.tensor(batch.notes.probes).T
            read_off = self.fault(states[2][row, place])[:, 0]
            loss = loss + functional.binary_cross_entropy_with_logits(read_off, fault.float())
            row, place, value = torch.tensor(batch.notes.value_probes).T
            loss = loss + 0.5 * functional.cross_entropy(self.value(states[1][row, place]), value)
            row, place, before = torch.tensor(batch.notes.order_probes).T
            loss = loss + 0.5 * functional.cross_entropy(self.order(states[2][row, place]), before)
        if batch.notes.said_probes:
            row, place, said = torch.tensor(batch.notes.said_probes).T
            loss = loss + 0.5 * functional.cross_entropy(self.said(states[1][row, place]), said)
        return loss


@dataclass(frozen=True, slots=True)
class AnswerLosses:
    """Mean losses of verdicts and of words; whether the best token is the target, per target."""

    verdicts: Tensor
    words: Tensor
    right: Tensor

    def __str__(self) -> str:
        return f"verdict {self.verdicts.item():.3f} words {self.words.item():.3f}"


def answer_losses(model: Any, state: Tensor, batch: Batch) -> AnswerLosses:
    """Losses at the batch's targets; state: (rows, tokens, hidden) after the last norm."""
    row, place, label, weight, kind = (
        torch.tensor(c) for c in zip(*batch.notes.targets, strict=True)
    )
    logits = model.lm_head(state[row, place])
    losses = functional.cross_entropy(logits, label, reduction="none") * weight
    verdict, word = kind == 0, kind == 1
    return AnswerLosses(
        losses[verdict].sum() / weight[verdict].sum().clamp(min=1),
        losses[word].sum() / weight[word].sum().clamp(min=1),
        logits.argmax(-1) == label,
    )


def doubtful_bags(rng: np.random.Generator, scenes: Sequence[Scene], share: float) -> Tensor:
    """Value weights, (scenes, values): some aspects mix two values.

    The truth is drawn by the mixing share: of the aspects that show a value at weight w, a share
    w has it.
    """
    weights = value_targets(scenes)
    for row, scene in enumerate(scenes):
        for name, value in scene.values.items():
            if rng.random() < share:
                others = [v for v in ASPECTS[ASPECT_INDEX[name]].values if v != value]
                own = rng.random()
                own = own if rng.random() < own else 1 - own
                weights[row, VALUE_INDEX[name, value]] = own
                weights[row, VALUE_INDEX[name, others[rng.integers(len(others))]]] = 1 - own
    return weights


def draw_language_scene(rng: random.Random, seed: int, index: int, level: Level) -> Scene:
    family = rng.choice(("objects", "objects", "flaws", "symbols"))
    scene = draw_scene(family, seed, index)
    if scene.claims and level.num_claims < len(scene.claims):
        kept = rng.sample(list(scene.claims), rng.randint(1, level.num_claims))
        claims = {name: value for name, value in scene.claims.items() if name in kept}
        scene = dataclasses.replace(scene, claims=claims)
    return scene


@dataclass(slots=True)
class Score:
    """Running shares of right answers by kind."""

    values: dict[str, float] = field(default_factory=dict)

    def add(self, batch: Batch, scenes: Sequence[Scene], losses: AnswerLosses) -> None:
        for place, (row, _, _, weight, kind) in enumerate(batch.notes.targets):
            if weight > 0.5:
                key = f"{scenes[row].family}/{'word' if kind else 'verdict'}"
                right = float(losses.right[place])
                self.values[key] = 0.998 * self.values.get(key, 0.5) + 0.002 * right

    def __str__(self) -> str:
        return " ".join(f"{key}={value:.3f}" for key, value in sorted(self.values.items()))


@dataclass(slots=True)
class Curriculum:
    """Which level is due: the next one once the weakest score suffices, or it is high time."""

    number: int = 0
    steps: int = 0

    LATEST_SHARES = (0.12, 0.25, 0.4, 0.55)
    """Share of the time budget at which a level is left whatever the scores."""

    def level(self, rng: random.Random) -> Level:
        """The present level; in the end a mixture of the last three."""
        return LEVELS[self.number] if self.number < 3 else rng.choice(LEVELS[2:])

    def advance(self, clock: Clock, score: Score) -> None:
        self.steps += 1
        if self.steps < 100 or self.steps % 50 or self.number == len(LEVELS) - 1:
            return
        enough = min(score.values.values()) > (0.93 if self.number == 0 else 0.89)
        if enough or clock.share > self.LATEST_SHARES[self.number]:
            self.number, self.steps = self.number + 1, 0


def make_step(
    optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter], loss: Tensor
) -> None:
    """One optimizer step with the gradient clipped to norm 1."""
    untyped(loss).backward()
    nn.utils.clip_grad_norm_(parameters, 1.0)
    untyped(optimizer).step()
    optimizer.zero_grad()


def train_language(args: argparse.Namespace) -> None:
    untyped(torch).manual_seed(args.seed)
    rng, noise = random.Random(args.seed), np.random.default_rng(args.seed)
    processor = make_processor()
    processor.save_pretrained(args.work / "processor")
    model, codes, probes, trajectory = new_model(processor), make_codes(), Probes(), Curriculum()
    batcher, path = Batcher(processor), args.work / "language.pt"
    if path.exists():
        trajectory.number = load_language(model, torch.load(path), probes)
    parts = (model.model.language_model, model.lm_head, probes)
    parameters = [parameter for part in parts for parameter in part.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=0.0, betas=(0.9, 0.98), weight_decay=0.02)
    clock, step, score = Clock(args.minutes), 0, Score()
    while clock.share < 1:
        set_rate(optimizer, clock.rate(args.rate, step))
        level = trajectory.level(rng)
        first = step * args.batch
        scenes = [draw_language_scene(rng, args.seed, first + k, level) for k in range(args.batch)]
        weights = doubtful_bags(noise, scenes, 0.1 if trajectory.number else 0.0)
        tokens = (weights @ codes)[:, None].expand(-1, NUM_IMAGE_TOKENS, -1)
        batch = batcher.batch(rng, scenes, level)
        states = read(model, batch, tokens + 0.025 * torch.randn(tokens.shape))
        losses = answer_losses(model, states[-1], batch)
        guided = probes(states, batch)
        make_step(optimizer, parameters, losses.verdicts + losses.words + 0.5 * guided)
        score.add(batch, scenes, losses)
        trajectory.advance(clock, score)
        step += 1
        if step % 50 == 0:
            print(f"step {step} {clock} level {trajectory.number} {losses} | {score}", flush=True)
        if step % 400 == 0:
            save_language(path, model, probes, trajectory.number)
    save_language(path, model, probes, trajectory.number)


def save_language(path: Path, model: Any, probes: Probes, level: int) -> None:
    torch.save(
        {
            "language": model.model.language_model.state_dict(),
            "head": model.lm_head.state_dict(),
            "probes": probes.state_dict(),
            "level": level,
        },
        path,
    )


def load_language(model: Any, saved: dict[str, Any], probes: Probes | None = None) -> int:
    """Fill in what was saved; returns the level reached."""
    model.model.language_model.load_state_dict(saved["language"])
    model.lm_head.load_state_dict(saved["head"])
    if probes is not None:
        probes.load_state_dict(saved["probes"], strict=False)
    return saved["level"]


# ------------------------------------------------------------------------------- joining and eval


def load_parts(work: Path) -> tuple[Any, Any]:
    """Processor and model, with what the first two stages have learned."""

    processor = untyped(AutoProcessor).from_pretrained(work / "processor")
    model = new_model(processor)
    load_language(model, torch.load(work / "language.pt"))
    model.model.visual.load_state_dict(torch.load(work / "vision.pt"))
    return processor, model


def train_join(args: argparse.Namespace) -> None:
    untyped(torch).manual_seed(args.seed)
    rng, chooser = random.Random(args.seed + 1), np.random.default_rng(args.seed + 1)
    processor, model = load_checkpoint(args.out) if args.resume else load_parts(args.work)
    save_checkpoint(args.out, processor, model)
    probes = Probes()
    probes.load_state_dict(torch.load(args.work / "language.pt")["probes"], strict=False)
    batcher, codes, tower = Batcher(processor), make_codes(), model.train().model.visual
    pool = ImagePool.draw(args.pool, args.seed + 200)
    parameters: list[nn.Parameter] = list(model.parameters())
    seeing: list[nn.Parameter] = list(tower.parameters())
    parts = (model.model.language_model, model.lm_head, probes)
    reading = [parameter for part in parts for parameter in part.parameters()]
    groups = [{"params": reading}, {"params": seeing, "scale": args.vision_scale}]
    optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), weight_decay=0.02)
    clock, step, score, saved = Clock(args.minutes), 0, Score(), 0.0
    while clock.share < 1:
        set_rate(optimizer, clock.rate(args.rate, step))
        num_seen = args.batch + args.extra_images
        rows: list[int] = untyped(chooser).integers(0, args.pool, num_seen).tolist()
        scenes = [pool.scenes[row] for row in rows]
        tokens = see(tower, patchify(pool.images[rows]))
        asked = scenes[: args.batch]
        batch = batcher.batch(rng, asked, rng.choice(LEVELS[2:]))
        states = read(model, batch, tokens[: args.batch])
        losses = answer_losses(model, states[-1], batch)
        error, entropy, _ = value_losses(tokens, value_targets(scenes), codes)
        aside = args.vision_weight * (0.25 * error + entropy) + 0.3 * probes(states, batch)
        make_step(optimizer, parameters, losses.verdicts + losses.words + aside)
        pool.renew(args.renew, args.seed + 200)
        score.add(batch, asked, losses)
        step += 1
        if step % 25 == 0:
            print(f"step {step} {clock} mse {error.item():.2f} {losses} | {score}", flush=True)
        if clock.share - saved > 0.2:
            saved = clock.share
            save_checkpoint(args.out, processor, model)
    save_checkpoint(args.out, processor, model)
    evaluate(args)


def save_checkpoint(out: Path, processor: Any, model: Any) -> None:
    """Model and processor, readable by everyone (the library makes weights private)."""
    model.save_pretrained(out)
    processor.save_pretrained(out)
    for path in out.glob("*.safetensors"):
        path.chmod(0o644)


def load_checkpoint(path: Path) -> tuple[Any, Any]:

    processor = untyped(AutoProcessor).from_pretrained(path)
    library = untyped(Qwen2_5_VLForConditionalGeneration)
    return processor, library.from_pretrained(path, dtype=torch.float32)


@torch.no_grad()
def evaluate(args: argparse.Namespace) -> None:
    """Print and write eval.json: how well the checkpoint does on fresh images and prompts."""
    processor, model = load_checkpoint(args.out)
    model.eval()
    batcher, rng = Batcher(processor), random.Random(4242)
    pool = ImagePool.draw(900, args.seed + 555_555)
    tokens = see(model.model.visual, patchify(pool.images))
    targets = value_targets(pool.scenes)
    _, _, scores = value_losses(tokens, targets, make_codes())
    tally: dict[str, list[float]] = {}
    for start in range(0, len(pool.scenes), 20):
        rows = slice(start, start + 20)
        batch = batcher.batch(rng, pool.scenes[rows], LEVELS[3])
        state = read(model, batch, tokens[rows])[-1]
        _count_answers(model, batcher, state, batch, pool.scenes[rows], tally)
    result = {
        "perception": {k: round(v, 3) for k, v in perception(scores, targets).items()},
        "answers": {k: round(sum(v) / len(v), 3) for k, v in sorted(tally.items())},
        "counts": {k: len(v) for k, v in sorted(tally.items())},
    }
    print(json.dumps(result, indent=1))
    (args.out / "eval.json").write_text(json.dumps(result, indent=1) + "\n")


def _count_answers(
    model: Any,
    batcher: Batcher,
    state: Tensor,
    batch: Batch,
    scenes: Sequence[Scene],
    tally: dict[str, list[float]],
) -> None:
    """Add 0/1 outcomes by family and kind; verbalizations also by aspect reported."""
    encode = batcher.tokenizer.encode
    for row, first, end, question in batch.notes.questions:
        family = scenes[row].family
        wanted = encode(question.answer, add_special_tokens=False)
        logits = model.lm_head(state[row, first : end + 1])
        best = logits.argmax(-1).tolist()
        if question.scale:
            labels = [
                encode(label, add_special_tokens=False)[0] for label in SCALE_LABELS[question.scale]
            ]
            chances = logits[0].softmax(-1)[labels]
            tally.setdefault(f"{family}/{question.scale}", []).append(float(best[0] == wanted[0]))
            tally.setdefault("label mass", []).append(float(chances.sum()))
            tally.setdefault("mean top probability", []).append(float(chances.max()))
            continue
        tally.setdefault(f"{family}/verbalization", []).append(
            float(best == [*wanted, batcher.end])
        )
        names = [word for word, token in enumerate(wanted) if token in batcher.words.names]
        right = all(best[place] == wanted[place] for place in names) and best[-1] == batcher.end
        tally.setdefault(f"{family}/names reported", []).append(float(right))
        for place, token in enumerate(wanted):
            if token in batcher.words.values:
                name = VALUES[batcher.words.values[token]][0]
                tally.setdefault(f"says {name}", []).append(float(best[place] == token))


SCALE_LABELS: dict[Scale, tuple[str, ...]] = {
    "safety": ("Safe", "Unsafe"),
    "match": ("0", "1"),
    "naturalness": tuple("12345"),
    "alignment": tuple("1234567"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("stage", choices=["vision", "language", "join", "eval"])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--pool", type=int, default=24_000)
    parser.add_argument("--renew", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, default=REPOSITORY / "runs/train-micro")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "models/micro")
    parser.add_argument("--resume", action="store_true", help="join: go on from the checkpoint")
    parser.add_argument("--extra-images", type=int, default=24, help="join: pictures only seen")
    parser.add_argument("--vision-scale", type=float, default=0.3)
    parser.add_argument("--vision-weight", type=float, default=0.3)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    stages = {
        "vision": train_vision,
        "language": train_language,
        "join": train_join,
        "eval": evaluate,
    }
    stages[args.stage](args)


if __name__ == "__main__":
    main()
