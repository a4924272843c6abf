"""Engine inputs of requests. What vLLM makes of an image is worked out once, not for each prompt.

vLLM's renderer matches placeholders, and asks its image processor for sizes, for every request
with an image, also for one whose pixels it has. It runs in the thread that steps the engine, which
waits meanwhile. All requests about an image begin alike (`layout.py`), so that the second and
later ones are put together here from how the first was rendered.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ....data.images import ImageRef
from ...requests.layout import Layout
from .request_loop import PixelsMissingError

_MODALITY = "image"


@dataclass(frozen=True, slots=True)
class RenderedPrefix:
    """How vLLM rendered the start of a request up to and including its images.

    laid_out: with one token for each image. token_ids: with as many as the images take.
    placeholders: where those are, as vLLM tells it.
    """

    laid_out: tuple[int, ...]
    token_ids: tuple[int, ...]
    placeholders: Any


class VllmRenderer:
    """Renders requests laid out as `layout` does; not for several threads at once.

    vllm_renderer: vLLM's own.
    """

    def __init__(self, vllm_renderer: Any, layout: Layout) -> None:
        self._renderer = vllm_renderer
        self._layout = layout
        self._prefixes: dict[tuple[str, ...], RenderedPrefix] = {}
        self._distinct: dict[tuple[int, ...], RenderedPrefix] = {}

    def render(
        self, images: Sequence[ImageRef], token_ids: Sequence[int], pixels: Sequence[Any] | None
    ) -> Any:
        """The engine input of a request.

        token_ids: with one placeholder for each image. pixels: the decoded images; None if all
        were given before, or if there are none. Raises PixelsMissingError if vLLM has dropped an
        image meanwhile, and what vLLM raises for a request that it does not take.
        """
        digests = tuple(image.digest for image in images)
        prefix = self._prefixes.get(digests) if pixels is None else None
        if prefix and tuple(token_ids[: len(prefix.laid_out)]) == prefix.laid_out:
            return self._continued(digests, prefix, token_ids)
        (rendered,) = self._renderer.render_cmpl([_prompt(digests, token_ids, pixels)])
        if digests:
            self._keep(digests, token_ids, rendered)
        return rendered

    def _continued(
        self, digests: tuple[str, ...], prefix: RenderedPrefix, token_ids: Sequence[int]
    ) -> dict[str, Any]:
        return {
            "type": "multimodal",
            "prompt_token_ids": [*prefix.token_ids, *token_ids[len(prefix.laid_out) :]],
            "mm_kwargs": {_MODALITY: self._known_items(digests)},
            "mm_hashes": {_MODALITY: list(digests)},
            "mm_placeholders": {_MODALITY: prefix.placeholders},
            "arrival_time": time.time(),
        }

    def _known_items(self, digests: tuple[str, ...]) -> list[Any]:
        """What stands for images that vLLM has; marks them as used, as its renderer does."""
        cache = self._renderer.mm_processor_cache
        if not all(map(cache.is_cached_item, digests)):
            del self._prefixes[digests]
            raise PixelsMissingError(f"vLLM has dropped an image of {', '.join(digests)}")
        try:
            for digest in digests:
                cache.touch_sender_cache_item(digest)
            return [cache.get_and_update_item(None, digest)[0] for digest in digests]
        finally:
            cache.release_sender_touches()

    def _keep(self, digests: tuple[str, ...], token_ids: Sequence[int], rendered: Any) -> None:
        """Keep how the prefix was rendered, if no token behind it was touched.

        Images of one size have theirs in common.
        """
        laid_out = self._layout.prefix(len(digests))
        own_ids = list(token_ids[len(laid_out) :])
        rendered_ids = rendered["prompt_token_ids"]
        num_prefix = len(rendered_ids) - len(own_ids)
        is_known_by_digest = rendered["mm_hashes"] == {_MODALITY: list(digests)}
        if not is_known_by_digest or self._renderer.mm_processor_cache is None:
            return
        if tuple(token_ids[: len(laid_out)]) == laid_out and rendered_ids[num_prefix:] == own_ids:
            ids = tuple(rendered_ids[:num_prefix])
            prefix = RenderedPrefix(laid_out, ids, rendered["mm_placeholders"][_MODALITY])
            self._prefixes[digests] = self._distinct.setdefault(ids, prefix)


def _prompt(
    digests: Sequence[str], token_ids: Sequence[int], pixels: Sequence[Any] | None
) -> dict[str, Any]:
    if not digests:
        return {"prompt_token_ids": token_ids}
    return {
        "prompt_token_ids": token_ids,
        "multi_modal_data": {_MODALITY: list(pixels or [None] * len(digests))},
        "multi_modal_uuids": {_MODALITY: list(digests)},
    }
