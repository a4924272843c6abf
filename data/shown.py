"""Texts of models, servers, datasets and users as a terminal or a log may be given them.

A terminal obeys control characters, and reorders text at bidirectional overrides: neither may come
from a label, a prompt or an error of a server. They are shown as escapes.
"""

import json
import logging
import re

from .redaction import redacted, redacted_data

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, without tab and line feed
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff"  # surrogates, which no encoding takes
    "\U000e0000-\U000e007f]"  # tags: a text within a text that nobody sees
)


def shown(text: str) -> str:
    """`text` without keys, and with everything that is obeyed rather than seen as an escape."""
    return _UNSEEN.sub(lambda match: ascii(match[0])[1:-1], redacted(text))


def shown_json(value: object) -> str:
    """A JSON document of the value, as readable as it can be safely."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return _UNSEEN.sub(lambda match: json.dumps(match[0])[1:-1], redacted_data(text))


def shortened(name: str, limit: int = 100) -> str:
    """A name as messages show it: never a whole base64 image."""
    return name if len(name) <= limit else f"{name[:limit]}... ({len(name):,} characters)"


class ShownFormatter(logging.Formatter):
    """Log messages and their tracebacks as `shown` has them."""

    def format(self, record: logging.LogRecord) -> str:
        return shown(super().format(record))
