"""The graded world: draws of rubrics and data, people, and the knobs of judge and optimizer."""

import hashlib
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blpo.data.errors import ConfigError
from blpo.data.examples import read_dataset
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.micro.graded import (
    SEEDS_PER_NAME,
    SHIPPED_WORLD,
    DrawConfig,
    GradedWorld,
    JudgeConfig,
    PeopleConfig,
    ReaderConfig,
    load_world,
)
from blpo.data.micro.graded_data import (
    draw_rubric,
    graded_labels,
    graded_rows,
    graded_scenes,
    ideal_meaning,
)
from blpo.data.micro.meaning import understood_verdict
from blpo.data.micro.rubrics import MICRO_TASKS, Row, generate
from blpo.data.micro.world import COARSE_ASPECT, Scene, aspect_names, is_fault
from blpo.data.tasks import load_task
from blpo.models.engine import Reply, Request, Sampling
from blpo.models.engines.factory import make_engine
from blpo.models.engines.settings import EngineSettings
from blpo.models.ideal.engine import IdealEngine
from blpo.models.ideal.scenes import WorldScenes
from blpo.models.lexicon.attention import LOST, as_read
from blpo.models.lexicon.engine import LexiconEngine
from blpo.pipeline.runs.demo import write_graded
from blpo.pipeline.sweeps.sweep import SweepConfig, sweep_cells

SMALL = DrawConfig(draws="dev", num_train=20, num_test=20)
SHIPPED_BYTES = {
    ("micro-agin", 0): "2fd28b8b07cc5cd6",
    ("micro-agin", 1): "eb2eb50a421a8080",
    ("micro-seetrue", 0): "250f52880c33ec3a",
    ("micro-seetrue", 1): "eb0eb77e9b759c49",
    ("micro-imagereward", 0): "c30d456b716f006e",
    ("micro-imagereward", 1): "5f9185f654120c34",
    ("micro-unsafebench", 0): "1638c13ef368c6f2",
    ("micro-unsafebench", 1): "0806781586bc2278",
}
"""Of the shipped datasets, eight examples a split, by task and rubric."""
FIELDS = ("example_id", "text", "label", "group", "category", "split")


def world(**judge: Any) -> GradedWorld:
    return GradedWorld(draw=SMALL, judge=JudgeConfig(noise=0, **judge))


def digest(rows: list[Row]) -> str:
    found = hashlib.sha256()
    for row in rows:
        for name in FIELDS:
            found.update(row[name].encode() + b"\0")
        found.update(row["image"])
    return found.hexdigest()[:16]


@pytest.mark.parametrize(("task", "rubric_seed"), SHIPPED_BYTES)
def test_the_shipped_datasets_are_one_corner_to_the_byte(task: str, rubric_seed: int) -> None:
    draw = DrawConfig(rubric_seed=rubric_seed, num_train=8, num_test=8)
    rows = graded_rows(task, GradedWorld(draw=draw))
    assert digest(rows) == SHIPPED_BYTES[task, rubric_seed]
    if rubric_seed == 0:
        assert rows == generate(task, 0, 8, 8)


def test_labels_without_pictures_are_those_of_the_dataset() -> None:
    own = GradedWorld(draw=SMALL, people=PeopleConfig(raters=3, share_rated=0.5))
    rows, scenes = graded_rows("micro-agin", own), graded_scenes("micro-agin", own)
    told = [
        (split, e.scene, e.label, e.ratings)
        for split, examples in graded_labels("micro-agin", own).items()
        for e in examples
    ]
    assert told == [
        (row["split"], scene, row["label"], row.get("ratings", ()))
        for row, scene in zip(rows, scenes, strict=True)
    ]


def test_no_seed_is_drawn_under_two_names() -> None:
    seeds = {
        DrawConfig(draws=name).own_seed(seed)
        for name in ("dev", "report", "kept")
        for seed in range(SEEDS_PER_NAME)
    }
    assert len(seeds) == 3 * SEEDS_PER_NAME
    assert draw_rubric("micro-agin", min(seeds)) != draw_rubric("micro-agin", min(seeds) + 1)


@pytest.mark.parametrize("task", MICRO_TASKS)
def test_a_drawn_rubric_minds_some_hurts_once_forgives_once_and_reaches_every_label(
    task: str,
) -> None:
    family, scale = MICRO_TASKS[task].family, MICRO_TASKS[task].scale
    known = set(aspect_names(family))
    for seed in range(40):
        rubric = draw_rubric(task, seed)
        assert 3 <= len(rubric.minded) <= 5
        assert set(rubric.minds) | set(rubric.fault_rates) <= known
        assert COARSE_ASPECT[family] not in rubric.minds
        [(forgiven, excuse)] = rubric.forgiven.items()
        assert forgiven in rubric.minded
        assert excuse not in rubric.minded
        hurting = [n for n in rubric.fault_rates if n not in rubric.minds and n != excuse]
        assert [rubric.fault_rates[name] > 0.4 for name in hurting] == [True]
        steps = sum(rubric.steps.get(name, 1) for name in rubric.minded)
        assert steps >= {"naturalness": 4, "alignment": 5}.get(scale, 0)
        assert rubric.steps.get(rubric.minded[-1], 1) == 1


@pytest.mark.parametrize("task", MICRO_TASKS)
def test_a_prompt_that_means_the_rubric_gets_the_labels_right(task: str) -> None:
    drawn = GradedWorld(draw=SMALL, people=PeopleConfig(label_noise=0))
    rows, scenes = graded_rows(task, drawn), graded_scenes(task, drawn)
    meaning = ideal_meaning(draw_rubric(task, SMALL.own_seed(0)))
    scale = MICRO_TASKS[task].scale
    right = [
        understood_verdict(scene, meaning, scale) == row["label"]
        for row, scene in zip(rows, scenes, strict=True)
    ]
    assert np.mean(right) > 0.8
    assert set(Counter(row["label"] for row in rows)) == set(load_task(task).labels)


def test_a_dataset_and_every_judge_of_its_draw_share_the_pictures() -> None:
    own, other = (
        GradedWorld(draw=SMALL, judge=JudgeConfig(saliency=saliency)) for saliency in (0, 1)
    )
    rows = graded_rows("micro-agin", own)
    images = [row["image"] for row in rows]
    rows[0]["label"] = "another"
    again = graded_rows("micro-agin", other)
    assert all(row["image"] is image for row, image in zip(again, images, strict=True))
    assert again[0]["label"] != "another"


def test_several_people_rate_a_share_and_their_median_is_the_label(tmp_path: Path) -> None:
    people = PeopleConfig(disagreement=0.15, raters=5, share_rated=0.5)
    rows = graded_rows("micro-agin", GradedWorld(draw=SMALL, people=people))
    rated = [row for row in rows if "ratings" in row]
    assert 10 < len(rated) < 30
    assert all(len(row.get("ratings", ())) == 5 for row in rated)
    assert all(sorted(row.get("ratings", ()))[2] == row["label"] for row in rated)
    assert any(len(set(row.get("ratings", ()))) > 1 for row in rated)
    out = tmp_path / "data.parquet"
    write_graded(out, "micro-agin", GradedWorld(draw=SMALL, people=people))
    data = read_dataset(out, load_task("micro-agin"), ImageBounds())
    assert sum(bool(e.ratings) for e in (*data.train, *data.test)) == len(rated)


def test_no_label_of_a_task_is_lost_to_a_median() -> None:
    people = PeopleConfig(label_noise=0, raters=5, share_rated=1.0, disagreement=0.3)
    labels = set(MICRO_TASKS["micro-imagereward"].label_shares)
    for seed in range(6):
        draw = DrawConfig(draws="dev", data_seed=seed, num_train=40, num_test=40)
        rows = graded_rows("micro-imagereward", GradedWorld(draw=draw, people=people))
        for split in ("train", "test"):
            assert {row["label"] for row in rows if row["split"] == split} == labels
        for row in rows:
            if ratings := row.get("ratings"):
                assert row["label"] == sorted(ratings)[len(ratings) // 2]


def test_disagreement_lowers_what_a_perfect_judge_can_reach() -> None:
    meaning = ideal_meaning(draw_rubric("micro-agin", SMALL.own_seed(0)))

    def agreement(disagreement: float) -> float:
        own = GradedWorld(draw=SMALL, people=PeopleConfig(disagreement=disagreement))
        rows, scenes = graded_rows("micro-agin", own), graded_scenes("micro-agin", own)
        verdicts = [understood_verdict(scene, meaning, "naturalness") for scene in scenes]
        return float(np.mean([v == r["label"] for v, r in zip(verdicts, rows, strict=True)]))

    assert agreement(0.25) < agreement(0.0) - 0.1


# ------------------------------------------------------------------------------------- the judge


@cache
def drawn(task: str) -> dict[bytes, Scene]:
    """The images of the small draw with their scenes, in order."""
    own = GradedWorld(draw=SMALL)
    rows, scenes = graded_rows(task, own), graded_scenes(task, own)
    return {row["image"]: scene for row, scene in zip(rows, scenes, strict=True)}


def asked(own: GradedWorld, task: str, prompt: str, labels: tuple[str, ...] = ()) -> list[Reply]:
    """The ideal judge's replies about the images of the small draw."""
    requests = [
        Request(prompt, ImageRef(image, ImageBounds()), labels=labels) for image in drawn(task)
    ]
    replies = IdealEngine(drawn(task), own.judge).ask(requests)
    assert not any(reply.error for reply in replies)
    return replies


def num_reported(replies: list[Reply]) -> float:
    return float(np.mean([reply.text.count(":") for reply in replies]))


def test_a_description_reveals_by_saliency_and_holds_no_more_than_its_room() -> None:
    ask = "Describe the image."
    assert num_reported(asked(world(), "micro-agin", ask)) == 2
    assert 3.5 < num_reported(asked(world(saliency=0.4), "micro-agin", ask)) < 5.5
    assert num_reported(asked(world(saliency=1), "micro-agin", ask)) == 8
    assert num_reported(asked(world(saliency=1, room=3), "micro-agin", ask)) == 3
    only_seam = asked(world(saliency_of={"seam": 1}), "micro-agin", "Report the grain.")
    assert all(reply.text.split(": ")[0] == "grain" for reply in only_seam)
    assert all("seam: " in reply.text and reply.text.count(":") == 2 for reply in only_seam)


def test_to_ask_for_more_costs_accuracy() -> None:
    own = world(noise_growth=0.1)
    scenes = drawn("micro-agin").values()

    def share_right(prompt: str) -> float:
        replies = asked(own, "micro-agin", prompt)
        return float(
            np.mean(
                [
                    f"seam: {s.values['seam']}." in r.text
                    for r, s in zip(replies, scenes, strict=True)
                ]
            )
        )

    assert share_right("Report the seam.") == 1
    assert share_right("Report the seam, the tint, the focus, the grain and the shadow.") < 0.8


def test_a_judge_that_understands_does_not_weigh_what_it_is_told_to_leave_out() -> None:
    labels = load_task("micro-unsafebench").labels
    plain, left_out = "Check the blade.", "Check the blade. Do not weigh the bottle."
    for reads, differ in (("names", True), ("meaning", False)):
        own = world(reads=reads)
        verdicts = [
            [reply.text for reply in asked(own, "micro-unsafebench", prompt, labels)]
            for prompt in (plain, left_out)
        ]
        assert (verdicts[0] != verdicts[1]) is differ


def test_leanings_move_verdicts_and_leave_their_order_to_a_fitted_reading() -> None:
    task = "micro-unsafebench"
    labels, prompt = load_task(task).labels, "Check the blade and the pill."
    even = asked(world(), task, prompt, labels)
    lenient = asked(world(leniency=0.6), task, prompt, labels)
    assert "Unsafe" in {reply.text for reply in even}
    assert {reply.text for reply in lenient} == {"Safe"}
    by_verdict = {"Safe": list[float](), "Unsafe": list[float]()}
    for one, other in zip(even, lenient, strict=True):
        by_verdict[one.text].append((other.label_logprobs or {})["Unsafe"])
    assert min(by_verdict["Unsafe"]) > max(by_verdict["Safe"])


def test_a_flat_judge_stays_in_the_middle_of_its_scale() -> None:
    labels = load_task("micro-agin").labels
    prompt = "Check the seam, the tint, the focus, the grain and the shadow."
    assert {"1", "5"} & {r.text for r in asked(world(), "micro-agin", prompt, labels)}
    flat = asked(world(flatness=0.6), "micro-agin", prompt, labels)
    assert {reply.text for reply in flat} <= {"2", "3", "4"}


def test_the_first_image_of_a_pair_is_preferred_by_position() -> None:
    images = [ImageRef(image, ImageBounds()) for image in list(drawn("micro-agin"))[:20]]
    request = [
        Request("Check the seam.", one, labels=("A", "B"), further_images=(other,))
        for one, other in pairwise(images)
    ]
    scenes = drawn("micro-agin")
    even = IdealEngine(scenes, world().judge).ask(request)
    leaning = IdealEngine(scenes, JudgeConfig(noise=0, first_position=2)).ask(request)
    assert {reply.text for reply in even} == {"A", "B"}
    assert {reply.text for reply in leaning} == {"A"}


def test_an_image_of_another_world_and_unknown_labels_are_error_replies() -> None:
    own = GradedWorld(draw=DrawConfig(draws="dev", num_train=4, num_test=4))
    engine = IdealEngine(WorldScenes(own), own.judge)
    strange = ImageRef(b"no image of the world", ImageBounds())
    image = ImageRef(graded_rows("micro-agin", own)[0]["image"], ImageBounds())
    replies = engine.ask(
        [Request("?", strange), Request("?"), Request("?", image, labels=("x", "y"))]
    )
    errors = [reply.error or "" for reply in replies]
    assert "make the dataset with `blpo import micro`" in errors[0]
    assert "about images only" in errors[1]
    assert "no scale of the labels x, y" in errors[2]


def test_scenes_are_seen_as_they_are_without_noise() -> None:
    said = asked(world(), "micro-agin", "Report the seam.")
    shown = [is_fault(scene, "seam") for scene in drawn("micro-agin").values()]
    assert [reply.text == "seam: split." for reply in said] == shown


# ----------------------------------------------------------------------------------- the optimizer

CASES = "".join(
    f"<case>\n<description>focus: blurred. seam: joined. number {k}</description>\n"
    "<human_label>3</human_label>\n<verdict>5</verdict>\n</case>\n"
    for k in range(20)
)
META_PROMPT = (
    "The possible verdicts, in order: 1, 2, 3, 4, 5\n"
    f"<judge_prompt>\nRate it.\n</judge_prompt>\n{CASES}"
)


def test_an_optimizer_loses_more_cases_the_more_it_reads() -> None:
    reads = [LexiconEngine(ReaderConfig(hazard=hazard)) for hazard in (0.0, 0.02)]
    texts = [engine.ask([Request(META_PROMPT)])[0].text for engine in reads]
    assert "focus" in texts[0]
    assert "focus" not in texts[1]
    assert reads[0].identity != reads[1].identity
    assert reads[0].identity.settings == ""


def test_a_lost_case_is_missing_or_taken_for_another() -> None:
    descriptions = [f"<description>case {number}</description>" for number in range(400)]
    request = Request("\n".join(descriptions))
    lost = ReaderConfig(hazard=0.001)
    read = {share: as_read(request, lost.model_copy(update={"confusion": share})).split("\n")
            for share in (0.0, 0.5, 1.0)}  # fmt: skip
    changed = [place for place, text in enumerate(read[0.0]) if text == LOST]
    assert 0 < len(changed) < 400
    for share, texts in read.items():
        others = [texts[place] for place in changed if texts[place] != LOST]
        assert len(others) / len(changed) == pytest.approx(share, abs=0.08)
        assert all(texts[place] != descriptions[place] for place in changed)
        assert set(others) <= set(descriptions)
        kept = set(range(400)) - set(changed)
        assert all(texts[place] == descriptions[place] for place in kept)
    only = Request(descriptions[0])
    assert as_read(only, ReaderConfig(hazard=1.0, confusion=1.0)) == LOST


def test_a_prompt_past_the_window_fails_and_images_cost_tokens() -> None:
    reader = ReaderConfig(context_tokens=3000, image_tokens=300)
    image = ImageRef(b"an image", ImageBounds())
    sampling = Sampling(max_tokens=1000)
    short = Request(META_PROMPT, sampling=sampling)
    shown = Request(META_PROMPT, image, sampling=sampling, further_images=(image,) * 6)
    replies = LexiconEngine(reader).ask([short, shown])
    assert replies[0].error is None
    assert "maximum context length is 3000 tokens" in (replies[1].error or "")
    assert replies[1].error_kind == "request"


# ------------------------------------------------------------------------------------- world files


def test_a_world_file_sets_judge_and_optimizer(tmp_path: Path) -> None:
    path = tmp_path / "world.yaml"
    path.write_text("draw: {draws: dev}\njudge: {room: 3}\noptimizer: {hazard: 0.001}\n")
    judge, optimizer = (
        make_engine(EngineSettings(kind=kind, model=str(path))) for kind in ("ideal", "lexicon")
    )
    assert '"room":3' in judge.identity.settings
    assert "hazard" in optimizer.identity.settings
    assert judge.identity.is_synthetic
    assert make_engine(EngineSettings(kind="lexicon")).identity.settings == ""


def test_an_ideal_judge_without_a_world_file_says_what_it_needs() -> None:
    with pytest.raises(ConfigError, match="needs `model`, the world file"):
        make_engine(EngineSettings(kind="ideal"))
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot read the world file"):
        make_engine(EngineSettings(kind="ideal", model="nowhere.yaml"))


def test_a_sweep_with_an_ideal_judge_draws_its_datasets(tmp_path: Path) -> None:
    path = tmp_path / "world.yaml"
    path.write_text("draw: {draws: dev, num_train: 6, num_test: 6}\n")
    sweep = SweepConfig(
        output=tmp_path / "sweep",
        base={"judge": {"kind": "ideal", "model": str(path)}},
        grid={"task": ["micro-agin"], "method": ["none"], "seed": [0, 1]},
    )
    [dataset] = {cell.dataset for cell in sweep_cells(sweep, "sweep.yaml").values()}
    drawn = read_dataset(dataset, load_task("micro-agin"), ImageBounds())
    rows = graded_rows("micro-agin", load_world(path))
    assert [e.label for e in (*drawn.train, *drawn.test)] == [row["label"] for row in rows]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("judge: {romm: 3}", "unknown key `judge.romm`; did you mean `room`"),
        ("judge: {saliency: 2}", "`judge.saliency` is 2: should be less than or equal to 1"),
        ("judge: {saliency_of: {glow: 1}}", "'glow' is no aspect: choose from shape, color"),
        ("draw: {rubric_seed: 2}", "is 0 or 1 among the shipped rubrics"),
        ("draw: {draws: dev, data_seed: 1000}", "should be less than 1000"),
    ],
)
def test_a_wrong_world_file_is_told_by_key_and_value(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "world.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"world\.yaml") as caught:
        load_world(path)
    assert message in str(caught.value)


def test_the_defaults_are_the_shipped_world() -> None:
    assert GradedWorld() == SHIPPED_WORLD
    assert SHIPPED_WORLD.judge == JudgeConfig(reads="names", noise=0.05)
