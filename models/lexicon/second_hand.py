"""The stand-in, on the micro tasks, for an optimizer LLM that sees images.

The lexicon optimizer reads text only. In place of each image it is given what the micro model says
of it when asked, as of any image, to describe it: what a model takes in that is not told what to
look for. A real optimizer LLM may see more, or less.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..engine import Engine, EngineIdentity, Reply, Request, Sampling
from ..replies.thought import read

GENERIC_PROMPT = "Describe the image."


class SecondHandImages:
    """Contract: `Engine`. `reader` answers with the images described by `viewer`.

    Neither is closed with it.
    """

    def __init__(self, reader: Engine, viewer: Engine, max_tokens: int) -> None:
        self._reader = reader
        self._viewer = viewer
        self._sampling = Sampling(max_tokens=max_tokens)

    @property
    def identity(self) -> EngineIdentity:
        viewer = self._viewer.identity
        seen = f"images through {viewer.engine}:{viewer.model}@{viewer.revision}/{viewer.layout}"
        reader = self._reader.identity
        return replace(reader, settings=f"{reader.settings} {seen}".strip())

    @property
    def version(self) -> str:
        return self._reader.version

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return self._reader.ask([self._described(request) for request in requests])

    def close(self) -> None:
        pass

    def _described(self, request: Request) -> Request:
        """The request with a description where its text has an image's number.

        The images stay with it: what they cost of the reader's context, they cost.
        """
        views = self._viewer.ask(
            [Request(GENERIC_PROMPT, image, sampling=self._sampling) for image in request.images]
        )
        prompt = request.prompt
        for number, view in enumerate(views, 1):
            text = read(view.text, view.finish_reason).answer
            described = f"<description>{text}</description>"
            prompt = prompt.replace(f"<image>{number}</image>", described, 1)
        return replace(request, prompt=prompt)
