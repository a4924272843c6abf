"""Images: what a model sees of the bytes, and what is refused."""

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from blpo.data.errors import DataError
from blpo.data.images import ImageBounds, ImageRef, check_image, decode_image
from PIL import Image, ImageFile

WIDE = ImageBounds(1, 10**6)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def decode(data: bytes, bounds: ImageBounds = WIDE) -> Image.Image:
    return decode_image(ImageRef(data, bounds), "ex-7")


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr"])
def test_opaque_modes_become_rgb(mode: str) -> None:
    kind = "JPEG" if mode in {"CMYK", "YCbCr"} else "PNG"
    image = decode(encoded(Image.new("RGB", (20, 10), "white").convert(mode), kind))
    assert (image.mode, image.size) == ("RGB", (20, 10))
    assert image.getpixel((3, 3)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(mode: str) -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert decode(encoded(image.convert(mode))).getpixel((2, 2)) == (255, 255, 255)


def test_half_transparent_black_becomes_gray() -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    assert decode(encoded(image)).getpixel((2, 2)) == (127, 127, 127)


def test_sixteen_bit_gray_keeps_its_upper_bits() -> None:
    image = Image.fromarray(np.full((4, 4), 0x80FF, np.uint16))
    assert decode(encoded(image)).getpixel((0, 0)) == (128, 128, 128)


def test_exif_orientation_is_applied() -> None:
    image = noise(30, 10)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encoded(image, "JPEG", exif=exif)).size == (10, 30)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_common_formats_decode(kind: str) -> None:
    assert decode(encoded(noise(16, 12), kind)).size == (16, 12)


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data).getpixel((4, 4)) == (255, 0, 0)


@pytest.mark.parametrize(
    "size", [(10, 10), (400, 100), (1000, 1000), (1, 5000), (3, 3), (640, 480), (1, 1), (5000, 2)]
)
def test_sizes_end_within_the_bounds_with_their_aspect(size: tuple[int, int]) -> None:
    bounds = ImageBounds(3136, 100_000)
    width, height = decode(encoded(Image.new("L", size)), bounds).size
    assert width * height <= 100_000
    assert width * height >= 3136 or min(size) == 1
    if min(size) > 2:
        assert width / height == pytest.approx(size[0] / size[1], rel=0.05)


def test_an_image_within_the_bounds_keeps_its_pixels() -> None:
    image = noise(60, 60)
    assert decode(encoded(image), ImageBounds(3600, 3600)).tobytes() == image.tobytes()


def test_equal_bounds_are_not_exceeded() -> None:
    width, height = decode(encoded(Image.new("L", (37, 41))), ImageBounds(3136, 3136)).size
    assert 3000 <= width * height <= 3136


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_a_truncated_file_names_the_example_whatever_pillow_is_told(
    kind: str, keep: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encoded(noise(64, 64), kind)
    with pytest.raises(DataError, match="image of example 'ex-7': cannot be decoded"):
        decode(data[: int(len(data) * keep)])


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    for width, height in ((40_000, 40_000), (10_000, 9_000)):
        with pytest.raises(DataError, match=r"example 'ex-7'.*pixels.*shrink"):
            decode(png_of_size(width, height))


@pytest.mark.parametrize(
    "data", [b"not an image", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_bytes_of_no_known_format_are_refused(data: bytes) -> None:
    with pytest.raises(DataError, match=r"'ex-7': cannot be decoded.*JPEG, PNG"):
        decode(data)


def test_an_empty_file_says_so() -> None:
    with pytest.raises(DataError, match="'ex-7': the file is empty"):
        decode(b"")


def test_an_unsupported_mode_says_what_to_do() -> None:
    image = Image.fromarray(np.zeros((4, 4), np.float32))
    with pytest.raises(DataError, match=r"pixel mode 'F'.*8 bits per channel"):
        decode(encoded(image, "TIFF"))


def test_without_an_example_id_the_digest_names_the_image() -> None:
    ref = ImageRef(b"", WIDE)
    with pytest.raises(DataError, match=f"image {ref.digest[:12]}"):
        decode_image(ref)


def test_check_image_gives_the_size_and_names_the_image() -> None:
    assert check_image(encoded(noise(16, 12)), "line 3").size == (16, 12)
    with pytest.raises(DataError, match=r"^line 3: "):
        check_image(b"GIF89a", "line 3")


def test_bounds_that_cross_are_refused() -> None:
    with pytest.raises(DataError, match="bounds of 10 and 5 pixels"):
        ImageBounds(10, 5)


def test_threads_decode_the_same_pixels() -> None:
    data = encoded(noise(80, 80), "JPEG")
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(decode, [data] * 16))
    assert len({image.tobytes() for image in images}) == 1


def test_equal_bytes_under_other_bounds_are_another_image() -> None:
    assert ImageRef(b"a", WIDE).digest != ImageRef(b"a", ImageBounds(1, 5)).digest
