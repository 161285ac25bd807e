"""Lines that fit a terminal and leave formulas and code whole."""

import textwrap

_TIGHT = (
    "*",
    "/",
    "//",
    "@",
    "<",
    "<=",
    ">",
    ">=",
    "!=",
    "of",
)  # a formula's line breaks at neither side of them
_BEFORE = ("+", "-", "=")  # it may break before these
_DEEP = 9


def wrapped(text: str, width: int, *, formula: bool = False) -> list[str]:
    """`text` in lines of at most `width`, none of which ends within brackets or `code` that fit in one line.

    formula: break before an operator where there is one, and hang below what stands after the equals sign.
    """
    if len(text) <= width:
        return [text]
    start = " " * (len(text) - len(text.lstrip()))
    equals = text.find(" = ")
    hanging = " " * (equals + 3) if formula and 0 < equals < width // 3 else start
    room = width - len(hanging)
    pieces = _pieces(text.strip(), room)
    if formula:
        pieces = _joined(pieces, room)
    lines = [start]
    for piece in pieces:
        spaced = f"{lines[-1]} {piece}" if lines[-1].strip() else lines[-1] + piece
        if len(spaced) <= width:
            lines[-1] = spaced
        else:
            first, *rest = textwrap.wrap(piece, room, break_on_hyphens=False)
            lines += [hanging + first] if lines[-1].strip() else [lines.pop() + first]
            lines += [hanging + part for part in rest]
    return lines


def _pieces(text: str, width: int, depth: int = 0) -> list[str]:
    """The text at spaces that stand in no more than `depth` brackets; what is still too long, deeper."""
    pieces, level, code, begin = [], 0, False, 0
    for position, letter in enumerate(text):
        if letter == "`":
            code = not code
        level += (letter in "([{") - (letter in ")]}")
        if letter == " " and level + code <= depth:
            pieces.append(text[begin:position])
            begin = position + 1
    pieces = [piece for piece in (*pieces, text[begin:]) if piece]
    if depth == _DEEP:
        return pieces
    return [
        part
        for piece in pieces
        for part in (_pieces(piece, width, depth + 1) if len(piece) > width and " " in piece else [piece])
    ]


def _joined(pieces: list[str], width: int) -> list[str]:
    """The pieces of a formula with those together that belong together: `a * b`, `+ c`, `u, v`."""
    joined: list[str] = []
    for piece in pieces:
        before = joined[-1].rpartition(" ")[2] if joined else ""
        belongs = before in (*_TIGHT, *_BEFORE) or before.endswith(",") or piece in _TIGHT
        if joined and belongs and len(joined[-1]) + 1 + len(piece) <= width:
            joined[-1] += f" {piece}"
        else:
            joined.append(piece)
    return joined
