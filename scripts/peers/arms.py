"""All methods of the comparison by name."""

from collections.abc import Mapping
from importlib.util import find_spec

from blpo.data.errors import ConfigError
from blpo.pipeline.methods.names import Method

from .gepa_arm import GepaArm
from .own_arms import OwnArm
from .promptolution_arms import CapoArm, OproArm
from .textgrad_arm import TextGradArm
from .world import Arm

OWN: tuple[Arm, ...] = (
    OwnArm(Method.BLPO),
    OwnArm(Method.BLPO, "plus"),
    OwnArm(Method.OPRO),
    OwnArm(Method.APO),
    OwnArm(Method.TEXTGRAD),
)
PEERS: tuple[Arm, ...] = (GepaArm(), OproArm(), CapoArm(), TextGradArm())
ARMS: Mapping[str, Arm] = {arm.name: arm for arm in (*OWN, *PEERS)}

LIBRARIES = ("gepa", "promptolution", "textgrad")


def check_libraries() -> None:
    """Raises ConfigError if a peer is not installed."""
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)} not installed: pip install --editable '.[peers]' into the "
            "environment, or compare our own methods alone with --arms"
        )
