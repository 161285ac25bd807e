"""The browser that pages are opened in: Debian's `chromium`, Chrome, or the one of `playwright install chromium`."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def launched() -> Iterator[Any]:
    """A browser of playwright's, as a fixture yields it; skips where there is none."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (the dependency group dev)"
    )
    with sync_api.sync_playwright() as playwright:
        found = next((path for name in NAMES if (path := shutil.which(name))), None)
        path = found or playwright.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("no Chromium here: install the system's (apt-get install chromium) or playwright's")
        # as root, which CI often is, Chromium refuses its own sandbox; the pages are the course's own
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
