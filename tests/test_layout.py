from types import SimpleNamespace
from typing import Any

import pytest
from blpo.data.errors import LayoutError
from blpo.models.requests.layout import make_bridge, make_layout

TEMPLATE = (
    "<s>"
    "{% for m in messages %}[{{ m.role }}]"
    "{% for part in m.content %}"
    "{% if part.type == 'image' %}<i>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}</t>{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
IMAGE_LAST = TEMPLATE.replace(
    "{% for part in m.content %}"
    "{% if part.type == 'image' %}<i>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}",
    "{{ m.content[-1].text }}{% if m.content|length > 1 %}<i>{% endif %}",
)
ONE_IMAGE = "{% if messages[0].content|length > 2 %}{{ none.x.y }}{% endif %}" + TEMPLATE
FIRST_IMAGE = TEMPLATE.replace(
    "{% if part.type == 'image' %}",
    "{% if part.type == 'image' and not loop.first %}{% elif part.type == 'image' %}",
)
NO_IMAGE = TEMPLATE.replace("<i>", "")
NO_TEXT = TEMPLATE.replace("{{ part.text }}", "text")
TWICE = TEMPLATE.replace("{{ part.text }}", "{{ part.text }}{{ part.text }}")
REFUSES = "{{ raise_exception('one image at most') }}"

SPECIAL = ("<s>", "<i>", "</t>")


class Tokenizer:
    """One token per character, and one per special token unless they are to be split."""

    eos_token_id = 2
    all_special_ids = (0, 1, 2)

    def encode(
        self, text: str, *, add_special_tokens: bool, split_special_tokens: bool = False
    ) -> list[int]:
        assert not add_special_tokens
        ids: list[int] = []
        while text:
            special = next((s for s in SPECIAL if text.startswith(s)), None)
            if special is None or split_special_tokens:
                ids.append(ord(text[0]) + 100)
                text = text[1:]
            else:
                ids.append(SPECIAL.index(special))
                text = text[len(special) :]
        return ids


def processor(template: str = TEMPLATE) -> Any:
    return SimpleNamespace(tokenizer=Tokenizer(), chat_template=template)


def text_of(ids: list[int]) -> str:
    return "".join(SPECIAL[i] if i < 100 else chr(i - 100) for i in ids)


def test_a_request_is_laid_out_as_image_text_bridge_prompt() -> None:
    layout = make_layout(processor(), 8)
    text = text_of(layout.token_ids("Is it safe?", num_images=1, text="a cat"))
    bridge = text_of(list(layout.bridges[1]))
    assert text == f"<s>[user]<i>Text: a cat\n{bridge}Is it safe?</t>[assistant]"


def test_a_request_without_image_has_neither_placeholder_nor_bridge() -> None:
    layout = make_layout(processor(), 8)
    ids = layout.token_ids("Improve this.", num_images=0, text=None)
    assert text_of(ids) == "<s>[user]Improve this.</t>[assistant]"


def test_two_prompts_share_all_tokens_up_to_the_end_of_the_bridge() -> None:
    layout = make_layout(processor(), 32)
    one, two = (layout.token_ids(p, num_images=1, text="t") for p in ("First.", "Another one."))
    length = len(one) - len("First.") - len(layout.suffix)
    assert one[:length] == two[:length]
    assert tuple(one[length - len(layout.bridges[1]) : length]) == layout.bridges[1]


def test_two_images_come_first_in_their_order_and_are_named() -> None:
    layout = make_layout(processor(), 64)
    text = text_of(layout.token_ids("Which?", num_images=2, text="a cat"))
    assert text.startswith(
        "<s>[user]<i><i>Text: a cat\nThe first image above is image A. The second image above is "
        "image B."
    )
    assert text.endswith("\nWhich?</t>[assistant]")
    assert len(layout.bridges[2]) >= 63


def test_the_images_of_a_pair_are_named_however_short_a_block_is() -> None:
    text = text_of(list(make_layout(processor(), 1).bridges[2]))
    assert "is image A." in text
    assert "is image B." in text


@pytest.mark.parametrize("template", [ONE_IMAGE, FIRST_IMAGE])
def test_a_template_for_one_image_takes_one_and_refuses_two(template: str) -> None:
    layout = make_layout(processor(template), 8)
    layout.token_ids("Is it?", num_images=1, text=None)
    with pytest.raises(LayoutError, match="2 images, and the chat template takes 1"):
        layout.token_ids("Which?", num_images=2, text=None)


def test_special_tokens_in_prompt_and_text_are_characters() -> None:
    layout = make_layout(processor(), 8)
    ids = layout.token_ids("a</t><i>b", num_images=1, text="<i>")
    assert ids.count(SPECIAL.index("<i>")) == 1
    assert ids.count(SPECIAL.index("</t>")) == 1


def test_a_reply_starts_behind_the_template_with_special_tokens_as_characters() -> None:
    layout = make_layout(processor(), 8)
    plain = layout.token_ids("Why?", num_images=1, text=None)
    ids = layout.token_ids("Why?", num_images=1, text=None, reply_start="so</t>")
    assert ids[: len(plain)] == plain
    assert ids[len(plain) :] == [ord(c) + 100 for c in "so</t>"]


@pytest.mark.parametrize("block_size", [1, 16, 32, 128, 1024])
def test_the_bridge_fills_a_block_but_for_one_token(block_size: int) -> None:
    assert len(make_bridge(Tokenizer(), block_size)) >= block_size - 1


def test_the_end_of_turn_is_the_token_that_closes_the_assistants_text() -> None:
    assert make_layout(processor(), 8).end_of_turn == SPECIAL.index("</t>")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (IMAGE_LAST, "image before the user's text"),
        (NO_IMAGE, "leaves the image out"),
        (NO_TEXT, "does not carry the user's text"),
        (TWICE, "does not carry the user's text"),
        (REFUSES, "cannot be rendered"),
    ],
)
def test_a_template_that_cannot_be_laid_out_is_refused(template: str, message: str) -> None:
    with pytest.raises(LayoutError, match=message):
        make_layout(processor(template), 16)
