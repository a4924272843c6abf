"""What the images of an example are called: by their roles, else A, B and so on."""

from collections.abc import Sequence
from string import ascii_uppercase

MAX_IMAGES = 10
"""Of an example."""


def image_names(roles: Sequence[str], count: int) -> tuple[str, ...]:
    """Names of so many images, in order; roles: empty where they have none."""
    if not roles:
        return tuple(ascii_uppercase[:count])
    return tuple(role.replace("_", " ") for role in roles)


def image_titles(roles: Sequence[str], count: int) -> tuple[str, ...]:
    """The same as they stand alone: "image A", "source image"."""
    names = image_names(roles, count)
    return tuple(f"{name} image" if roles else f"image {name}" for name in names)
