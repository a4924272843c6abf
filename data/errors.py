"""Errors that a user can act on. The CLI prints their message without a traceback.

BlpoError
    DataError       task, dataset, table or image is wrong: names file, row, value, remedy
    OutputError     a file cannot be written: full disk, no access, a folder in its place
    StoreError      the reply store is damaged or unusable
        NewerStoreError a part of it was written by a newer blpo
    ConfigError     a configuration or a run directory is wrong      (raised by pipeline)
    LaunchError     a batch system is not there or refuses a job      (raised by pipeline)
    FailuresError   more of a role's questions failed than may       (raised by pipeline)
    EngineError     an engine does not start or died                 (raised by models)
        LayoutError the chat template cannot be laid out image first
StoppedError        no error: the process was asked to stop           (raised by models)
"""

import errno
from collections.abc import Mapping

_REMEDIES: Mapping[int | None, str] = {
    errno.ENOSPC: "free space and run again",
    errno.EDQUOT: "free space in your quota and run again",
    errno.EACCES: "grant access or name another path",
    errno.EPERM: "grant access or name another path",
    errno.EROFS: "name a path on a file system that can be written",
    errno.EISDIR: "a folder is in its place: name another path",
    errno.ENOTDIR: "a file is in the place of a folder: name another path",
    errno.EEXIST: "a file is in the place of a folder: name another path",
    errno.ENOENT: "correct the path",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ESTALE: "the file server has dropped it: run again",
}


def what_failed(error: OSError) -> str:
    """What the operating system says, and what to do about it."""
    remedy = _REMEDIES.get(error.errno)
    reason = error.strerror or str(error)
    return f"{reason}: {remedy}" if remedy else reason


class BlpoError(Exception):
    """Base of all errors whose message is meant for the user."""


class DataError(BlpoError):
    """A task, dataset, table or image is not what it has to be.

    remedy: what to do, where one sentence serves for all problems of its kind; told behind `fact`.
    brief: one line in place of a message of many; empty for a short one.
    cause: the kind under which rows with it are counted, after "row with"; empty for one of none.
    """

    def __init__(self, fact: str, remedy: str = "", brief: str = "", *, cause: str = "") -> None:
        super().__init__(f"{fact}; {remedy}" if remedy else fact)
        self.fact = fact
        self.remedy = remedy
        self.brief = brief
        self.cause = cause


class OutputError(BlpoError):
    """A file cannot be written."""


class StoreError(BlpoError):
    """The reply store cannot be read or written."""


class NewerStoreError(StoreError):
    """A part of the reply store has a format that this version of blpo does not read."""


class ConfigError(BlpoError):
    """A configuration or run directory is not what it has to be."""


class LaunchError(BlpoError):
    """A batch system is not there, or refuses what is asked of it."""


class FailuresError(BlpoError):
    """A larger share of what a role was asked has failed than `max_failed_share` allows."""


class EngineError(BlpoError):
    """The engine as a whole cannot answer (does not start, died, server gone).

    is_transient: the same command may succeed later with nothing put right (a server is busy).
    """

    def __init__(self, message: str, *, is_transient: bool = False) -> None:
        super().__init__(message)
        self.is_transient = is_transient


class LayoutError(EngineError):
    """The chat template cannot be laid out image first."""


class StoppedError(Exception):
    """The process was asked to stop. Not a failure of the run: the same command goes on with it."""
