"""All importers by name. To add one: a file here, its class below, a line in `names.py`."""

from .agin import Agin
from .agiqa import Agiqa
from .evalmuse import EvalMuse
from .genai_bench import GenAiBench
from .imagereward import ImageReward
from .koniq import Koniq
from .protocol import Importer
from .richhf import RichHf
from .seetrue import SeeTrue
from .unsafebench import UnsafeBench

_ALL: tuple[Importer, ...] = (
    UnsafeBench(),
    SeeTrue(),
    ImageReward(),
    Agin(),
    GenAiBench(),
    RichHf(),
    Agiqa(),
    Koniq(),
    EvalMuse(),
)

IMPORTERS: dict[str, Importer] = {importer.card.name: importer for importer in _ALL}
