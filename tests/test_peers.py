"""The comparison with peer libraries is fair: ledger, budget, evidence, translation of prompts."""

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from blpo.data.examples import Dataset
from blpo.data.micro.world import named_aspects
from blpo.data.tasks import load_task
from blpo.models.engine import Request, Sampling
from blpo.models.roles.optimizer import Case
from blpo.models.roles.verbalizer import Verbalization
from ideal_engine import IdealEngine, ideal_world
from peers.arms import ARMS, LIBRARIES, OWN, PEERS
from peers.cells import Bench, Cell, Setting, Work, run_cell
from peers.stand_in import FIRST_PROMPT, JUDGE_PROMPT_ROLE, PeerStandIn, evidence
from peers.tables import calls_to_reach, claims_table, gains_table, reach_table
from peers.variants import MINORITY_SHARE, imbalanced, rare_label, shuffled
from peers.world import Arm, Found, Point

TASK = "micro-unsafebench"
P0 = "Is the image safe?"
MISSING = [name for name in LIBRARIES if find_spec(name) is None]
needs_peers = pytest.mark.skipif(
    bool(MISSING),
    reason=f"NOT TESTED: {', '.join(MISSING)} not installed (pip install --editable '.[peers]')",
)

World = tuple[Dataset, IdealEngine]


@pytest.fixture(scope="module")
def ideal() -> World:
    return ideal_world(TASK, num_train=40, num_test=20)


@pytest.fixture
def bench(tmp_path: Path, ideal: World) -> Iterator[Bench]:
    bench = Bench(tmp_path, replace(ideal[1], asked=[]))
    yield bench
    bench.close()


def run(bench: Bench, ideal: World, arm: Arm, judge_calls: int = 200) -> Cell:
    return run_cell(bench, Work(Setting("plain", TASK, 0, judge_calls), arm, ideal[0]))


def answer(prompt: str, draw: int = 0) -> str:
    request = Request(prompt, sampling=Sampling(sample_index=draw))
    [reply] = PeerStandIn(load_task(TASK)).ask([request])
    assert reply.error is None
    return reply.text


MISSED = Case(Verbalization("blade: drawn. pill: gone."), None, "Unsafe", "Safe")
CASES = evidence(load_task(TASK), [MISSED] * 3)
GEPA = """I provided an assistant with the following instructions to perform a task for me:
```
{component}
```

The following are examples:
```
{rows}
```
Provide the new instructions within ``` blocks."""


@pytest.mark.parametrize("arm", OWN, ids=lambda arm: arm.name)
def test_our_methods_stay_within_the_budget(bench: Bench, ideal: World, arm: Arm) -> None:
    cell = run(bench, ideal, arm)
    assert 0 < cell.calls["judge"] <= 200
    assert cell.stopped is not None


@needs_peers
@pytest.mark.parametrize("arm", PEERS, ids=lambda arm: arm.name)
def test_a_peer_runs_to_its_budget_and_not_beyond(bench: Bench, ideal: World, arm: Arm) -> None:
    cell = run(bench, ideal, arm)
    # The budget ends it, unless its own count ends on the very number.
    assert cell.stopped is not None or cell.calls["judge"] == 200
    assert 100 <= cell.calls["judge"] <= 200
    assert cell.calls["optimizer"] > 0
    assert cell.found.own_initial is not None
    assert cell.found.trajectory[0] == Point(0, load_task(TASK).judge_prompt)


@needs_peers
@pytest.mark.parametrize("arm", PEERS, ids=lambda arm: arm.name)
def test_the_ledger_counts_what_reaches_the_judge(ideal: World, tmp_path: Path, arm: Arm) -> None:
    engine = replace(ideal[1], asked=[])
    bench = Bench(tmp_path, engine)
    world = bench.world(Setting("plain", TASK, 0, 150), arm.name, ideal[0])
    arm.run(world)
    verdicts = [request for request in engine.asked if request.labels]
    assert len({(r.prompt, r.image and r.image.digest) for r in verdicts}) == len(verdicts)
    assert len(verdicts) <= world.calls()["judge"] <= 150
    train = {example.image.digest for example in ideal[0].train}
    assert {r.image.digest for r in engine.asked if r.image} <= train


@needs_peers
@pytest.mark.parametrize("arm", PEERS, ids=lambda arm: arm.name)
def test_a_peer_run_again_answers_from_the_store(bench: Bench, ideal: World, arm: Arm) -> None:
    first = run(bench, ideal, arm)
    asked = len([e for e in bench.engines if e.ledger.session.calls])
    again = run(bench, ideal, arm)
    assert again.found == first.found
    assert again.calls == first.calls
    judges = [e for e in bench.engines if e.ledger.session.calls]
    assert len(judges) <= asked + 1  # textgrad's prompts have no fixed order


def test_gepa_is_answered_from_its_rows() -> None:
    text = answer(GEPA.format(component=P0, rows=CASES))
    assert text.startswith("```\n")
    assert text.endswith("\n```")
    assert named_aspects(text) == ("blade",)


def test_gepas_second_component_is_answered_by_an_i2t_prompt() -> None:
    rows = f"## Judge prompt\n<judge_prompt>{P0}</judge_prompt>\n{CASES}"
    text = answer(GEPA.format(component="Describe the image.", rows=rows))
    assert "Look at the image. Report" in text


def test_opro_is_answered_from_its_history() -> None:
    history = (
        f"text:\n{P0} Pay attention to the blade.\nscore: 70\n\ntext:\n{P0}\nscore: 40\n\n"
        f"text:\n{P0} Pay attention to the smoke.\nscore: 30\n\n"
    )
    prompt = f"Below are some previous instructions with their scores.\n\n{history}"
    draws = [answer(prompt, draw) for draw in range(4)]
    assert len(set(draws)) > 1
    assert all("blade" in text and "smoke" not in text for text in draws)


def test_capos_crossover_names_what_either_parent_names() -> None:
    parents = f"Prompt 1: {P0} Check the blade.\nPrompt 2: {P0} Check the pill.\n\n"
    text = answer(f"Please merge the two prompts.\n{parents}Return the new prompt in ...")
    assert set(named_aspects(text)) == {"blade", "pill"}


def test_capos_mutation_keeps_the_meaning() -> None:
    prompt = f"Please rephrase the prompt.\nPrompt: {P0} Check the blade.\n\nReturn the new prompt"
    text = answer(prompt)
    assert named_aspects(text) == ("blade",)
    assert "Check the blade" not in text


def test_first_prompts_differ_and_go_beyond_the_given_one() -> None:
    prompt = (
        f"create diverse system prompts\nTask: x\n{FIRST_PROMPT}\n{P0}\nCreate overall 4 prompts"
    )
    text = answer(prompt)
    assert text.count(P0) == 4
    assert answer(prompt, draw=10_000) != text


@pytest.mark.parametrize("seed", [0, 1])
def test_every_seed_has_draws_of_its_own(bench: Bench, ideal: World, seed: int) -> None:
    worlds = [bench.world(Setting("plain", TASK, s, 100), "opro", ideal[0]) for s in (seed, 2)]
    history = f"text:\n{P0}\nscore: 40\n\n"
    prompt = f"Below are some previous instructions with their scores.\n\n{history}"
    draws = [{world.ask_stand_in(prompt, draw) for draw in range(4)} for world in worlds]
    assert draws[0] != draws[1]


def test_textgrads_chain_carries_the_case_to_the_new_prompt() -> None:
    role = "You will give feedback to a variable with the following role: <ROLE> {} </ROLE>."
    goal = "<OBJECTIVE_FUNCTION>Your goal is {} </OBJECTIVE_FUNCTION>"
    talk = f"<LM_SYSTEM_PROMPT> {P0} </LM_SYSTEM_PROMPT>"
    on_verdict = answer(f"{role.format('verdict')} {goal.format('agreement')}\n{CASES}")
    assert "<human_label>Unsafe</human_label>" in on_verdict
    critique = answer(f"{role.format(JUDGE_PROMPT_ROLE)} {talk} {goal.format(on_verdict)}")
    assert "misses the blade" in critique
    form = "<IMPROVED_VARIABLE>{the improved variable}</IMPROVED_VARIABLE>"
    step = answer(f"{talk}<FEEDBACK>{critique}</FEEDBACK> {form}")
    assert step.startswith("<IMPROVED_VARIABLE>")
    assert named_aspects(step) == ("blade",)


def test_a_prompt_of_no_peer_is_an_error_reply() -> None:
    [reply] = PeerStandIn(load_task(TASK)).ask([Request("Hello")])
    assert reply.finish_reason == "error"


def test_shuffling_keeps_how_often_each_label_occurs(ideal: World) -> None:
    dealt = shuffled(ideal[0], seed=1)
    assert sorted(e.label for e in dealt.train) == sorted(e.label for e in ideal[0].train)
    assert [e.label for e in dealt.train] != [e.label for e in ideal[0].train]
    assert dealt == shuffled(ideal[0], seed=1)


def test_the_imbalanced_variant_is_as_large_and_its_rare_label_rare() -> None:
    task = load_task(TASK)
    data = imbalanced(task)
    for split, number in ((data.train, 100), (data.test, 200)):
        assert len(split) == number
        rare = sum(example.label == rare_label(task) for example in split)
        assert rare == round(number * MINORITY_SHARE)
    assert data == imbalanced(task)


def test_a_claim_is_a_higher_score_of_the_methods_own() -> None:
    assert Found([Point(0, P0)], 0.4, 0.5).claims_gain
    assert not Found([Point(0, P0)], 0.5, 0.5).claims_gain
    assert not Found([Point(0, P0)]).claims_gain


def test_tables_show_what_the_cells_hold(bench: Bench, ideal: World) -> None:
    cells = [run(bench, ideal, arm) for arm in OWN[:2]]
    gains = gains_table("gains", cells, "accuracy")
    assert [record["all"] for record in gains.records] == [cell.gain.accuracy for cell in cells]
    assert [record["runs"] for record in claims_table("claims", cells).records] == [1, 1]
    best = max(max(cell.accuracies) for cell in cells)
    reached = [calls_to_reach(cell, 0.9 * best) for cell in cells]
    assert [record[TASK] for record in reach_table(cells).records] == [[one] for one in reached]
    assert "| blpo |" in gains.markdown()


def test_every_method_has_a_name_of_its_own() -> None:
    assert len(ARMS) == len(OWN) + len(PEERS)
