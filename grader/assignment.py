"""The graded names of the assignment, in the order of the table, with module and points.

Students, checks, records, gradebook and exports all take names, order and points from here.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Task:
    """One graded name: `points` are what its checks add up to; `bans` names the group of finished
    operations that its calls may not run (`grader.worker.finished`), "" for none; `parameters` are the
    names of its arguments, in order."""

    name: str
    module: str
    points: int
    parameters: tuple[str, ...]
    bans: str = ""


TASKS: tuple[Task, ...] = (
    Task("conv2d", "layers", 6, ("x", "weight", "bias", "stride", "padding"), bans="convolution"),
    Task("max_pool2d", "layers", 4, ("x", "kernel_size", "stride"), bans="pooling"),
    Task("linear", "layers", 2, ("x", "weight", "bias"), bans="linear"),
    Task("relu", "layers", 1, ("x",), bans="activation"),
    Task("leaky_relu", "layers", 1, ("x", "negative_slope"), bans="activation"),
    Task("elu", "layers", 1, ("x", "alpha"), bans="activation"),
    Task("softmax", "layers", 2, ("x", "dim"), bans="softmax"),
    Task("cross_entropy", "layers", 3, ("logits", "target"), bans="cross_entropy"),
    Task("LeNet5", "lenet", 8, ("in_channels", "image_size", "num_classes")),
    Task("train_epoch", "training", 4, ("model", "loader", "optimizer", "device")),
    Task("evaluate", "training", 3, ("model", "loader", "device")),
    Task("fit", "training", 5, ("model", "train_loader", "test_loader")),
    Task("Invert", "transforms", 5, (), bans="inversion"),
    Task("mean_and_std", "transforms", 5, ("images",)),
    Task("with_negatives", "transforms", 5, ("images", "labels", "generator")),
)

# group of banned operations -> what may be used in their place
INSTEAD: dict[str, str] = {
    "convolution": "`unfold`, `as_strided`, `einsum`, `@` and sums are fine.",
    "pooling": "`unfold`, `amax`, `max` and `maximum` are fine.",
    "linear": "`@`, `einsum` and `addmm` are fine.",
    "activation": "`clamp`, `maximum`, `where`, `exp` and `expm1` are fine.",
    "softmax": "`exp`, `amax`, `sum` and `logsumexp` are fine.",
    "cross_entropy": "`logsumexp`, `gather`, `exp` and `log` are fine.",
    "inversion": "Arithmetic on the tensor is fine.",
}

# tasks whose code usually calls others: a mistake there shows here, too
BUILDS_ON: dict[str, tuple[str, ...]] = {
    "LeNet5": ("conv2d", "max_pool2d", "linear", "relu"),
    "train_epoch": ("cross_entropy",),
    "fit": ("cross_entropy", "train_epoch", "evaluate"),
    "cross_entropy": ("softmax",),
    "with_negatives": ("Invert",),
}

BY_NAME: dict[str, Task] = {task.name: task for task in TASKS}
MODULES: tuple[str, ...] = tuple(dict.fromkeys(task.module for task in TASKS))
TOTAL_POINTS: int = sum(task.points for task in TASKS)
