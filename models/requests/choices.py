"""What can be chosen about how a model is asked and read; known without a template engine."""

from typing import Literal

Thinking = Literal["off", "on"]
"""Whether a model may think before it answers."""

LabelReading = Literal["auto", "first_token", "whole"]
"""What of a label is read: its first token, unless it is another label's, or all of its tokens.
auto: all of them where one of the labels has several."""
