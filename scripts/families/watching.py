"""What engines hand to their libraries, seen there: token ids and calls of the vision encoder."""
# ruff: noqa: PLC0415

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from .scoring import without_images_marked


class Watch:
    """token_ids: of the prompts since `clear`, images expanded. num_encoded: images encoded."""

    def __init__(self) -> None:
        self.token_ids: list[list[int]] = []
        self.num_encoded = 0
        self.core: Any = None

    def clear(self) -> None:
        self.token_ids.clear()
        self.num_encoded = 0

    @property
    def prompt(self) -> list[int]:
        """The last request's own; further reads of it continue it."""
        return min(self.token_ids, key=len) if self.token_ids else []


@contextmanager
def watching_transformers(*, causal: bool = False) -> Generator[Watch]:
    """Sees every network that is loaded meanwhile. causal: and lets it attend in one direction."""
    from transformers import AutoModelForImageTextToText

    watch = Watch()
    auto: Any = AutoModelForImageTextToText
    load = auto.from_pretrained

    def see(_module: Any, args: Any, inputs: Any) -> tuple[Any, Any]:
        ids = inputs.get("input_ids")
        if ids is not None and ids.shape[1] > 1:
            watch.token_ids.append(ids[0].tolist())
        return args, without_images_marked(inputs) if causal else inputs

    def loading(*args: Any, **how: Any) -> Any:
        network = load(*args, **how)
        network.register_forward_pre_hook(see, with_kwargs=True)
        return network

    auto.from_pretrained = loading
    try:
        yield watch
    finally:
        auto.from_pretrained = load


@contextmanager
def watching_vllm() -> Generator[Watch]:
    """Sees the requests to every vLLM engine in this process.

    Imports vLLM, which must have been set up by an engine of ours before.
    """
    from vllm.v1.engine.llm_engine import LLMEngine

    watch = Watch()
    core: Any = LLMEngine
    add = core.add_request

    def adding(self: Any, request_id: str, prompt: Any, params: Any, **how: Any) -> Any:
        watch.core = self
        if params.max_tokens > 1 or params.logprob_token_ids:  # else it warms a cache
            watch.token_ids.append(list(prompt["prompt_token_ids"]))
        return add(self, request_id, prompt, params, **how)

    core.add_request = adding
    try:
        yield watch
    finally:
        core.add_request = add


@contextmanager
def counting_encodings(watch: Watch) -> Generator[None]:
    """Counts the images that the model of the engine last seen encodes meanwhile."""
    model = watch.core.model_executor.driver_worker.worker.model_runner.model
    encode = model.embed_multimodal

    def counted(**inputs: Any) -> Any:
        embeddings = encode(**inputs)
        watch.num_encoded += len(embeddings)
        return embeddings

    model.embed_multimodal = counted
    try:
        yield
    finally:
        del model.embed_multimodal
