"""MNIST, Fashion-MNIST and CIFAR-10 as whole tensors, and drawn digits that need no download.

    mnist = load("mnist")                                  # or drawn_digits(): made on the spot
    mean, std = mean_and_std(mnist.train.images)           # yours, from transforms.py
    normalised = normalise(pad(mnist), mean, std)          # 32 x 32, mean 0 and deviation 1
    train_loader, test_loader = loaders(normalised, batch_size=64, seed=0)

and the same with negative images, and with both kinds, each with statistics of its own:

    negatives(pad(mnist)), combined(pad(mnist))

A `Dataset` is two splits, `train` and `test`, each with `images` `(N, C, H, W)` and `labels` `(N,)`
int64. Images are uint8, 0 (black) to 255 (white), until `normalise` makes float32 of them. No function
changes a tensor that it was given.

Each data set is one file in a cache folder: `mnist.npz`, `fashion_mnist.npz`, `cifar10.npz`, with the
arrays `x_train`, `y_train`, `x_test`, `y_test` of Keras' `mnist.npz`. torchvision downloads it on first
use; later loads read the file and do not import torchvision. A file that is there is either a whole
data set or an error that says what to do about it: nothing is unpickled, and a file gets its name only
when it is complete.
"""

import io
import math
import os
import socket
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

DATA_DIR_VARIABLE = "GRADE_DATA_DIR"
"""The environment variable that names the cache folder."""


class DatasetError(Exception):
    """A data set cannot be had; the text says which file, what is wrong with it, and the mend."""


@dataclass(frozen=True, eq=False)
class Split:
    """Images `(N, C, H, W)`, uint8 or normalised float32, and their labels `(N,)`, int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training and a test split; `classes[label]` is what a label stands for, for figures."""

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split


class _Kind(NamedTuple):
    """What a data set is called, by people and in torchvision, and what one of its images measures."""

    title: str
    torchvision_class: str
    image_shape: tuple[int, ...]
    classes: tuple[str, ...]


_DIGITS = tuple("0123456789")
_KINDS = {
    "mnist": _Kind("MNIST", "MNIST", (28, 28), _DIGITS),
    "fashion_mnist": _Kind(
        "Fashion-MNIST",
        "FashionMNIST",
        (28, 28),
        (
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
    ),
    "cifar10": _Kind(
        "CIFAR-10",
        "CIFAR10",
        (32, 32, 3),
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
}
NAMES = tuple(_KINDS)
"""What `load` takes."""
TITLES = {name: kind.title for name, kind in _KINDS.items()} | {"drawn_digits": "Drawn digits"}
CLASSES = {name: kind.classes for name, kind in _KINDS.items()} | {"drawn_digits": _DIGITS}

# --- Loading and downloading ---------------------------------------------------------------------------


def load(name: str, data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """The data set `name`, one of `NAMES`; downloads it first where its file is not in the cache folder.

    Images are uint8 `(N, 1, 28, 28)` (MNIST, Fashion-MNIST) or `(N, 3, 32, 32)` (CIFAR-10), labels
    0 to 9. data_dir: the cache folder, see `data_folder`.

    Raises `DatasetError` where the file is damaged or holds something else, and where the download
    fails; ValueError for an unknown name.
    """
    if name not in _KINDS:
        raise ValueError(f"there is no data set {name!r}: load takes {', '.join(map(repr, NAMES))}")
    path = data_folder(data_dir) / f"{name}.npz"
    arrays = _read(path, _KINDS[name])
    if arrays is None:
        _download(path, _KINDS[name])
        arrays = _read(path, _KINDS[name])
    if arrays is None:
        raise DatasetError(f"{path} was written and is gone again: is the folder being cleared?")
    x_train, y_train, x_test, y_test = arrays
    return Dataset(name, CLASSES[name], _split(x_train, y_train), _split(x_test, y_test))


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """The cache folder: `data_dir`, else `$GRADE_DATA_DIR`, else `lenet5-kit` in the user's cache folder.

    Raises `DatasetError` where a home folder is needed and there is none.
    """
    chosen = data_dir or os.environ.get(DATA_DIR_VARIABLE)
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "lenet5-kit"
        if sys.platform == "win32":
            local = os.environ.get("LOCALAPPDATA")
            return (Path(local) if local else Path.home() / "AppData" / "Local") / "lenet5-kit"
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lenet5-kit"
    except RuntimeError as error:
        raise DatasetError(f"no folder to keep data sets in: {_reason(error)}. {_ELSEWHERE}") from error


_ELSEWHERE = f"Name another folder with the option data_dir or the environment variable {DATA_DIR_VARIABLE}."
_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def _read(path: Path, kind: _Kind) -> list[np.ndarray] | None:
    """The four arrays of the file, in the order of `_ARRAYS`; None where there is no file."""
    try:
        with open(path, "rb") as file:
            # A damaged archive makes zipfile, zlib and numpy raise a dozen kinds of errors, MemoryError
            # among them. Members are read whole, since only at its end is a member's checksum compared.
            try:
                with zipfile.ZipFile(file) as archive:
                    missing = [key for key in _ARRAYS if f"{key}.npy" not in archive.namelist()]
                    if missing:
                        raise ValueError(f"it has no {', '.join(missing)}")
                    arrays = [_array(archive.read(f"{key}.npy")) for key in _ARRAYS]
                _check(arrays, kind)
            except Exception as error:
                raise DatasetError(
                    f"{path} is damaged or is not {kind.title}: {_reason(error)}. Delete the file, "
                    f"and the next load downloads it again; or put a good one in its place. {_ELSEWHERE}"
                ) from error
            return arrays
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {_reason(error)}. {_ELSEWHERE}") from error


def _array(npy: bytes) -> np.ndarray:
    """The array of an .npy file. Raises ValueError for anything else, pickles included: those run code."""
    array = np.load(io.BytesIO(npy), allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError("a member is not an array")
    return array


def _check(arrays: list[np.ndarray], kind: _Kind) -> None:
    """Raise ValueError unless the arrays are such a data set, of any number of images."""
    for split, images, labels in (("train", arrays[0], arrays[1]), ("test", arrays[2], arrays[3])):
        x, y = f"x_{split}", f"y_{split}"
        if images.dtype != np.uint8 or images.shape[1:] != kind.image_shape:
            expected = ", ".join(map(str, kind.image_shape))
            raise ValueError(f"{x} is {images.dtype} {images.shape}, expected uint8 (N, {expected})")
        if labels.dtype.kind not in "iu" or labels.ndim != 1:
            raise ValueError(f"{y} is {labels.dtype} {labels.shape}, expected whole numbers (N,)")
        if len(images) != len(labels) or len(images) == 0:
            raise ValueError(f"{x} has {len(images)} images and {y} has {len(labels)} labels")
        if labels.min() < 0 or labels.max() >= len(kind.classes):
            raise ValueError(
                f"{y} has labels from {labels.min()} to {labels.max()}, expected 0 to {len(kind.classes) - 1}"
            )


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    """Tensors of a file's arrays: images `(N, H, W)` or `(N, H, W, C)` become `(N, C, H, W)`."""
    channels_last = images.reshape(*images.shape[:3], -1)
    channels_first = np.ascontiguousarray(channels_last.transpose(0, 3, 1, 2))
    return Split(torch.from_numpy(channels_first), torch.from_numpy(labels.astype(np.int64)))


def _download(path: Path, kind: _Kind) -> None:
    """Let torchvision download the data set and write it to `path`, whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A folder of its own beside the file: nothing half done ever has a name that a later load
        # trusts, two processes do not meet, and os.replace stays within one file system.
        folder = tempfile.TemporaryDirectory(
            dir=path.parent, prefix=f"{path.stem}-download-", ignore_cleanup_errors=True
        )
    except OSError as error:
        raise DatasetError(f"cannot write into {path.parent}: {_reason(error)}. {_ELSEWHERE}") from error
    with folder as raw:
        print(f"Downloading {kind.title} to {path}", file=sys.stderr)
        # torchvision lets through whatever urllib, tarfile, gzip and pickle raise
        try:
            with _network_timeout():
                import torchvision.datasets

                of_torchvision = getattr(torchvision.datasets, kind.torchvision_class)
                train, test = (of_torchvision(raw, train=train, download=True) for train in (True, False))
            complete = Path(raw, path.name)
            np.savez(
                complete,  # from tensors (MNIST), arrays and lists (CIFAR-10)
                x_train=np.asarray(train.data, np.uint8),
                y_train=np.asarray(train.targets, np.uint8),
                x_test=np.asarray(test.data, np.uint8),
                y_test=np.asarray(test.targets, np.uint8),
            )
            os.replace(complete, path)
        except Exception as error:
            raise DatasetError(
                f"{kind.title} could not be downloaded to {path}: {_reason(error)}. Try again with a "
                f"network; or put a {path.name} with the arrays {', '.join(_ARRAYS)} into that folder; "
                f"or use drawn digits (datasets.drawn_digits()), which need no download. {_ELSEWHERE}"
            ) from error


_NETWORK_TIMEOUT = 30.0  # seconds


@contextmanager
def _network_timeout() -> Iterator[None]:
    """Silence of the network becomes an error within the block; torchvision itself would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_NETWORK_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _reason(error: Exception) -> str:
    """An error's text on one line; its type where it has none."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".") or type(error).__name__


# --- Drawn digits --------------------------------------------------------------------------------------

_FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    *("cmr10", "cmb10", "cmss10", "cmti10", "cmtt10"),
)


def drawn_digits(train: int = 6000, test: int = 1000, seed: int = 0) -> Dataset:
    """Digits from the fonts that matplotlib ships, each turned, scaled, shifted and made noisy at random.

    White on black as in MNIST: uint8 `(N, 1, 28, 28)`, labels 0 to 9, each as often as the others, in
    random order. train, test: the number of images, 1 or more; 7,000 are drawn in a fraction of a
    second. A split depends on its number and the seed alone: another number of training images leaves
    the test images as they are.

    What determines a pixel: the number, the seed, the release of matplotlib (its font files, and the
    FreeType built into it that draws them; a Linux distribution's matplotlib may use another) and torch's
    random generator on the CPU, which does not depend on the processor. All is computed in float64 and
    rounded at the end, so the last bits, in which processors differ, do not show.

    Raises `DatasetError` where matplotlib's fonts are not there.
    """
    return Dataset(
        "drawn_digits", CLASSES["drawn_digits"], _draw(train, seed=2 * seed), _draw(test, seed=2 * seed + 1)
    )


def _draw(count: int, seed: int) -> Split:
    """`count` drawn digits, a function of count and seed."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)

    labels = torch.arange(count)[torch.randperm(count, generator=generator)] % 10
    glyphs = _glyphs()[torch.randint(len(_FONTS), (count,), generator=generator), labels]
    angle = uniform(-math.radians(15), math.radians(15), count)
    scale = uniform(0.8, 1.2, count)
    shift = uniform(-2.5, 2.5, count, 2)  # pixels
    # affine_grid asks where each pixel comes from, in units of half the image: undo shift, turn and scale
    turn = torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()], dim=1).view(-1, 2, 2)
    back = turn / scale[:, None, None]
    origin = -back @ (shift / 14)[:, :, None]
    images = torch.empty(count, 1, 28, 28, dtype=torch.uint8)
    for chunk, glyph, matrix in zip(
        images.split(2048), glyphs.split(2048), torch.cat([back, origin], dim=2).split(2048), strict=True
    ):
        grid = F.affine_grid(matrix, list(glyph.shape), align_corners=False)
        warped = F.grid_sample(glyph, grid, align_corners=False)
        contrast, noise = uniform(0.6, 1.0, len(glyph), 1, 1, 1), uniform(-0.15, 0.15, *glyph.shape)
        chunk.copy_(((warped * contrast + noise).clamp(0, 1) * 255).round())
    return Split(images, labels)


@cache
def _glyphs() -> Tensor:
    """The ten digits in each font, upright and centred: float64 `(fonts, 10, 1, 28, 28)`, values 0 to 1."""
    import matplotlib
    from matplotlib.ft2font import FT2Font

    # drawn four times as large and averaged, so that a glyph is where it should be to a quarter of a pixel
    canvas = torch.zeros(len(_FONTS), 10, 112, 112, dtype=torch.float64)
    for row, name in zip(canvas, _FONTS, strict=True):
        path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")
        try:
            font = FT2Font(str(path))
        except (OSError, RuntimeError) as error:
            raise DatasetError(
                f"the font {path} cannot be read: {_reason(error)}. Digits are drawn with the fonts that "
                f"matplotlib ships: install matplotlib again."
            ) from error
        font.set_size(100, 72)  # an em of 100 pixels: digits about 70 high
        for square, digit in zip(row, _DIGITS, strict=True):
            font.set_text(digit)
            font.draw_glyphs_to_bitmap(antialiased=True)
            ink = torch.tensor(np.asarray(font.get_image()))
            rows, columns = (ink.amax(dim=dim).nonzero() for dim in (1, 0))
            ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            top, left = ((112 - length) // 2 for length in ink.shape)
            square[top : top + ink.shape[0], left : left + ink.shape[1]] = ink / 255
    return F.avg_pool2d(canvas, 4).unsqueeze(2)


# --- Positives, negatives, normalisation, loaders ------------------------------------------------------


def pad(dataset: Dataset, size: int = 32) -> Dataset:
    """The images in the middle of a black square of `size` pixels, as LeCun did for LeNet-5.

    For positives: take negatives after padding, so that their background is white out to the edge.
    Raises ValueError where an image is larger than that.
    """

    def padded(images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        if max(height, width) > size:
            raise ValueError(f"images of {height} x {width} pixels do not fit into {size} x {size}")
        top, left = (size - height) // 2, (size - width) // 2
        return F.pad(images, (left, size - width - left, top, size - height - top))

    return _with_images(dataset, padded)


def negatives(dataset: Dataset) -> Dataset:
    """The negatives of the images (white for black, 255 - x), with the same labels."""
    return replace(_with_images(dataset, lambda images: 255 - images), name=f"{dataset.name}_negatives")


def combined(dataset: Dataset) -> Dataset:
    """The images and then their negatives: 2N images and labels in each split, not shuffled."""
    negative = negatives(dataset)
    train, test = (
        Split(torch.cat([one.images, other.images]), torch.cat([one.labels, other.labels]))
        for one, other in ((dataset.train, negative.train), (dataset.test, negative.test))
    )
    return replace(dataset, name=f"{dataset.name}_combined", train=train, test=test)


def normalise(dataset: Dataset, mean: Tensor, std: Tensor) -> Dataset:
    """Float32 images `(x / 255 - mean) / std` in both splits, each channel with its own mean and deviation.

    mean, std: `(C,)`, for images of 0 to 1: those of the training images, taken before `pad` where the
    added background should not count.
    """

    def normalised(images: Tensor) -> Tensor:
        # (x - 255 mean) / (255 std), in place: 60,000 images are 200 MB and more as float32
        scaled = images.float().sub_((255 * mean)[:, None, None].float())
        return scaled.div_((255 * std)[:, None, None].float())

    return _with_images(dataset, normalised)


def loaders(dataset: Dataset, batch_size: int = 64, seed: int = 0) -> tuple[DataLoader, DataLoader]:
    """Two `DataLoader`s: of the training images, shuffled in each epoch, and of the test images, in order.

    They give batches `(images, labels)` with the last, smaller one, and images as `dataset` has them:
    `normalise` first for a network. The order depends on `seed` alone; torch's own generator is not used.
    """
    train, test = (TensorDataset(split.images, split.labels) for split in (dataset.train, dataset.test))
    shuffle, unused = (torch.Generator().manual_seed(seed) for _ in range(2))
    return (
        DataLoader(train, batch_size, shuffle=True, generator=shuffle),
        DataLoader(test, batch_size, generator=unused),  # a loader draws a number even if it needs none
    )


def _with_images(dataset: Dataset, change: Callable[[Tensor], Tensor]) -> Dataset:
    """The data set with `change` applied to the images of both splits, which must still be uint8."""
    for split in (dataset.train, dataset.test):
        _require_uint8(split.images)
    train, test = (replace(split, images=change(split.images)) for split in (dataset.train, dataset.test))
    return replace(dataset, train=train, test=test)


def _require_uint8(images: Tensor) -> None:
    if images.dtype != torch.uint8:
        raise TypeError(
            f"expected uint8 images, got {images.dtype}: pad, invert and combine before normalise"
        )
