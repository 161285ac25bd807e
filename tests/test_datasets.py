"""datasets.py: loading, downloading from a server on this machine, broken files, drawn digits, loaders."""

import functools
import gzip
import hashlib
import http.server
import io
import os
import pickle
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import datasets
from datasets import Dataset, DatasetError, Split

ROOT = Path(__file__).resolve().parent.parent
IMAGE_SHAPES = {"mnist": (28, 28), "fashion_mnist": (28, 28), "cifar10": (32, 32, 3)}


def arrays(name: str = "mnist", train: int = 10, test: int = 5) -> dict[str, np.ndarray]:
    """A small data set as its file holds it; every image another."""
    random = np.random.default_rng(len(name))
    return {
        "x_train": random.integers(0, 256, (train, *IMAGE_SHAPES[name]), np.uint8),
        "y_train": random.integers(0, 10, train, np.uint8),
        "x_test": random.integers(0, 256, (test, *IMAGE_SHAPES[name]), np.uint8),
        "y_test": random.integers(0, 10, test, np.uint8),
    }


def npz(**changes: object) -> bytes:
    """The bytes of a small mnist.npz, some arrays replaced or, by None, left out."""
    file = io.BytesIO()
    contents = {key: value for key, value in (arrays() | changes).items() if value is not None}
    np.savez(file, **contents)  # type: ignore[arg-type]
    return file.getvalue()


def write(folder: Path, name: str = "mnist") -> dict[str, np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / f"{name}.npz", **arrays(name))  # type: ignore[arg-type]
    return arrays(name)


def run(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python process of its own that has the kit's folder on its path."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# --- Loading -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", datasets.NAMES)
def test_a_file_becomes_tensors_of_channels_first_images_and_int64_labels(name, tmp_path):
    stored = write(tmp_path, name)
    loaded = datasets.load(name, tmp_path)
    for split, x, y in ((loaded.train, "x_train", "y_train"), (loaded.test, "x_test", "y_test")):
        assert split.images.dtype == torch.uint8
        assert split.labels.dtype == torch.int64
        height, width, *channels = IMAGE_SHAPES[name]
        assert split.images.shape == (len(stored[y]), *(channels or [1]), height, width)
        channels_last = split.images.permute(0, 2, 3, 1).numpy()
        assert np.array_equal(channels_last.reshape(stored[x].shape), stored[x])
        assert split.labels.tolist() == stored[y].tolist()
        assert len(split) == len(stored[y])


@pytest.mark.parametrize("name", datasets.NAMES)
def test_a_data_set_says_its_name_and_its_ten_classes(name, tmp_path):
    write(tmp_path, name)
    loaded = datasets.load(name, tmp_path)
    assert (loaded.name, loaded.classes) == (name, datasets.CLASSES[name])
    assert len(set(loaded.classes)) == 10
    assert name in datasets.TITLES


def test_an_unknown_name_is_told_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="'mnist', 'fashion_mnist', 'cifar10'"):
        datasets.load("emnist", tmp_path)


def test_loading_a_file_imports_neither_torchvision_nor_matplotlib(tmp_path):
    write(tmp_path)
    script = (
        "import sys, datasets; datasets.load('mnist', sys.argv[1]);"
        "print(sorted({'torchvision', 'matplotlib', 'PIL'} & set(sys.modules)))"
    )
    output, errors = run(script, tmp_path).communicate()
    assert output == "[]\n", errors


# --- The cache folder ----------------------------------------------------------------------------------


def test_the_environment_variable_moves_the_cache_folder(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.setenv("GRADE_DATA_DIR", str(tmp_path))
    assert len(datasets.load("mnist").train) == 10


def test_the_option_comes_before_the_environment_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADE_DATA_DIR", str(tmp_path / "variable"))
    assert datasets.data_folder(tmp_path / "option") == tmp_path / "option"


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert datasets.data_folder("~/data") == tmp_path / "data"


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "home/.cache/lenet5-kit"),
        ("linux", {"XDG_CACHE_HOME": "xdg"}, "xdg/lenet5-kit"),
        ("darwin", {"XDG_CACHE_HOME": "xdg"}, "home/Library/Caches/lenet5-kit"),
        ("win32", {}, "home/AppData/Local/lenet5-kit"),
        ("win32", {"LOCALAPPDATA": "local"}, "local/lenet5-kit"),
    ],
)
def test_the_default_is_the_platforms_cache_folder(platform, variables, expected, tmp_path, monkeypatch):
    for name in ("GRADE_DATA_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, folder in variables.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.setattr(sys, "platform", platform)
    assert datasets.data_folder() == tmp_path / expected


def test_no_home_folder_is_an_error_that_names_the_variable(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("GRADE_DATA_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(DatasetError, match=r"home directory.*GRADE_DATA_DIR"):
        datasets.data_folder()


# --- Broken files --------------------------------------------------------------------------------------


def with_member(**members: bytes) -> bytes:
    """A zip that is no .npz: its members are not arrays."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for key, content in members.items():
            archive.writestr(f"{key}.npy", content)
    return file.getvalue()


def flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :]


def single_array() -> bytes:
    file = io.BytesIO()
    np.save(file, arrays()["x_train"])
    return file.getvalue()


CIFAR = arrays("cifar10")
WHOLE = npz()
BROKEN = {
    "empty": (b"", "not a zip file"),
    "a web page": (b"<html>404 Not Found</html>", "not a zip file"),
    "a pickle": (pickle.dumps({"x_train": [1]}), "not a zip file"),
    "one array": (single_array(), "not a zip file"),
    "cut off early": (WHOLE[:100], "not a zip file"),
    "cut off in the middle": (WHOLE[: len(WHOLE) // 2], "not a zip file"),
    "cut off at the end": (WHOLE[:-1], "not a zip file"),
    "a damaged pixel": (flipped(WHOLE, 1000), "CRC"),
    "no y_test": (npz(y_test=None), "has no y_test"),
    "other names": (npz(x_train=None, train_images=CIFAR["x_train"]), "has no x_train"),
    "members that are text": (with_member(**dict.fromkeys(arrays(), b"text")), "pickle"),
    "members that are archives": (with_member(**dict.fromkeys(arrays(), WHOLE)), "not an array"),
    "CIFAR-10 by the name of MNIST": (npz(**CIFAR), r"uint8 \(10, 32, 32, 3\), expected uint8 \(N, 28, 28\)"),
    "float images": (npz(x_test=np.zeros((5, 28, 28))), "x_test is float64"),
    "images in a row": (npz(x_train=np.zeros((10, 784), np.uint8)), r"x_train is uint8 \(10, 784\)"),
    "a scalar": (npz(x_train=np.uint8(3)), "x_train is uint8"),
    "float labels": (npz(y_train=np.zeros(10)), "y_train is float64"),
    "labels in a column": (npz(y_train=np.zeros((10, 1), np.uint8)), r"y_train is uint8 \(10, 1\)"),
    "a label of 10": (npz(y_test=np.full(5, 10)), "labels from 10 to 10, expected 0 to 9"),
    "a negative label": (npz(y_test=np.full(5, -1)), "labels from -1 to -1"),
    "fewer labels than images": (npz(y_train=np.zeros(9, np.uint8)), "10 images and y_train has 9 labels"),
    "no images": (npz(x_test=np.zeros((0, 28, 28), np.uint8), y_test=np.zeros(0, np.uint8)), "0 images"),
}


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_an_error_that_names_file_reason_and_mend(content, reason, tmp_path):
    path = tmp_path / "mnist.npz"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=reason) as caught:
        datasets.load("mnist", tmp_path)
    assert str(caught.value).startswith(f"{path} is damaged or is not MNIST: ")
    assert "Delete the file" in str(caught.value)
    assert "GRADE_DATA_DIR" in str(caught.value)
    assert path.read_bytes() == content  # the file is the user's: reported, not removed


class Payload:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_in_a_file_is_unpickled(tmp_path):
    trace = tmp_path / "ran"
    (tmp_path / "mnist.npz").write_bytes(npz(y_train=np.array([Payload(trace)] * 10, object)))
    with pytest.raises(DatasetError, match="Object arrays cannot be loaded"):
        datasets.load("mnist", tmp_path)
    assert not trace.exists()


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path):
    (tmp_path / "mnist.npz").mkdir()
    with pytest.raises(DatasetError, match=r"mnist\.npz cannot be read: .*GRADE_DATA_DIR"):
        datasets.load("mnist", tmp_path)


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match=r"file.*(cannot|could not) .*GRADE_DATA_DIR"):
        datasets.load("mnist", tmp_path / "file" / "data")


# --- Downloading, by torchvision, from a server on this machine ----------------------------------------


class Site:
    """A web server on the loopback interface with the files of `folder`, and the requests it got."""

    def __init__(self, folder: Path):
        self.folder, self.requests = folder, []
        self.on_request = lambda handler: None  # what else to do before a file is sent
        site = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self):
                site.requests.append(self.path)
                site.on_request(self)
                super().do_GET()

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Handler, directory=folder)
        )
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


def idx(array: np.ndarray) -> bytes:
    """The format of MNIST's files: two zeros, type 8 (uint8), dimensions, their lengths, the bytes."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def publish_mnist(folder: Path, name: str) -> list[tuple[str, str]]:
    """The four files of an MNIST-like set, and their names and checksums as torchvision lists them."""
    folder.mkdir()
    stored, resources = arrays(name), []
    for split, file in (("train", "train"), ("test", "t10k")):
        for key, kind in (("x", "images-idx3"), ("y", "labels-idx1")):
            content = gzip.compress(idx(stored[f"{key}_{split}"]))
            (folder / f"{file}-{kind}-ubyte.gz").write_bytes(content)
            resources.append((f"{file}-{kind}-ubyte.gz", md5(content)))
    return resources


def publish_cifar10(folder: Path) -> dict[str, object]:
    """cifar-10-python.tar.gz, and what torchvision's CIFAR10 says of it."""
    folder.mkdir()
    stored, checksums = arrays("cifar10"), {}
    batches = {f"data_batch_{i + 1}": ("train", slice(2 * i, 2 * i + 2)) for i in range(5)}
    batches["test_batch"] = ("test", slice(None))
    contents = {"batches.meta": pickle.dumps({"label_names": list(datasets.CLASSES["cifar10"])})}
    for file, (split, part) in batches.items():
        images, labels = stored[f"x_{split}"][part], stored[f"y_{split}"][part]
        pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)
        contents[file] = pickle.dumps({"data": pixels, "labels": labels.tolist()})
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as archive:
        for file, content in contents.items():
            checksums[file] = md5(content)
            member = tarfile.TarInfo(f"cifar-10-batches-py/{file}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return {
        "tgz_md5": md5((folder / "cifar-10-python.tar.gz").read_bytes()),
        "train_list": [[file, checksums[file]] for file in batches if file != "test_batch"],
        "test_list": [["test_batch", checksums["test_batch"]]],
        "meta": {"filename": "batches.meta", "key": "label_names", "md5": checksums["batches.meta"]},
    }


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A server that has all three data sets, small, where torchvision now looks for them."""
    import torchvision.datasets as of_torchvision

    folder = tmp_path / "site"
    folder.mkdir()
    site = Site(folder)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name, cls in (("mnist", of_torchvision.MNIST), ("fashion_mnist", of_torchvision.FashionMNIST)):
        monkeypatch.setattr(cls, "resources", publish_mnist(folder / name, name))
        monkeypatch.setattr(cls, "mirrors", [f"{site.url}{name}/"])
    for attribute, value in publish_cifar10(folder / "cifar10").items():
        monkeypatch.setattr(of_torchvision.CIFAR10, attribute, value)
    monkeypatch.setattr(of_torchvision.CIFAR10, "url", f"{site.url}cifar10/cifar-10-python.tar.gz")
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.mark.parametrize("name", datasets.NAMES)
def test_first_use_downloads_the_data_set(name, site, tmp_path):
    downloaded = datasets.load(name, tmp_path / "cache")
    write(tmp_path / "expected", name)
    expected = datasets.load(name, tmp_path / "expected")
    for split in ("train", "test"):
        assert torch.equal(getattr(downloaded, split).images, getattr(expected, split).images)
        assert torch.equal(getattr(downloaded, split).labels, getattr(expected, split).labels)


def test_a_download_shows_its_progress(site, tmp_path, capsys):
    datasets.load("mnist", tmp_path / "cache")
    errors = capsys.readouterr().err
    assert f"Downloading MNIST to {tmp_path / 'cache' / 'mnist.npz'}" in errors
    assert "100" in errors  # per cent, with tqdm or without


@pytest.mark.parametrize("name", datasets.NAMES)
def test_the_data_set_is_kept_as_one_file(name, site, tmp_path):
    datasets.load(name, tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == [f"{name}.npz"]
    with np.load(tmp_path / "cache" / f"{name}.npz", allow_pickle=False) as archive:
        kept = dict(archive)
    assert list(kept) == ["x_train", "y_train", "x_test", "y_test"]
    for key, array in arrays(name).items():
        assert kept[key].dtype == np.uint8
        assert np.array_equal(kept[key], array)


def test_a_second_load_downloads_nothing(site, tmp_path):
    datasets.load("mnist", tmp_path / "cache")
    site.requests.clear()
    datasets.load("mnist", tmp_path / "cache")
    assert site.requests == []


def test_the_file_has_ordinary_permissions(site, tmp_path):
    datasets.load("mnist", tmp_path / "cache")
    (tmp_path / "ordinary").touch()
    assert (tmp_path / "cache" / "mnist.npz").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def cut_off(site: Site) -> None:
    """The server promises a whole file and hangs up in the middle of it."""

    def hang_up(handler):
        content = (site.folder / handler.path.lstrip("/")).read_bytes()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: len(content) // 2])
        handler.wfile.flush()
        raise ConnectionAbortedError

    site.on_request = hang_up
    site.server.handle_error = lambda *arguments: None


def replaced(site: Site) -> None:
    """The server sends something else under the file's name, as a network's login page does."""
    for path in (path for path in site.folder.rglob("*") if path.is_file()):
        path.write_bytes(b"<html>Please log in</html>")


def missing(site: Site) -> None:
    for folder in site.folder.iterdir():
        shutil.rmtree(folder)


def silent(site: Site) -> None:
    """Nobody listens at the address: what a machine without a network sees."""
    site.server.shutdown()
    site.server.server_close()


def stalled(site: Site) -> None:
    """The server takes the request and never answers."""
    site.on_request = lambda handler: time.sleep(0.5)
    site.server.handle_error = lambda *arguments: None


FAILURES = {
    cut_off: "corrupted",
    replaced: "corrupted",
    missing: "404",
    silent: "refused",
    stalled: "timed out",
}


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_download_is_an_error_with_the_ways_out(failure, name, site, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "_NETWORK_TIMEOUT", 0.2)
    failure(site)
    with pytest.raises(DatasetError, match=FAILURES[failure]) as caught:
        datasets.load(name, tmp_path / "cache")
    message = str(caught.value)
    assert str(tmp_path / "cache" / f"{name}.npz") in message
    for way_out in ("drawn_digits()", "GRADE_DATA_DIR", "data_dir", "into that folder"):
        assert way_out in message
    assert os.listdir(tmp_path / "cache") == []


def test_a_failed_download_is_made_good_by_the_next(site, tmp_path):
    cut_off(site)
    with pytest.raises(DatasetError):
        datasets.load("mnist", tmp_path / "cache")
    site.on_request = lambda handler: None
    assert len(datasets.load("mnist", tmp_path / "cache").train) == 10


@pytest.mark.skipif(sys.platform == "win32", reason="a signal to oneself ends the process there")
def test_an_interrupted_download_leaves_nothing(site, tmp_path):
    def interrupt(handler):
        if "t10k" in handler.path:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    site.on_request = interrupt
    site.server.handle_error = lambda *arguments: None
    with pytest.raises(KeyboardInterrupt):
        datasets.load("mnist", tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == []


DOWNLOAD = """
import sys, datasets, torchvision.datasets
url, folder, *resources = sys.argv[1:]
torchvision.datasets.MNIST.mirrors = [url]
torchvision.datasets.MNIST.resources = [resource.split(":") for resource in resources]
print(int(datasets.load("mnist", folder).train.images.sum()))
"""


@pytest.mark.slow
def test_two_processes_at_once_both_get_the_data_set(site, tmp_path):
    both = threading.Barrier(2, timeout=60)

    def meet(handler):
        if "train-images" in handler.path:
            both.wait()  # neither goes on before the other has begun

    site.on_request = meet
    import torchvision.datasets as of_torchvision

    resources = [f"{file}:{checksum}" for file, checksum in of_torchvision.MNIST.resources]
    processes = [run(DOWNLOAD, f"{site.url}mnist/", tmp_path / "cache", *resources) for _ in range(2)]
    results = [process.communicate(timeout=120) for process in processes]
    expected = int(arrays()["x_train"].sum())
    assert [output for output, _ in results] == [f"{expected}\n"] * 2, results
    assert os.listdir(tmp_path / "cache") == ["mnist.npz"]


def test_what_a_killed_download_left_is_not_trusted(site, tmp_path):
    left = tmp_path / "cache" / "mnist-download-abc"
    left.mkdir(parents=True)
    (left / "mnist.npz").write_bytes(WHOLE[:1000])
    assert len(datasets.load("mnist", tmp_path / "cache").train) == 10


# --- Drawn digits --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.drawn_digits()


def same(one: Split, other: Split) -> bool:
    return torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)


def test_drawn_digits_look_like_mnist(digits):
    assert (digits.name, digits.classes) == ("drawn_digits", datasets.CLASSES["drawn_digits"])
    for split, count in ((digits.train, 6000), (digits.test, 1000)):
        assert (split.images.shape, split.images.dtype) == ((count, 1, 28, 28), torch.uint8)
        assert (split.labels.shape, split.labels.dtype) == ((count,), torch.int64)


def test_every_digit_is_drawn_equally_often(digits):
    assert digits.train.labels.bincount().tolist() == [600] * 10


def test_drawn_digits_are_white_on_black(digits):
    border = digits.train.images[:, :, [0, -1]].float().mean()
    centre = digits.train.images[:, :, 10:18, 10:18].float().mean()
    assert border < 25 < 75 < centre


def test_no_two_drawn_digits_are_alike(digits):
    both = torch.cat([digits.train.images, digits.test.images]).flatten(start_dim=1)
    assert len({image.numpy().tobytes() for image in both}) == 7000


def test_a_seed_draws_the_same_digits_again():
    one, other = datasets.drawn_digits(30, 20, seed=3), datasets.drawn_digits(30, 20, seed=3)
    assert same(one.train, other.train)
    assert same(one.test, other.test)


def test_another_seed_draws_other_digits():
    one, other = datasets.drawn_digits(30, 20, seed=3), datasets.drawn_digits(30, 20, seed=4)
    assert not same(one.train, other.train)
    assert not same(one.test, other.test)


def test_the_test_digits_do_not_depend_on_the_number_of_training_digits():
    assert same(datasets.drawn_digits(10, 20).test, datasets.drawn_digits(30, 20).test)


def test_drawing_does_not_depend_on_the_number_of_threads(digits):
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    try:
        assert same(datasets.drawn_digits().train, digits.train)
    finally:
        torch.set_num_threads(threads)


def test_a_missing_font_is_an_error_that_names_it(tmp_path, monkeypatch):
    import matplotlib

    monkeypatch.setattr(matplotlib, "get_data_path", lambda: str(tmp_path))
    datasets._glyphs.cache_clear()
    with pytest.raises(DatasetError, match=r"DejaVuSans\.ttf cannot be read: .*matplotlib"):
        datasets.drawn_digits(1, 1)


@pytest.mark.slow
def test_lenet5_is_right_on_95_percent_of_drawn_digits(digits, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from solutions.lenet import LeNet5
    from solutions.training import fit

    torch.manual_seed(0)
    history = fit(LeNet5(), *datasets.loaders(normalised(digits)), target_accuracy=0.95, max_epochs=6)
    assert history.test_accuracy[-1] >= 0.95
    assert history.test_accuracy[0] < 0.95  # one epoch is not enough: there is something to learn


# --- Positives, negatives, normalisation, loaders ------------------------------------------------------


@pytest.fixture
def small() -> Dataset:
    """Twelve training images of 2 channels and 3 x 4 pixels, five test images."""
    random = torch.Generator().manual_seed(0)

    def split(count: int) -> Split:
        images = torch.randint(256, (count, 2, 3, 4), generator=random, dtype=torch.uint8)
        return Split(images, torch.arange(count) % 10)

    return Dataset("small", datasets.CLASSES["mnist"], split(12), split(5))


def test_pad_puts_black_around_the_image(small):
    padded = datasets.pad(small, 7).train
    assert padded.images.shape == (12, 2, 7, 7)
    assert torch.equal(padded.images[:, :, 2:5, 1:5], small.train.images)
    assert int(padded.images.sum()) == int(small.train.images.sum())


def test_pad_makes_28_pixels_32_with_two_on_each_side(digits):
    assert torch.equal(datasets.pad(digits).test.images[:, :, 2:30, 2:30], digits.test.images)


def test_an_image_that_is_larger_cannot_be_padded(small):
    with pytest.raises(ValueError, match="3 x 4 pixels do not fit into 3 x 3"):
        datasets.pad(small, 3)


def test_a_negative_is_255_minus_the_image_with_the_same_label(small):
    negative = datasets.negatives(small)
    assert negative.name == "small_negatives"
    for split, original in ((negative.train, small.train), (negative.test, small.test)):
        assert torch.equal(split.images.int(), 255 - original.images.int())
        assert torch.equal(split.labels, original.labels)


def test_a_negative_of_a_padded_image_has_a_white_border(small):
    assert datasets.negatives(datasets.pad(small, 6)).train.images[:, :, 0].eq(255).all()


def test_combined_is_positives_and_negatives_with_their_labels(small):
    both, negative = datasets.combined(small), datasets.negatives(small)
    assert both.name == "small_combined"
    assert same(Split(both.train.images[:12], both.train.labels[:12]), small.train)
    assert same(Split(both.train.images[12:], both.train.labels[12:]), negative.train)
    assert len(both.test) == 10


def own_statistics(dataset):
    share = dataset.train.images.double() / 255
    return share.mean(dim=(0, 2, 3)), share.std(dim=(0, 2, 3), correction=0)


def normalised(dataset):
    return datasets.normalise(dataset, *own_statistics(dataset))


def test_normalised_training_images_have_mean_0_and_deviation_1(small):
    images = normalised(small).train.images
    assert images.dtype == torch.float32
    torch.testing.assert_close(images.mean(dim=(0, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(images.std(dim=(0, 2, 3), correction=0), torch.ones(2))


def test_test_images_are_normalised_as_the_training_images_are(small):
    mean, std = (value.float()[:, None, None] for value in own_statistics(small))
    expected = (small.test.images.float() / 255 - mean) / std
    torch.testing.assert_close(normalised(small).test.images, expected)


@pytest.mark.parametrize(
    "change",
    [datasets.pad, datasets.negatives, datasets.combined, normalised],
    ids=lambda f: f.__name__,
)
def test_no_function_changes_the_data_set_it_is_given(change, small):
    before = small.train.images.clone()
    change(small)
    assert torch.equal(small.train.images, before)


@pytest.mark.parametrize(
    "change",
    [datasets.pad, datasets.negatives, datasets.combined, normalised],
    ids=lambda f: f.__name__,
)
def test_normalising_comes_last(change, small):
    once = normalised(small)
    if change is normalised:
        change = lambda dataset: datasets.normalise(dataset, torch.zeros(2), torch.ones(2))  # noqa: E731
    with pytest.raises(TypeError, match="before normalise"):
        change(once)


def test_loaders_give_every_sample_once_with_its_label(small):
    train, test = datasets.loaders(small, batch_size=5)
    assert [len(labels) for _, labels in train] == [5, 5, 2]
    assert len(train) == 3
    for loader, split in ((train, small.train), (test, small.test)):
        images, labels = (torch.cat(parts) for parts in zip(*loader, strict=True))
        order = [int((split.images == image).all(dim=(1, 2, 3)).nonzero()) for image in images]
        assert sorted(order) == list(range(len(split)))
        assert torch.equal(split.labels[order], labels)


def epochs(loader, count: int = 2) -> list[list[float]]:
    """The order of the images in some epochs, each image by the sum of its pixels."""
    return [[float(image.sum()) for images, _ in loader for image in images] for _ in range(count)]


def test_training_images_are_shuffled_anew_in_each_epoch(small):
    first, second = epochs(datasets.loaders(small)[0])
    assert first != second


def test_test_images_come_in_order(small):
    assert epochs(datasets.loaders(small)[1], 1) == [[float(image.sum()) for image in small.test.images]]


def test_the_order_depends_on_the_seed_alone(small):
    torch.manual_seed(1)
    first = epochs(datasets.loaders(small, seed=7)[0])
    torch.manual_seed(2)
    assert epochs(datasets.loaders(small, seed=7)[0]) == first
    assert epochs(datasets.loaders(small, seed=8)[0]) != first


def test_torchs_own_generator_is_left_alone(small):
    state = torch.get_rng_state()
    for loader in datasets.loaders(small):
        epochs(loader)
    datasets.drawn_digits(20, 20)
    assert torch.equal(torch.get_rng_state(), state)
