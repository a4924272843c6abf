"""Bi-Level Prompt Optimization (Pan et al., arXiv 2602.11340), Algorithm 1.

What the paper leaves open, and the choice made here:
 1. Eq 2: the loss is 0/1; a verdict without a label counts as wrong.
 2. Algorithm 1: the error minibatch is drawn from the misjudged training examples of p_t,
    uniformly, without replacement; with none left the loop ends early.
 3. Eq 9: p' is judged on the same minibatch that the optimizer LLM has seen.
 4. Eq 10: the history starts anew from q_0 in every outer step.
 5. Eq 11: q_0 is not a candidate; a tie goes to the I2T prompt tried first.
 6. p_{t+1} is the p' that was scored for q*, not a second proposal.
 7. The verbalizer sees the example's own text in tasks that have one.
 8. A proposal that fails as often as is allowed keeps the current prompt: a failed Update_p
    scores its I2T prompt 0, a failed Update_q is left out of the history.
 9. The last iterate is returned, accepted or not by any test.

Ablations of Table 2: `i2t: fixed` verbalizes under q_0, `i2t: judge_prompt` under p_t itself;
both take one Update_p per outer step and have no inner loop.

Where `preset: plus` departs, each by a switch of `BlpoConfig`, most of them a file of `policies/`:
 1. `loss`: from the label probabilities.
 2. `score_on: probe` takes at most half of the misjudged examples: the rest must show a gain.
 3. `score_on`, `selector`: p' is judged on examples that no optimizer call of its lineage has
    seen, right and wrong ones, by racing; `inner_width`: several at a time.
 4. `warm_start_q`: the history opens with the last q*. `update_q`: it also shows single items.
 5. `q0_competes`: q_0 and p_t as an I2T prompt can be chosen. `controls`, `lint`: a q that wins
    with other images' descriptions, or a p' that copies them, cannot.
 9. `accept`: p_{t+1} is p' on a paired gain, else p_t. `parent`: p_t need not be the last one.
    `final`: what is returned is the best of all that was judged. `decode`, `calibrate`: how its
    verdicts are read.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from ...data.examples import Example
from ...models.roles.judge import Verdict
from ...models.wrappers.budget import BudgetSpentError
from ..search.seeds import derived_order
from .config import BlpoConfig
from .inner_step import Trial
from .policies.acceptance import Decision
from .records import FinalChoice, I2TSearch, Misjudgment, OuterStep
from .state import Roles, SearchState


def optimize(
    roles: Roles,
    train: Sequence[Example],
    judge_prompt: str,
    i2t_prompt: str,
    config: BlpoConfig,
    seed: int,
) -> Iterator[OuterStep | FinalChoice]:
    """Run Algorithm 1 from p_0 and q_0; yields every outer step, the last one leads to p_T.

    Where a switch asks for it, the choice of the final prompt follows. A spent budget ends the
    loop, not the choice.
    """
    state = SearchState.start(roles, train, judge_prompt, config, seed)
    steps: list[OuterStep] = []
    with suppress(BudgetSpentError):
        for outer_step in range(config.outer_steps):
            parent = state.parent(outer_step)
            verdicts = state.judge_train(parent)
            misjudgments = sample_error_minibatch(state, verdicts, outer_step)
            search: I2TSearch | None = None
            decision: Decision | None = None
            if misjudgments:
                trial = Trial(state, parent, verdicts, misjudgments, outer_step)
                search = search_i2t_prompt(trial, i2t_prompt, steps)
                decision = trial.decide(search)
            steps.append(OuterStep(outer_step, parent, verdicts, misjudgments, search, decision))
            yield steps[-1]
            if not misjudgments or is_stuck(steps, config.patience):
                break
    if config.chooses_final:
        last = steps[-1].next_judge_prompt if steps else judge_prompt
        yield state.final_choice(len(steps), last)


def search_i2t_prompt(trial: Trial, i2t_prompt: str, before: Sequence[OuterStep]) -> I2TSearch:
    """The inner loop, or its replacement in an ablation."""
    config = trial.state.config
    match config.i2t:
        case "learned":
            last = before[-1].search if config.warm_start_q and before else None
            first = (last and last.warm_start) or i2t_prompt
            rivals = [i2t_prompt, trial.judge_prompt] if config.q0_competes else []
            search = inner_loop(trial, list(dict.fromkeys([first, *rivals])))
        case "fixed":
            search = I2TSearch()
            search.candidates.extend(trial.run([i2t_prompt], search))
        case "judge_prompt":
            search = I2TSearch()
            search.candidates.extend(trial.run([trial.judge_prompt], search))
    return search


def is_stuck(steps: Sequence[OuterStep], patience: int | None) -> bool:
    """Whether the last `patience` outer steps all left the judge prompt as it was."""
    if patience is None or len(steps) < patience:
        return False
    return all(step.next_judge_prompt == step.judge_prompt for step in steps[-patience:])


def inner_loop(trial: Trial, openers: Sequence[str]) -> I2TSearch:
    """Learn an I2T prompt for p_t; the history opens with q_0, or with what competes with it."""
    config = trial.state.config
    search = I2TSearch(openers_compete=config.q0_competes)
    search.openers.extend(trial.run(openers, search))
    for _ in range(config.inner_rounds):
        proposals = trial.update_q(search)
        search.failures.extend(p for p in proposals if p.prompt is None)
        prompts = [p.prompt for p in proposals if p.prompt is not None]
        search.candidates.extend(trial.run(prompts, search))
    return search


def sample_error_minibatch(
    state: SearchState, verdicts: Sequence[Verdict], outer_step: int
) -> list[Misjudgment]:
    """I_B: at most `minibatch_size` of the misjudged examples."""
    config = state.config
    wrong = [
        Misjudgment(example, verdict)
        for example, verdict in zip(state.train, verdicts, strict=True)
        if verdict.label != example.label and state.may_show(example)
    ]
    order = derived_order(
        wrong,
        lambda misjudgment: misjudgment.example.example_id,
        state.seed,
        "minibatch",
        outer_step,
    )
    size = config.minibatch_size
    if config.score_on == "probe" and state.held is None:
        size = min(size, (len(wrong) + 1) // 2)
    return order[:size]
