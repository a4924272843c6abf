"""Images: bytes in, bounded RGB pixels out, and the identity of what a model sees."""

import hashlib
import io
import math
import re
import struct
import warnings
import zlib
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImageOps

from .errors import DataError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
_PILLOWS = tuple(name for name in FORMATS if name != "HEIF")
_STARTS = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF8",
    b"BM",
    *(b"II*\0", b"II+\0", b"II\0*", b"MM\0*", b"MM\0+", b"MM*\0"),
)
_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""What stands behind `ftyp` in the first box of a file of the ISO base media format."""
MAX_DECODED_PIXELS = 89_478_485
"""Largest image that is decoded at all (Pillow's own threshold for a decompression bomb)."""

NO_IMAGE = "a file that is no image"
TOO_LARGE = "an image larger than is decoded"
"""Causes of errors, which rows are counted by."""

_DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)
# The same limit as Pillow's, of which an error tells with the image's name.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
_DIRECT_MODES = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"})


@dataclass(frozen=True, slots=True)
class ImageBounds:
    """Bounds on width x height, in pixels; an image outside them is resized, aspect kept."""

    min_pixels: int = 56 * 56
    max_pixels: int = 1024 * 1024

    def __post_init__(self) -> None:
        if not 1 <= self.min_pixels <= self.max_pixels:
            raise DataError(
                f"bounds of {self.min_pixels} and {self.max_pixels} pixels: both must be positive, "
                "the first at most the second"
            )


@dataclass(frozen=True)
class ImageRef:
    """An encoded image and the bounds under which models see it."""

    data: bytes
    bounds: ImageBounds

    @cached_property
    def digest(self) -> str:
        """sha256 over the bytes and the bounds: equal digests, equal pixels for the model."""
        bounds = f"{self.bounds.min_pixels}:{self.bounds.max_pixels}:".encode()
        return hashlib.sha256(bounds + self.data).hexdigest()


def is_image_start(start: bytes) -> bool:
    """Whether a file with these first bytes, 12 or more, can be an image of one of the FORMATS."""
    return (
        start.startswith(_STARTS)
        or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")
        or (start[4:8] == b"ftyp" and start[8:12] in (*_AVIF_BRANDS, *_HEIF_BRANDS))
    )


def decode_image(ref: ImageRef, example_id: str | None = None) -> Image.Image:
    """The RGB pixels that a model sees.

    First frame, EXIF orientation applied, transparency laid on white, 16-bit gray cut to its
    upper 8 bits, colour profiles ignored; then resized (bicubic) if outside the bounds. Safe to
    call from many threads.

    Raises DataError, naming the example, for bytes that are not one whole image.
    """
    name = image_name(ref) if example_id is None else f"image of example {example_id!r}"
    return _fit(_read_rgb(ref.data, name), ref.bounds)


def image_name(ref: ImageRef) -> str:
    """What messages call an image of which no example is known."""
    return f"image {ref.digest[:12]}"


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is known of an image that decodes to its last pixel.

    size: width and height, in pixels. num_frames: of an animation, or pages. bits: per channel.
    """

    size: tuple[int, int]
    num_frames: int
    bits: int

    @property
    def aspect_ratio(self) -> float:
        """The longer side over the shorter."""
        return max(self.size) / min(self.size)


def check_image(data: bytes, name: str) -> ImageFacts:
    """Decodes an image to its last pixel; the message of a DataError starts with `name`."""
    size = _read_rgb(data, name).size
    with Image.open(io.BytesIO(data), formats=_formats(data)) as image:
        bits = 16 if image.mode.startswith("I;16") else 8
        return ImageFacts(size, int(getattr(image, "n_frames", 1)), bits)


def _read_rgb(data: bytes, name: str) -> Image.Image:
    if not data:
        raise DataError(
            f"{name}: the file is empty (0 bytes): replace it or drop its row",
            cause="an empty image file",
        )
    # Another library may have told Pillow to fill what is missing with gray.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with Image.open(io.BytesIO(data), formats=_formats(data)) as image:
            _refuse_bomb(image.width * image.height, name)
            image.load()
            return _rgb(ImageOps.exif_transpose(image), name)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(_first_number(str(error)), name) from error
    except _DECODE_ERRORS as error:
        raise DataError(
            f"{name}: cannot be decoded ({len(data):,} bytes, {_reason(error)}): the file is cut "
            f"off, damaged or not one of {', '.join(FORMATS)}; replace it or drop its row",
            cause="an image that is cut off or damaged" if is_image_start(data) else NO_IMAGE,
        ) from error


def _formats(data: bytes) -> tuple[str, ...]:
    """The formats that an image can be of; Pillow asks in vain for one that it does not know."""
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        _register_heif()
        return ("HEIF",)
    return _PILLOWS


@cache
def _register_heif() -> None:
    """Teach Pillow HEIF, on the first of its images: few datasets have any."""
    import pi_heif  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]

    heif: Any = pi_heif
    heif.register_heif_opener()


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "unknown format"
    return str(error) or type(error).__name__


def _refuse_bomb(num_pixels: int, name: str) -> None:
    if num_pixels > MAX_DECODED_PIXELS:
        raise _too_large(num_pixels, name)


def _too_large(num_pixels: int, name: str) -> DataError:
    return DataError(
        f"{name}: has {num_pixels:,} pixels, more than the {MAX_DECODED_PIXELS:,} that are "
        "decoded: shrink the image or drop its row",
        cause=TOO_LARGE,
    )


def _first_number(text: str) -> int:
    """How many pixels an image has by the message with which Pillow refuses it."""
    return int(next(iter(re.findall(r"\d+", text)), MAX_DECODED_PIXELS + 1))


def _rgb(image: Image.Image, name: str) -> Image.Image:
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    if image.mode.startswith("I;16"):
        high_bytes = (np.asarray(image) >> 8).astype(np.uint8)
        return Image.fromarray(high_bytes).convert("RGB")
    if image.mode not in _DIRECT_MODES:
        raise DataError(
            f"{name}: pixel mode {image.mode!r} has no fixed brightness range: "
            "save the image with 8 bits per channel",
            cause="an image of a pixel mode without a fixed brightness range",
        )
    return image.convert("RGB")


def _fit(image: Image.Image, bounds: ImageBounds) -> Image.Image:
    size = _fitted_size(image.width, image.height, bounds)
    return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)


def _fitted_size(width: int, height: int, bounds: ImageBounds) -> tuple[int, int]:
    """Nearest size within the bounds. Rounding up to the minimum never passes the maximum."""
    num_pixels = width * height
    if num_pixels < bounds.min_pixels:
        scale = math.sqrt(bounds.min_pixels / num_pixels)
        enlarged = math.ceil(width * scale), math.ceil(height * scale)
        if enlarged[0] * enlarged[1] <= bounds.max_pixels:
            return enlarged
        return _shrunk(width, height, scale, bounds.max_pixels)
    if num_pixels > bounds.max_pixels:
        scale = math.sqrt(bounds.max_pixels / num_pixels)
        return _shrunk(width, height, scale, bounds.max_pixels)
    return width, height


def _shrunk(width: int, height: int, scale: float, max_pixels: int) -> tuple[int, int]:
    """Scaled size rounded down; the longer side gives way where the shorter is one pixel."""
    width, height = max(1, math.floor(width * scale)), max(1, math.floor(height * scale))
    if width >= height:
        return min(width, max_pixels // height), height
    return width, min(height, max_pixels // width)
