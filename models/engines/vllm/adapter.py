"""vLLM's engine as the request loop sees it, and the probe of its image reuse."""

import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from ....data.images import ImageBounds, ImageRef, decode_image
from ...engine import FinishReason, Reply, Request
from ...requests.label_logprobs import LabelPlan, Read
from ...requests.layout import Layout
from ...requests.seeds import sampling_seed
from ..checkpoint import MAX_PIXELS
from .image_reuse import way_to_reuse
from .neighbours import end_engine
from .renderer import VllmRenderer
from .request_loop import PixelsMissingError, RequestRefusedError
from .residency import KvCache

_log = logging.getLogger("blpo.engine")

_PROBE_PROMPTS = ("Describe it.", "Name its color.")
_MISS_IN_FRONTEND = "data is not provided"


@dataclass(frozen=True, slots=True)
class SamplingMaker:
    """Sampling parameters of requests. Explicit, never the checkpoint's generation_config.

    Requests of one read share theirs, which takes longer to make than all else that the loop does
    for a request.

    sampling_params, final: vLLM's SamplingParams and its kind of output that comes once, at the
        end. ends: tokens that end a reply.
    refusals: what vLLM raises on a request that it does not take.
    """

    sampling_params: Any
    final: Any
    ends: tuple[int, ...]
    refusals: tuple[type[Exception], ...]
    _of_reads: dict[tuple[int, ...], Any] = field(default_factory=dict[tuple[int, ...], Any])

    def make(self, request: Request, read: Read | None) -> Any:
        if read is not None:
            return self._of_read(read.candidate_ids)
        sampling = request.sampling
        return self.sampling_params(
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            seed=sampling_seed(request) if sampling.temperature > 0 else None,
            stop_token_ids=list(self.ends),
            output_kind=self.final,
            skip_clone=True,
        )

    def _of_read(self, candidate_ids: tuple[int, ...]) -> Any:
        if candidate_ids not in self._of_reads:
            self._of_reads[candidate_ids] = self.sampling_params(
                max_tokens=1,
                temperature=0.0,
                logprob_token_ids=list(candidate_ids),
                detokenize=False,
                output_kind=self.final,
                skip_clone=True,
            )
        return self._of_reads[candidate_ids]

    def probe(self) -> Any:
        return self.sampling_params(
            max_tokens=1, temperature=0.0, detokenize=False, output_kind=self.final
        )


class VllmAdapter:
    """Contract: `SteppedEngine`. layout: of the requests."""

    def __init__(self, llm: Any, layout: Layout, params: SamplingMaker, kv_cache: KvCache) -> None:
        self.kv_cache = kv_cache
        self.warms = way_to_reuse(kv_cache, len(layout.bridges[1])) == "warmed"
        self._llm = llm
        self._layout = layout
        self._renderer = VllmRenderer(llm.renderer, layout)
        self._params = params

    def add(
        self,
        rid: str,
        request: Request,
        token_ids: Sequence[int],
        read: Read | None,
        pixels: Sequence[Any] | None,
    ) -> int:
        if read is not None:
            token_ids = [*token_ids, *read.prefix_ids]
        try:
            rendered = self._renderer.render(request.images, token_ids, pixels)
            self._llm.add_request(rid, rendered, self._params.make(request, read))
        except self._params.refusals as error:
            if _MISS_IN_FRONTEND in str(error) and pixels is None:
                raise PixelsMissingError(str(error)) from error
            raise RequestRefusedError(str(error)) from error
        return len(rendered["prompt_token_ids"]) + (1 if read else request.sampling.max_tokens)

    def abort(self, rids: list[str]) -> None:
        self._llm.abort_request(rids)

    def step(self) -> Iterator[tuple[str, Any]]:
        for output in self._llm.step():
            if output.finished:
                yield output.request_id, output

    def failure(self, output: Any) -> str | None:
        failed = output.outputs[0].finish_reason == "error"
        return "vLLM could not process this request" if failed else None

    def reply(self, plan: LabelPlan | None, outputs: Sequence[Any]) -> Reply:
        return _label_reply(plan, outputs) if plan else self._text_reply(outputs[0])

    def _text_reply(self, output: Any) -> Reply:
        completion = output.outputs[0]
        finish: FinishReason = "length" if completion.finish_reason == "length" else "stop"
        text: str = completion.text
        if self._layout.thought is not None:  # vLLM leaves out tags that are special
            text = self._layout.reply_text(completion.token_ids)
        return Reply(
            text=text,
            finish_reason=finish,
            prompt_tokens=len(output.prompt_token_ids),
            completion_tokens=len(completion.token_ids),
            cached_tokens=output.num_cached_tokens or 0,
        )

    def found_image(self, output: Any, num_behind: int) -> bool:
        return (output.num_cached_tokens or 0) >= len(output.prompt_token_ids) - num_behind

    def shutdown(self) -> None:
        end_engine(self._llm)

    def probe(self) -> None:
        """Ask twice about one generated image; warn if the second does not reuse the first."""
        image = _probe_image()
        asked = [self._probe_token_ids(prompt) for prompt in _PROBE_PROMPTS]
        if self.warms:
            asked.insert(0, [*self._layout.shared_ids(1, None), *self._layout.suffix[:1]])
        outputs = [self._probe_once(str(i), ids, image) for i, ids in enumerate(asked)]
        num_behind = len(asked[-1]) - len(self._layout.prefix(1))
        if self.failure(outputs[0]) or not self.found_image(outputs[-1], num_behind):
            _log.warning(
                "this engine does not reuse images between prompts: %d tokens cached, the image "
                "ends at %d; every prompt will encode every image again",
                outputs[-1].num_cached_tokens or 0,
                len(outputs[-1].prompt_token_ids) - num_behind,
            )

    def _probe_once(self, rid: str, token_ids: list[int], image: ImageRef) -> Any:
        rendered = self._renderer.render([image], token_ids, [decode_image(image)])
        self._llm.add_request(rid, rendered, self._params.probe())
        outputs: list[Any] = []
        while self._llm.has_unfinished_requests():
            outputs += [output for _, output in self.step()]
        (output,) = outputs
        return output

    def _probe_token_ids(self, prompt: str) -> list[int]:
        return self._layout.token_ids(prompt, num_images=1, text=None)


def _label_reply(plan: LabelPlan, outputs: Sequence[Any]) -> Reply:
    reads = [
        {token: entry.logprob for token, entry in output.outputs[0].logprobs[0].items()}
        for output in outputs
    ]
    return Reply.of_labels(
        plan.combine(reads),
        prompt_tokens=len(outputs[0].prompt_token_ids),
        completion_tokens=len(outputs),
        cached_tokens=outputs[0].num_cached_tokens or 0,
    )


def _probe_image() -> ImageRef:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((112, 112)).convert("RGB").save(file, "PNG")
    return ImageRef(file.getvalue(), ImageBounds(max_pixels=MAX_PIXELS))
