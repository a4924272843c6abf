"""How many tokens a request can have at most, counted before it is sent."""

import math
from dataclasses import dataclass

from ...data.images import ImageRef, decode_image

_MARKERS_PER_IMAGE = 8
_TEMPLATE_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Context:
    """The context of a model that is not at hand to count with.

    num_tokens: of prompt and reply together. image_token_px: side of the square of pixels that
    becomes one image token.
    """

    num_tokens: int
    image_token_px: int

    def holds(self, prompt: str, images: tuple[ImageRef, ...], reply_tokens: int) -> bool:
        """Whether the request fits whatever the tokenizer: a byte of text is at most one token."""
        text = len(prompt.encode()) + _TEMPLATE_TOKENS
        pictures = sum(self._image_tokens(image) + _MARKERS_PER_IMAGE for image in images)
        return text + pictures + reply_tokens <= self.num_tokens

    def _image_tokens(self, image: ImageRef) -> int:
        width, height = decode_image(image).size
        return math.ceil(width / self.image_token_px) * math.ceil(height / self.image_token_px)
