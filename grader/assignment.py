"""The graded names of the assignment, in the order of the table, with module and points.

Students, checks, records, gradebook and exports all take names, order and points from here.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Task:
    """One graded name: `points` are what its checks add up to; `bans` names the group of finished
    operations that its calls may not run (`grader.worker.finished`), "" for none."""

    name: str
    module: str
    points: int
    bans: str = ""


TASKS: tuple[Task, ...] = (
    Task("conv2d", "layers", 6, bans="convolution"),
    Task("max_pool2d", "layers", 4, bans="pooling"),
    Task("linear", "layers", 2, bans="linear"),
    Task("relu", "layers", 1, bans="activation"),
    Task("leaky_relu", "layers", 1, bans="activation"),
    Task("elu", "layers", 1, bans="activation"),
    Task("softmax", "layers", 2, bans="softmax"),
    Task("cross_entropy", "layers", 3, bans="cross_entropy"),
    Task("LeNet5", "lenet", 8),
    Task("train_epoch", "training", 4),
    Task("evaluate", "training", 3),
    Task("fit", "training", 5),
    Task("Invert", "transforms", 5, bans="inversion"),
    Task("mean_and_std", "transforms", 5),
    Task("with_negatives", "transforms", 5),
)

BY_NAME: dict[str, Task] = {task.name: task for task in TASKS}
MODULES: tuple[str, ...] = tuple(dict.fromkeys(task.module for task in TASKS))
TOTAL_POINTS: int = sum(task.points for task in TASKS)
