"""Looking at the images of a sample: whether each can be used, and what it is a copy of."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from ..errors import DataError
from ..examples import Split
from ..images import ImageBounds, ImageRef, decode_image
from .duplicates import perceptual_hash
from .places import Found, ImagePlace, read_images
from .protocol import Intake
from .sampling import LabelledRow

_IMAGES_AT_ONCE = 64
# Enough to hash, and cheap to hold; every pixel is decoded first.
_HASHED = ImageBounds(1, 512 * 512)


@dataclass(frozen=True, slots=True)
class Inspection:
    """An image that was looked at: sha256 of its bytes and 64-bit perceptual hash, or a problem."""

    sha256: str = ""
    phash: int = 0
    problem: str | None = None


class Inspector:
    """Turns down images that cannot be used or are there already, counting them by reason."""

    def __init__(self, intake: Intake, on_image: Callable[[], None]) -> None:
        self.images: dict[ImagePlace, Inspection] = {}
        self._intake = intake
        self._on_image = on_image
        self._shown: set[tuple[str, str | None]] = set()
        self._sides: dict[str, Split] = {}

    def accept(self, batch: Sequence[LabelledRow]) -> Iterator[tuple[LabelledRow, bool]]:
        """See `sampling.Accept`. An image may come again with another text, on the same side."""
        places = {place for candidate in batch for place in candidate.row.images}
        self._look(places - self.images.keys())
        for candidate in batch:
            reason = self._objection(candidate)
            if reason is not None:
                self._intake.skip(reason, candidate.row.row_id)
            yield candidate, reason is None

    def _objection(self, candidate: LabelledRow) -> str | None:
        images = [self.images[place] for place in candidate.row.images]
        problem = next((image.problem for image in images if image.problem is not None), None)
        if problem is not None:
            return problem
        if any(self._sides.get(i.sha256, candidate.split) != candidate.split for i in images):
            return "exact duplicate of an image on the other side of the split"
        digests = sorted(image.sha256 for image in images)
        if len(set(digests)) < len(digests):
            return "both images of the pair are the same"
        shown = " ".join(digests), candidate.row.text
        if shown in self._shown:
            return "exact duplicate"
        self._shown.add(shown)
        self._sides.update(dict.fromkeys(digests, candidate.split))
        return None

    def _look(self, places: set[ImagePlace]) -> None:
        images = read_images(places)
        with ThreadPoolExecutor() as pool:
            while chunk := list(islice(images, _IMAGES_AT_ONCE)):
                for (place, _), inspection in zip(chunk, pool.map(_inspect, chunk), strict=True):
                    self.images[place] = inspection
                    self._on_image()


def _inspect(found: Found) -> Inspection:
    _, data = found
    if data is None:
        return Inspection(problem="image cannot be read")
    if not data:
        return Inspection(problem="image is empty (0 bytes)")
    try:
        pixels = decode_image(ImageRef(data, _HASHED))
    except DataError:
        return Inspection(problem="image cannot be decoded")
    return Inspection(hashlib.sha256(data).hexdigest(), perceptual_hash(pixels))
