"""Errors that a user can act on. The CLI prints their message without a traceback.

BlpoError
    DataError       task, dataset, table or image is wrong: names file, row, value, remedy
    StoreError      the reply store is damaged or unusable
        NewerStoreError a part of it was written by a newer blpo
    ConfigError     a configuration or a run directory is wrong      (raised by pipeline)
    LaunchError     a batch system is not there or refuses a job      (raised by pipeline)
    EngineError     an engine does not start or died                 (raised by models)
        LayoutError the chat template cannot be laid out image first
StoppedError        no error: the process was asked to stop           (raised by models)
"""


class BlpoError(Exception):
    """Base of all errors whose message is meant for the user."""


class DataError(BlpoError):
    """A task, dataset, table or image is not what it has to be."""


class StoreError(BlpoError):
    """The reply store cannot be read or written."""


class NewerStoreError(StoreError):
    """A part of the reply store has a format that this version of blpo does not read."""


class ConfigError(BlpoError):
    """A configuration or run directory is not what it has to be."""


class LaunchError(BlpoError):
    """A batch system is not there, or refuses what is asked of it."""


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
