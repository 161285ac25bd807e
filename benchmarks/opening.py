"""Opens a page in headless Chromium, and says how long it took.

    python benchmarks/opening.py PAGE

Prints as JSON the seconds until the page was loaded and painted, until its table was sorted by points, and until the
search for a name was shown; medians of five fresh pages, after one to warm up.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import sync_playwright

ROUNDS = 5
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_PAINTED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def measure(path: Path) -> dict[str, float]:
    """Medians in seconds: open, sort, search."""
    found: dict[str, list[float]] = {"open": [], "sort": [], "search": []}
    with sync_playwright() as playwright:
        installed = next((name for name in map(shutil.which, _NAMES) if name), None)
        browser = playwright.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        for number in range(ROUNDS + 1):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            steps = {
                "open": lambda page=page: page.goto(path.resolve().as_uri(), wait_until="load"),
                "sort": lambda page=page: page.click('[data-sort="total"]'),
                "search": lambda page=page: page.fill("#search", "anna"),
            }
            for name, step in steps.items():
                seconds = _seconds(page, step)
                if number:
                    found[name].append(seconds)
            page.close()
        browser.close()
    return {name: median(values) for name, values in found.items()}


def _seconds(page: Any, step: Callable[[], Any]) -> float:
    start = time.perf_counter()
    step()
    page.evaluate(_PAINTED)
    return time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]))))
