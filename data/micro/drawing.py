"""Drawing the micro world's pictures with Pillow: a pure function of family, values and seed.

Everything that an aspect does not fix (place, size, hue, clutter) varies with the seed. Some
flaws are weak and some symbols small or half covered, so that nobody sees all of them.
"""

import colorsys
import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

IMAGE_SIZE = 84
"""Width and height in pixels."""

Rng = np.random.Generator
Color = tuple[int, int, int]
Point = tuple[float, float]
Pixels = npt.NDArray[np.float32]


def draw(family: str, values: Mapping[str, str], seed: int) -> Image.Image:
    """RGB picture of a scene, IMAGE_SIZE x IMAGE_SIZE."""
    rng = np.random.default_rng(seed)
    painters = {"objects": _draw_objects, "flaws": _draw_flaws, "symbols": _draw_symbols}
    return painters[family](values, rng)


def _hsv(hue: float, saturation: float, value: float) -> Color:
    r, g, b = colorsys.hsv_to_rgb(hue % 1.0, min(1.0, saturation), min(1.0, value))
    return round(255 * r), round(255 * g), round(255 * b)


def _ellipse(
    pen: ImageDraw.ImageDraw, x: float, y: float, rx: float, ry: float, fill: Color
) -> None:
    pen.ellipse((x - rx, y - ry, x + rx, y + ry), fill=fill)


# --------------------------------------------------------------------------------------- objects

_HUES = {"red": 0.0, "green": 0.34, "blue": 0.61, "yellow": 0.15}
_CORNERS = {"square": 4, "triangle": 3}


def _outline(shape: str, x: float, y: float, radius: float, turn: float) -> list[Point]:
    """Corner points of a shape; `turn` in radians."""
    if shape == "star":
        radii = [1.2 * radius, 0.48 * radius] * 5
    elif shape == "circle":
        radii = [1.1 * radius] * 24
    else:
        radii = [1.2 * radius] * _CORNERS[shape]
    start = turn - math.pi / 2 + (math.pi / 4 if shape == "square" else 0.0)
    step = 2 * math.pi / len(radii)
    return [
        (x + r * math.cos(start + k * step), y + r * math.sin(start + k * step))
        for k, r in enumerate(radii)
    ]


def _texture(values: Mapping[str, str], size: int, fill: Color, rng: Rng) -> Image.Image:
    """A whole canvas of the fill colour with its texture."""
    canvas = Image.new("RGB", (size, size), fill)
    if values["texture"] == "plain":
        return canvas
    pen = ImageDraw.Draw(canvas)
    strength = rng.uniform(0.1, 0.4)
    ink: Color = (int(fill[0] * strength), int(fill[1] * strength), int(fill[2] * strength))
    phase = int(rng.integers(10))
    if values["texture"] == "striped":
        for y in range(phase - 10, size, 12):
            pen.rectangle((0, y, size, y + 5), fill=ink)
    else:
        for row, y in enumerate(range(phase - 10, size, 10)):
            for x in range(phase - 10 + 5 * (row % 2), size, 10):
                pen.ellipse((x, y, x + 5, y + 5), fill=ink)
    return canvas


_ROWS: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "one": ((42,), (70,), (98,), (126,)),
    "two": ((42, 98), (70, 126), (42, 126)),
    "three": ((28, 84, 140),),
}
"""Places from the top that a stack of objects may take, in pixels at twice the size."""


def _object_places(values: Mapping[str, str], rng: Rng) -> list[Point]:
    """Centers of the objects: stacked on one side, with jitter."""
    x = (42 if values["side"] == "left" else 126) + rng.uniform(-4, 4)
    stacks = _ROWS[values["count"]]
    rows = stacks[int(rng.integers(len(stacks)))]
    return [(x + rng.uniform(-2, 2), y + rng.uniform(-3, 3)) for y in rows]


def _draw_objects(values: Mapping[str, str], rng: Rng) -> Image.Image:
    size = 2 * IMAGE_SIZE
    light = values["backdrop"] == "light"
    level = rng.uniform(0.68, 0.96) if light else rng.uniform(0.08, 0.4)
    canvas = Image.new("RGB", (size, size), _hsv(rng.random(), rng.uniform(0, 0.18), level))
    pen = ImageDraw.Draw(canvas)
    _clutter(pen, size, level, rng)
    radius = rng.uniform(22.5, 25) if values["size"] == "large" else rng.uniform(15, 17.5)
    hue = _HUES[values["color"]] + rng.uniform(-0.035, 0.035)
    fill = _hsv(hue, rng.uniform(0.7, 1.0), rng.uniform(0.7, 1.0))
    texture = _texture(values, size, fill, rng)
    mask = Image.new("L", (size, size))
    mask_pen = ImageDraw.Draw(mask)
    turn = rng.uniform(-0.12, 0.12)
    for x, y in _object_places(values, rng):
        r = radius * rng.uniform(0.95, 1.05)
        mask_pen.polygon(_outline(values["shape"], x, y, r, turn), fill=255)
        if values["shape"] == "circle":  # drawn as a ring: at this size discs look like squares
            mask_pen.polygon(_outline("circle", x, y, 0.5 * r, turn), fill=0)
    canvas.paste(texture, (0, 0), mask)
    if values["border"] == "framed":
        _frame(pen, size, level, rng)
    return canvas.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BOX)


def _frame(pen: ImageDraw.ImageDraw, size: int, level: float, rng: Rng) -> None:
    inset = int(rng.integers(0, 6))
    contrast = rng.uniform(0.16, 0.5)
    tone = level - contrast if level > 0.5 else level + contrast
    box = (inset, inset, size - 1 - inset, size - 1 - inset)
    ink = _hsv(rng.random(), rng.uniform(0, 0.25), tone)
    pen.rectangle(box, outline=ink, width=int(rng.integers(4, 8)))


def _clutter(pen: ImageDraw.ImageDraw, size: int, level: float, rng: Rng) -> None:
    """Specks and strokes that mean nothing."""
    for _ in range(int(rng.integers(0, 5))):
        x, y = rng.uniform(0, size, 2)
        tone = np.clip(level + rng.choice([-1, 1]) * rng.uniform(0.08, 0.25), 0, 1)
        dx, dy = rng.uniform(-14, 14, 2)
        pen.line((x, y, x + dx, y + dy), fill=_hsv(rng.random(), 0.2, float(tone)), width=3)


# ----------------------------------------------------------------------------------------- flaws


def _draw_flaws(values: Mapping[str, str], rng: Rng) -> Image.Image:
    canvas = _landscape(values, rng)
    if values["focus"] == "blurred":
        canvas = canvas.filter(ImageFilter.GaussianBlur(rng.uniform(1.4, 3.0)))
    elif rng.random() < 0.3:
        canvas = canvas.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.55)))
    pixels = np.asarray(canvas, dtype=np.float32)
    pixels = _split(pixels, rng) if values["seam"] == "split" else pixels
    pixels = pixels * _tint(values["tint"] == "tinted", rng)
    pixels = pixels * _corners(values["vignette"] == "darkened", rng)
    dim = values["lighting"] == "dim"
    pixels = pixels * (rng.uniform(0.4, 0.62) if dim else rng.uniform(0.8, 1.08))
    sigma = rng.uniform(9.0, 26.0) if values["grain"] == "grainy" else rng.uniform(0.0, 3.5)
    sigma *= 0.65 if dim else 1.0
    pixels = pixels + sigma * rng.standard_normal(pixels.shape, dtype=np.float32)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _landscape(values: Mapping[str, str], rng: Rng) -> Image.Image:
    """Sky, ground, hills, and a thing with its shadow, drawn at twice the size."""
    size = 2 * IMAGE_SIZE
    sky = _hsv(rng.uniform(0.54, 0.62), rng.uniform(0.2, 0.55), rng.uniform(0.8, 1.0))
    canvas = Image.new("RGB", (size, size), sky)
    pen = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(0, 3))):
        x, y = rng.uniform(10, size - 10), rng.uniform(8, 45)
        _ellipse(pen, x, y, rng.uniform(10, 22), rng.uniform(4, 9), (238, 240, 244))
    middle = size * rng.uniform(0.42, 0.56)
    if values["horizon"] == "tilted":
        slope = math.tan(math.radians(rng.uniform(6, 14))) * rng.choice([-1, 1])
    else:
        slope = math.tan(math.radians(rng.uniform(-1.5, 1.5)))
    left, right = middle - slope * size / 2, middle + slope * size / 2
    ground = _hsv(rng.uniform(0.2, 0.34), rng.uniform(0.3, 0.6), rng.uniform(0.5, 0.78))
    pen.polygon([(0, left), (size, right), (size, size), (0, size)], fill=ground)
    _thing_with_shadow(pen, values["shadow"] == "detached", size, ground, rng)
    return canvas.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BOX)


def _thing_with_shadow(
    pen: ImageDraw.ImageDraw, detached: bool, size: int, ground: Color, rng: Rng
) -> None:
    x = rng.uniform(0.3, 0.7) * size
    base = rng.uniform(0.74, 0.84) * size
    width, height = rng.uniform(13, 20), rng.uniform(36, 60)
    dark: Color = (int(ground[0] * 0.4), int(ground[1] * 0.4), int(ground[2] * 0.4))
    if detached:
        gap = rng.choice([-1, 1]) * (2 * width + rng.uniform(5, 14))
        drop = rng.uniform(3, 14)
    else:
        gap = rng.choice([-1, 1]) * width * rng.uniform(0.3, 0.8)
        drop = 0.0
    _ellipse(pen, x + gap, base + drop, width * 1.15, 6.5, dark)
    body = _hsv(rng.random(), rng.uniform(0.2, 0.8), rng.uniform(0.55, 0.95))
    if rng.random() < 0.5:
        pen.rectangle((x - width, base - height, x + width, base), fill=body)
        roof = _hsv(rng.random(), 0.5, rng.uniform(0.3, 0.6))
        peak = (x, base - height - 18)
        pen.polygon([(x - width, base - height), (x + width, base - height), peak], fill=roof)
    else:
        pen.rectangle((x - 4, base - height / 2, x + 4, base), fill=(92, 66, 40))
        _ellipse(pen, x, base - height / 2 - 12, width, height / 2, body)


def _split(pixels: Pixels, rng: Rng) -> Pixels:
    """The picture cut in two, one half moved along the cut and brightened or darkened."""
    at = int(rng.integers(30, IMAGE_SIZE - 30))
    shift = int(rng.choice([-1, 1]) * rng.integers(7, 13))
    gain = 1 + rng.choice([-1, 1]) * rng.uniform(0.22, 0.4)
    axis = int(rng.integers(2))
    halves = np.split(pixels, [at], axis=1 - axis)
    moved = np.roll(halves[1], shift, axis=axis) * np.float32(gain)
    return np.concatenate([halves[0], moved], axis=1 - axis)


_CASTS = ((1.0, 0.45, 1.0), (1.0, 0.8, 0.35), (1.0, 0.5, 0.5), (0.5, 0.6, 1.0))


def _tint(tinted: bool, rng: Rng) -> Pixels:
    """Channel gains."""
    cast = np.array(_CASTS[int(rng.integers(len(_CASTS)))], dtype=np.float32)
    strength = rng.uniform(0.4, 0.9) if tinted else rng.uniform(0.0, 0.1)
    return 1 - np.float32(strength) * (1 - cast)


def _corners(darkened: bool, rng: Rng) -> Pixels:
    """Gain of every pixel, (height, width, 1)."""
    axis = np.linspace(-1, 1, IMAGE_SIZE, dtype=np.float32)
    radius = np.hypot(axis[:, None], axis[None, :])
    strength = rng.uniform(0.45, 0.85) if darkened else rng.uniform(0.0, 0.08)
    falloff = np.clip(radius - np.float32(rng.uniform(0.35, 0.6)), 0, None)
    return np.clip(1 - np.float32(strength) * falloff / 0.85, 0, 1)[..., None]


# --------------------------------------------------------------------------------------- symbols

_CELL = 2 * IMAGE_SIZE / 3
_INK: Color = (25, 22, 26)
Icon = Callable[[ImageDraw.ImageDraw, float, float, float, Rng], None]
"""Draws a symbol centered at x, y with half-size r."""


def _flame(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, rng: Rng) -> None:
    lean = rng.uniform(-0.35, 0.35) * r
    outer = _hsv(rng.uniform(0.02, 0.07), 0.95, rng.uniform(0.88, 1.0))
    _ellipse(pen, x, y + 0.35 * r, 0.62 * r, 0.62 * r, outer)
    pen.polygon([(x - 0.6 * r, y + 0.2 * r), (x + lean, y - r), (x + 0.6 * r, y + 0.2 * r)], outer)
    _ellipse(pen, x, y + 0.5 * r, 0.3 * r, 0.36 * r, (255, 222, 70))


def _skull(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, rng: Rng) -> None:
    bone = _hsv(0.12, rng.uniform(0.02, 0.16), rng.uniform(0.86, 0.98))
    _ellipse(pen, x, y - 0.15 * r, 0.8 * r, 0.75 * r, bone)
    pen.rectangle((x - 0.42 * r, y + 0.3 * r, x + 0.42 * r, y + 0.9 * r), fill=bone)
    for side in (-0.33, 0.33):
        _ellipse(pen, x + side * r, y - 0.1 * r, 0.22 * r, 0.24 * r, _INK)
    pen.line((x, y + 0.5 * r, x, y + 0.88 * r), fill=_INK, width=2)


def _blade(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, rng: Rng) -> None:
    side = rng.choice([-1, 1])
    steel = _hsv(0.58, 0.1, rng.uniform(0.72, 0.9))
    tip, low = (x + side * 0.8 * r, y - 0.95 * r), (x - side * 0.45 * r, y + 0.25 * r)
    pen.polygon([tip, low, (x - side * 0.1 * r, y + 0.5 * r)], fill=steel)
    end = (x - side * 0.75 * r, y + 0.95 * r)
    pen.line(((x - side * 0.28 * r, y + 0.38 * r), end), fill=(96, 58, 30), width=int(0.34 * r))


def _bottle(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, rng: Rng) -> None:
    glass = _hsv(rng.uniform(0.36, 0.46), rng.uniform(0.6, 0.9), rng.uniform(0.35, 0.6))
    pen.rectangle((x - 0.4 * r, y - 0.1 * r, x + 0.4 * r, y + r), fill=glass)
    pen.rectangle((x - 0.15 * r, y - r, x + 0.15 * r, y), fill=glass)
    pen.rectangle((x - 0.4 * r, y + 0.25 * r, x + 0.4 * r, y + 0.65 * r), fill=(236, 226, 190))


def _smoke(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, rng: Rng) -> None:
    for k in range(6):
        tone = int(rng.uniform(105, 165))
        px = x + r * (0.3 * math.sin(2.1 * k) + rng.uniform(-0.12, 0.12))
        _ellipse(pen, px, y + r * (0.75 - 0.3 * k), 0.4 * r, 0.34 * r, (tone, tone, tone))


def _pill(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, rng: Rng) -> None:
    red = _hsv(rng.uniform(0.93, 0.99), 0.85, rng.uniform(0.75, 0.95))
    for dx, dy in ((-0.3, -0.45), (0.25, 0.4)):
        cx, cy = x + dx * r, y + dy * r
        box = (cx - 0.65 * r, cy - 0.28 * r, cx + 0.65 * r, cy + 0.28 * r)
        pen.rounded_rectangle(box, radius=0.28 * r, fill=(250, 250, 250))
        left = (box[0], box[1], cx, box[3])
        pen.rounded_rectangle(left, radius=0.28 * r, fill=red)


def _chain(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, rng: Rng) -> None:
    metal = _hsv(0.1, rng.uniform(0.5, 0.75), rng.uniform(0.5, 0.72))
    slant = rng.choice([-1, 1])
    for k in (-1, 0, 1):
        cx, cy = x + 0.52 * k * r, y + slant * 0.52 * k * r
        box = (cx - 0.38 * r, cy - 0.38 * r, cx + 0.38 * r, cy + 0.38 * r)
        pen.ellipse(box, outline=metal, width=4)


def _leaf(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, rng: Rng) -> None:
    green = _hsv(rng.uniform(0.27, 0.33), 0.7, rng.uniform(0.6, 0.85))
    _ellipse(pen, x, y, 0.4 * r, 0.8 * r, green)
    pen.line((x, y - 0.7 * r, x, y + r), fill=(60, 90, 40), width=3)


def _ball(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, rng: Rng) -> None:
    _ellipse(pen, x, y, 0.7 * r, 0.7 * r, _hsv(rng.uniform(0.55, 0.85), 0.7, 0.85))
    _ellipse(pen, x - 0.2 * r, y - 0.25 * r, 0.18 * r, 0.18 * r, (250, 250, 250))


def _book(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, rng: Rng) -> None:
    cover = _hsv(rng.uniform(0.55, 0.75), 0.6, rng.uniform(0.4, 0.7))
    pen.rectangle((x - 0.8 * r, y - 0.55 * r, x + 0.8 * r, y + 0.55 * r), fill=cover)
    pen.rectangle((x - 0.7 * r, y - 0.45 * r, x - 0.05 * r, y + 0.45 * r), fill=(245, 242, 230))


_ICONS: Mapping[str, Icon] = {
    "flame": _flame,
    "skull": _skull,
    "blade": _blade,
    "bottle": _bottle,
    "smoke": _smoke,
    "pill": _pill,
    "chain": _chain,
}
_SHOWN = {
    "flame": "burning",
    "skull": "visible",
    "blade": "drawn",
    "bottle": "standing",
    "smoke": "rising",
    "pill": "scattered",
    "chain": "linked",
}
_HARMLESS: tuple[Icon, ...] = (_leaf, _ball, _book)


def _room(mood: str, size: int, rng: Rng) -> Image.Image:
    if mood == "gloomy":
        wall = _hsv(rng.uniform(0.6, 0.8), rng.uniform(0.1, 0.35), rng.uniform(0.2, 0.42))
        floor = _hsv(rng.uniform(0.6, 0.8), rng.uniform(0.1, 0.3), rng.uniform(0.12, 0.26))
    else:
        wall = _hsv(rng.uniform(0.08, 0.6), rng.uniform(0.2, 0.45), rng.uniform(0.86, 1.0))
        floor = _hsv(rng.uniform(0.05, 0.3), rng.uniform(0.25, 0.5), rng.uniform(0.66, 0.85))
    canvas = Image.new("RGB", (size, size), wall)
    pen = ImageDraw.Draw(canvas)
    pen.rectangle((0, size * rng.uniform(0.55, 0.75), size, size), fill=floor)
    return canvas


def _draw_symbols(values: Mapping[str, str], rng: Rng) -> Image.Image:
    size = 2 * IMAGE_SIZE
    canvas = _room(values["mood"], size, rng)
    pen = ImageDraw.Draw(canvas)
    icons = [icon for name, icon in _ICONS.items() if values[name] == _SHOWN[name]]
    num_free = 9 - len(icons)
    extra = int(rng.integers(0, min(4, num_free) + 1))
    icons += [_HARMLESS[int(k)] for k in rng.integers(0, len(_HARMLESS), extra)]
    cells = rng.permutation(9)
    for icon, cell in zip(icons, cells.tolist(), strict=False):
        x = (cell % 3 + 0.5) * _CELL + rng.uniform(-9, 9)
        y = (cell // 3 + 0.5) * _CELL + rng.uniform(-9, 9)
        icon(pen, x, y, rng.uniform(16, 25), rng)
    return canvas.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BOX)
