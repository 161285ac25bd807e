"""Makes examples/class: fifteen sample submissions, good, wrong and hostile, out of solutions/.

    python examples/make.py [FOLDER]

The same solutions give the same bytes, so that a second `grade all` finds nothing changed.
"""

import gzip
import io
import json
import re
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOLUTIONS = HERE.parent / "solutions"
RELEASED = HERE.parent / "student" / "report.ipynb"

Files = dict[str, str]

SOLVED: Files = {path.name: path.read_text("utf-8") for path in sorted(SOLUTIONS.glob("[!_]*.py"))}
STUBS: Files = {
    name: re.sub(r"### BEGIN SOLUTION.*?### END SOLUTION", "raise NotImplementedError", text, flags=re.DOTALL)
    for name, text in SOLVED.items()
}


def changed(module: str, *changes: tuple[str, str]) -> Files:
    """The solutions with texts of one module replaced; each must be there."""
    text = SOLVED[module]
    for old, new in changes:
        if old not in text:
            raise SystemExit(f"solutions/{module} has no {old!r} any more: change examples/make.py, too")
        text = text.replace(old, new)
    return {**SOLVED, module: text}


def with_body(module: str, function: str, body: str, before: str = "") -> Files:
    """The solutions with the body of one function replaced, and `before` put after the module's imports."""
    pattern = rf"(def {function}\(.*?)### BEGIN SOLUTION.*?### END SOLUTION"
    text, count = re.subn(
        pattern, lambda found: found[1] + body.strip(), SOLVED[module], count=1, flags=re.DOTALL
    )
    if count != 1:
        raise SystemExit(f"solutions/{module} has no {function} with marks any more")
    return {**SOLVED, module: text.replace("\nimport torch\n", f"\nimport torch\n{before}\n", 1)}


ATTACK = """
import atexit, json, os, pathlib, sys

# 1. make every comparison true (only in this process, where none takes place)
torch.equal = torch.allclose = lambda *args, **kwargs: True
torch.testing.assert_close = lambda *args, **kwargs: None

# 2. read what is not ours
for secret in ("/etc/passwd", "/proc/self/environ", str(pathlib.Path(__file__).parent / "../solutions/layers.py")):
    try:
        print("stolen:", open(secret).read())
    except OSError as error:
        print("not stolen:", error)

# 3. rewrite the results at exit
def forge():
    for folder in ("results/records", "results/demo/records"):
        try:
            pathlib.Path(folder, "jack.json").write_text(json.dumps({"student": "jack", "earned": 55}))
        except OSError:
            pass

atexit.register(forge)
"""

HOSTILE = with_body(
    "layers.py",
    "conv2d",
    """# 4. take the wanted result from whoever calls us
    frame = sys._getframe()
    while frame is not None:
        for name in ("wanted", "expected", "reference"):
            if name in frame.f_locals:
                return frame.f_locals[name]
        frame = frame.f_back
    return torch.zeros(1)""",
    before=ATTACK,
)
HOSTILE["layers.py"] = HOSTILE["layers.py"].replace(
    "return x.clamp(min=0)", "os._exit(0)  # 5. leave 'with success'"
)


def report(**answers: str) -> Files:
    """The report's notebook with some answers, by `grade_id` (with _ for -)."""
    notebook = json.loads(RELEASED.read_text("utf-8"))
    left = dict(answers)
    for cell in notebook["cells"]:
        name = cell["metadata"]["nbgrader"]["grade_id"].replace("-", "_")
        cell["source"] = left.pop(name, cell["source"])
    if left:
        raise SystemExit(f"the report has no cell {', '.join(left)} any more: change examples/make.py, too")
    return {"report.ipynb": json.dumps(notebook, indent=1)}


HOSTILE_ANSWERS = report(
    a1="""A convolution <script>document.title = "owned"</script> slides a kernel. <img src=x onerror="document.title='owned'">
[read more](javascript:document.title='owned') <iframe src="javascript:parent.document.title='owned'"></iframe>
$\\href{javascript:document.title='owned'}{x^2}$ and `a < b` and $a < b$.""",
    a2="</div></div></body><h1>broken <table><tr><td <!-- \n\n" + "**bold " * 2000,
    a3="![huge](https://example.org/pixel.png) <img width=100000 height=100000 src=https://example.org/pixel.png>",
    b_figure="raise SystemExit('<script>')  # </pre><script>document.title = 'owned'</script>",
)
SOME_ANSWERS = report(
    a1="A convolution is a weighted sum:\n\n$$y_{i,j} = \\sum_{u,v} w_{u,v} x_{i+u,j+v}$$\n\nIn code:\n\n```python\ny[i, j] = "
    "(w * x[i : i + k, j : j + k]).sum()\n```",
    a2="Learning the *training* set by heart. Dropout and augmentation help.",
)


def model_report() -> Files:
    """The author's notebook as a student would hand it in, without the mark schemes."""
    notebook = json.loads((SOLUTIONS / "report.ipynb").read_text("utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"]).partition("\n**Mark scheme")[0]
    return {"report.ipynb": json.dumps(notebook, indent=1)}


FOLDERS: dict[str, Files] = {
    "ada": {**SOLVED, **model_report()},
    "ben": {**STUBS, **report()},
    "chloe": {**STUBS, "layers.py": SOLVED["layers.py"], "lenet.py": SOLVED["lenet.py"]},
    "dan": changed("layers.py", ("windows, weight)", "windows, weight.flip(-2, -1))")),
    "eve": {
        **changed(
            "training.py",
            ("loss.item() * len(labels)", "loss.item()"),
            ("return total_loss / samples,", "return total_loss / len(loader),"),
        ),
        **SOME_ANSWERS,
    },
    "finn": with_body("layers.py", "conv2d", "return F.conv2d(x, weight, bias, stride, padding)"),
    "gita": with_body("layers.py", "softmax", "while True:\n        pass"),
    "hugo": {
        **changed("layers.py", ("    return x.clamp(min=0)", "    return x.clamp(min=0")),
        "report.ipynb": SOME_ANSWERS["report.ipynb"][:5000],
    },
    "iris": {name: text for name, text in SOLVED.items() if name != "transforms.py"},
    "jack": {**HOSTILE, **HOSTILE_ANSWERS},
    "kim": with_body("layers.py", "relu", "print('x is now', 'very ' * 400_000)\n    return x.clamp(min=0)"),
    "mia": {name: "\ufeff" + text.replace("\n", "\r\n") for name, text in SOLVED.items()},
}
ARCHIVES: dict[str, Files] = {
    "leo.zip": {f"leo homework final/student/{name}": text for name, text in (SOLVED | SOME_ANSWERS).items()},
    "noor.tar.gz": {
        f"student/{name}": text
        for name, text in changed("transforms.py", ("squares / pixels)", "squares / (pixels - 1))")).items()
    },
    "olga.zip": {f"student/{name}": text for name, text in SOLVED.items()},
}
CUT_SHORT = ("olga.zip",)


def main(folder: Path) -> None:
    """Write the class anew."""
    shutil.rmtree(folder, ignore_errors=True)
    for student, files in FOLDERS.items():
        for name, text in files.items():
            path = folder / student / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
    for archive, files in ARCHIVES.items():
        data = zipped(files) if archive.endswith(".zip") else tarred(files)
        (folder / archive).write_bytes(data[: len(data) // 2] if archive in CUT_SHORT else data)


def zipped(files: Files) -> bytes:
    """A zip with a fixed date."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return data.getvalue()


def tarred(files: Files) -> bytes:
    """A tar.gz with a fixed date."""
    data = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=data, mode="wb", mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w") as archive,
    ):
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return data.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "class")
