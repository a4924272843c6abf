"""Prompts in many wordings that name given aspects: what the micro judge is trained on.

Every prompt is checked to name exactly what it was asked to name, so the grammar here and
`world.named_aspects` cannot drift apart.
"""

from collections.abc import Mapping, Sequence
from random import Random

from .world import ASPECTS, Scale, aspect, named_aspects, plural

ANSWER_INSTRUCTIONS: Mapping[Scale, str] = {
    "safety": "Answer with one word: Safe or Unsafe.",
    "match": "Answer with one number: 0 or 1.",
    "naturalness": "Answer with one number from 1 to 5.",
    "alignment": "Answer with one number from 1 to 7.",
}
"""What ends a prompt that wants a verdict on a scale. Without one, a prompt wants a description."""

_OTHER_INSTRUCTIONS: Mapping[Scale, tuple[str, ...]] = {
    "safety": (
        "Reply with Safe or Unsafe only.",
        "Answer Safe or Unsafe.",
        "Give one word, Safe or Unsafe.",
    ),
    "match": (
        "Reply with 0 or 1 only.",
        "Answer 0 or 1.",
        "Give one number, 0 or 1.",
    ),
    "naturalness": (
        "Reply with a number from 1 to 5 only.",
        "Answer with a rating from 1 to 5.",
        "Give one number between 1 and 5.",
    ),
    "alignment": (
        "Reply with a number from 1 to 7 only.",
        "Answer with a rating from 1 to 7.",
        "Give one number between 1 and 7.",
    ),
}

_OPENINGS = (
    "Look at the image and decide whether it is safe.",
    "Decide whether the image is safe for everyone.",
    "Rate how natural the image looks.",
    "Judge how natural the image looks to people.",
    "Decide whether the image matches the text.",
    "Does the image show what the text says?",
    "Rate how well the image fits the text.",
    "Judge how well the image follows its text.",
    "You are a careful judge of images.",
    "You are an expert at rating pictures.",
    "Look at the image.",
    "Judge the image.",
    "Describe the image.",
    "Describe the image in detail.",
    "Describe what you see.",
    "Write a detailed description of the image.",
    "Tell me about this picture.",
    "Report what the picture shows.",
)

_LIST_SENTENCES = (
    "Pay attention to {}.",
    "Pay close attention to {}.",
    "Check {}.",
    "Carefully check {} before you decide.",
    "Consider {}.",
    "Look closely at {}.",
    "Report {} of the image.",
    "Report {}.",
    "State {}.",
    "Describe {} of the image.",
    "Describe {}.",
    "Include {}.",
    "Mention {} in your description.",
    "Judge it by {}.",
    "Only {} matter.",
    "What counts is {}.",
    "List {} as you see them.",
    "Make sure that {} are right.",
    "If {} are wrong, lower the rating.",
    "People mind {}.",
    "Say what {} are like.",
    "Write down {}.",
    "Note {}, nothing else.",
    "Base your answer on {}.",
    "Be strict about {} and forgive the rest.",
    "The rating should depend on {}.",
    "An image is unsafe if {} show something harmful.",
    "Compare {} with the text.",
    "Look for problems with {}:",
)

_ONE_SENTENCES = (
    "The {} matters most.",
    "Is the {} as it should be?",
    "Look at the {} first.",
    "A fault in the {} counts.",
    "Do not forget the {}.",
    "Check the {}.",
    "Note the {}.",
    "A bad {} lowers the rating.",
    "Then look at the {} of the image.",
    "Also report the {}.",
    "State the {}.",
    "Consider whether the {} looks right.",
    "The {} is important to people.",
    "Mention any problem with the {}.",
)

_ITEM_TAILS = (
    "",
    "",
    "",
    ": is it right?",
    ": as the text says",
    " of the image",
    ": look closely",
)

_FILLERS = (
    "Take your time.",
    "Be careful and fair.",
    "Think about what most people would say.",
    "Do not guess.",
    "Use only what you can see.",
    "Do not explain your answer.",
    "Small things may be forgiven.",
    "Be honest and precise.",
    "Keep it short.",
    "Use plain words.",
    "Ignore everything that is not mentioned here.",
    "Follow these rules in order.",
    "Think step by step before you answer.",
    "Human raters were asked the same question.",
    "When in doubt, prefer the lower rating.",
    "When in doubt, go with your first impression.",
    "Everything else does not matter.",
    "Write one short sentence for each.",
    "Your answer should agree with human judgment.",
    "It is 1 if all is well and 0 if not.",
    "The scale goes from 1 (bad) to 5 (good).",
    "Ratings go from 1 to 7.",
    "7 means that all is right, 1 that nothing is.",
    "Call it Unsafe if anything is wrong, else Safe.",
    "A safe image shows nothing that could harm people.",
)

_COMMON_WORDS = """
a about above accurate after again all also always an analysis and any appears are artifacts as
ask assess at attribute attributes avoid away bad based be because been before being best better
between both but by can careful case cases check clear clearly close common compare compared
complete concrete consider consistent contain contains content context correct could criteria
criterion danger dangerous decide defects depends depicted detail details did differ difference
different do does done each easy either element elements else end enough entire error errors
especially evaluate even every evidence exactly example examples expected explicit fail fails
features few find first follow for found from full general generated give given good great guide
guideline guidelines had half hard harm harmful has have here high highly how however human if
image images important in include indicate inspect instead instruction instructions into is issue
issues it its judge judged judgment just keep key kind label labels large last least less let like
likely list little look looks low main make many mark match matches material matter may mean minor
mismatch mistake more most much must natural near need never no normal not note nothing notice
object objects obvious of off often on once one only or other others our out over overall part
parts people per picture pictures place please points possible prefer present problem problems
properly properties quality question rate rated rater raters rating ratings real realistic reason
reasonable relevant rest result review right rule rules safe same say scene score see seem seems
separately serious severe should show showing shown shows sign similar simply single slightly so
some something sometimes specific stated step steps still strict strong strongly such sure take
task tell text than that the their them then there these they thing things think this those though
through to together too true two type typical under unless unnatural unsafe until up use used user
useful very view violence violent visible visual visually want was way weak well were what whatever
when where whether which while whole why will with within without word words would write wrong yes
you your
""".split()  # noqa: SIM905

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def instruction(rng: Random, scale: Scale) -> str:
    """An answer instruction for the scale, mostly the one that the tasks use."""
    if rng.random() < 0.7:
        return ANSWER_INSTRUCTIONS[scale]
    return rng.choice(_OTHER_INSTRUCTIONS[scale])


def draw_prompt(rng: Random, names: Sequence[str], num_fillers: int = 1) -> str:
    """A prompt that names the aspects in this order of first mention and no others.

    num_fillers: sentences beside those that name something, at most.
    """
    for _ in range(20):
        prompt = _compose(rng, names, num_fillers)
        if named_aspects(prompt) == tuple(dict.fromkeys(names)):
            return prompt
    raise AssertionError(f"no wording names exactly {names}")


def _compose(rng: Random, names: Sequence[str], num_fillers: int) -> str:
    blocks = mentions(rng, names) if names else []
    if names and rng.random() < 0.15:
        blocks += mentions(rng, rng.sample(list(names), rng.randint(1, len(names))))
    return compose(rng, blocks, num_fillers)


def compose(rng: Random, blocks: list[str], num_fillers: int) -> str:
    """Blocks of sentences as one prompt, with fillers between them and mostly an opening."""
    for _ in range(rng.randint(0, num_fillers)):
        blocks.insert(rng.randint(0, len(blocks)), filler(rng))
    if rng.random() < 0.6 or not blocks:
        blocks.insert(0, rng.choice(_OPENINGS))
    return rng.choice((" ", " ", " ", "\n")).join(blocks)


def mentions(rng: Random, names: Sequence[str]) -> list[str]:
    """Sentences or lists that name all of `names` in order."""
    words = [word(rng, name) for name in names]
    kind = rng.random()
    if kind < 0.5:
        return _sentences(rng, words)
    if kind < 0.75:
        return [rng.choice(_ONE_SENTENCES).format(word) for word in words]
    if kind < 0.95:
        return [_bullets(rng, words)]
    return [", ".join(words)]


def _sentences(rng: Random, words: Sequence[str]) -> list[str]:
    cut = rng.randint(1, len(words)) if rng.random() < 0.3 else len(words)
    groups = [words[:cut], words[cut:]]
    return [rng.choice(_LIST_SENTENCES).format(_enumerate(rng, g)) for g in groups if g]


def _enumerate(rng: Random, words: Sequence[str]) -> str:
    if rng.random() < 0.65:
        words = [f"the {word}" for word in words]
    if len(words) == 1:
        return words[0]
    if rng.random() < 0.75:
        joint = rng.choice((" and ", " and ", " and ", ", and ", " or ", " as well as "))
        return ", ".join(words[:-1]) + joint + words[-1]
    return rng.choice((", ", "; ", " and ", " / ")).join(words)


def _bullets(rng: Random, words: Sequence[str]) -> str:
    mark = rng.choice(("- {}", "- the {}", "* {}", "{n}. {}", "{n}) {}", "- **{}**", "{n}. the {}"))
    items = [
        mark.format(word, n=number) + rng.choice(_ITEM_TAILS)
        for number, word in enumerate(words, start=1)
    ]
    lead = rng.choice(
        ("", "Look at these:", "Report these:", "What counts:", "Consider:", "Include:")
    )
    return "\n".join([lead, *items] if lead else items) + "\n"


def word(rng: Random, name: str) -> str:
    """A word that names the aspect."""
    synonyms = aspect(name).synonyms
    form = rng.choice(synonyms) if rng.random() < 0.35 else name
    form = plural(form) if rng.random() < 0.12 else form
    return form.capitalize() if rng.random() < 0.12 else form


def filler(rng: Random) -> str:
    """A sentence that names nothing; it may hold words that mean nothing."""
    kind = rng.random()
    if kind < 0.45:
        return rng.choice(_FILLERS)
    if kind < 0.55:
        values = [rng.choice(rng.choice(ASPECTS).values) for _ in range(2)]
        return f"An image may be {values[0]} or {values[1]}."
    words = [rng.choice(_COMMON_WORDS) for _ in range(rng.randint(3, 12))]
    for place in range(len(words)):
        if rng.random() < 0.12:
            words[place] = "".join(rng.choices(_LETTERS, k=rng.randint(3, 9)))
    return " ".join(words).capitalize() + rng.choice((".", ".", ".", "?", ":"))


def vocabulary() -> list[str]:
    """Words and signs that prompts, texts and answers are made of, letter case as it occurs.

    A word can stand with or without a space before it and with a capital.
    """
    texts = [
        *_OPENINGS, *_LIST_SENTENCES, *_ONE_SENTENCES, *_ITEM_TAILS, *_FILLERS,
        *ANSWER_INSTRUCTIONS.values(),
        *(text for texts in _OTHER_INSTRUCTIONS.values() for text in texts),
        "Look at these Report these What counts Consider Include as well as",
        "all on thing things image Text An may be",
    ]  # fmt: skip
    words = dict.fromkeys(
        word.strip(".,:?{}") for text in texts for word in text.split() if word.strip(".,:?{}")
    )
    words |= dict.fromkeys(_COMMON_WORDS)
    for a in ASPECTS:
        forms = [form for word in a.words for form in (word, plural(word))]
        values = [form for value in a.values for form in (value, plural(value))]
        words |= dict.fromkeys(forms) | dict.fromkeys(values if a.name == "shape" else a.values)
    return list(words)
