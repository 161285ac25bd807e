"""Text of students made harmless for a terminal, and numbers as people write them. Imports nothing but re."""

import re

_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\].*?(\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)


def clean(text: str) -> str:
    """`text` without terminal escapes, other control characters and changes of writing direction."""
    return _CONTROL.sub("", text)


def points(value: float) -> str:
    """Points as people write them: `5.5`, `6`."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def megabytes(count: float) -> str:
    """A number of bytes as people write it: `40 MB`."""
    return f"{count / 1e6:.0f} MB"


def counted(count: int, noun: str) -> str:
    """`1 line`, `2 lines`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
