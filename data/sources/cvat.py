"""CVAT's own XML: images with tags, a tag being the label of a whole image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree

from ..errors import DataError
from ..left_out import LeftOut
from .base import Plain, TableRow

_SHAPES = ("box", "polygon", "polyline", "points", "mask", "cuboid", "ellipse", "skeleton")


@dataclass(frozen=True)
class CvatSource(Plain):
    """A row per tag of an image: `image`, `id`, `label`, and the tag's attributes."""

    path: Path
    layout = "images with tags, as CVAT exports them"

    def left_out(self) -> LeftOut:
        return self._loaded[1]

    def columns(self) -> list[str]:
        return list(dict.fromkeys(name for row in self._loaded[0] for name in row.values))

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:  # noqa: ARG002
        return iter(self._loaded[0])

    @cached_property
    def _loaded(self) -> tuple[list[TableRow], LeftOut]:
        try:
            root = ElementTree.parse(self.path).getroot()
        except (ElementTree.ParseError, UnicodeError, ValueError) as error:
            raise DataError(f"{self.path}: not whole XML: {error}: export it again") from error
        left_out = LeftOut()
        rows = [row for image in root.iter("image") for row in self._rows(image, left_out)]
        if not rows and not left_out.skipped:
            raise DataError(f"{self.path}: holds no <image> with a <tag>: export `CVAT for images`")
        return rows, left_out

    def _rows(self, image: ElementTree.Element, left_out: LeftOut) -> Iterator[TableRow]:
        name = image.get("name", "")
        where = f"image {image.get('id', name)}"
        for tag in image.findall("tag"):
            own = {a.get("name", ""): (a.text or "") for a in tag.findall("attribute")}
            values = {"image": name, "id": name, "label": tag.get("label", "")}
            yield TableRow(where, own | values, self.path.parent)
        if image.find("tag") is None:
            left_out.skip("image without a tag", where)
        for shape in image:
            if shape.tag in _SHAPES:
                left_out.skip(f"{shape.tag}, which is about a part of an image", where)
