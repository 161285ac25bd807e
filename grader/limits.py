"""What a submission may use, and how long the kit waits for its own processes."""

from dataclasses import dataclass

LAST_WORD_SECONDS = 1.0  # for a worker that did not answer in time to say which lines it runs
READY_SECONDS = 120.0  # for a worker's program to import torch on a slow or busy machine


@dataclass(frozen=True, slots=True)
class Limits:
    """What a submission may use, in seconds of wall time."""

    call: float = 10.0  # one call of a student's function
    load: float = 20.0  # the import of a submission's module
    submission: float = 180.0  # all calls and imports together
    cpu: int = 120  # processor time of one worker
