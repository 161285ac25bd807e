"""Modules that a submission may import, imported before the fork.

In a sealed sandbox nothing can be imported later. And torchvision and matplotlib take seconds, which
each child would spend again: where a submission's text names one, the untrusted parent that forks for
it imports it once.
"""

import contextlib
import importlib
import os
import tempfile

HEAVY = {
    "matplotlib": ("matplotlib.pyplot", "matplotlib.backends.backend_agg"),
    "torchvision": ("torchvision", "torchvision.transforms.v2"),
}

_SMALL = """
    __future__ abc argparse array ast asyncio base64 bisect calendar cmath collections concurrent.futures
    contextlib copy csv ctypes dataclasses datetime decimal difflib doctest encodings.ascii encodings.idna
    encodings.latin_1 enum fractions functools gc glob gzip hashlib heapq html inspect io itertools json
    keyword linecache locale logging math multiprocessing numbers operator os pathlib pickle platform pprint
    queue random re secrets shutil signal statistics string struct subprocess sys tempfile textwrap threading
    time timeit traceback types typing unicodedata unittest unittest.mock urllib.parse uuid warnings weakref
    zipfile zlib
    numpy.fft numpy.linalg numpy.random numpy.testing PIL.Image PIL.ImageOps tqdm tqdm.auto
    torch.distributions torch.func torch.fx torch.nn.utils.parametrizations torch.nn.utils.rnn
    torch.profiler torch.utils.checkpoint
""".split()  # noqa: SIM905


def small() -> None:
    """What costs next to nothing beside torch: 0.1 s in all."""
    for name in _SMALL:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def heavy(name: str) -> None:
    """One of `HEAVY`; where it cannot be imported, the submission's own import will say why."""
    # matplotlib wants a folder that it can write to, and only while it is imported
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MPLCONFIGDIR"] = folder
        for module in HEAVY[name]:
            with contextlib.suppress(Exception):
                importlib.import_module(module)
    del os.environ["MPLCONFIGDIR"]
