"""A submission as tokens that survive renaming, reformatting and other comments.

Pygments reads the sources, since it reads every text: what Python cannot parse is compared, too. Names of
variables, functions and classes become one token, so do texts; comments and docstrings go. Names after a
dot (`.unfold`, `.amax`) stay: they say which operation was chosen.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from pygments.lexers import PythonLexer
from pygments.token import Comment, Error, Name, String, Text, _TokenType

from grader.instructor.release import STUB

K = 16  # tokens of the shortest passage that counts: two lines or so
MAX_CHARACTERS = 300_000  # of a submission; the solutions have 20,000

_KEPT = (Name.Builtin, Name.Exception, Name.Namespace, Name.Decorator)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no position of a k-gram is lost


@dataclass(frozen=True, slots=True)
class Document:
    """One submission's own code, without what was given to everybody.

    text: all files, one after the other; files: the path and first character of each.
    starts, ends: int64 `(tokens,)`, where each of its own tokens stands in `text`.
    grams: uint64 `(tokens,)`, the k-gram that begins at each token; 0 where none does.
    cut: only the first `MAX_CHARACTERS` were read.
    """

    name: str
    text: str
    files: tuple[tuple[str, int], ...]
    starts: np.ndarray
    ends: np.ndarray
    grams: np.ndarray
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """What everybody was given: lines without indentation, and k-grams, for lines that were broken anew."""

    lines: frozenset[str]
    grams: np.ndarray


_NONE = np.empty(0, np.uint64)
NOTHING_GIVEN = Given(frozenset(), _NONE)


def given(stubs: Mapping[str, str]) -> Given:
    """What the released stubs, by file name, give everybody: all but the places where bodies belong."""
    parts = [part.encode() for text in stubs.values() for part in text.split(STUB[1])]
    documents = document("stubs", {str(i): part for i, part in enumerate(parts)}, NOTHING_GIVEN)
    lines = {line.strip() for text in stubs.values() for line in text.splitlines()}
    return Given(frozenset(lines - {""}), np.unique(documents.grams[documents.grams > 0]))


def document(name: str, files: Mapping[str, bytes], known: Given) -> Document:
    """The submission's own tokens: those on lines that nobody was given. Never raises for what is in it."""
    text, places, cut = "", [], False
    starts, ends, grams = [_NONE.astype(int)], [_NONE.astype(int)], [_NONE]
    for path, data in sorted(files.items()):
        source = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
        cut = cut or len(text) + len(source) > MAX_CHARACTERS
        source = source[: max(MAX_CHARACTERS - len(text), 0)]
        places.append((path, len(text)))
        tokens = np.array(list(_tokens(source, known.lines)), np.int64).reshape(-1, 4)
        tokens = tokens[~_given(tokens, known)]
        starts.append(tokens[:, 0] + len(text))
        ends.append(tokens[:, 1] + len(text))
        grams.append(_grams(tokens[:, 2]))
        text += source + "\n"
    return Document(
        name, text, tuple(places), np.concatenate(starts), np.concatenate(ends), np.concatenate(grams), cut
    )


def _given(tokens: np.ndarray, known: Given) -> np.ndarray:
    """bool `(tokens,)`: those on a line that everybody was given, or in a k-gram of what was given."""
    found = tokens[:, 3].astype(bool)
    for start in np.flatnonzero(np.isin(_grams(tokens[:, 2]), known.grams)):
        found[start : start + K] = True
    return found


def _tokens(source: str, known: frozenset[str]) -> Iterable[tuple[int, int, int, int]]:
    """(start, end, code, 1 on a known line) of each token that counts."""
    known_until, dot = 0, False
    stretches = iter(_known_stretches(source, known))
    stretch = next(stretches, None)
    for position, kind, value in _LEXER.get_tokens_unprocessed(source):
        while stretch is not None and position >= stretch[0]:
            known_until, stretch = stretch[1], next(stretches, None)
        text = _normal(kind, value, dot)
        if not text:
            continue
        dot = text == "."
        code = zlib.crc32(text.encode("utf-8", "replace")) + 1
        yield position, position + len(value.rstrip()), code, int(position < known_until)


_LEXER = PythonLexer(stripnl=False, ensurenl=False)


def _known_stretches(source: str, known: frozenset[str]) -> Iterable[tuple[int, int]]:
    """Beginning and end of each line that everybody was given."""
    start = 0
    for line in source.split("\n"):
        if line.strip() in known:
            yield start, start + len(line)
        start += len(line) + 1


def _normal(kind: _TokenType, value: str, after_dot: bool) -> str:
    """What of a token is compared; "" for nothing."""
    if kind in Text or kind in Error or kind in Comment or kind in String.Doc or not value.strip():
        return ""
    if kind in String:
        return "text" if kind not in String.Affix else ""
    if kind in Name and not after_dot and not any(kind in kept for kept in _KEPT):
        return "name"
    return value.strip()


def _grams(codes: np.ndarray) -> np.ndarray:
    """The hash of the K tokens from each token on; 0 at the last K - 1, where there are too few."""
    grams = np.zeros(len(codes), np.uint64)
    count = len(codes) - K + 1
    if count > 0:
        values = codes.astype(np.uint64)
        with np.errstate(over="ignore"):
            for offset in range(K):
                grams[:count] = grams[:count] * _MULTIPLIER + values[offset : offset + count]
        grams[:count] |= np.uint64(1)  # 0 stands for none
    return grams
