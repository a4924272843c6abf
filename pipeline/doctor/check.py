"""A check and what it found."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from ...data.errors import BlpoError, DataError


class Level(IntEnum):
    """What a check came to, in order of severity."""

    OK = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Check:
    """subject: what was looked at. found: what it is, with the remedy where it is not ok.
    brief: one line in place of several; empty for one that is short."""

    subject: str
    level: Level
    found: str
    brief: str = ""


def ok(subject: str, found: str) -> Check:
    return Check(subject, Level.OK, found)


def warning(subject: str, found: str) -> Check:
    return Check(subject, Level.WARNING, found)


def error(subject: str, found: str) -> Check:
    return Check(subject, Level.ERROR, found)


def until_it_fails(subject: str, checks: Iterable[Check]) -> Iterator[Check]:
    """The checks; an error that a user can act on is one more, and the last."""
    try:
        yield from checks
    except DataError as problem:
        yield Check(subject, Level.ERROR, str(problem), problem.brief)
    except BlpoError as problem:
        yield error(subject, str(problem))


def worst(checks: Iterable[Check]) -> Level:
    """The most severe level; OK for none."""
    return max((check.level for check in checks), default=Level.OK)
