"""`python -m blpo.models.engines.group_child FD`: one engine of a group in a process of its own.

FD is its end of the wire to the group.
"""

import sys
from multiprocessing.connection import Connection
from typing import Any

from .factory import make_engine
from .group.child import run

if __name__ == "__main__":
    wire: "Connection[Any, Any]" = Connection(int(sys.argv[1]))
    run(wire, make_engine)
