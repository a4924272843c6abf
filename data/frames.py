"""polars, with Ctrl-C left as it was.

When it is imported, polars puts a SIGINT handler of its own in front of Python's and has the kernel
resume what the signal interrupted: a main thread that waits would never hear of Ctrl-C.
"""

import signal

import polars as pl

__all__ = ["pl"]

signal.siginterrupt(signal.SIGINT, True)
