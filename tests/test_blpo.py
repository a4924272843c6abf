"""Algorithm 1, step by step, with scripted roles."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import pytest
from blpo.data.examples import Example
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.tasks import Task, load_task
from blpo.models.roles.briefing import Briefing, SideBySide
from blpo.models.roles.judge import Verdict
from blpo.models.roles.optimizer import Case, Proposal, ScoredPrompt
from blpo.models.roles.reflection import Reflection
from blpo.models.roles.verbalizer import Verbalization
from blpo.pipeline.blpo.algorithm import optimize
from blpo.pipeline.blpo.config import PLUS, BlpoConfig
from blpo.pipeline.blpo.policies import plus
from blpo.pipeline.blpo.policies.plus import choices_of
from blpo.pipeline.blpo.records import Candidate, OuterStep


def make_example(number: int) -> Example:
    image = ImageRef(f"image {number}".encode(), ImageBounds())
    name = f"e{number}"
    return Example(name, image, None, "Unsafe", group=name, category=None, split="train")


PIPELINE = Path(__file__).parents[1] / "pipeline"
TRAIN = [make_example(number) for number in range(12)]


@dataclass
class ScriptedRoles:
    """A judge prompt "p3" gets the first three examples right; Update_p under q reads off q.

    q is "q<k>:<n>", from which Update_p makes "p<n>". `proposals` answers Update_q in order;
    None is a proposal that failed.
    """

    proposals: list[str | None]
    failing_updates: frozenset[str] = frozenset()
    judged: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    cases: list[Sequence[Case]] = field(default_factory=list[Sequence[Case]])
    histories: list[list[ScoredPrompt]] = field(default_factory=list[list[ScoredPrompt]])
    reflections: list[list[Reflection]] = field(default_factory=list[list[Reflection]])
    draws: list[int] = field(default_factory=list[int])

    @property
    def task(self) -> Task:
        return load_task("unsafebench")

    def judge_pairs(self, pairs: Sequence[tuple[str, Example]]) -> list[Verdict]:
        self.judged.extend(Counter(prompt for prompt, _ in pairs).items())
        return [
            Verdict("Unsafe" if int(example.example_id[1:]) < num_right(prompt) else "Safe")
            for prompt, example in pairs
        ]

    def scored(
        self, step: int, openers: Sequence[Candidate], candidates: Sequence[Candidate] = ()
    ) -> None:
        pass

    def verbalize_each(
        self, i2t_prompts: Sequence[str], examples: Sequence[Example]
    ) -> list[list[Verbalization]]:
        return [
            [Verbalization(f"{i2t_prompt} of {example.example_id}") for example in examples]
            for i2t_prompt in i2t_prompts
        ]

    def update_judge_prompts(
        self,
        judge_prompt: str,
        cases: Sequence[Sequence[Case]],
        briefings: Sequence[Briefing] = (),
    ) -> list[Proposal]:
        assert judge_prompt.startswith("p")
        assert not briefings
        self.cases.extend(cases)
        return [self._updated(some) for some in cases]

    def _updated(self, cases: Sequence[Case]) -> Proposal:
        assert cases[0].verbalization is not None
        i2t_prompt = cases[0].verbalization.text.split(" of ")[0]
        if i2t_prompt in self.failing_updates:
            return Proposal(None, ("empty", "empty"))
        return Proposal(f"p{i2t_prompt.partition(':')[2]}")

    def update_i2t_prompts(
        self,
        judge_prompt: str,
        history: Sequence[ScoredPrompt],
        reflections: Sequence[Reflection],
        count: int,
        draw: int = 0,
        compared: Sequence[SideBySide] | None = None,
    ) -> list[Proposal]:
        assert judge_prompt.startswith("p")
        assert compared is None
        self.draws.append(draw)
        self.histories.append(list(history))
        self.reflections.append(list(reflections))
        prompts = [self.proposals.pop(0) for _ in range(count)]
        return [Proposal(prompt, () if prompt else ("unparsable",)) for prompt in prompts]


def num_right(judge_prompt: str) -> int:
    return int(judge_prompt.removeprefix("p").partition(":")[0])


def run(
    roles: ScriptedRoles,
    judge_prompt: str = "p0",
    train: Sequence[Example] = TRAIN,
    seed: int = 0,
    **config: object,
) -> list[OuterStep]:
    parameters = BlpoConfig.model_validate({"outer_steps": 1, "inner_steps": 2} | config)
    choices = choices_of(roles, train, judge_prompt, parameters, seed)
    steps = optimize(choices, judge_prompt, "q0:9")
    return [step for step in steps if isinstance(step, OuterStep)]


def test_the_i2t_prompt_with_the_highest_score_gives_the_next_judge_prompt() -> None:
    [step] = run(ScriptedRoles(["q1:4", "q2:6"]), minibatch_size=12)
    assert step.chosen is not None
    assert step.chosen.i2t_prompt == "q2:6"
    assert step.chosen.score == pytest.approx(6 / 12)
    assert step.next_judge_prompt == "p6"


def test_a_tie_goes_to_the_prompt_tried_first() -> None:
    [step] = run(ScriptedRoles(["q1:4", "q2:4"]))
    assert step.chosen is not None
    assert step.chosen.i2t_prompt == "q1:4"


def test_the_initial_i2t_prompt_opens_the_history_but_is_never_chosen() -> None:
    roles = ScriptedRoles(["q1:4", "q2:4"])
    [step] = run(roles, minibatch_size=12)
    assert roles.histories[0] == [ScoredPrompt("q0:9", 9 / 12)]
    assert step.next_judge_prompt == "p4"


def test_the_last_iterate_wins_even_when_it_is_worse() -> None:
    [step] = run(ScriptedRoles(["q1:1", "q2:2"]), judge_prompt="p6")
    assert step.chosen is not None
    assert step.chosen.score <= 0
    assert step.next_judge_prompt in {"p1", "p2"}


def test_the_history_starts_anew_in_every_outer_step() -> None:
    roles = ScriptedRoles(["q1:2", "q2:3", "q3:4", "q4:5"])
    run(roles, outer_steps=2)
    assert [len(history) for history in roles.histories] == [1, 2, 1, 2]
    assert roles.histories[2][0].i2t_prompt == "q0:9"


def test_only_misjudged_examples_enter_the_minibatch_and_never_more_than_its_size() -> None:
    roles = ScriptedRoles(["q1:2", "q2:3"])
    [step] = run(roles, judge_prompt="p5", minibatch_size=4)
    assert len(step.misjudgments) == 4
    assert all(int(wrong.example.example_id[1:]) >= 5 for wrong in step.misjudgments)
    assert all(case.human_label == "Unsafe" and case.verdict == "Safe" for case in roles.cases[0])


def test_the_minibatch_does_not_depend_on_the_order_of_the_rows() -> None:
    roles, reordered = ScriptedRoles(["q1:2", "q2:3"]), ScriptedRoles(["q1:2", "q2:3"])
    [one] = run(roles, seed=3, minibatch_size=4)
    [two] = run(reordered, train=TRAIN[::-1], seed=3, minibatch_size=4)
    assert one.misjudgments == two.misjudgments


def test_another_seed_and_another_outer_step_draw_other_minibatches() -> None:
    drawn = {
        tuple(wrong.example.example_id for wrong in step.misjudgments)
        for seed in (0, 1)
        for step in run(
            ScriptedRoles(["q1:0", "q2:0"] * 2), seed=seed, outer_steps=2, minibatch_size=4
        )
    }
    assert len(drawn) == 4


def test_the_loop_ends_when_nothing_is_misjudged() -> None:
    roles = ScriptedRoles([])
    steps = run(roles, judge_prompt="p12", outer_steps=5)
    assert [step.search for step in steps] == [None]
    assert steps[0].next_judge_prompt == "p12"


def test_a_failed_judge_prompt_update_keeps_the_prompt_and_scores_zero() -> None:
    roles = ScriptedRoles(["q1:4", "q2:6"], failing_updates=frozenset({"q2:6"}))
    [step] = run(roles)
    assert step.search is not None
    failed = step.search.candidates[1]
    assert (failed.judge_prompt, failed.score) == ("p0", 0.0)
    assert failed.proposal.failures == ("empty", "empty")


def test_a_failed_i2t_update_is_left_out_of_the_history() -> None:
    roles = ScriptedRoles([None, "q2:6"])
    [step] = run(roles)
    assert step.search is not None
    assert [candidate.i2t_prompt for candidate in step.search.candidates] == ["q2:6"]
    assert step.search.failures == [Proposal(None, ("unparsable",))]
    assert [len(history) for history in roles.histories] == [1, 1]


def test_without_any_candidate_the_current_prompt_is_kept() -> None:
    [step] = run(ScriptedRoles([None, None]))
    assert step.chosen is None
    assert step.next_judge_prompt == "p0"


def test_the_judge_is_asked_for_the_train_set_once_and_for_the_minibatch_once_per_prompt() -> None:
    roles = ScriptedRoles(["q1:4", "q2:6"])
    run(roles, minibatch_size=5)
    assert roles.judged == [("p0", 12), ("p9", 5), ("p4", 5), ("p6", 5)]


def test_several_prompts_judged_at_once_each_get_their_own_verdicts() -> None:
    choices = choices_of(ScriptedRoles([]), TRAIN, "p0", BlpoConfig(), 0)
    nothing, half = choices.judge_each(["p0", "p6"], TRAIN)
    assert [verdict.label for verdict in nothing] == ["Safe"] * 12
    assert [verdict.label for verdict in half] == ["Unsafe"] * 6 + ["Safe"] * 6


def test_a_score_keeps_the_examples_and_verdicts_that_it_comes_from() -> None:
    [step] = run(ScriptedRoles(["q1:6"]), minibatch_size=5, inner_steps=1)
    assert step.chosen is not None
    judged, minibatch = step.chosen.judged, [wrong.example for wrong in step.misjudgments]
    assert list(judged.examples) == minibatch
    right = {e.example_id: int(e.example_id[1:]) < 6 for e in minibatch}
    assert [verdict.label == "Unsafe" for verdict in judged.verdicts] == list(right.values())
    assert judged.losses == {name: float(not is_right) for name, is_right in right.items()}
    assert set(right.values()) == {True, False}


def test_the_fixed_ablation_verbalizes_under_the_initial_i2t_prompt() -> None:
    steps = run(ScriptedRoles([]), outer_steps=2, i2t="fixed")
    assert [step.chosen and step.chosen.i2t_prompt for step in steps] == ["q0:9", "q0:9"]
    assert steps[0].next_judge_prompt == "p9"


def test_the_judge_prompt_ablation_verbalizes_under_the_current_judge_prompt() -> None:
    roles = ScriptedRoles([])
    [step] = run(roles, judge_prompt="p2:7", i2t="judge_prompt")
    assert step.chosen is not None
    assert step.chosen.i2t_prompt == "p2:7"
    assert step.next_judge_prompt == "p7"


def test_the_paper_preset_takes_no_path_through_the_policies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a policy of plus was asked")

    for name in ("race", "lineage_of", "accept_on_gain", "draw_probe", "paired_gain", "Archive"):
        monkeypatch.setattr(plus, name, refuse)
    [step] = run(ScriptedRoles(["q1:4", "q2:6"]))
    assert step.next_judge_prompt == "p6"


def test_one_outer_step_of_the_paper_runs_through_few_files() -> None:
    files: set[str] = set()

    def note(frame: FrameType, *_: object) -> None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PIPELINE):
            files.add(str(path.relative_to(PIPELINE)))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        run(ScriptedRoles(["q1:4", "q2:6"]))
    finally:
        sys.setprofile(before)
    assert "blpo/algorithm.py" in files
    # The sixth is `choices_of`, which says whose choices are made.
    assert len(files - {"__init__.py"}) <= 6, files


@pytest.mark.parametrize("name", [*PLUS, "selection"])
def test_plus_takes_over_for_any_choice_that_is_not_the_papers(name: str) -> None:
    value = "holdout" if name == "selection" else PLUS[name]
    fields = {name: value, "inner_steps": 6}
    config = BlpoConfig.model_validate(fields)
    choices = plus.choices_of(ScriptedRoles([]), TRAIN, "p0", config, 0)
    papers_own = name in {"loss", "inner_width", "inner_steps", "probe_size", "block_size"}
    assert isinstance(choices, plus.Plus) is not papers_own
