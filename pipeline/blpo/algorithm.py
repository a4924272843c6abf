"""Bi-Level Prompt Optimization (Pan et al., arXiv 2602.11340), Algorithm 1, in the paper's order.

f(x; p) is the judge, g(x; q) the verbalizer; p is a judge prompt, q an image-to-text (I2T) prompt.

Departures from the paper, and choices where it leaves something open:
 1. Eq 1: the verdict is the label with the highest log-probability, not parsed free text.
 2. Eq 1: constant bridge sentences stand between the image and the judge prompt, so that the
    image's KV blocks serve every prompt (`models/requests/layout.py`).
 3. Eq 2: the loss is 0/1; a verdict without a label counts as wrong.
 4. Data: on AGIN prompt, labels and metric share the scale 1-5; the paper asks for 1-7 and
    samples 1-5.
 5. p_0 and q_0 are in our own words: the paper's were not available.
 6. Algorithm 1: I_B is drawn from the misjudged training examples of p_t, uniformly, without
    replacement; with none left the loop ends early. Those that a server refused are not in it.
 7. Eq 6: g is the judge model, and sees the example's own text in tasks that have one.
 8. Eq 6: the optimizer LLM is told to say nothing about the answer format and not to name the list
    of verdicts; the harness adds both to every judge prompt.
 9. Eq 9: p' is judged on the I_B that the optimizer LLM has just seen.
10. Eq 10: the history starts anew from q_0 in every outer step.
11. Eq 11: q_0 is not a candidate; a tie goes to the I2T prompt tried first.
12. p_{t+1} is the p' that was scored for q*, not a second proposal.
13. A proposal that fails as often as is allowed keeps the current prompt: a failed Update_p scores
    its q 0, a failed Update_q is left out of the history. A p' that repeats p_t, or a q tried
    before, is asked for once more and then taken as it is.
14. The last iterate is returned, accepted or not by any test.
15. Temperature is 0. OpenAI's o3 refuses that: it samples at its own, and its replies differ from
    one time to the next. The store keeps what was answered first.
16. Baselines: `apo-image` shows four errors per gradient, the number of APO, not I_B's ten.

Ablations of Table 2: `i2t: fixed` verbalizes under q_0, `i2t: judge_prompt` under p_t itself; both
take one Update_p per outer step and have no inner loop.

`Published` holds what the paper does wherever `preset: plus` may do something else; the other
choices are in `policies/plus.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from ...data.examples import Example
from ...models.roles.judge import Verdict
from ...models.roles.optimizer import Case, Proposal, ScoredPrompt
from ...models.wrappers.budget import BudgetSpentError
from ..search.losses import LOSSES
from ..search.seeds import derived_order
from .config import BlpoConfig
from .records import (
    Candidate,
    Decision,
    FinalChoice,
    I2TSearch,
    InnerProblem,
    Misjudgment,
    OuterStep,
    Scored,
)
from .roles import Roles


def optimize(
    choices: "Published", judge_prompt: str, i2t_prompt: str
) -> Iterator[OuterStep | FinalChoice]:
    """Run Algorithm 1 from p_0 and q_0; yields every outer step, the last one leads to p_T.

    Where `choices` makes one, the choice of the final prompt follows. A spent budget ends the
    loop, not that choice.
    """
    steps: list[OuterStep] = []
    p = judge_prompt
    with suppress(BudgetSpentError):
        for t in range(choices.config.outer_steps):
            p_t = choices.parent(p, t)
            verdicts = choices.judge_train(p_t)  # f(x_i; p_t)
            error_minibatch = sample_error_minibatch(choices, verdicts, t)  # I_B
            problem = InnerProblem(t, p_t, verdicts, error_minibatch)
            step = improve(choices, problem, i2t_prompt, steps)
            p = step.next_judge_prompt  # p_{t+1}
            steps.append(step)
            yield step
            if not error_minibatch or choices.is_stuck(steps):
                break
    final = choices.final(len(steps), p)
    if final is not None:
        yield final


def improve(
    choices: "Published", problem: InnerProblem, i2t_prompt: str, before: Sequence[OuterStep]
) -> OuterStep:
    """One outer step on p_t and its error minibatch, from the inner loop to p_{t+1}."""
    if not problem.misjudgments:
        return problem.end()
    match choices.config.i2t:
        case "learned":
            search = inner_loop(choices, problem, choices.openers(problem, i2t_prompt, before))
        case "fixed":
            search = single_try(choices, problem, i2t_prompt)
        case "judge_prompt":
            search = single_try(choices, problem, problem.judge_prompt)
    competing = choices.competing(search)
    q_star = max(competing, key=lambda tried: tried.score, default=None)  # Eq 11
    if q_star is None:
        return problem.end(search)
    decision = choices.decide(problem, search, q_star)
    p_next = q_star.judge_prompt if decision.accepted else problem.judge_prompt  # J(q*, p_t)
    return problem.end(search, q_star, decision, p_next)


def inner_loop(choices: "Published", problem: InnerProblem, openers: Sequence[str]) -> I2TSearch:
    """Learn an I2T prompt for p_t: K of them, `inner_width` in a round."""
    search = I2TSearch()
    search.openers += score_each(choices, problem, openers, search)  # H_0 = {(q_0, score)}
    choices.roles.scored(problem.index, search.openers)
    for _ in range(choices.config.inner_rounds):
        proposals = choices.update_q(problem, search)  # Eq 10: q_{k+1} = Update_q(p_t, H_k)
        search.failures += [proposal for proposal in proposals if proposal.prompt is None]
        search.repeats += proposals[0].repeats
        tried = [proposal.prompt for proposal in proposals if proposal.prompt is not None]
        search.candidates += score_each(choices, problem, tried, search)  # H_{k+1}
        choices.roles.scored(problem.index, search.openers, search.candidates)
    return search


def single_try(choices: "Published", problem: InnerProblem, i2t_prompt: str) -> I2TSearch:
    """What stands in for the inner loop in an ablation: one I2T prompt, which is then chosen."""
    search = I2TSearch()
    search.candidates += score_each(choices, problem, [i2t_prompt], search)
    choices.roles.scored(problem.index, [], search.candidates)
    return search


def score_each(
    choices: "Published", problem: InnerProblem, i2t_prompts: Sequence[str], search: I2TSearch
) -> list[Candidate]:
    """Verbalize the error minibatch under each q, update p_t, and score q by what p' gains."""
    if not i2t_prompts:
        return []
    verbalizations = choices.roles.verbalize_each(i2t_prompts, problem.examples)  # g(x_i; q)
    cases = [problem.cases(of_one) for of_one in verbalizations]
    # Eq 6: p' = Update_p(p_t, cases) = J(q, p_t)
    proposals = choices.update_p(problem, i2t_prompts, cases)
    updated = [proposal.prompt or problem.judge_prompt for proposal in proposals]
    scored = choices.score(problem, updated, search)  # Eq 9
    return [
        Candidate(q, of_q, proposal, p, scored[p])
        for q, of_q, proposal, p in zip(
            i2t_prompts, verbalizations, proposals, updated, strict=True
        )
    ]


def sample_error_minibatch(
    choices: "Published", verdicts: Sequence[Verdict], t: int
) -> list[Misjudgment]:
    """I_B: at most `minibatch_size` of the misjudged training examples."""
    wrong = [
        Misjudgment(example, verdict)
        for example, verdict in zip(choices.train, verdicts, strict=True)
        if verdict.label != example.label and not verdict.is_error and choices.may_show(example)
    ]
    order = derived_order(wrong, _example_id, choices.seed, "minibatch", t)
    return order[: choices.minibatch_size(len(wrong))]


def _example_id(misjudgment: Misjudgment) -> str:
    return misjudgment.example.example_id


class Published:
    """What the paper does where `preset: plus` may do something else; a method for each choice."""

    def __init__(
        self, roles: Roles, train: Sequence[Example], config: BlpoConfig, seed: int
    ) -> None:
        self.roles = roles
        self.train = train
        self.config = config
        self.seed = seed

    def parent(self, last: str, _t: int, /) -> str:
        """p_t: what the outer step before led to."""
        return last

    def judge_train(self, judge_prompt: str) -> list[Verdict]:
        """f(x_i; p) on the training examples, in their order."""
        return self.judge_each([judge_prompt], self.train)[0]

    def judge_each(
        self, judge_prompts: Sequence[str], examples: Sequence[Example]
    ) -> list[list[Verdict]]:
        """For each p one verdict per example, in order; one batch."""
        pairs = [(p, example) for p in judge_prompts for example in examples]
        verdicts, num = self.roles.judge_pairs(pairs), len(examples)
        return [verdicts[i * num : (i + 1) * num] for i in range(len(judge_prompts))]

    def losses(self, examples: Sequence[Example], verdicts: Sequence[Verdict]) -> dict[str, float]:
        """Eq 2: l(f(x_i; p), y_i) by example_id."""
        loss, labels = LOSSES[self.config.loss], self.roles.task.labels
        return {
            example.example_id: loss(verdict, example.label, labels)
            for example, verdict in zip(examples, verdicts, strict=True)
        }

    def may_show(self, _example: Example, /) -> bool:
        """Whether the optimizer LLM may be shown an example."""
        return True

    def minibatch_size(self, _num_misjudged: int, /) -> int:
        """|I_B| at most."""
        return self.config.minibatch_size

    def openers(
        self, _problem: InnerProblem, i2t_prompt: str, _before: Sequence[OuterStep], /
    ) -> list[str]:
        """The I2T prompts that open the history: q_0. _before: the outer steps so far."""
        return [i2t_prompt]

    def update_p(
        self, problem: InnerProblem, _i2t_prompts: Sequence[str], cases: Sequence[Sequence[Case]], /
    ) -> list[Proposal]:
        """Eq 6: a p' for each set of cases, seen through the I2T prompt in its place."""
        return self.roles.update_judge_prompts(problem.judge_prompt, cases)

    def update_q(self, problem: InnerProblem, search: I2TSearch) -> list[Proposal]:
        """Eq 10: `inner_width` new I2T prompts from p_t and the scored history."""
        history = [ScoredPrompt(tried.i2t_prompt, tried.score) for tried in search.tried]
        return self.roles.update_i2t_prompts(
            problem.judge_prompt, history, [], self.config.inner_width
        )

    def score(
        self, problem: InnerProblem, judge_prompts: Sequence[str], _search: I2TSearch, /
    ) -> Mapping[str, Scored]:
        """Eq 9, by p': the mean over I_B of l(f(x_i; p_t), y_i) - l(f(x_i; p'), y_i)."""
        examples, distinct = problem.examples, list(dict.fromkeys(judge_prompts))
        before = self.losses(examples, problem.misjudged_verdicts)
        scored: dict[str, Scored] = {}
        for p, verdicts in zip(distinct, self.judge_each(distinct, examples), strict=True):
            after = self.losses(examples, verdicts)
            gain = sum(before[i] - after[i] for i in before) / len(before)
            scored[p] = Scored(gain, examples, verdicts, after)
        return scored

    def competing(self, search: I2TSearch) -> Sequence[Candidate]:
        """Eq 11: those of which q* is the best: q_1..q_K."""
        return search.candidates

    def decide(self, _problem: InnerProblem, _search: I2TSearch, _q_star: Candidate, /) -> Decision:
        """Whether the p' of q* becomes p_{t+1}: always."""
        return Decision(True)

    def is_stuck(self, _steps: Sequence[OuterStep], /) -> bool:
        """Whether the loop ends before T outer steps."""
        return False

    def final(self, _index: int, _last: str, /) -> FinalChoice | None:
        """What is returned in place of the last iterate; None for the last iterate itself."""
        return None
