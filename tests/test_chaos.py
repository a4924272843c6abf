"""A share of scripts/chaos.py, in this process, and what its table counts."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import chaos
import pytest
from blpo.data.arrow import pa, pq
from command_line import Blpo
from injected.faults import ENGINE_KINDS, KINDS, WEIGHTS, schedule
from injected.processes import Ended
from injected.server import Server
from injected.world import World


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch, blpo: Blpo, tmp_path: Path) -> Path:
    """A folder for worlds whose runs stay in this process, which a SIGKILL would not leave."""

    def run(world: World, **environment: str) -> Ended:
        assert not environment
        monkeypatch.chdir(world.folder)
        outcome = blpo("optimize", "run.yaml", "--set", f"store={world.store}")
        return Ended(outcome.code, outcome.out + outcome.err, has_hung=False)

    monkeypatch.setattr(World, "run", run)
    monkeypatch.setattr(chaos, "NUM_WORLDS", 1)
    folder = tmp_path / "chaos"
    folder.mkdir()
    return folder


def test_runs_meet_faults_and_end_with_the_same_bytes(root: Path) -> None:
    kinds = ["server resets the connection", "cut part"]
    outcomes = [chaos.inject(root, kind, number, seed=3) for number, kind in enumerate(kinds)]
    assert [o for o in outcomes if not o.survived or not o.equal or o.lost] == []
    assert sum(o.repeated_beyond for o in outcomes) == 0
    assert all(o.runs > 1 for o in outcomes)


def test_two_hundred_faults_are_of_every_kind() -> None:
    counts = Counter(schedule(200, [*KINDS, *ENGINE_KINDS]))
    assert counts.keys() == KINDS.keys() | ENGINE_KINDS.keys()
    assert counts.total() == 200
    assert all(counts[kind] >= 2 * weight for kind, weight in WEIGHTS.items())
    assert schedule(3, [*ENGINE_KINDS][:1]) == [*ENGINE_KINDS][:1] * 3


def test_a_request_whose_answer_was_delivered_twice_counts_as_repeated() -> None:
    server = Server()
    for body in (b"a", b"b", b"a", b"a"):
        server.note_delivery(body)
    server.close()
    assert server.num_repeated == 2
    outcome = chaos.Outcome("SIGKILL", 0, True, 9, 4, 0, True, 2, "")
    assert outcome.repeated_beyond == 5
    assert replace(outcome, repeated=3).repeated_beyond == 0


def test_a_verdict_that_is_missing_counts_as_lost() -> None:
    def predictions(verdicts: list[str | None]) -> dict[str, bytes]:
        sink = pa.BufferOutputStream()
        names = [f"e{number}" for number in range(len(verdicts))]
        pq.write_table(pa.table({"example_id": names, "final_verdict": verdicts}), sink)
        return {"predictions": sink.getvalue().to_pybytes()}

    expected = predictions(["1", "2", None, "4"])
    assert chaos.num_lost(expected, predictions(["1", None, None, "5"])) == 1
    assert chaos.num_lost(expected, None) == 3


def test_a_process_that_hangs_or_shows_a_traceback_has_not_survived() -> None:
    fine = Ended(0, "", has_hung=False)
    assert chaos.problem_of([Ended(1, "error: no space", has_hung=False), fine]) == ""
    assert chaos.problem_of([replace(fine, has_hung=True)]) == "hung"
    assert "KeyError" in chaos.problem_of([replace(fine, said="Traceback ...\nKeyError: 1"), fine])
    assert "never done" in chaos.problem_of([Ended(1, "error", has_hung=False)])
