"""Gradescope: the complete autograder as one zip, to be uploaded under *Configure Autograder*.

    setup.sh          builds the environment, once
    run_autograder    grades one submission: `grade all`, then `grade export gradescope results`
    grader/ solutions/ datasets.py pyproject.toml secret

Gradescope unpacks it into /autograder/source and puts run_autograder beside, into /autograder. It holds the solutions,
the hidden checks and the course's secret: for the instructor and Gradescope's server only.
"""

import io
import secrets
import zipfile
from collections.abc import Iterator
from pathlib import Path

from grader.instructor.records import write_whole
from grader.submission import SubmissionError

SCRIPTS = ("setup.sh", "run_autograder")
_TIME = (1980, 1, 1, 0, 0, 0)  # the same files give the same zip
_PARTS = ("grader", "solutions")
_FILES = ("datasets.py", "pyproject.toml")
_LEFT_OUT = ("__pycache__", ".ipynb_checkpoints")


def write_autograder(root: Path, secret_file: Path, out: Path) -> bool:
    """Write the zip of the repository at `root`; whether the course's secret of `secret_file` is in it.

    Where there is no such file the zip gets a secret of its own. Raises `SubmissionError`.
    """
    known = secret_file.is_file()
    try:
        secret = secret_file.read_text("ascii").strip() if known else secrets.token_hex(32)
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            scripts = Path(__file__).parent / "gradescope_files"
            for name in SCRIPTS:
                _add(archive, name, (scripts / name).read_bytes(), 0o755)
            for path in _files(root):
                _add(archive, path.relative_to(root).as_posix(), path.read_bytes(), 0o644)
            _add(archive, "secret", f"{secret}\n".encode(), 0o600)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, content.getvalue(), mode=0o600)
    except (OSError, ValueError) as error:
        raise SubmissionError(f"{out} cannot be written: {error}.") from error
    return known


def _files(root: Path) -> Iterator[Path]:
    for name in _FILES:
        yield root / name
    for part in _PARTS:
        for path in sorted((root / part).rglob("*")):
            if (
                path.is_file()
                and not any(folder in path.parts for folder in _LEFT_OUT)
                and path.suffix != ".pyc"
            ):
                yield path


def _add(archive: zipfile.ZipFile, name: str, data: bytes, mode: int) -> None:
    info = zipfile.ZipInfo(name, _TIME)
    info.external_attr = (0o100000 | mode) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data)
