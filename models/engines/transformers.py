"""The reference engine: transformers, one request at a time. Small and slow, for comparison.

Runs every architecture that AutoModelForImageTextToText loads, under the same layout and the same
label plans as the vLLM engine.
"""

import logging
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...data.errors import DataError, EngineError, LayoutError
from ...data.images import decode_image
from ..engine import Arrival, EngineIdentity, Reply, Request
from ..requests.layout import Layout
from ..requests.seeds import sampling_seed
from . import torchvision_cpu
from .checkpoint import (
    Checkpoint,
    load_failure,
    load_processor,
    locate,
    make_model_layout,
    max_model_len,
    processor_options,
)
from .identity import local_identity
from .reading import LabelPlans, refuse_direct_verdicts, request_ids
from .settings import EngineSettings, installed_version
from .streaming import in_order
from .window import windowed

_log = logging.getLogger("blpo.engine")


class TransformersEngine:
    """Contract: `Engine` and `Streaming`. Requests of all threads take turns."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._identity: EngineIdentity | None = None
        self._lock = threading.Lock()
        self._model: _Model | None = None

    @property
    def identity(self) -> EngineIdentity:
        if self._identity is None:
            self._identity = local_identity("transformers", self._settings)
        return self._identity

    @property
    def version(self) -> str:
        return f"transformers {installed_version('transformers')}"

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return in_order(self.stream(requests), len(requests))

    def stream(self, requests: Sequence[Request]) -> Generator[list[Arrival]]:
        refuse_direct_verdicts(self._settings, requests)
        with ThreadPoolExecutor(1) as thread:
            yield from windowed(thread, self._answer, requests, 1)

    def close(self) -> None:
        with self._lock:
            self._model = None

    def _answer(self, request: Request) -> Reply:
        with self._lock:
            if self._model is None:
                self._model = _Model(self._settings)
            return _answer(self._model, request)


class _Model:
    """Weights, processor and layout of one checkpoint."""

    def __init__(self, settings: EngineSettings) -> None:
        import torch  # noqa: PLC0415

        checkpoint = locate(settings)
        if settings.device == "cpu":
            torchvision_cpu.install()
        _log.info("loading model %s into transformers", settings.model)
        processor = load_processor(checkpoint)
        self.layout: Layout = make_model_layout(processor, settings, checkpoint)
        self.max_len = max_model_len(settings, checkpoint.config)
        self._torch: Any = torch
        self._prefix_texts = [_exact_text(self.layout, prefix) for prefix in self.layout.prefixes]
        self._processor: Any = processor
        self._options = processor_options(processor)
        self._network: Any = _load_network(checkpoint, settings)
        self.plans = LabelPlans(self.layout, settings.label_reading)

    def inputs(self, request: Request) -> dict[str, Any]:
        """Model inputs of one request, batch of one.

        The processor makes pixels and expands the placeholder of each image. It wants text, so it
        expands a text of only the constant prefix, and the other tokens follow as they are.
        """
        layout, num_images = self.layout, len(request.images)
        ids = request_ids(layout, request)
        if not num_images:
            return self._placed({"input_ids": self._torch.tensor([ids])})
        inputs: dict[str, Any] = dict(
            self._processor(
                images=[decode_image(image) for image in request.images],
                text=[self._prefix_texts[num_images]],
                add_special_tokens=False,
                return_tensors="pt",
                images_kwargs=self._options,
            )
        )
        rest = self._torch.tensor([ids[len(layout.prefix(num_images)) :]])
        inputs["input_ids"] = self._torch.cat([inputs["input_ids"], rest], dim=1)
        return self._placed(inputs)

    def logprobs(self, inputs: dict[str, Any]) -> Any:
        """Log-probabilities of the next token over the vocabulary, float32."""
        with self._torch.inference_mode():
            logits = self._network(**inputs, use_cache=False).logits[0, -1]
        return self._torch.log_softmax(logits.float(), dim=-1)

    def generate(self, inputs: dict[str, Any], request: Request) -> list[int]:
        """Token ids of the reply, with the end-of-turn token if it was reached."""
        from transformers import GenerationConfig  # noqa: PLC0415

        sampling = request.sampling
        how: dict[str, Any] = {"do_sample": False}
        if sampling.temperature > 0:
            self._torch.manual_seed(sampling_seed(request))
            how = {"do_sample": True, "temperature": sampling.temperature, "top_k": 0, "top_p": 1.0}
        explicit = GenerationConfig(
            **how,
            max_new_tokens=sampling.max_tokens,
            eos_token_id=list(self.layout.ends),
            pad_token_id=self.layout.end_of_turn,
        )
        with self._torch.inference_mode():
            output = self._network.generate(**inputs, generation_config=explicit)
        return output[0, inputs["input_ids"].shape[1] :].tolist()

    def is_end(self, token_id: int) -> bool:
        return token_id in self.layout.ends

    def append(self, inputs: dict[str, Any], ids: Sequence[int]) -> dict[str, Any]:
        """The same inputs with token ids appended to the prompt."""
        longer = self._torch.cat(
            [inputs["input_ids"].cpu(), self._torch.tensor([list(ids)]).long()], dim=1
        )
        return self._placed({**inputs, "input_ids": longer})

    def _placed(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Inputs on the model's device, with masks that match the length of the ids."""
        ids = inputs["input_ids"]
        inputs = {**inputs, "attention_mask": self._torch.ones_like(ids)}
        if "mm_token_type_ids" in inputs:
            types = inputs["mm_token_type_ids"]
            padding = self._torch.zeros((1, ids.shape[1] - types.shape[1]), dtype=types.dtype)
            inputs["mm_token_type_ids"] = self._torch.cat([types.cpu(), padding], dim=1)
        network = self._network
        return {
            name: value.to(network.device, network.dtype if value.is_floating_point() else None)
            for name, value in inputs.items()
        }


def _exact_text(layout: Layout, prefix: tuple[int, ...]) -> str:
    """Text that tokenizes to a prefix of the layout."""
    text: str = layout.tokenizer.decode(
        prefix, skip_special_tokens=False, clean_up_tokenization_spaces=False
    )
    if tuple(layout.tokenizer.encode(text, add_special_tokens=False)) != prefix:
        raise LayoutError("the tokenizer does not give back the chat template's own tokens")
    return text


def _load_network(checkpoint: Checkpoint, settings: EngineSettings) -> Any:
    import torch  # noqa: PLC0415
    from transformers import (  # noqa: PLC0415
        AutoConfig,
        AutoModelForImageTextToText,
        GenerationConfig,
    )
    from transformers.utils import logging as transformers_logging  # noqa: PLC0415

    transformers_logging.disable_progress_bar()
    auto: Any = AutoModelForImageTextToText
    auto_config: Any = AutoConfig
    how = {"dtype": getattr(torch, settings.resolved_dtype), "attn_implementation": "eager"}
    try:
        if settings.load_format == "dummy":
            config = auto_config.from_pretrained(checkpoint.path, revision=checkpoint.revision)
            with torch.device(settings.device):
                network: Any = auto.from_config(config, **how)
        else:
            network = auto.from_pretrained(checkpoint.path, revision=checkpoint.revision, **how)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise EngineError(
            f"model {checkpoint.path} does not load in transformers: {load_failure(error)}"
        ) from error
    # What a call to generate() leaves open is taken from here: the checkpoint's own penalties.
    network.generation_config = GenerationConfig()
    return network.to(settings.device).eval()


def _answer(model: _Model, request: Request) -> Reply:
    try:
        inputs = model.inputs(request)
    except (DataError, LayoutError) as error:
        return Reply.of_error(str(error))
    num_tokens = inputs["input_ids"].shape[1]
    if num_tokens >= model.max_len:
        return Reply.of_error(f"prompt of {num_tokens} tokens does not fit into {model.max_len}")
    if request.labels:
        return _label_reply(model, request, inputs)
    ids = model.generate(inputs, request)
    return Reply(
        text=model.layout.reply_text(ids),
        finish_reason="stop" if ids and model.is_end(ids[-1]) else "length",
        prompt_tokens=num_tokens,
        completion_tokens=len(ids),
    )


def _label_reply(model: _Model, request: Request, inputs: dict[str, Any]) -> Reply:
    plan = model.plans.of(request.labels)
    reads: list[dict[int, float]] = []
    for read in plan.reads:
        logprobs = model.logprobs(model.append(inputs, read.prefix_ids))
        reads.append({i: float(logprobs[i]) for i in read.candidate_ids})
    return Reply.of_labels(
        plan.combine(reads),
        prompt_tokens=inputs["input_ids"].shape[1],
        completion_tokens=len(plan.reads),
    )
