"""Scripted roles for the baselines: under the judge prompt "p3" the first three examples are right.

What a role was asked is kept; an unexpected question fails the test.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from blpo.data.examples import Example
from blpo.data.images import ImageBounds, ImageRef
from blpo.models.roles.baselines import Complaint, TriedPrompt
from blpo.models.roles.judge import Verdict
from blpo.models.roles.optimizer import Answer, Case, Proposal
from blpo.models.roles.verbalizer import Verbalization
from blpo.models.wrappers.budget import BudgetSpentError

LABELS = ("Safe", "Unsafe")


def make_example(number: int) -> Example:
    image = ImageRef(f"image {number}".encode(), ImageBounds())
    name = f"e{number}"
    return Example(name, image, None, LABELS[number % 2], name, None, split="train")


TRAIN = [make_example(number) for number in range(12)]


def number_of(example: Example) -> int:
    return int(example.example_id[1:])


def wrong_label(example: Example) -> str:
    return LABELS[1 - LABELS.index(example.label)]


@dataclass
class ScriptedRoles:
    """proposals: of OPRO, step by step. edits: by the judge prompt that is edited, in turn.

    judge_calls: after that many verdicts the budget is spent.
    """

    proposals: list[list[str | None]] = field(default_factory=list[list[str | None]])
    edits: dict[str, list[str | None]] = field(default_factory=dict[str, list[str | None]])
    critiques: list[str | None] = field(default_factory=list[str | None])
    judge_calls: int = 10**9
    judged: list[tuple[str, list[str]]] = field(default_factory=list[tuple[str, list[str]]])
    described: list[tuple[str, list[str]]] = field(default_factory=list[tuple[str, list[str]]])
    histories: list[list[TriedPrompt]] = field(default_factory=list[list[TriedPrompt]])
    exemplars: list[list[Case]] = field(default_factory=list[list[Case]])
    criticized: list[Complaint] = field(default_factory=list[Complaint])
    edited: list[Complaint] = field(default_factory=list[Complaint])
    paraphrased: list[str] = field(default_factory=list[str])
    is_spent: bool = False

    @property
    def num_verdicts(self) -> int:
        return sum(len(ids) for _, ids in self.judged)

    def judge(self, judge_prompt: str, examples: Sequence[Example]) -> list[Verdict]:
        self.is_spent |= self.num_verdicts + len(examples) > self.judge_calls
        self._check_budget()
        self.judged.append((judge_prompt, [e.example_id for e in examples]))
        num_right = int(judge_prompt.partition("'")[0].removeprefix("p"))
        return [Verdict(e.label if number_of(e) < num_right else wrong_label(e)) for e in examples]

    def verbalize(self, i2t_prompt: str, examples: Sequence[Example]) -> list[Verbalization]:
        self._check_budget()
        self.described.append((i2t_prompt, [e.example_id for e in examples]))
        return [Verbalization(f"{i2t_prompt} of {e.example_id}") for e in examples]

    def propose_judge_prompts(
        self, history: Sequence[TriedPrompt], cases: Sequence[Case], number: int, temperature: float
    ) -> list[Proposal]:
        self._check_budget()
        assert temperature > 0
        self.histories.append(list(history))
        self.exemplars.append(list(cases))
        proposed = self.proposals.pop(0)
        assert len(proposed) == number
        return [_proposal(prompt) for prompt in proposed]

    def criticize(self, complaints: Sequence[Complaint]) -> list[Answer]:
        self._check_budget()
        self.criticized += complaints
        return [Answer((f"critique of {c.judge_prompt}",)) for c in complaints]

    def criticize_on_cases(self, judge_prompt: str, cases: Sequence[Case]) -> list[Answer]:
        self._check_budget()
        self.criticized += [Complaint(judge_prompt, [case]) for case in cases]
        texts = [self.critiques.pop(0) if self.critiques else "vague" for _ in cases]
        return [Answer((text,)) if text else Answer((), ("empty",)) for text in texts]

    def edit(self, complaints: Sequence[Complaint]) -> list[Proposal]:
        self._check_budget()
        self.edited += complaints
        return [_proposal(self.edits[c.judge_prompt].pop(0)) for c in complaints]

    def paraphrase(
        self, judge_prompts: Sequence[str], number: int, temperature: float
    ) -> list[list[Proposal]]:
        """Paraphrases of "p3" are "p3'", "p3''", ..."""
        self._check_budget()
        assert temperature > 0
        self.paraphrased += judge_prompts
        return [[Proposal(p + "'" * (n + 1)) for n in range(number)] for p in judge_prompts]

    def _check_budget(self) -> None:
        if self.is_spent:
            raise BudgetSpentError("spent")


def _proposal(prompt: str | None) -> Proposal:
    return Proposal(prompt, () if prompt else ("unparsable",))
