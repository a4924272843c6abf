"""How long a reply may be, and what to say of one that was cut off at that."""

from dataclasses import dataclass

from ..engine import Reply
from .thought import ReadText, read


@dataclass(frozen=True, slots=True)
class ReplyBudget:
    """Tokens that a reply may have.

    answer: for the answer. thinking: for a thought before it, on top; 0 for an engine that does
    not think. setting, thinking_setting: the names of the two in a run file.
    """

    answer: int
    thinking: int = 0
    setting: str = "max_tokens"
    thinking_setting: str = "thinking_tokens"

    @property
    def max_tokens(self) -> int:
        """What is asked for."""
        return self.answer + self.thinking

    def read(self, reply: Reply) -> ReadText:
        """Thought and answer of a reply under this budget."""
        return read(reply.text, reply.finish_reason, may_be_opened=self.thinking > 0)

    def fault(self, read_text: ReadText) -> str | None:
        """Why there is no complete answer in a reply, and the remedy; None if there is one."""
        if read_text.missing == "thought":
            return self._unfinished_thought(read_text)
        if read_text.missing == "answer":
            what = "the answer was" if read_text.answer else "empty reply,"
            return f"{what} cut off at {self.max_tokens} tokens: {self._remedy(read_text)}"
        if not read_text.answer:
            return "empty reply behind a thought" if read_text.before else "empty reply"
        return None

    def _unfinished_thought(self, read_text: ReadText) -> str:
        if not read_text.is_at_limit:
            return "the thought was never closed, and no answer follows it"
        remedy = f"raise {self.thinking_setting}" if self.thinking else self._remedy(read_text)
        return f"the thought was cut off at {self.max_tokens} tokens: {remedy}"

    def _remedy(self, read_text: ReadText) -> str:
        if self.thinking and not read_text.before:
            return (
                f"raise {self.setting}, or {self.thinking_setting} for a thought that is not shown"
            )
        if not self.thinking and (read_text.missing == "thought" or not read_text.answer):
            return (
                f"raise {self.setting}; for a model that thinks first set `thinking: on` for its "
                f"engine, which adds {self.thinking_setting}"
            )
        return f"raise {self.setting}"
