"""What engines hand to their libraries, seen there: token ids and calls of the vision encoder."""
# ruff: noqa: PLC0415

from contextlib import AbstractContextManager, contextmanager
from typing import Any


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


def watch_transformers() -> Watch:
    """Sees every network that is loaded from now on."""
    from transformers import AutoModelForImageTextToText

    watch = Watch()
    auto: Any = AutoModelForImageTextToText
    load = auto.from_pretrained

    def see(_module: Any, _args: Any, inputs: Any) -> None:
        ids = inputs.get("input_ids")
        if ids is not None and ids.shape[1] > 1:
            watch.token_ids.append(ids[0].tolist())

    def loading(*args: Any, **how: Any) -> Any:
        network = load(*args, **how)
        network.register_forward_pre_hook(see, with_kwargs=True)
        return network

    auto.from_pretrained = loading
    return watch


def watch_vllm() -> Watch:
    """Sees the requests to every vLLM engine in this process."""
    from vllm.v1.engine.llm_engine import LLMEngine

    watch = Watch()
    core: Any = LLMEngine
    add = core.add_request

    def adding(self: Any, request_id: str, prompt: Any, *args: Any, **how: Any) -> Any:
        watch.core = self
        watch.token_ids.append(list(prompt["prompt_token_ids"]))
        return add(self, request_id, prompt, *args, **how)

    core.add_request = adding
    return watch


def counting_encodings(watch: Watch) -> AbstractContextManager[None]:
    """Counts the images that the model of the engine last seen encodes meanwhile."""
    model = watch.core.model_executor.driver_worker.worker.model_runner.model
    return _counting(model, watch)


@contextmanager
def _counting(model: Any, watch: Watch) -> Any:
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
