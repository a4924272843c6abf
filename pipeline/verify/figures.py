"""result.json against the predictions, the prompts, the configuration and the inputs."""

from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError

from ...data.errors import DataError
from ...data.text_files import read_text
from ...models.engine import EngineIdentity
from ...models.roles.judge import Verdict
from ...models.roles.pair_judge import PairVerdict
from ..result import CallCounts
from ..runs.directory import INPUTS_FILE, RESULT_FILE
from ..runs.measure import measure
from ..runs.predictions import AGAIN
from .findings import Findings
from .kept import Kept, value_at
from .readings import check_readings

_PROMPTS = ("judge_prompt_initial", "judge_prompt_final", "i2t_prompt_final")
_ROLES = ("judge", "verbalizer", "optimizer")
_OF_ORDERS = ("position_consistency", "first_position_rate")


def check_result(kept: Kept, findings: Findings) -> Mapping[str, Any]:
    """Compare result.json; its `test`, computed again."""
    test = recomputed_test(kept)
    if not isinstance(kept.result.get("test"), dict):
        raise DataError(f"{kept.path / RESULT_FILE}: has no `test`: {AGAIN}")
    findings.compare_all(RESULT_FILE, "test", kept.result["test"], test)
    check_readings(kept, findings)
    _check_origin(kept, findings)
    _check_prompts(kept, findings)
    _check_calls(kept, findings)
    return test


def recomputed_test(kept: Kept) -> Mapping[str, Any]:
    """`test` of result.json from the predictions, without what a version did not keep for it."""
    found, seed = kept.predictions, kept.result.get("seed")
    initial, final = found.initial, found.final
    is_old = not found.has_orders and value_at(kept.result, "test", "final", "pairs") is not None
    if is_old:
        initial, final = _as_pairs(initial), _as_pairs(final)
    seed = seed if isinstance(seed, int) else 0
    measured = measure(found.examples, initial, final, found.again, found.labels, seed, found.raw)
    test: dict[str, Any] = measured.model_dump(mode="json")
    if found.again is None and value_at(kept.result, "test", "noise_floor") is not None:
        del test["noise_floor"]
    for part in ("initial", "final") if is_old else ():
        for name in _OF_ORDERS:
            del test[part]["pairs"][name]
    return test


def _as_pairs(verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """Of a version that kept no more of a pair than its verdict."""
    return tuple(PairVerdict(v.label, v.probabilities, v.label_mass) for v in verdicts)


def _check_origin(kept: Kept, findings: Findings) -> None:
    """Method, seed, models and data are those of the configuration and the inputs."""
    for name in ("preset", "method", "seed"):
        findings.compare(RESULT_FILE, name, kept.result.get(name), kept.config.get(name))
    fingerprint = value_at(kept.inputs, "dataset", "fingerprint")
    findings.compare(
        RESULT_FILE, "dataset_fingerprint", kept.result.get("dataset_fingerprint"), fingerprint
    )
    identities = [_identity(kept, role) for role in _ROLES]
    for role, identity in zip(_ROLES, identities, strict=True):
        findings.compare(RESULT_FILE, role, kept.result.get(role), identity.name)
    is_synthetic = any(identity.is_synthetic for identity in identities)
    findings.compare(RESULT_FILE, "synthetic", kept.result.get("synthetic"), is_synthetic)
    num_test = value_at(kept.inputs, "dataset", "test")
    findings.compare(INPUTS_FILE, "dataset.test", num_test, len(kept.predictions.examples))


def _identity(kept: Kept, role: str) -> EngineIdentity:
    """What the inputs say of it; "None" where they say nothing."""
    names = ("engine", "model", "revision", "layout")
    return EngineIdentity(*(str(value_at(kept.inputs, "models", role, name)) for name in names))


def _check_prompts(kept: Kept, findings: Findings) -> None:
    for name in _PROMPTS:
        text = read_text(kept.path / "prompts" / f"{name}.txt", DataError, "prompt")
        findings.compare(RESULT_FILE, name, kept.result.get(name), text)
    if kept.steps:
        final = kept.steps[max(kept.steps)].get("next_judge_prompt")
        findings.compare(
            RESULT_FILE, "judge_prompt_final", kept.result.get("judge_prompt_final"), final
        )


def _check_calls(kept: Kept, findings: Findings) -> None:
    """Calls add up. How many there were, only the run itself could count."""
    calls = kept.result.get("calls")
    for role, found in cast("Mapping[str, Any]", calls if isinstance(calls, dict) else {}).items():
        try:
            counts = CallCounts.model_validate(found)
        except ValidationError:
            findings.differ(RESULT_FILE, f"calls.{role}", str(found), "counts of calls")
            continue
        total = counts.from_store + counts.new
        findings.compare(RESULT_FILE, f"calls.{role}.asked", counts.asked, total)
