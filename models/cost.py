"""What calls of a model cost: how many there were, and their tokens."""

from dataclasses import dataclass
from typing import Protocol


class Counted(Protocol):
    """What of a reply is counted, wherever it comes from."""

    @property
    def prompt_tokens(self) -> int: ...

    @property
    def cached_tokens(self) -> int: ...

    @property
    def completion_tokens(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Cost:
    """Calls of a model, and the tokens that they took; cached_tokens are among prompt_tokens."""

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    @classmethod
    def of(cls, reply: Counted) -> "Cost":
        """The cost of the one call that brought a reply."""
        return cls(1, reply.prompt_tokens, reply.cached_tokens, reply.completion_tokens)

    @property
    def computed_tokens(self) -> int:
        """Those that no cache has spared."""
        return self.prompt_tokens - self.cached_tokens + self.completion_tokens

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
        )
