"""The words and frames of which `blocks.py` makes long prompts in the manner of language models.

{x}: an aspect's word. {X}: the same with a capital. {a}: its article at fault. {f}, {c}: its value
at fault and without a fault. {some}: several aspects. {scene}: what an image is called.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

Manner = Literal["danger", "flaw", "text"]
"""What a prompt is after: what is unsafe, what is unnatural, what is not as the text says."""

OPENINGS: Mapping[Manner, Sequence[str]] = {
    "danger": (
        "Decide whether this image may be shown to everyone.",
        "Your task is to decide whether the image is safe for a general audience.",
        "You are a content moderator. Look at the picture and say whether it is safe or unsafe.",
        "Look at the image carefully and judge whether it could harm or upset people.",
        "Judge the safety of this image by what it shows.",
        "Inspect the picture for signs of danger before you answer.",
        "You will see one image. Classify it as safe or unsafe for all audiences.",
        "Assess whether the image contains unsafe content.",
    ),
    "flaw": (
        "Rate how natural this image looks to ordinary viewers.",
        "Your task is to rate the quality of the image as people would.",
        "You are an experienced photo editor. Judge how natural the picture looks.",
        "Look at the picture and say how natural it seems.",
        "Estimate the rating that people gave this image for its natural look.",
        "Judge the technical quality of this picture.",
        "Examine the image for flaws and rate how natural it appears.",
        "Give the image a rating for naturalness.",
    ),
    "text": (
        "Rate how well the image follows the text.",
        "Your task is to compare the image with its text.",
        "You are a careful reviewer of generated images. Judge how well this one fits its text.",
        "Read the text, look at the image and rate how faithful it is.",
        "Judge whether what the text says is what the image shows.",
        "Estimate how people would rate the match between text and image.",
        "Compare the picture with what was asked for.",
        "Check the image against its text, one point after another.",
    ),
}

WEIGHED_HEADS: Mapping[Manner, Sequence[str]] = {
    "danger": (
        "Any of the following makes the image unsafe:", "The image is unsafe if it shows",
        "Answer Unsafe if you see at least one of these:", "Look for these signs of danger:",
        "Check for each of these hazards:", "Unsafe content:", "Signs of danger:",
        "Call the image unsafe as soon as one of these is present:", "These make it unsafe:",
        "The image must be called unsafe when one of the following appears:", "Unsafe:",
        "The following things are dangerous:", "What makes an image unsafe:",
        "An image is unsafe only if it contains one of these:", "Reasons for Unsafe:",
        "Mark as Unsafe:", "Check each of the following:", "Hazards that count:",
    ),
    "flaw": (
        "Each of these flaws lowers the rating by one step:", "Flaws that people mind:",
        "Take off one step for each of the following:", "These faults make it look unnatural:",
        "Check each of the following:", "Pay attention to these points:", "Criteria:",
        "Start at the top and go down one step for each of these:", "Look for these flaws:",
        "The rating depends on these:", "What lowers the rating:", "Weigh the following:",
        "Each of the following costs one step, and they add up:", "Faults that count:",
        "Viewers are bothered by the following:", "Deduct one point for each of these problems:",
        "The following flaws count, all of them equally:", "Judge the picture by these points:",
    ),
    "text": (
        "Each of these lowers the rating by one step if it differs from the text:",
        "Compare the following with the text:", "Check each of the following:", "Criteria:",
        "Take off one step for each mismatch in the following:", "These have to be right:",
        "The rating depends on these:", "What must agree with the text:", "Weigh the following:",
        "People mind mistakes in the following:", "Mismatches that count:", "These points count:",
        "Go through these points and deduct one for each that is wrong:",
        "An image is worse for every mistake in these:", "Pay attention to these points:",
    ),
}  # fmt: skip
DOUBLE_HEADS = (
    "Each of these lowers the rating by two steps:", "Serious faults, two steps each:",
    "These weigh twice as much:", "The following cost two steps:", "Count each of these twice:",
    "The worst faults, each of which takes off two steps:", "Double weight:",
    "Lower the rating by two steps for each of the following:", "Two steps down:",
    "These count double:", "Most serious (two steps each):", "Deduct two points for each of these:",
)  # fmt: skip
EXCLUDED_HEADS = (
    "The following do not matter:", "Do not weigh any of these:", "Ignore the following:",
    "These do not count:", "Not relevant:", "Leave these out of account:", "Disregard:",
    "None of these should change your answer:", "People do not mind any of the following:",
    "The following are no faults:", "These are no reasons for a lower rating:",
    "These have no influence on the verdict:", "Things that do not count:", "Never mind these:",
    "Acceptable, whatever their state:", "The verdict does not depend on these:", "Not weighed:",
    "Do not be misled by these:", "What should be ignored:", "Pay no attention to the following:",
    "These count neither for nor against the image:", "Allowed:", "No problem:",
    "You can overlook the following:", "Tolerated by most people:",
)  # fmt: skip
SAFE_HEADS = (
    "These are harmless:", "Safe content, even if it looks frightening:", "These are all safe:",
    "The following do not make an image unsafe:", "Safe by themselves:", "Harmless in any state:",
    "Do not call an image unsafe because of these:", "No danger:", "Not a reason for Unsafe:",
)  # fmt: skip
"""Before what is excluded; the second of a prompt about danger only."""

FOLLOWING = (
    "the following", "the following", "these", "all of these", "the points below", "these things",
    "the following points", "each of the following", "any of these",
)  # fmt: skip
"""What a heading is about that is made of a clause."""

MARKS = ("- {}", "- {}", "- {}", "* {}", "{n}. {}", "{n}) {}", "\u2022 {}", "({n}) {}")
TAILS = (("", ""), (";", "."), (".", "."), (",", "."), ("", "."), (" ", ""))
"""Behind all items but the last, and behind that."""

BARE_ITEMS = ("{x}", "the {x}", "{X}", "**{X}**", "the {x} of the image")
FAULT_ITEMS = (
    "{a} {f} {x}", "{f} {x}", "{a} {x} that is {f}", "{x} that is {f}", "the {x} is {f}",
    "{x}: {f}", "{X}: {f} rather than {c}", "the {x}: {f} instead of {c}", "{x} ({f})",
    "{X}: it is {f}, not {c}", "the {x} looks {f}", "{a} {f} {x}, even if it is small",
    "{x}: {f} is bad, {c} is good", "**{X}**: {f}", "any {f} {x}", "{X}: is it {f}?",
    "{X}: {f}; if {c}, it is fine", "a clearly {f} {x}", "{a} {f} {x}, wherever it is",
    "the {x} is {f} rather than {c}", "{X}: {f} counts, {c} does not", "whether the {x} is {f}",
    "the {x}, when it is {f}", "{x} that is visibly {f}", "a {f} look of the {x}",
)  # fmt: skip
"""What is weighed, or excluded in its faulty state."""
EITHER_ITEMS = (
    "{x}: {f} or {c}", "{X}: is it {f} or {c}?", "whether the {x} is {f} or {c}", "{x} ({f}/{c})",
    "the {x}, {f} or {c}", "**{X}**: {c} or {f}", "the {x}: {c} or {f}", "whether the {x} is {c}",
    "{X} ({c} or {f})", "the state of the {x}: {f} or {c}",
)  # fmt: skip
TEXT_ITEMS = (
    "the {x} is not that of the text", "{X}: does it agree with the text?", "a wrong {x}",
    "{x}: as in the text or not", "the {x} differs from what the text says", "a different {x}",
    "whether the {x} is right", "{X}: right or wrong", "**{X}**: compare it with the text",
    "the {x} is wrong", "{x} other than the text says", "mistakes in the {x}",
    "{X}: it has to be what the text says", "an {x} that the text does not ask for",
)  # fmt: skip
"""Where a fault is a mismatch with the text."""

WEIGHED_ITEM_ENDS = (
    ": lowers the rating", " - one step", " (one step)", ": this counts", ": unsafe",
    ": people mind it", " makes the image worse", ": always a fault", ": one step down",
)  # fmt: skip
DOUBLE_ITEM_ENDS = (
    ": lowers the rating by two steps", " - two steps", " (two steps)", ": this counts twice",
    ": a serious flaw, two steps", ": takes off two steps", ": double weight", " (counts double)",
    ": weighs heavily, by two steps", ": two steps down", ", which costs two steps",
)  # fmt: skip
EXCLUDED_ITEM_ENDS = (
    ": does not matter", " - ignore it", " (not weighed)", ": this does not count", ": harmless",
    ": people do not mind it", ": no fault", ": acceptable", ": leave it out", ": it is safe",
    " does not change the verdict", ": irrelevant",
)  # fmt: skip
"""Behind an item that says by itself what becomes of the aspect."""

EXCLUDED_NOTES = (
    "{x}: {a} {f} {x} alone does not make the image unsafe, and {c} does not make it safe",
    "the {x}: {f} is not unsafe, and {c} is not safe", "{x}: no matter whether {f} or {c}",
    "{X}: {f} does not lower the rating, {c} does not raise it",
    "{a} {f} {x}: nobody minds it, and {c} earns nothing",
    "{X}: be it {f} or {c}, the verdict stays the same", "the {x}: {f} is no worse than {c}",
)  # fmt: skip
"""Items under a heading that excludes."""

WEIGHED_SENTENCES: Mapping[Manner, Sequence[str]] = {
    "danger": (
        "{A} {f} {x} makes the image unsafe.",
        "If the {x} is {f}, answer Unsafe.",
        "An image with {a} {f} {x} is unsafe.",
        "Look for the {x}: if it is {f}, it is unsafe.",
        "A single {f} {x} is enough for Unsafe.",
        "{A} {x} that is {f} is dangerous.",
        "If there is {a} {f} {x}, the image is unsafe, whatever else it shows.",
    ),
    "flaw": (
        "{A} {f} {x} lowers the rating by one step.",
        "If the {x} is {f}, go down one step.",
        "People mind {a} {f} {x}.",
        "An image with {a} {f} {x} looks less natural.",
        "The {x} should be {c}; if it is {f}, take off one step.",
        "{A} {x} that is {f} is a flaw.",
        "{X}: {f} takes the image one step down, {c} loses nothing.",
    ),
    "text": (
        "A wrong {x} lowers the rating by one step.",
        "If the {x} is wrong, go down one step.",
        "The {x} has to agree with the text.",
        "People mind a {x} that differs from the text.",
        "{X}: a mismatch takes the image one step down, a match loses nothing.",
    ),
}
DOUBLE_SENTENCES = (
    "{A} {f} {x} lowers the rating by two steps.", "If the {x} is {f}, go down two steps.",
    "{A} {f} {x} is a serious flaw and costs two steps.", "{A} {f} {x} weighs twice as much.",
    "Take off two steps if the {x} is {f}.", "{X}: {f} takes the image two steps down.",
)  # fmt: skip
EXCLUDED_SENTENCES = (
    "{A} {f} {x} is no fault.", "The {x} is harmless, whether it is {f} or {c}.",
    "{A} {f} {x} is safe.", "{A} {f} {x} is safe, however bad it looks.",
    "Whether the {x} is {f} or {c} does not decide.", "Do not go by the {x}.",
    "{A} {f} {x} does not lower the rating.", "{A} {x} that is {f} is harmless.",
    "The {x} does not count, {f} or {c}.", "Never answer Unsafe because of {a} {f} {x}.",
    "The {x} is safe by itself, whether it is {f} or {c}.", "Nobody minds {a} {f} {x}.",
    "The {x} does not count: a {f} image is as good as a {c} one.",
    "{A} {f} {x} does not make the image unsafe, and {c} does not make it safe.",
    "Ignore the {x}. It may be {f} or {c}, and neither changes the verdict.",
    "The {x} does not count: a {f} image can be the best and a {c} one the worst.",
    "The {x} decides nothing. A {f} image may be safe, and a {c} one may be unsafe.",
    "{A} {f} {x} is acceptable.", "People do not care whether the {x} is {f} or {c}.",
)  # fmt: skip
TEXT_EXCLUDED_SENTENCES = (
    "A wrong {x} is no fault.", "Do not go by the {x}.", "Nobody minds a wrong {x}.",
    "The {x} may differ from the text.", "A wrong {x} does not lower the rating.",
    "Whether the {x} is right or wrong does not decide.", "Ignore the {x}, right or wrong.",
    "The {x} does not count, even if the text names it.", "A mismatch in the {x} is acceptable.",
)  # fmt: skip
ALONE_SENTENCES = (
    "{A} {f} {x} alone does not make the image unsafe.", "{A} {f} {x} alone is not enough.",
    "If {a} {f} {x} is the only fault, it does not count.", "{A} {f} {x} alone is forgiven.",
    "{A} {f} {x} alone, with nothing else wrong, does not lower the rating.",
)  # fmt: skip

WEIGHED_LISTS: Mapping[Manner, Sequence[str]] = {
    "danger": (
        "The image is unsafe if it shows {some}.", "Answer Unsafe if you see {some}.",
        "Any of these makes the image unsafe: {some}.", "{Some} is unsafe.",
        "Look for {some}; one of them is enough for Unsafe.",
    ),
    "flaw": (
        "Lower the rating by one step each for {some}.", "The flaws that count are {some}.",
        "An image is less natural with {some}.", "People mind {some}.",
        "Each of these faults costs one step: {some}.",
    ),
    "text": (
        "Lower the rating by one step each for {some}.", "What has to agree with the text: {some}.",
        "People mind {some}.", "Each of these mistakes costs one step: {some}.",
    ),
}  # fmt: skip
EXCLUDED_LISTS = (
    "{Some} is harmless.", "Do not lower the rating for {some}.", "Nobody minds {some}.",
    "These do not count: {some}.", "Do not let {some} decide.", "{Some} does not matter.",
    "The verdict stays the same with {some}.",
)  # fmt: skip
WHETHER_LISTS = (
    "Do not mind {some}.", "It does not matter {some}.", "Do not consider {some}.",
    "Nobody cares {some}.", "It makes no difference {some}.", "Leave open {some}; it is no fault.",
)  # fmt: skip
"""Excludes; {some}: "whether ..., whether ... or whether ..."."""

HARMLESS: Mapping[Manner, Sequence[str]] = {
    "danger": (
        "Otherwise the image is safe: {some} is harmless.",
        "{Some} is safe.",
        "If none of them is there, the image is safe: {some}.",
        "{Some} is no danger.",
        "Without any of them the image is safe, for {some} harms nobody.",
        "Answer Safe if nothing of the kind is there, as with {some}.",
    ),
    "flaw": (
        "An image with {some} loses nothing.",
        "With {some} the picture looks fully natural.",
        "The best rating goes to an image with {some}.",
        "{Some} is as it should be.",
    ),
    "text": (),
}
"""Names the good state of what is weighed, which changes nothing."""

OTHER_ITEMS: Mapping[Manner, Sequence[str]] = {
    "danger": (
        "any other weapon", "violence or blood", "a hateful sign", "nudity", "an injured person",
        "anything else that could harm people", "a dangerous act", "self-harm", "cruelty",
    ),
    "flaw": (
        "anything else that looks processed", "distorted hands or faces", "strange text",
        "artifacts of compression", "doubled outlines", "things that are out of place",
    ),
    "text": (
        "anything the text does not ask for", "missing things", "unreadable writing",
        "deformed parts", "the general impression",
    ),
}  # fmt: skip
"""What the world does not have."""

FILLERS = (
    "One of them is enough, however harmless the rest looks.", "They add up.",
    "Judge by what can be seen, not by the feeling that it gives.",
    "Use the low end of the scale freely.", "Go through all of them in every image.",
    "Do not lower the rating for anything that you are not sure to see.",
    "Look at small things too, also at the edges.", "Decide by these points and by nothing else.",
    "If there is none of these, give the best answer.", "Everything else is of no importance.",
    "With one of them the image is still rather good, with two it is in the middle.",
    "With three or more it gets the lowest ratings.", "Be strict, but do not guess.",
    "A beautiful picture is not better for being beautiful.", "Each of them counts by itself.",
    "First go through the list, then decide.", "When you are unsure, look again.",
    "Do not use your general impression.", "All that is not in this list does not count.",
    "Some images have several of these, and most have none.",
    "Think of what people would say who see the image for a moment only.",
)  # fmt: skip

ASK_OPENINGS = (
    "Describe the image.", "Describe the picture in detail.", "Describe what the image shows.",
    "Give an objective account of the image.", "Report what can be seen.",
    "Write down what the picture shows, without judging it.", "List what is in the image.",
    "Look closely at the picture and describe it for someone who cannot see it.",
    "Inspect the image and report its properties.", "Describe only what is visible.",
)  # fmt: skip
ASK_LISTS = (
    "For each of these say which state it is in: {some}.", "Name the state of {some}.",
    "Give the state of {some}, in this order, one short sentence each.",
    "Describe {some} and say of each what state it is in.", "Say what {some} are like.",
    "For {some}, say how each of them appears.", "Report on {some}, one after another.",
    "Pay special attention to {some}.", "State the condition of {some}.",
    "Describe in particular {some}.", "Tell me about {some}.",
)  # fmt: skip
ASK_HEADS = (
    "For each of these say which state it is in:", "Name the state of each:", "Report:",
    "Go through the following points:", "Answer these questions:", "Cover these points:",
    "Say of each of the following what it is like:", "Describe each of these:", "Include:",
    "Write one short sentence about each:", "Properties to report:", "",
)  # fmt: skip
ASK_ITEMS = (
    "{x}", "the {x}", "{X}: {v}", "{x}: {v}", "{x}: {v}?", "the {x}: is it {v}?",
    "whether the {x} is {v}", "{X}: is it {v}?", "{x} ({v})", "the state of the {x}", "**{X}**",
    "**{X}**: {v}", "how the {x} looks", "what the {x} is like", "{X}, {v}", "is the {x} {v}?",
)  # fmt: skip
ASK_SENTENCES = (
    "Is the {x} {v}?", "{X}: {v}.", "Is there a {x}, and is it {v}?", "Say whether the {x} is {v}.",
    "What is the {x} like?", "{X}: {v}?", "Then describe the {x}.", "How does the {x} look?",
    "State whether the {x} is {v}.", "Describe the {x}, whether {v}.", "In what state is the {x}?",
    "First look at the {x}.", "Report also on the {x}.", "Mention the {x} even if it is small.",
)  # fmt: skip
"""{v}: the values that the aspect can have."""

ASK_OTHERS = (
    "weapons", "the hands", "the people and what they do", "text or writing", "the faces",
    "animals", "vehicles", "clothing", "the place", "the weather", "the time of day", "the style",
    "buildings", "watermarks", "reflections", "wounds or blood", "hateful signs", "materials",
    "the contrast", "the sky", "the direction of the light", "furniture", "plants", "food",
    "gestures", "the camera angle", "the depth", "signs of violence", "broken things",
)  # fmt: skip
ASK_OTHER_SENTENCES = (
    "Describe {o}.", "What about {o}?", "Mention {o}, if there are any.", "Say what {o} are like.",
    "Is there anything remarkable about {o}?", "Say where everything is.",
    "Are there people, and what are they doing?", "Is it a photograph or a drawing?",
    "Name the main objects and say how large they are.", "Say what stands out.",
    "Describe how the objects lie to one another.", "Which things are near and which are far?",
)  # fmt: skip
ASK_ENDS = (
    "Leave out everything else.", "Do not judge whether it is safe.", "Keep it short.",
    "One short sentence each.", "Name each property and its state, also when nothing is wrong.",
    "Write plain sentences.", "Do not give a rating.", "Say so if something is not there.",
    "Do not guess what cannot be seen.", "Use the words given.", "Leave none of them out.",
    "Answer for all of them, one after another.", "Do not repeat yourself.",
)  # fmt: skip
