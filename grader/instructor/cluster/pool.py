"""A class examined on a Dask cluster: the pool behind `grade all --scheduler ADDRESS`."""

import pickle
from collections.abc import Iterable, Iterator

from grader.instructor.cluster.scheduler import Cluster, Lost, Say
from grader.instructor.examiners import Terms, Work, no_verdict
from grader.instructor.pool import ENDED_TWICE, Result
from grader.outcomes import KitError
from grader.submission import SubmissionError


class ClusterPool:
    """Workers that examine what is sent to them; see `grader.instructor.pool.Pool`.

    say: gets a line where a worker is not used. Raises `SubmissionError` where nothing can be examined.
    """

    def __init__(self, address: str, terms: Terms, submissions: int, say: Say):
        self._cluster: Cluster[Work] = Cluster(address, say)
        self._terms = terms
        self._packed_terms = pickle.dumps(terms)
        self._submissions = submissions
        self._suspects: list[Work] = []  # an examiner or workers ended with them: each once more, alone

    def __enter__(self) -> "ClusterPool":
        try:
            self._cluster.__enter__()
        except KitError as error:
            raise SubmissionError(str(error)) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._cluster.__exit__()

    def ready(self) -> bool:
        """See `Pool`."""
        return True

    def each(self, work: Iterable[Work]) -> Iterator[Result | None]:
        """See `Pool`."""
        try:
            yield from self._each(iter(work))
        except KitError as error:
            raise SubmissionError(str(error)) from error

    def _each(self, work: Iterator[Work]) -> Iterator[Result | None]:
        coming: Work | None = next(work, None)
        alone: Work | None = None  # the suspect that is examined now
        while True:
            while coming is not None and self._cluster.room and alone is None:
                self._submit(coming)
                coming = next(work, None)
            if not self._cluster.in_flight:
                if coming is None and not self._suspects:
                    return
                if coming is None and self._cluster.slots:
                    alone = self._suspects.pop()
                    self._submit(alone)
            done = self._cluster.next_done()
            if done is None:
                yield None
                continue
            item, found = done
            if (not found or isinstance(found, Lost)) and alone is None:
                self._suspects.append(item)
                continue
            if isinstance(found, bytes):
                yield item, found or no_verdict(item, self._terms.kit, ENDED_TWICE)
            else:
                yield item, no_verdict(item, self._terms.kit, str(found))
            alone = None

    def _submit(self, item: Work) -> None:
        expected = max(1, self._submissions // max(1, self._cluster.workers))
        self._cluster.submit(item, "examine", pickle.dumps(item), self._packed_terms, expected)
