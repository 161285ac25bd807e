"""Makes the pictures of README.md: `python docs/pictures/make.py [NAME ...]`.

Screens of the terminal are what the commands print, as SVG; pages are what Chromium shows, as PNG. Commands that this
version does not have are passed over.
"""

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COLUMNS = 92


@dataclass(frozen=True, slots=True)
class Page:
    """`before` makes the page `path` in the scratch folder; place: where it is opened; height: in pixels."""

    before: tuple[str, ...]
    path: str
    height: int = 760
    place: str = ""


TERMINAL = {
    "check": "grade check conv2d relu softmax --submission examples/class/dan",
    "all": "grade all examples/class --out results/demo",
    "doctor": "grade doctor",
}
PAGES = {
    "similar": Page(("grade similar class --out similar",), "similar/similar.html", 640, "#pair-1"),
    "report": Page(("grade all examples/class --out results", "grade report results"), "results/report.html"),
    "show": Page(("grade show conv2d --submission examples/class/dan --out show.png",), "show.png"),
}


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder:
        scratch = Path(folder)
        subprocess.run(
            [sys.executable, ROOT / "examples" / "make.py", scratch / "examples" / "class"], check=True
        )
        shutil.copytree(ROOT / "solutions", scratch / "solutions")
        sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
        import alike

        alike.write_class(scratch / "class", 12, copies=((1, 2),))
        for name in names or [*TERMINAL, *PAGES]:
            commands = (TERMINAL[name],) if name in TERMINAL else PAGES[name].before
            outputs = [_run(command, scratch) for command in commands]
            if None in outputs:
                print(f"{name}: passed over, this version has no such command")
            elif name in TERMINAL:
                _terminal(commands[0], str(outputs[0]), HERE / f"{name}.svg")
            elif PAGES[name].path.endswith(".png"):
                shutil.copy(scratch / PAGES[name].path, HERE / f"{name}.png")
            else:
                _page(scratch / PAGES[name].path, PAGES[name], HERE / f"{name}.png")


def _run(command: str, scratch: Path) -> str | None:
    """What the command prints, in colour; None where there is no such command."""
    _, *words = shlex.split(command)
    done = subprocess.run(
        [sys.executable, "-m", "grader", *words],
        cwd=scratch,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "FORCE_COLOR": "1",
            "COLUMNS": str(COLUMNS),
            "TERM": "xterm-256color",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if "No such command" in done.stderr:
        return None
    if done.returncode not in (0, 1):
        raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stderr}")
    lines = [line for line in done.stdout.splitlines() if "time left" not in line]  # the bar of a long run
    return re.sub(r"\x1b\[\??\d*[ABGHJKhl]|\r", "", "\n".join(lines)).strip("\n")  # moves of the cursor


def _terminal(command: str, output: str, path: Path) -> None:
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(Text.from_ansi(f"$ {command}\n{output.rstrip()}"))
    svg = console.export_svg(title="grade", unique_id=path.stem)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # fonts from the web
    path.write_text(svg.replace("Fira Code,", "ui-monospace, DejaVu Sans Mono,"), encoding="utf-8")
    print(path.relative_to(ROOT))


def _page(page: Path, about: Page, path: Path) -> None:
    from PIL import Image
    from playwright.sync_api import sync_playwright

    browsers = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    with sync_playwright() as playwright:
        found = next(browsers, playwright.chromium.executable_path)
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 1200, "height": about.height})
        shown.goto(page.as_uri() + about.place)
        shown.screenshot(path=path)
        browser.close()
    Image.open(path).convert("RGB").quantize(96).save(path, optimize=True)
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
