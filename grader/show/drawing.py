"""A task's picture: `draw` puts what was seen onto a figure; `png` makes a file of it."""

import io
import warnings
from collections.abc import Callable

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from grader.show import layers, negatives, networks, panels
from grader.show.look import Seen

DPI = 100

_PICTURES: dict[str, Callable[[Seen, Figure], None]] = {
    "conv2d": layers.conv2d,
    "max_pool2d": layers.max_pool2d,
    "linear": layers.linear,
    "relu": layers.activation,
    "leaky_relu": layers.activation,
    "elu": layers.activation,
    "softmax": layers.softmax,
    "cross_entropy": layers.cross_entropy,
    "LeNet5": networks.lenet5,
    "train_epoch": networks.train_epoch,
    "evaluate": networks.evaluate,
    "fit": networks.fit,
    "Invert": negatives.invert,
    "mean_and_std": negatives.mean_and_std,
    "with_negatives": negatives.with_negatives,
}


def draw(seen: Seen, figure: Figure) -> None:
    """Draw the picture of the task onto an empty figure."""
    with matplotlib.rc_context(panels.STYLE):
        _PICTURES[seen.task](seen, figure)


def png(seen: Seen) -> bytes:
    """The picture as a PNG file."""
    figure = Figure(dpi=DPI)
    FigureCanvasAgg(figure)
    draw(seen, figure)
    file = io.BytesIO()
    with warnings.catch_warnings(), matplotlib.rc_context(panels.STYLE):
        warnings.simplefilter("ignore")  # a letter of a student's message that the font does not have
        figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
