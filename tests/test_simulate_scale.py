"""The simulation of scale against closed forms, where there are such."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("simpy", reason="simpy is in the extra dev")

from simulate_scale import (
    DATASETS,
    JUDGES,
    STORE,
    Assumed,
    Cluster,
    Run,
    Stage,
    all_runs,
    bulk_dollars,
    bulk_hours,
    chain_s,
    get_requests,
    shared_partition,
    stages_of,
    tasks_of,
    work_s,
)

SMALL, _, LARGE = JUDGES
AGIN = DATASETS[1]


def run_of(method: str, seed: int = 0) -> Run:
    return Run(SMALL, AGIN, method, seed)


RUNS = [run_of(method, seed) for method in ("none", "opro", "blpo") for seed in range(3)]


def hours_of(seconds: float) -> Any:
    return pytest.approx(seconds / 3600, rel=1e-6)


def test_a_run_of_blpo_costs_what_the_paper_implies() -> None:
    calls = Counter[tuple[str, bool]]()
    for stage in stages_of(run_of("blpo")):
        calls[stage.kind, stage.whole_pass] += stage.num_requests
    assert calls["verbalize", False] == 300
    assert calls["judge", False] == 300
    assert calls["judge", True] == 5 * AGIN.num_train + 2 * AGIN.num_test
    assert calls["optimize", False] == 55


def test_one_gpu_takes_the_sum_of_all_runs() -> None:
    outcome = Cluster(1, load=False).execute([[run] for run in RUNS])
    assert outcome.hours == hours_of(sum(map(chain_s, RUNS)))
    assert outcome.gpu_hours == pytest.approx(outcome.hours)


def test_gpus_without_end_take_the_longest_chain() -> None:
    assert Cluster(1000, load=False).execute([[run] for run in RUNS]).hours == hours_of(
        max(map(chain_s, RUNS))
    )
    started = Cluster(1000).execute([[run] for run in RUNS])
    assert started.hours == hours_of(SMALL.load_s + max(map(chain_s, RUNS)))


def test_runs_on_one_engine_wait_for_its_work_and_not_for_each_others_proposals() -> None:
    shared = Cluster(1, load=False).execute([RUNS]).hours
    works = [work_s(run, stage, is_first=False) for run in RUNS for stage in stages_of(run)]
    assert max(sum(works), max(map(chain_s, RUNS)) / 2) / 3600 < shared
    assert shared < sum(map(chain_s, RUNS)) / 3600 / 2


def test_an_engine_of_eight_gpus_holds_all_of_them() -> None:
    runs = [Run(LARGE, AGIN, "none", seed) for seed in range(2)]
    outcome = Cluster(12, load=False).execute([[run] for run in runs])
    assert outcome.hours == hours_of(2 * chain_s(runs[0]))
    assert outcome.gpu_hours == pytest.approx(8 * outcome.hours)


def test_images_are_cold_once_and_again_when_they_do_not_fit() -> None:
    stage = Stage("judge", 100, whole_pass=True)
    run = run_of("blpo")
    assert work_s(run, stage, is_first=True) == pytest.approx(100 / SMALL.cold)
    assert work_s(run, stage, is_first=False) == pytest.approx(100 / SMALL.warm)
    many = next(run for run in all_runs(100) if run.judge == SMALL)
    assert work_s(many, stage, is_first=False) > 0.9 * 100 / SMALL.cold


def test_preemption_costs_time_and_loses_no_run() -> None:
    tasks = [[run] for run in RUNS]
    whole = Cluster(4).execute(tasks)
    preempted = Cluster(4, preempted_every_s=600).execute(tasks)
    assert preempted.preemptions > 0
    assert preempted.hours > whole.hours
    assert preempted.gpu_hours > whole.gpu_hours
    again = Cluster(4, preempted_every_s=600).execute(tasks)
    assert (again.hours, again.parts) == (preempted.hours, preempted.parts)


def test_every_run_is_in_one_task_with_runs_of_its_judge_and_dataset() -> None:
    tasks = tasks_of(all_runs(), 5)
    assert Counter(run for task in tasks for run in task) == Counter(all_runs())
    assert {len(task) for task in tasks} == {5}
    assert all(len({(run.judge, run.dataset) for run in task}) == 1 for task in tasks)


@pytest.mark.parametrize("writers", [1, 8, 32])
def test_writers_of_one_partition_ask_for_the_square_of_their_number(writers: int) -> None:
    traffic = shared_partition(writers, rows_per_s=40)
    per_part = STORE.calls_per_part + STORE.calls_per_other_part * (writers - 1)
    parts_per_s = writers / STORE.part_s
    assert traffic.parts_per_s == pytest.approx(parts_per_s, rel=0.01)
    assert traffic.calls_per_s == pytest.approx(parts_per_s * per_part, rel=0.2)
    mb_per_s = (parts_per_s * STORE.part_bytes + writers * 40 * STORE.row_bytes) / 1e6
    assert traffic.mb_per_s == pytest.approx(mb_per_s, rel=0.02)


def test_a_slow_file_system_makes_writers_wait_and_its_calls_are_bounded() -> None:
    traffic = shared_partition(64, rows_per_s=40, calls_per_s=5000)
    assert traffic.calls_per_s == pytest.approx(5000, rel=0.2)
    assert traffic.put_s > 1.0


def test_bulk_judging_takes_an_engines_start_and_its_share_of_the_images() -> None:
    engines = 64 // LARGE.gpus
    assert bulk_hours(LARGE, 0, 64) == pytest.approx(LARGE.load_s / 3600)
    more = bulk_hours(LARGE, 2_000_000, 64) - bulk_hours(LARGE, 1_000_000, 64)
    assert more == pytest.approx(1e6 / LARGE.cold / engines / 3600)


def test_requests_follow_the_bytes_and_not_the_number_of_shards() -> None:
    few, many = (get_requests(1_000_000, shards, 100_000) for shards in (1, 100))
    assert few < many < 1.05 * few
    assert get_requests(2_000_000, 1, 100_000) == pytest.approx(2 * few, rel=0.01)


def test_bulk_judging_costs_what_its_prices_say() -> None:
    free = Assumed(gpu_hour=0, cpu_hour=0, million_gets=0, gb_month=0)
    assert set(bulk_dollars(SMALL, free).values()) == {0}
    dollars = bulk_dollars(SMALL, replace(free, gpu_hour=2, million_gets=10))
    assert dollars["GPUs"] == pytest.approx(2 * 1e6 / SMALL.cold / 3600, rel=0.1)
    requests = get_requests(free.images, 1024, free.image_bytes)
    assert dollars["requests"] == pytest.approx(requests / free.images * 10)
    large = bulk_dollars(SMALL, Assumed(image_bytes=1_000_000))
    assert large["CPU"] > bulk_dollars(SMALL, Assumed())["CPU"]
