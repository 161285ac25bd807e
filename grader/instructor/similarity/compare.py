"""Which documents are alike: every pair of a class at once, and the passages of one pair.

After winnowing as MOSS does it (Schleimer, Wilkerson and Aiken, SIGMOD 2003), without the thinning out: a
homework is short enough to compare every k-gram. A k-gram weighs `log(D / (d - 1)) / log(D)`, where d of D
submissions have it: 1 where only the two of a pair do, next to nothing where everybody does, since there
are few ways to write `relu`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grader.instructor.similarity.tokens import Document, K

TOO_SHORT = 60  # own tokens below which a submission is not compared
_BLOCK = 4096  # k-grams that are compared at once
_SHORTEST_SHARE = 0.25  # a submission counts as at least this share of the middle one


@dataclass(frozen=True, slots=True)
class Pair:
    """Two documents by their indices. alike: the share, 0 to 1, of the shorter one's weight that both have."""

    first: int
    second: int
    alike: float


def alikeness(documents: Sequence[Document], count: int, reference: int = 0) -> np.ndarray:
    """float64 `(count, documents)`: how alike each of the first `count` documents is to each of all.

    reference: so many documents at the end are no submissions (the solution) and do not make a k-gram common.
    Of a document that is too short, and of a document and itself, it is 0.
    """
    submissions = len(documents) - reference
    sets = [np.unique(document.grams[document.grams > 0]) for document in documents]
    owner = np.repeat(np.arange(len(sets)), [len(one) for one in sets])
    _, gram = np.unique(np.concatenate(sets) if sets else np.empty(0, np.uint64), return_inverse=True)
    having = np.bincount(gram[owner < submissions], minlength=gram.max() + 1 if gram.size else 0)
    everybody = max(submissions, 2)
    weight = np.log(everybody / np.clip(having - 1, 1, everybody - 1)) / math.log(everybody)
    total = np.bincount(owner, weight[gram], minlength=len(sets))
    shared = _shared(owner, gram, np.sqrt(weight), len(sets), count)

    usual = np.median(total[:count]) if count else 0.0
    size = np.maximum(total, _SHORTEST_SHARE * usual)
    least = np.minimum(size[:count, None], size[None, :])
    found = np.divide(shared, least, out=np.zeros_like(shared), where=least > 0)
    short = np.array([len(document.grams) < TOO_SHORT for document in documents], bool)
    found[short[:count], :] = 0
    found[:, short] = 0
    found[np.arange(count), np.arange(count)] = 0
    return np.minimum(found, 1)


def _shared(owner: np.ndarray, gram: np.ndarray, root: np.ndarray, size: int, count: int) -> np.ndarray:
    """The weight of the k-grams that two documents share, for every pair: products of 0/1 matrices."""
    times = np.bincount(gram, minlength=len(root))
    order = np.argsort(gram, kind="stable")
    order = order[times[gram[order]] > 1]  # what only one has is shared by none
    owner, gram = owner[order], gram[order]
    _, column = np.unique(gram, return_inverse=True)
    shared = np.zeros((count, size))
    for start in range(0, int(column[-1]) + 1 if column.size else 0, _BLOCK):
        low, high = np.searchsorted(column, (start, start + _BLOCK))
        block = np.zeros((size, _BLOCK), np.float32)
        block[owner[low:high], column[low:high] - start] = root[gram[low:high]]
        shared += block[:count] @ block.T
    return shared


def pairs_of(alike: np.ndarray, threshold: float) -> list[Pair]:
    """The pairs that are at least as alike as `threshold`, the most alike first; each pair once."""
    count = len(alike)
    rows, columns = np.nonzero(alike >= max(threshold, 1e-9))
    once = (columns >= count) | (rows < columns)
    rows, columns = rows[once], columns[once]
    order = np.lexsort((columns, rows, -alike[rows, columns]))
    return [Pair(int(rows[i]), int(columns[i]), float(alike[rows[i], columns[i]])) for i in order]


@dataclass(frozen=True, slots=True)
class Passages:
    """What two documents share. first, second: int64 `(tokens,)`, the number of the passage that each token
    belongs to, from 1 on; 0 for none. tokens: of the first one in passages; longest: of one passage."""

    first: np.ndarray
    second: np.ndarray

    @property
    def tokens(self) -> int:
        return int(np.count_nonzero(self.first))

    @property
    def longest(self) -> int:
        return int(np.bincount(self.first)[1:].max(initial=0))


def passages(first: Document, second: Document) -> Passages:
    """The passages of at least `K` tokens that both have, numbered as the first document has them."""
    common = np.intersect1d(first.grams, second.grams)
    common = common[common > 0]
    number_of: dict[int, int] = {}
    labels = np.zeros(len(first.grams), np.int64)
    number, end = 0, -1  # of the passage that is open, and where it ends
    for start in map(int, np.flatnonzero(np.isin(first.grams, common))):
        gram = int(first.grams[start])
        if gram in number_of and start >= end:  # the same once more: no passage of its own
            labels[start : start + K] = number_of[gram]
            continue
        if start >= end:
            number += 1
        end = start + K
        labels[start:end] = number
        number_of.setdefault(gram, number)
    other = np.zeros(len(second.grams), np.int64)
    for start in map(int, np.flatnonzero(np.isin(second.grams, common))):
        stretch = other[start : start + K]
        stretch[stretch == 0] = number_of[int(second.grams[start])]
    return Passages(labels, other)
