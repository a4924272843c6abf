"""How much of a meta-prompt the lexicon optimizer takes in: the longer it is, the less of it."""

import re
from collections.abc import Sequence
from itertools import count

from ...data.micro.graded import ReaderConfig
from ...data.micro.world import fraction_of
from ..engine import Request

_DESCRIPTION = re.compile(r"<description>.*?</description>", re.DOTALL)
LOST = "<description></description>"


def num_tokens(request: Request, reader: ReaderConfig) -> int:
    """Words and signs of the prompt, and the tokens of its images."""
    words = len(re.findall(r"\w+|[^\w\s]", request.prompt))
    return words + reader.image_tokens * len(request.images)


def too_long(request: Request, reader: ReaderConfig) -> str | None:
    """Why the request does not fit, as a server says it; None for one that does."""
    limit, prompt = reader.context_tokens, num_tokens(request, reader)
    if limit is None or prompt + request.sampling.max_tokens <= limit:
        return None
    return (
        f"the maximum context length is {limit} tokens; the prompt has {prompt} and the reply may "
        f"have {request.sampling.max_tokens}"
    )


def as_read(request: Request, reader: ReaderConfig) -> str:
    """The prompt without the descriptions of the cases that it has lost track of.

    Each is lost with the same chance, which grows with the length of everything that is read. Some
    of the lost are taken for another case: they have its description.
    """
    if reader.hazard == 0:
        return request.prompt
    kept = (1 - reader.hazard) ** num_tokens(request, reader)
    salt = f"{request.sampling.sample_index}/{request.prompt}"
    descriptions: list[str] = _DESCRIPTION.findall(request.prompt)
    places = count()

    def read(found: re.Match[str]) -> str:
        place = next(places)
        if fraction_of(f"{place}/{salt}".encode()) < kept:
            return found[0]
        if fraction_of(f"taken for another/{place}/{salt}".encode()) >= reader.confusion:
            return LOST
        return _another(descriptions, place, salt)

    return _DESCRIPTION.sub(read, request.prompt)


def _another(descriptions: Sequence[str], place: int, salt: str) -> str:
    """The description of another case than the one at this place; none where there is one case."""
    others = [*descriptions[:place], *descriptions[place + 1 :]]
    if not others:
        return LOST
    return others[int(len(others) * fraction_of(f"which/{place}/{salt}".encode()))]
