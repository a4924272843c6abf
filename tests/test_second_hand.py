"""An optimizer without eyes reads what another model says of each image."""

from blpo.data.images import ImageBounds, ImageRef
from blpo.models.engine import EngineIdentity, Reply, Request
from blpo.models.lexicon.second_hand import GENERIC_PROMPT, SecondHandImages
from test_optimizer import ScriptedEngine

IMAGES = tuple(ImageRef(data, ImageBounds()) for data in (b"one", b"two"))


def test_every_image_is_described_in_its_place_under_one_generic_prompt() -> None:
    viewer = ScriptedEngine(Reply("mood: gloomy.", "stop"), Reply("mood: cheerful.", "stop"))
    reader = ScriptedEngine(Reply("ok", "stop"))
    request = Request(
        "1: <image>1</image> 2: <image>2</image>", IMAGES[0], further_images=IMAGES[1:]
    )
    assert SecondHandImages(reader, viewer, 50).ask([request]) == [Reply("ok", "stop")]
    assert [(asked.prompt, asked.image) for asked in viewer.requests] == [
        (GENERIC_PROMPT, image) for image in IMAGES
    ]
    [read] = reader.requests
    assert read.images == IMAGES
    assert read.prompt == (
        "1: <description>mood: gloomy.</description> 2: <description>mood: cheerful.</description>"
    )


def test_another_viewer_is_another_optimizer() -> None:
    reader, viewer, other = ScriptedEngine(), ScriptedEngine(), ScriptedEngine()
    other.identity = EngineIdentity("scripted", "other", "1", "text")
    identities = {SecondHandImages(reader, v, 50).identity for v in (viewer, other)}
    assert len(identities | {reader.identity}) == 3
