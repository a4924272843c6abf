"""The vocabulary by which `english.py` tells what a prompt says of an aspect."""

DISMISSALS = frozenset(
    """
    ignore ignores ignored ignoring disregard disregards disregarded disregarding overlook
    overlooks overlooked overlooking neglect neglects neglected neglecting skip skips skipped
    skipping forget forgets forgotten forgetting dismiss dismisses dismissed dismissing discount
    discounts discounted discounting exclude excludes excluded excluding omit omits omitted
    omitting drop drops dropped dropping forgive forgives forgiven forgiving excuse excuses
    excused excusing pardon pardons pardoned pardoning tolerate tolerates tolerated tolerating
    accept accepts accepted accepting allow allows allowed allowing permit permits permitted
    bypass bypassed bypassing miss misses missed missing waive waived spare spared condone
    condoned discard discarded exempt exempted irrelevant unimportant immaterial
    insignificant negligible harmless acceptable okay ok tolerable forgivable excusable trivial
    unrelated meaningless inconsequential inessential unobjectionable pointless secondary
    optional extraneous permissible innocuous benign
    """.split()  # noqa: SIM905
)
"""Words that say that something is not weighed."""

DISMISSING_PHRASES = (
    "less than", "wrong to", "a mistake to", "leave out", "leaves out", "left out", "leaving out",
    "leave aside", "left aside", "leaving aside", "set aside", "setting aside", "put aside",
    "putting aside", "pass over", "passed over", "passing over", "look past", "looked past",
    "looking past", "look beyond", "rule out", "ruled out", "ruling out", "regardless of",
    "irrespective of", "independent of", "independently of", "no matter", "never mind", "whatever",
    "not worth", "free to vary", "may vary", "can vary", "of little", "matter of taste",
    "side issue", "off topic", "beside the point", "blind eye", "stays the same", "stay the same",
    "remains the same", "costs nothing", "counts for nothing", "all the same", "leave to",
    "leave alone", "left alone", "to one side", "let pass", "could not care less",
    "couldn't care less", "safe to", "makes up for", "stays out", "stay out", "keep out",
    "kept out", "does no harm", "is fine", "are fine", "be fine", "still fine", "perfectly fine",
    "was fine", "were fine", "as it is", "unchanged", "unaffected", "untouched", "is allowed",
    "is permitted", "fair game", "leeway",
)  # fmt: skip
"""The same in several words, in a row or with the aspect between the first and the last."""

NEGATIONS = frozenset(
    """
    not no never none nobody nothing neither nor without cannot cant dont doesnt isnt arent
    shouldnt neednt mustnt wont hardly scarcely barely avoid avoids avoiding refrain refrains
    refuse stop stops zero little
    """.split()  # noqa: SIM905
)
"""Words that turn a statement round."""

PRETENDING = ("pretend", "assume", "suppose", "as if", "as though")

STEPS = {
    "one": 1, "1": 1, "once": 1, "slightly": 1, "double": 2, "doubly": 2, "twice": 2, "two": 2,
    "2": 2, "twofold": 2, "second": 2, "triple": 3, "triply": 3, "thrice": 3, "three": 3, "3": 3,
    "threefold": 3,
}  # fmt: skip
LOWERING = frozenset({"lower", "lowers", "lowered", "drop", "drops", "reduce", "reduces"})
MUCH = frozenset({"markedly", "much", "strongly", "sharply", "considerably", "substantially"})
"""How many steps a fault costs; more than one where it lowers the rating by much."""

BAD = frozenset(
    """
    bad wrong poor off faulty fault faults flaw flaws flawed problem problems broken damaged
    defect defects defective weak odd unnatural harmful dangerous incorrect mismatch mismatched
    misplaced failing fails terrible awful worse worst issue issues trouble violated
    """.split()  # noqa: SIM905
)
FINE = frozenset(
    """
    fine good right correct ok okay sound proper well perfect order intact clean flawless
    acceptable faultless natural kept safe
    """.split()  # noqa: SIM905
)
"""Words that say in what state an aspect is."""

FINE_PHRASES = ("as it should be", "as they should be", "all right", "as wanted", "in order")
EXCUSES = ("excuses", "makes up for", "make up for", "outweighs", "justifies", "compensates for")

IMAGES = ("image", "images", "picture", "pictures", "photo", "photos", "scene", "scenes", "one")

SUBORDINATORS = (
    "but not if", "but not when", "but not where", "but not in images with",
    "but not in images where", "but is forgiven if", "but is forgiven where",
    "but are forgiven if", "but forgive it if", "if and only if", "only in images where",
    "only in images with", "only in cases where", "only in case", "only together with",
    "only along with", "only alongside", "only beside", "only next to", "only with", "only in",
    "only as long as", "only as far as", "only so far as", "only provided", "only if", "only when",
    "only where", "only while", "only once", "just when", "just where", "just in case",
    "solely if", "solely when", "solely in images with", "solely where", "exclusively when",
    "in images where", "in images with", "in pictures with", "in the presence of", "in case",
    "in cases where", "as long as", "so long as", "as soon as", "provided that", "provided",
    "given that", "on condition that", "except where", "except when", "except if",
    "except in images where", "unless", "if", "when", "whenever", "where", "wherever", "while",
    "once", "as far as", "with a bad", "with a good", "with a faulty", "with a poor",
    "beside a bad",
)  # fmt: skip
"""What opens a condition."""

PRESENCE = (
    "only together with", "only along with", "only alongside", "only beside", "only next to",
    "only with", "in the presence of",
)  # fmt: skip
"""Of these, what states by itself that the aspect behind it is at fault."""

REVERSING = frozenset(
    {"unless", "except where", "except when", "except if", "except in images where"}
)

OTHERS = (
    "something else", "anything else", "another fault", "another problem", "another flaw",
    "other faults", "other problems", "other flaws", "others", "nothing else", "another one",
    "some other", "any other",
)  # fmt: skip
ALONE = (
    "alone", "by itself", "by themselves", "on its own", "on their own", "in isolation", "as such",
    "in itself", "in themselves", "taken by itself", "per se",
)  # fmt: skip
ALL = (
    "every aspect", "all aspects", "everything", "every fault", "all faults", "any fault",
    "every flaw", "all flaws", "any flaw", "all there is", "every detail", "all of it",
    "each aspect", "every problem", "all problems", "all but", "each fault",
)  # fmt: skip
EXCEPT = (
    "except for", "except", "excepting", "apart from", "other than", "with the exception of",
    "excluding", "save for", "save", "aside from", "barring", "but for", "all but",
    "everything but", "with the sole exception of",
)  # fmt: skip
ONLY_THIS = (
    "nothing but", "nothing except", "nothing other than", "no one but", "none but",
    "anything but", "anything except", "anything other than", "everything but",
    "everything except", "all but", "all except", "nothing matters but",
    "nothing matters more than", "no aspect is more", "nothing is more", "nothing beats",
    "nothing counts but",
)  # fmt: skip
EXPLETIVES = (
    "everything that is not mentioned here", "everything that is not", "everything not",
    "everything else", "all else", "the rest", "what is left", "what remains", "anything else",
    "nothing else", "the others", "your general impression", "all other aspects", "other aspects",
    "else", "whatever the rest is like", "what you ignore", "whatever you ignore",
)  # fmt: skip
"""What is said of everything but the aspects named."""

CONTRASTS = (
    "rather than", "instead of", "in place of", "as opposed to", "unlike", "but not", "and not",
    "and never", "never at", "not at", "more than", "without", "whatever", "regardless of",
    "irrespective of", "no matter",
)  # fmt: skip
"""What stands before the aspects that are not weighed, beside others that are."""

CONCESSIONS = (
    "although", "though", "even though", "even if", "while", "despite", "in spite of", "whereas",
    "albeit",
)  # fmt: skip
SEEMING = ("may", "might", "seem", "seems", "look", "looks", "appear", "appears")

SEPARABLE_VERBS = ("leave", "leaves", "set", "put", "let", "keep")
VERBS_AFTER_AND = (
    "ignore", "disregard", "forgive", "overlook", "weigh", "check", "punish", "consider", "leave",
    "rate", "judge", "look", "skip", "not", "no", "never", "do not",
)  # fmt: skip
CONTRASTS_WITHIN = ("rather than", "instead of", "in place of", "as opposed to", "without")
AFTER_COMMA = (
    "but", "nor", "neither", "and neither", "while", "whereas", "so", "not", "no", "never", "it is",
    "only", "look", "rate", "judge", "check", "weigh", "consider", "and not", "whatever",
    "regardless of", "irrespective of", "no matter", "without", "and safe", "and unsafe",
)  # fmt: skip
EXAMPLES = ("such as ", "like ", "including ", "for example ", "especially ", "above all ")
PRONOUNS = ("it", "they", "these", "this", "neither", "none", "both")
VERBS_OF_CLAUSES = ("matters?", "counts?", "decides?", "does", "do", "is", "are", "should")
"""Words that begin a clause, behind "and", anywhere, and behind a comma; verbs that it has."""

OPENERS = (
    "if", "unless", "where", "when", "whenever", "while", "once", "as", "only", "with", "even",
    "unlike", "although", "though", "whatever", "regardless", "in", "provided", "instead",
    "rather",
)  # fmt: skip
"""Words with which a sentence opens whose first clause ends at a comma."""

WHEN = (
    "if", "when", "whenever", "where", "wherever", "once", "unless", "as soon as", "as long as",
    "provided", "even if", "only if",
)  # fmt: skip
TOGETHER = ("with", "together", "at the same time", "at once", "both", "combined")
"""Words of a sentence that tells when an image is unsafe, and of faults that must meet."""
