"""The report, drawn from records of micro-world images with hand-made verdicts."""

import base64
import hashlib
import io
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blpo.data.examples import Dataset, Example, Split
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.micro.world import (
    Family,
    Scale,
    Scene,
    claim_text,
    draw_scene,
    ideal_verbalization,
    ideal_verdict,
    png_bytes,
    render,
)
from blpo.data.tasks import load_task
from blpo.models.roles.judge import Verdict
from blpo.models.roles.optimizer import Proposal
from blpo.models.roles.verbalizer import Verbalization
from blpo.pipeline.blpo.records import (
    Candidate,
    Decision,
    I2TSearch,
    Misjudgment,
    OuterStep,
    Scored,
)
from blpo.pipeline.blpo.to_steps import make_step
from blpo.pipeline.cli.show.runs import lines_on_others, next_line
from blpo.pipeline.config import RunConfig
from blpo.pipeline.metrics.agreement import agreement, gain
from blpo.pipeline.metrics.pairs import PairScores
from blpo.pipeline.report.conclusion import Tone, finding
from blpo.pipeline.report.failure_lines import no_width, verdict_lines
from blpo.pipeline.report.gallery import MAX_IMAGES, OUTCOMES, Gallery
from blpo.pipeline.report.html import render_report
from blpo.pipeline.report.page import SECTIONS, sections_of, thumbnail, with_minus
from blpo.pipeline.report.prompt_diff import PromptDiff
from blpo.pipeline.result import LAYOUT_NOTE, CallCounts, RunRecord, RunResult, SplitResult
from blpo.pipeline.search.step import ShownCase
from documented_commands import parse_blpo
from PIL import Image

NAMED = {"objects": ("shape", "color", "count", "border"), "symbols": ("flame", "skull", "blade")}
JUDGE_PROMPTS = [
    "Is this image safe or unsafe?",
    "Is this image safe or unsafe? Look for any flame before you decide.",
    "Is this image safe or unsafe? Look for any flame, any skull and any drawn blade before you "
    "decide.\n\nAn image without any of these is safe, however gloomy its mood is.",
]
I2T_PROMPT = "Describe this image in detail."


class World:
    """Examples of one family and what its ideal judge says about them."""

    def __init__(self, family: Family, scale: Scale, task: str) -> None:
        self.family: Family = family
        self.scale: Scale = scale
        self.task = load_task(task)
        self.scenes: dict[str, Scene] = {}

    def examples(self, split: Split, number: int) -> tuple[Example, ...]:
        return tuple(self._example(split, index) for index in range(number))

    def verdicts(self, examples: Sequence[Example], named: Sequence[str]) -> list[Verdict]:
        labels = self.task.labels
        found: list[Verdict] = []
        for i, example in enumerate(examples):
            label = ideal_verdict(self.scenes[example.example_id], named, self.scale)
            top = 0.55 + 0.04 * (i % 11)
            rest = dict.fromkeys(labels, (1 - top) / (len(labels) - 1))
            found.append(Verdict(label, rest | {label: top}, 0.97))
        return found

    def verbalizations(
        self, examples: Sequence[Example], named: Sequence[str]
    ) -> list[Verbalization]:
        scenes = [self.scenes[example.example_id] for example in examples]
        return [Verbalization(ideal_verbalization(scene, named)) for scene in scenes]

    def _example(self, split: Split, index: int) -> Example:
        scene = draw_scene(self.family, 1 + (split == "test"), index)
        example_id = f"{split}-{index:03}"
        self.scenes[example_id] = scene
        image = ImageRef(png_bytes(render(scene)), ImageBounds())
        label = ideal_verdict(scene, NAMED[self.family], self.scale)
        return Example(example_id, image, claim_text(scene), label, example_id, None, split)


def make_record(
    family: Family = "symbols",
    scale: Scale = "safety",
    task: str = "unsafebench",
    *,
    num_steps: int = 2,
    judge_prompts: Sequence[str] = JUDGE_PROMPTS,
) -> RunRecord:
    """A run whose judge learns one more of the family's aspects in every outer step."""
    world = World(family, scale, task)
    train, test = world.examples("train", 30), world.examples("test", 40)
    outer_steps = make_outer_steps(world, train, judge_prompts[: num_steps + 1])
    initial = world.verdicts(test, ())
    final = world.verdicts(test, NAMED[family][:num_steps])
    config = RunConfig(task=task, dataset=Path("/data/rows.parquet"), output=Path("/runs/1"))
    result = make_result(world, test, initial, final)
    result = result.model_copy(
        update={
            "judge_prompt_initial": judge_prompts[0],
            "judge_prompt_final": judge_prompts[num_steps],
            "i2t_prompt_final": outer_steps[-1].chosen.i2t_prompt
            if outer_steps and outer_steps[-1].chosen
            else I2T_PROMPT,
        }
    )
    dataset = Dataset(train, test, "0123456789abcdef")
    record = RunRecord(config, world.task, dataset, [], initial, final, result)
    return with_steps(record, outer_steps)


def with_steps(record: RunRecord, outer_steps: Sequence[OuterStep]) -> RunRecord:
    return replace(record, steps=[make_step(step, record.dataset.train) for step in outer_steps])


def make_outer_steps(
    world: World, train: Sequence[Example], judge_prompts: Sequence[str] = JUDGE_PROMPTS
) -> list[OuterStep]:
    return [
        make_outer_step(world, train, index, current, following)
        for index, (current, following) in enumerate(pairwise(judge_prompts))
    ]


def make_outer_step(
    world: World, train: Sequence[Example], index: int, judge_prompt: str, next_prompt: str
) -> OuterStep:
    named = NAMED[world.family]
    verdicts = world.verdicts(train, named[:index])
    misjudgments = [
        Misjudgment(example, verdict)
        for example, verdict in zip(train, verdicts, strict=True)
        if verdict.label != example.label
    ][:10]
    wrong = [misjudgment.example for misjudgment in misjudgments]

    def try_prompt(i2t_prompt: str, seen: Sequence[str], proposal: Proposal) -> Candidate:
        new_verdicts = world.verdicts(wrong, seen[: index + 1] if proposal.prompt else named[:0])
        fixed = sum(v.label == e.label for v, e in zip(new_verdicts, wrong, strict=True))
        updated = proposal.prompt or judge_prompt
        return Candidate(
            i2t_prompt,
            world.verbalizations(wrong, seen),
            proposal,
            updated,
            Scored(fixed / len(wrong), wrong, new_verdicts),
        )

    search = I2TSearch(
        [try_prompt(I2T_PROMPT, (), Proposal(judge_prompt + " Think twice.", ("truncated",)))],
        [
            try_prompt("Describe the mood.", ("mood",), Proposal(None, ("empty", "unparsable"))),
            try_prompt(
                "Report every "
                + " and every ".join(named)
                + ". "
                + "Miss no detail of them. " * 12,
                named,
                Proposal(next_prompt),
            ),
        ],
        [Proposal(None, ("unparsable", "unparsable", "error: model overloaded"))],
    )
    chosen = search.candidates[1]
    return OuterStep(
        index, judge_prompt, next_prompt, verdicts, misjudgments, search, chosen, Decision(True)
    )


def make_result(
    world: World, test: Sequence[Example], initial: list[Verdict], final: list[Verdict]
) -> RunResult:
    labels = world.task.labels
    return RunResult(
        task=world.task.name,
        preset="paper",
        method="blpo",
        seed=0,
        judge="vllm:Qwen/Qwen2.5-VL-32B-Instruct@7cfb30d71a1f",
        verbalizer="vllm:Qwen/Qwen2.5-VL-32B-Instruct@7cfb30d71a1f",
        optimizer="openai:gpt-5-mini@2025-08-07",
        synthetic=False,
        dataset_fingerprint="0123456789abcdef",
        judge_prompt_initial="",
        judge_prompt_final="",
        i2t_prompt_final="",
        test=SplitResult(
            initial=agreement(test, initial, labels, 0),
            final=agreement(test, final, labels, 0),
            gain=gain(test, initial, final, labels, 0),
        ),
        calls={
            "judge": counts(1000, 250, 750, 2, 1_234_567, 987_654, 750),
            "verbalizer": counts(300, 0, 300, 0, 400_000, 300_000, 45_000),
            "optimizer": counts(60, 60, 0, 3, 0, 0, 0),
        },
        seconds=12.345,
    )


def counts(*values: int) -> CallCounts:
    return CallCounts(**dict(zip(CallCounts.model_fields, values, strict=True)))


def with_result(record: RunRecord, **changes: Any) -> RunRecord:
    return replace(record, result=record.result.model_copy(update=changes))


def with_verdicts(record: RunRecord, initial: list[Verdict], final: list[Verdict]) -> RunRecord:
    test, labels = record.dataset.test, record.task.labels
    result = SplitResult(
        initial=agreement(test, initial, labels, 0),
        final=agreement(test, final, labels, 0),
        gain=gain(test, initial, final, labels, 0),
    )
    record = replace(record, initial_verdicts=initial, final_verdicts=final)
    return with_result(record, test=result)


def text_of(html: str) -> str:
    """What a reader sees, with single spaces."""
    body = html[html.index("<body>") :]
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


@pytest.fixture(scope="module")
def record() -> RunRecord:
    return make_record()


@pytest.fixture(scope="module")
def outer_steps() -> list[OuterStep]:
    """The steps that `record` tells of."""
    world = World("symbols", "safety", "unsafebench")
    return make_outer_steps(world, world.examples("train", 30))


@pytest.fixture(scope="module")
def report(record: RunRecord) -> str:
    return render_report(record)


def test_the_same_record_gives_the_same_bytes_also_from_many_threads(
    record: RunRecord, report: str
) -> None:
    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(render_report, [record, record, make_record()]))
    assert set(reports) == {report}


def test_importing_the_report_does_not_import_matplotlib() -> None:
    script = "import sys, blpo.pipeline.report; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_seconds_and_paths_do_not_show(record: RunRecord, report: str) -> None:
    assert render_report(with_result(record, seconds=99999.9)) == report
    assert "/data/rows" not in report
    assert "/runs/1" not in report


def test_nothing_is_loaded_from_outside(report: str) -> None:
    assert "http:" not in report
    assert "https:" not in report
    assert set(re.findall(r"url\((.)", report)) <= {"#"}
    assert "<link" not in report
    assert all(
        s.startswith("data:image/jpeg;base64,") for s in re.findall(r'src="([^"]*)"', report)
    )


def test_no_script_runs_but_that_of_the_page(report: str) -> None:
    [script] = re.findall(r"<script[^>]*>(.*?)</script>", report, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert re.findall(r'script-src ([^;"]*)"', report) == [f"'sha256-{digest}'"]


def test_the_sections_of_a_page_are_found_again(report: str) -> None:
    found = sections_of(report)
    assert tuple(found) == tuple(SECTIONS)
    assert found["summary"].startswith('<div class="finding')
    assert found["cost"].endswith("prefix cache.</p>")
    parts = [f'<section id="{name}">\n{text}\n</section>' for name, text in found.items()]
    assert "\n".join(parts) in report


def test_every_prompt_and_model_text_is_escaped(outer_steps: list[OuterStep]) -> None:
    attack = "<script>alert(1)</script>{{ 7 * 7 }}"
    record = make_record(judge_prompts=[attack + "a", attack + "b", attack + "c"])
    step = replace(outer_steps[-1], judge_prompt=attack)
    assert step.search is not None
    tried, num = step.search.candidates[1], len(step.misjudgments)
    candidate = replace(
        tried,
        i2t_prompt=attack,
        verbalizations=[Verbalization("", attack)] * num,
        judged=replace(tried.judged, verdicts=[Verdict(None, reason=attack)] * num),
    )
    failed = replace(step.search, candidates=[candidate], failures=[Proposal(None, (attack,))])
    record = with_steps(record, [outer_steps[0], replace(step, search=failed, chosen=candidate)])
    first = replace(record.dataset.test[0], example_id='"><img onerror=x>', text=attack)
    record = replace(
        record, dataset=replace(record.dataset, test=(first, *record.dataset.test[1:]))
    )
    html = render_report(with_result(record, i2t_prompt_final=attack))
    assert html.count("<script") == 1
    assert "onerror=x>" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;{{ 7 * 7 }}") > 10


def with_texts(record: RunRecord, text: str) -> RunRecord:
    """The record with this text wherever a model or a user has the word."""
    labels = (f"1{text}", f"2{text}")
    renamed = dict(zip(record.task.labels, labels, strict=True))

    def verdict(given: Verdict, *, is_known: bool) -> Verdict:
        if not is_known or given.label is None or given.probabilities is None:
            return Verdict(None, reason=text, reasoning=text)
        shares = {renamed[label]: share for label, share in given.probabilities.items()}
        return replace(given, label=renamed[given.label], probabilities=shares, reasoning=text)

    def example(given: Example) -> Example:
        label = renamed[given.label]
        return replace(given, example_id=given.example_id + text, text=text, label=label)

    def shown_case(case: ShownCase) -> ShownCase:
        verbalization = Verbalization(text, text)
        before = verdict(case.before, is_known=True)
        return ShownCase(example(case.example), before, before, verbalization, verbalization)

    steps = [
        replace(
            step,
            examples=[],
            verdicts=[],
            tried=[replace(tried, prompt=text, led_to=text, note=text) for tried in step.tried],
            shown=[shown_case(case) for case in step.shown],
            notes=[text],
        )
        for step in record.steps
    ]
    task = record.task.model_copy(
        update={"labels": labels, "description": text, "answer_instruction": text}
    )
    test = tuple(
        replace(example(e), category=f"{text}{i % 2}") for i, e in enumerate(record.dataset.test)
    )
    initial = [verdict(v, is_known=i > 0) for i, v in enumerate(record.initial_verdicts)]
    final = [verdict(v, is_known=True) for v in record.final_verdicts]
    named = {"judge_prompt_initial": text, "judge_prompt_final": f"{text} b", "judge": text}
    return replace(
        record,
        steps=steps,
        task=task,
        dataset=replace(record.dataset, test=test),
        initial_verdicts=initial,
        final_verdicts=final,
        result=record.result.model_copy(update=named | {"optimizer": text, "verbalizer": ""}),
    )


class TextsOfPage(HTMLParser):
    """Texts of a page, and those of its attributes; and whether each stands in an isolate."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[bool] = []
        self.texts: list[tuple[bool, str]] = []
        self.attributes: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [value or "" for _, value in attrs]
        if tag not in ("meta", "img", "input", "path", "use", "rect"):
            self._open.append(tag == "bdi" or ("dir", "auto") in attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Elements of the plots."""

    def handle_endtag(self, tag: str) -> None:
        del tag
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append((any(self._open), data))


@pytest.mark.parametrize(
    "text",
    [
        "</div><script>x</script><!-- {{ 7 * 7 }} & \"' &amp; &#27;",
        "\u202egnp.exe\u2069\u2066\u200f",
        "\x1b[31m\x07\x9b \u05e2\u05d1\u05e8\u05d9\u05ea",
        "[red][/] ${{}} %s $x$ `",
    ],
)
def test_every_text_comes_out_of_the_page_as_it_went_in_and_isolated(
    record: RunRecord, text: str
) -> None:
    page = TextsOfPage(render_report(with_texts(record, text)))
    known = [(isolated, found) for isolated, found in page.texts if text in found]
    assert len(known) > 30
    assert all(isolated for isolated, _ in known)
    # A diff may cut a prompt into words; nothing else holds even a part of it.
    rest = "".join(found for isolated, found in page.texts if not isolated)
    for character in set(text) & set("\u202e\u2069\u2066\u200f\x1b\x07\x9b"):
        assert character not in rest
        assert not any(character in value for value in page.attributes)


def test_what_no_page_can_hold_is_escaped(record: RunRecord) -> None:
    html = render_report(with_texts(record, "a\x00b\rc\ud83d"))
    assert "a\\x00b\\rc\\ud83d" in html
    html.encode()


def test_the_headline_names_task_judge_numbers_and_intervals(
    record: RunRecord, report: str
) -> None:
    text, test = text_of(report), record.result.test
    assert "Judge prompt for unsafebench" in text
    assert "Qwen/Qwen2.5-VL-32B-Instruct@7cfb30d71a1f" in text
    assert "blpo, preset paper, seed 0" in text
    assert "n = 40" in text
    for prompt in (test.initial, test.final):
        low, high = prompt.ci95["macro_f1"]
        assert f"{prompt.macro_f1:.3f} {low:.3f} to {high:.3f}" in text
        assert f"{prompt.accuracy:.3f}" in text


def test_the_headline_says_whether_the_interval_of_the_gain_excludes_0(record: RunRecord) -> None:
    test = record.result.test
    endings = {
        (0.02, 0.2): ("better", "gain, +0.020 to +0.200, excludes 0."),
        (0.0, 0.2): ("unclear", "gain, 0.000 to +0.200, includes 0: the difference may be chance."),
        (-0.2, -0.02): ("worse", "gain, -0.200 to -0.020, excludes 0."),
    }
    for interval, (tone, ending) in endings.items():
        ci95 = {"accuracy": interval, "macro_f1": interval, "kappa": interval}
        changed = test.model_copy(update={"gain": test.gain.model_copy(update={"ci95": ci95})})
        html = render_report(with_result(record, test=changed))
        start = f"Macro F1 rose from {test.initial.macro_f1:.3f} to {test.final.macro_f1:.3f}; "
        sentence = f"{start}the 95 % interval of the {ending}"
        assert finding(with_result(record, test=changed).result, "macro_f1").sentence == sentence
        assert with_minus(sentence) in text_of(html)
        assert f'class="finding {tone}"' in html


def test_pages_have_a_true_minus_before_numbers_and_nowhere_else() -> None:
    minus = "\N{MINUS SIGN}"
    for text, shown in {
        "-0.1": f"{minus}0.1",
        "0.20 [-0.10, -.5]": f"0.20 [{minus}0.10, -.5]",
        "run-1 of 2026-11-29, (-3 to -1)": f"run-1 of 2026-11-29, ({minus}3 to {minus}1)",
        "- a --b -c": "- a --b -c",
    }.items():
        assert with_minus(text) == shown


def test_a_gain_that_guesses_would_show_as_well_is_not_called_one(record: RunRecord) -> None:
    test = record.result.test
    ci95 = {"accuracy": (0.0, 0.1), "macro_f1": (0.02, 0.2), "kappa": (-0.01, 0.2)}
    changed = test.model_copy(update={"gain": test.gain.model_copy(update={"ci95": ci95})})
    html = render_report(with_result(record, test=changed))
    assert "excludes 0, but that of the gain in kappa" in text_of(html)
    assert 'class="finding unclear"' in html


def test_only_a_synthetic_run_carries_the_banner(record: RunRecord, report: str) -> None:
    assert "say nothing about real judges" not in report
    assert "say nothing about real judges" in render_report(with_result(record, synthetic=True))


def test_a_run_whose_judge_was_asked_by_messages_says_so(record: RunRecord, report: str) -> None:
    assert LAYOUT_NOTE not in text_of(report)
    assert LAYOUT_NOTE in text_of(render_report(with_result(record, aligned_by_chat=True)))


def test_both_prompts_stand_side_by_side_with_their_differences(report: str) -> None:
    assert "<ins>Look for any flame, any skull" in report
    assert "however gloomy its mood is.</ins>" in report
    assert "<del>Describe this image in detail.</del>" in report


def test_every_tried_i2t_prompt_stands_with_score_and_fate(
    outer_steps: list[OuterStep], report: str
) -> None:
    text = text_of(report)
    for step in outer_steps:
        assert step.search is not None
        for candidate in step.search.candidates:
            assert candidate.i2t_prompt in report
    assert report.count('class="badge"') == len(outer_steps)
    assert "no usable judge prompt, current one kept (empty; unparsable)" in text
    assert "after 1 unusable reply (truncated)" in text
    assert "no usable I2T prompt (unparsable; unparsable; error: model overloaded)" in text


def test_the_gallery_shows_every_test_image_by_what_became_of_it(
    record: RunRecord, report: str
) -> None:
    num_misjudged = len(record.steps[-1].shown)
    assert report.count("<article") == num_misjudged + len(record.dataset.test)
    assert "mood: cheerful. smoke: rising." in report
    assert "flame: unlit. skull: hidden. blade: drawn." in report
    shown = re.findall(r'data-outcome="(\w+)" data-human="(\d)" data-verdict="(\d)"', report)
    assert [outcome for outcome, *_ in shown] == sorted(
        (outcome for outcome, *_ in shown), key=list(OUTCOMES).index
    )
    expected = Counter(
        (outcome_of(example.label, before.label, after.label), example.label, after.label)
        for example, before, after in zip(
            record.dataset.test, record.initial_verdicts, record.final_verdicts, strict=True
        )
    )
    labels = record.task.labels
    assert Counter((o, labels[int(h)], labels[int(v)]) for o, h, v in shown) == expected
    fixed = sum(number for (outcome, *_), number in expected.items() if outcome == "fixed")
    assert f"Of 40 verdicts, {fixed} became right" in text_of(report)


def outcome_of(human: str, before: str | None, after: str | None) -> str:
    was, is_right = before == human, after == human
    return {(0, 0): "wrong", (0, 1): "fixed", (1, 0): "broken", (1, 1): "right"}[was, is_right]


def test_a_verdict_without_a_label_is_an_outcome_of_its_own(record: RunRecord) -> None:
    test = record.dataset.test[:3]
    label = test[0].label
    other = next(name for name in record.task.labels if name != label)
    cases = Gallery.make(
        [replace(example, label=label) for example in test],
        [Verdict(label), Verdict(other), Verdict(None)],
        [Verdict(None), Verdict(None), Verdict(label)],
    )
    assert cases.counts == {"unlabelled": 2, "fixed": 1}
    assert not cases.has_confidence


def test_a_page_holds_so_many_images_and_mistakes_come_first(record: RunRecord) -> None:
    example = record.dataset.test[0]
    other = next(name for name in record.task.labels if name != example.label)
    num = MAX_IMAGES + 1
    right, wrong = Verdict(example.label), Verdict(other)
    cases = Gallery.make([example] * num, [wrong] * num, [*[right] * (num - 1), wrong])
    assert len(cases.cases) == MAX_IMAGES
    assert cases.cases[0].outcome == "wrong"
    assert cases.counts["fixed"] == num - 1


def test_a_page_of_200_large_images_stays_under_15_mb() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (512, 512, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    worst = len(thumbnail(ImageRef(buffer.getvalue(), ImageBounds())))
    assert 200 * worst < 15_000_000


def test_a_step_shows_what_it_changed_and_a_kept_prompt_shows_nothing(report: str) -> None:
    changes = re.findall(r'<details class="change">(.*?)</details>', report, re.DOTALL)
    assert len(changes) == 2
    assert "<ins>Look for any flame before you decide.</ins>" in changes[0]


def test_the_day_and_the_name_of_the_data_are_on_top(record: RunRecord, report: str) -> None:
    assert "Dataset rows , blpo 0" in text_of(report)
    dated = render_report(replace(record, began="2026-11-29"))
    assert "run of 2026-11-29 , blpo" in text_of(dated)


def test_commands_hold_nothing_that_a_task_or_model_has_written(record: RunRecord) -> None:
    html = render_report(with_texts(record, "$(reboot)"))
    commands = sections_of(html)["use"]
    assert "reboot" not in commands
    told = re.findall(r"<code [^>]*>(.*?)</code>", commands)
    assert len(told) == 5
    for command in told:
        parse_blpo(shlex.split(unescape(re.sub("<[^>]*>", "", command)))[1:])


@pytest.mark.parametrize("tone", ["better", "worse", "unclear", "same", "failed"])
def test_a_run_ends_with_a_command_that_goes_on(tone: Tone) -> None:
    told, _, command = next_line(tone, Path("my runs/1")).partition(": ")
    parse_blpo(shlex.split(command)[1:])
    assert "'my runs/1'" in command
    assert ("blpo judge" in command) == (tone == "better"), told


def test_other_runs_beside_a_run_are_named_before_its_prompt_takes_over(record: RunRecord) -> None:
    config = record.config
    earlier = config.model_copy(update={"dataset": Path("before.parquet")})
    told, *commands = lines_on_others(
        config, [(Path("runs/seed 1"), config), (Path("runs/first"), earlier)]
    )
    assert "to look first" in told
    for command in commands:
        parse_blpo(shlex.split(command)[1:])
    assert commands[0] == f"  blpo compare 'runs/seed 1' {config.output}"
    assert commands[1] == f"  blpo evaluate {config.dataset} --run runs/first"
    assert lines_on_others(config, []) == []


def test_calls_add_up(report: str) -> None:
    text = text_of(report)
    assert "judge 1,000 250 750 2 1,234,567 80.0 % 750" in text
    assert "optimizer 60 60 0 3 0 - 0" in text
    assert "all 1,360 310 1,050 5 1,634,567 78.8 % 45,750" in text


def test_the_judge_stands_beside_its_references_under_both_prompts(report: str) -> None:
    text = text_of(report)
    rows = ["judge, initial prompt", "judge, final prompt", "majority class", "chance"]
    assert sorted(rows, key=text.index) == rows
    assert "one annotator" not in text


def test_a_run_without_steps_reports_that_nothing_changed() -> None:
    record = make_record(num_steps=0)
    text = text_of(render_report(with_result(record, method="none")))
    assert f"Macro F1 is {record.result.test.final.macro_f1:.3f} under both prompts." in text
    assert "method “none” runs no optimization" in text
    assert "the smallest gain in accuracy that the test detects with 80 % power is about" in text
    assert "No steps" in text
    assert "No step had misjudged examples." in text
    assert "became right 0" not in text
    assert "0 became right, 0 became wrong" in text


def test_a_step_without_misjudgments_ends_the_trajectory(
    record: RunRecord, outer_steps: list[OuterStep]
) -> None:
    right = [Verdict(example.label) for example in record.dataset.train]
    last = OuterStep(2, JUDGE_PROMPTS[2], JUDGE_PROMPTS[2], right, [])
    text = text_of(render_report(with_steps(record, [*outer_steps, last])))
    assert "Step 2 30 training examples: macro F1 1.000, accuracy 1.000, 0 misjudged" in text
    assert "the loop ended here" in text
    assert "shown in step 1" in text


def test_a_step_whose_proposals_all_failed_keeps_the_prompt(
    record: RunRecord, outer_steps: list[OuterStep]
) -> None:
    step = outer_steps[0]
    assert step.search is not None
    search = replace(step.search, candidates=[])
    record = with_steps(
        record,
        [
            OuterStep(
                0, step.judge_prompt, step.judge_prompt, step.verdicts, step.misjudgments, search
            )
        ],
    )
    text = text_of(render_report(record))
    assert "No I2T prompt to choose from: the judge prompt was kept." in text
    assert "after prompt kept" in text


def test_an_ablation_without_baseline_shows_the_one_verbalization(
    record: RunRecord, outer_steps: list[OuterStep]
) -> None:
    step = outer_steps[0]
    assert step.search is not None
    search = I2TSearch([], step.search.candidates[1:], [])
    html = render_report(with_steps(record, [replace(step, search=search)]))
    assert "under the chosen I2T prompt" in html
    assert "under the initial I2T prompt" not in html


def test_verdicts_without_label_or_probabilities_are_shown_as_such(record: RunRecord) -> None:
    test = record.dataset.test
    unread = [Verdict(None, reason="no declared label in the reply: 'Hm'") for _ in test]
    right = [Verdict(example.label) for example in test]
    text = text_of(render_report(with_verdicts(record, unread, right)))
    assert "Verdicts without a label: 100.0 %" in text
    assert "unknown (no log-probabilities)" in text
    assert "no declared label in the reply: &#39;Hm&#39;" in text


def test_seven_labels_have_a_matrix_of_eight_columns() -> None:
    record = make_record("objects", "alignment", "imagereward")
    html = render_report(record)
    matrices = re.findall(r'<table class="matrix">(.*?)</table>', html, re.DOTALL)
    assert [matrix.count("<td") for matrix in matrices] == [7 * 8, 7 * 8]
    assert [matrix.count("agree") for matrix in matrices] == [7, 7]
    assert str(record.steps[-1].shown[0].example.text) in html


def test_a_broken_image_leaves_a_note_in_place_of_the_thumbnail(record: RunRecord) -> None:
    broken = ImageRef(b"no image", ImageBounds())
    assert thumbnail(broken) == ""
    test = tuple(replace(example, image=broken) for example in record.dataset.test)
    html = render_report(replace(record, dataset=replace(record.dataset, test=test)))
    assert html.count("image cannot be decoded") == len(test)


@pytest.mark.parametrize(
    ("old", "new"),
    [("", ""), ("", "a b"), ("  one\n\ntwo ", "one two\n"), ("a b c d", "a x c\td e")],
)
def test_a_diff_keeps_every_character_of_both_sides(old: str, new: str) -> None:
    diff = PromptDiff.make(old, new)
    assert "".join(text for _, text in diff.old) == old
    assert "".join(text for _, text in diff.new) == new


def test_a_diff_marks_words_and_no_stray_word_between_two_changes() -> None:
    diff = PromptDiff.make("one two three four the six", "one two three FOUR the SIX")
    assert diff.old == [
        (False, "one two three "),
        (True, "four "),
        (True, "the "),
        (True, "six"),
    ]
    kept = PromptDiff.make("Is it safe or not", "Is it safe and sound or not")
    assert kept.new == [(False, "Is it safe "), (True, "and sound "), (False, "or not")]


def test_verdicts_that_are_all_alike_and_have_little_mass_are_told() -> None:
    result = make_record().result
    confusion = [[0, result.test.final.n - 3, 0], [0, 3, 0]]
    final = result.test.final.model_copy(update={"label_mass": 4e-8, "confusion": confusion})
    odd = result.model_copy(update={"test": result.test.model_copy(update={"final": final})})
    mass, alike = verdict_lines(odd, ("Safe", "Unsafe"))
    assert mass.startswith("judge: the mean label mass is 0.000: the model would rather write")
    assert alike == f"judge: all {final.n} verdicts are 'Unsafe'"
    assert verdict_lines(result, ("Safe", "Unsafe")) == []


def test_a_judge_that_leans_to_a_place_of_pairs_is_told() -> None:
    result = make_record().result
    pairs = PairScores(
        strict_accuracy=0.5,
        num_strict=4,
        tie_aware_accuracy=0.5,
        position_consistency=0.1,
        first_position_rate=0.96,
        ci95={},
    )
    final = result.test.final.model_copy(update={"pairs": pairs})
    leaning = result.model_copy(update={"test": result.test.model_copy(update={"final": final})})
    [told] = verdict_lines(leaning, ("Safe", "Unsafe"))
    assert told.startswith("judge: 96% of its answers prefer the image shown first")


def test_an_interval_without_width_is_explained() -> None:
    result = make_record().result
    final = result.test.final
    confusion = [[0, final.n - 3, 0], [0, 3, 0]]
    interval = {"accuracy": final.ci95["accuracy"], "macro_f1": (0.354, 0.354)}
    flat = final.model_copy(update={"confusion": confusion, "ci95": interval})
    odd = result.model_copy(update={"test": result.test.model_copy(update={"final": flat})})
    assert verdict_lines(odd, ("Safe", "Unsafe"))[-1] == (
        "final prompt, macro F1: its interval has no width, as all verdicts are one label and it "
        "is the same in all resamples: that does not say how sure it is"
    )
    assert no_width(final) == ""
