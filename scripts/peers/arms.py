"""All methods of the comparison by name."""

from collections.abc import Mapping
from importlib.util import find_spec

from blpo.data.errors import ConfigError

from .gepa_arm import GepaArm
from .own_arms import OwnArm
from .promptolution_arms import CapoArm, OproArm
from .textgrad_arm import TextGradArm
from .world import Arm

OWN: tuple[Arm, ...] = (
    OwnArm("blpo"),
    OwnArm("blpo", "plus"),
    OwnArm("opro"),
    OwnArm("apo"),
    OwnArm("textgrad"),
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
