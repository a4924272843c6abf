"""All importers by name. To add one: a file here, its class below, a line in `names.py`."""

from .agin import Agin
from .agiqa import Agiqa
from .evalmuse import EvalMuse
from .genai_bench import GenAiBench
from .genai_bench_pairs import GENAI_BENCH_PAIRS
from .hpdv2 import HPDV2
from .hpdv3 import HPDV3
from .imagereward import ImageReward
from .imagereward_pairs import IMAGEREWARD_PAIRS
from .koniq import Koniq
from .mj_bench import MJ_BENCH
from .pickapic import PICKAPIC
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
    IMAGEREWARD_PAIRS,
    HPDV2,
    HPDV3,
    PICKAPIC,
    MJ_BENCH,
    GENAI_BENCH_PAIRS,
)

IMPORTERS: dict[str, Importer] = {importer.card.name: importer for importer in _ALL}
