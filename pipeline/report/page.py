"""The page of a report and its sections: templates, and how values stand in them.

Prompts and model texts are untrusted: the templates escape every text, and isolate its direction
(`<bdi>`, `dir="auto"`) from what stands around it; only the plots go in as markup, and they hold
nothing but numbers and fixed words.
"""

import base64
import hashlib
import io
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from PIL import Image

from ...data.errors import DataError
from ...data.image_names import image_names, image_titles
from ...data.images import ImageRef, decode_image
from ...data.shown import shown
from ..metrics.intervals import Interval
from .conclusion import excludes_zero, signed, signed_interval

SECTIONS = {
    "summary": "Result",
    "use": "Use",
    "prompts": "Prompts",
    "gallery": "Test images",
    "trajectory": "Trajectory",
    "confusion": "Confusion",
    "scorecard": "References",
    "reading": "Reading",
    "probabilities": "Probabilities",
    "coverage": "Coverage",
    "misjudged": "Misjudged",
    "cost": "Cost",
}
"""What the page's table of contents calls them, in order; each has a template of its name."""

_THUMBNAIL_PX = 256
_PACKAGE, _TEMPLATES = "blpo.pipeline.report", "templates"
_NEGATIVE = re.compile(r"(?<![^\s(\[])-(?=\d)")
_NOT_IN_HTML = re.compile("[\x00\r\ud800-\udfff]")
_SECTION = re.compile(
    r'\n<section id="(\w+)">\n(.*?)\n</section>(?=\n<section id="|\n</main>)', re.DOTALL
)


def render_section(name: str, view: Mapping[str, Any]) -> Markup:
    """One of the SECTIONS."""
    return Markup(_environment().get_template(f"{name}.html.j2").render(view))


def render_page(sections: Mapping[str, Markup], view: Mapping[str, Any]) -> str:
    """The whole page of a run."""
    return fill_page(_environment().get_template("report.html.j2"), SECTIONS, sections, view)


def fill_page(
    template: Template,
    titles: Mapping[str, str],
    sections: Mapping[str, Markup],
    view: Mapping[str, Any],
    css: str = "",
) -> str:
    """A page that extends `page.html.j2`. Its policy lets no script run but its own.

    titles: what the table of contents calls the sections. css: beside that of all pages.
    """
    script = _own("report.js")
    return template.render(
        view,
        sections=sections,
        titles=titles,
        css=Markup(_own("report.css") + css),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def environment_of(package: str) -> Environment:
    """The templates of another package, which may extend and import those of reports."""
    loaders = [PackageLoader(package, _TEMPLATES), PackageLoader(_PACKAGE, _TEMPLATES)]
    return _environment().overlay(loader=ChoiceLoader(loaders))


def call_macro(template: str, macro: str, value: object) -> str:
    """What a macro that takes one value makes of it."""
    return str(getattr(_environment().get_template(f"{template}.html.j2").module, macro)(value))


def sections_of(page: str) -> dict[str, str]:
    """The sections of a page by name; none of a page that another version has made."""
    return {name: text for name, text in _SECTION.findall(page) if name in SECTIONS}


def with_section(page: str, name: str, text: str) -> str:
    """The page with another text for one of its sections; as it is if it has no such section."""

    def other(match: re.Match[str]) -> str:
        return f'\n<section id="{name}">\n{text}\n</section>' if match[1] == name else match[0]

    return _SECTION.sub(other, page)


@cache
def _own(name: str) -> str:
    return (files(__package__ or "") / _TEMPLATES / name).read_text("utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE, _TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_representable,
    )
    filters: dict[str, Any] = environment.filters
    filters |= {
        "figures": with_minus,
        "score": _figures("{:.3f}".format),
        "shown": shown,
        "probability": "{:.2f}".format,
        "thousands": "{:,}".format,
        "signed": _figures(signed),
        "interval": _figures(_interval),
        "signed_interval": _figures(signed_interval),
        "percent": _percent,
        "bar": _bar,
        "excludes_zero": excludes_zero,
        "thumbnail": thumbnail,
    }
    known: dict[str, Any] = environment.globals
    known |= {"image_names": image_names, "image_titles": image_titles}
    return environment


def thumbnail(image: ImageRef) -> str:
    """A data URI of the image, at most 256 px a side; empty if it cannot be decoded."""
    try:
        pixels = decode_image(image)
    except DataError:
        return ""
    pixels.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    pixels.save(buffer, format="JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def with_minus(text: str) -> str:
    """A text of ours as pages have it: a true minus before numbers, where terminals, tables and
    files have the hyphen."""
    return _NEGATIVE.sub("\N{MINUS SIGN}", text)


def _figures(write: Callable[[Any], str]) -> Callable[[Any], str]:
    def written(value: Any) -> str:
        return with_minus(write(value))

    return written


def _representable(value: Any) -> Any:
    """A text with escapes for what no HTML holds: browsers drop NUL and turn CR into LF."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _NOT_IN_HTML.sub(lambda match: ascii(match[0])[1:-1], value)


def _interval(interval: Interval) -> str:
    return "{:.3f} to {:.3f}".format(*interval)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _bar(share: float) -> str:
    """Length of a bar as CSS."""
    return f"{100 * min(max(share, 0), 1):.1f}%"
