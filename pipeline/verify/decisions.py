"""decision.json against what the kept verdicts on train and test come to."""

from pydantic import ValidationError

from ...data.errors import BlpoError, ConfigError
from ...data.text_files import read_own_json
from ..decisions.decide import Decision, decided, operating_point
from ..metrics.coverage import OperatingPoint
from ..runs.directory import DECISION_FILE
from ..runs.finished_run import read_past_run
from .findings import Findings
from .kept import Kept

_AGAIN = "make it again with `blpo decide --overwrite`"
_CLOSE = 1e-5
"""By how much a threshold may differ: readings are fitted again, see `readings`."""


def check_decision(kept: Kept, findings: Findings) -> OperatingPoint | None:
    """Decide again for the target that is kept, and compare.

    The operating point is what the report has to show; None without a decision, and for one that
    cannot be made again. Raises DataError for a file that is damaged.
    """
    path = kept.path / DECISION_FILE
    if not path.exists():
        return None
    found = read_own_json(path, _AGAIN)
    try:
        decision = Decision.model_validate(found)
        past = read_past_run(kept.path)
        if not decision.target.is_for(past.labels):
            raise ConfigError(f"{decision.target}: its labels are not those of the run")
        again = decided(past, decision.target, decision.confidence)
    except ValidationError:
        findings.differ(DECISION_FILE, "decision", "another form", f"a decision; {_AGAIN}")
        return None
    except ConfigError as error:
        findings.differ(DECISION_FILE, "threshold", f"{found.get('threshold')}", str(error))
        return None
    except BlpoError as error:
        findings.not_checked.append(f"{DECISION_FILE}: {error}")
        return None
    expected = again.model_dump(mode="json")
    for name in found | expected:
        findings.compare_all(DECISION_FILE, name, found.get(name), expected.get(name), _CLOSE)
    return operating_point(past, again)
