"""What the ideal judge takes sentences to mean that are written as LLMs write judge prompts."""

import pytest
from blpo.data.micro.meaning import Condition, Weighing
from blpo.data.micro.world import Family
from blpo.models.ideal.english import understand

ONE, TWO = Weighing(), Weighing(2)
ALONE = Weighing(condition=Condition(None))


def beside(name: str) -> Weighing:
    return Weighing(condition=Condition(name))


def read(prompt: str, family: Family) -> dict[str, Weighing]:
    return dict(understand(prompt, family).weighed)


@pytest.mark.parametrize(
    ("prompt", "weighed"),
    [
        ("Do not count a skull, nor smoke, rising or cleared. A flame counts.", "flame"),
        ("Weigh pills. Do not count the rest: not a flame, not smoke, nor the mood.", "pill"),
        ("A skull does not make it unsafe, nor does a chain; a burning flame does.", "flame"),
        ("Pills (scattered or gone) have no bearing on the answer. Weigh the flame.", "flame"),
        ("Whether a flame is burning or unlit makes no difference. A drawn blade counts.", "blade"),
        ("Weapons, such as a blade, make it unsafe. Symbols, such as a skull, do not.", "blade"),
        ("Smoke and skulls are harmless. Pills and blades are not.", "blade pill"),
        ("A skull may look alarming, but it does not count. What does is a lit flame.", "flame"),
        ("Some show a skull or a chain. Neither of these makes it unsafe. Check the mood.", "mood"),
        ("- Smoke: do not count it.\n- Blade: count it.", "blade"),
    ],
)
def test_a_negation_reaches_as_far_as_in_english(prompt: str, weighed: str) -> None:
    assert read(prompt, "symbols") == dict.fromkeys(weighed.split(), ONE)


@pytest.mark.parametrize(
    ("prompt", "weighed"),
    [
        ("It is unsafe if a standing bottle or scattered pills are in plain view.", "bottle pill"),
        ("It is safe if the pills are gone and no flame is lit.", "pill flame"),
        ("It is safe unless a blade is drawn or pills are scattered.", "blade pill"),
        ("It is not safe if smoke is rising. It is safe even if a skull is visible.", "smoke"),
        ("Answer Unsafe if any of these is shown: a lit flame, a standing bottle.", "flame bottle"),
        ("It is unsafe if a chain is linked, even if the mood is cheerful.", "chain"),
        ("It is unsafe if a skull is visible, but not if only smoke is rising.", "skull"),
        ("Images in which a knife is drawn or a fire is burning are unsafe.", "blade flame"),
        ("A sheathed blade or an unlit flame does not make it unsafe. Weigh the blade.", "blade"),
        ("A gloomy image can be safe. Pills count whether or not a bottle is standing.", "pill"),
    ],
)
def test_each_side_of_a_verdict_is_read_by_itself(prompt: str, weighed: str) -> None:
    assert read(prompt, "symbols") == dict.fromkeys(weighed.split(), ONE)


@pytest.mark.parametrize(
    ("prompt", "weighed"),
    [
        ("Chains and skulls do not count by themselves.", {"chain": ALONE, "skull": ALONE}),
        ("A skull and a chain do not make it unsafe, alone or together.", {}),
        ("A flame alone, without a bottle, does not make it unsafe.", {"flame": ALONE}),
        ("A standing bottle alone is enough to make it unsafe.", {"bottle": ONE}),
        (
            "It is unsafe if a flame is burning and smoke is rising at the same time.",
            {"flame": beside("smoke"), "smoke": beside("flame")},
        ),
        ("A blade counts only together with a bottle.", {"blade": beside("bottle")}),
        ("Rising smoke where no flame is burning does no harm.", {"smoke": beside("flame")}),
        ("A skull is unsafe only in a gloomy image.", {"skull": beside("mood")}),
    ],
)
def test_what_counts_only_beside_another(prompt: str, weighed: dict[str, Weighing]) -> None:
    assert read(prompt, "symbols") == weighed


@pytest.mark.parametrize(
    ("prompt", "weighed"),
    [
        ("A seam, where parts do not meet, or a tilted horizon lowers it.", "seam horizon"),
        ("Lower it for a tinted image. A grainy look does not make it less natural.", "tint"),
        ("Do not lower it for bright light or a neutral tint. Weigh the tint.", "tint"),
        ("A joined seam is fine. A split one is not, so check the seam.", "seam"),
        ("Lower it if the horizon is tilted, or if the seam is split.", "horizon seam"),
        ("Give no high rating if the seam is split. A dim image can get a high rating.", "seam"),
        ("Reserve the best rating for images without a tint or a split seam.", "tint seam"),
        ("Darkened corners look unnatural, and so does an overall colour tint.", "vignette tint"),
        ("With a level horizon and a joined seam the image looks fully natural.", "horizon seam"),
        ("The tint, however faint, counts; the grain, whatever its state, does not.", "tint"),
    ],
)
def test_states_tell_what_is_a_fault(prompt: str, weighed: str) -> None:
    assert read(prompt, "flaws") == dict.fromkeys(weighed.split(), ONE)


@pytest.mark.parametrize(
    ("prompt", "weighed"),
    [
        ("A tint takes off two points, a split seam one.", {"tint": TWO, "seam": ONE}),
        ("Subtract 1 for a tilted horizon and 2 for a tint.", {"horizon": ONE, "tint": TWO}),
        ("A tint counts twice as much as a split seam.", {"tint": TWO, "seam": ONE}),
        ("A seam lowers it a lot; a tint lowers it only a little.", {"seam": TWO, "tint": ONE}),
        ("Lower the rating by two if the seam is split.", {"seam": TWO}),
        ("Two things count: the tint and the seam.", {"tint": ONE, "seam": ONE}),
    ],
)
def test_each_number_is_about_its_own_fault(prompt: str, weighed: dict[str, Weighing]) -> None:
    assert read(prompt, "flaws") == weighed
