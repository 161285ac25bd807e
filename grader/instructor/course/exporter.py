"""nbconvert's HTML exporter without its last step, which takes most of a page's time.

It parses the finished page once more, to give images without one a text, and to let the keyboard reach the cells of
a template that feedback does not use. All images of our pages have a text already (`safe.outputs`, `results`).
"""

from typing import Any

from nbconvert.exporters import HTMLExporter, html
from nbformat import NotebookNode


class _Unparsed:
    """What stands in for the parsed page: nothing is found in it, and it is written as it came."""

    def __init__(self, markup: str, features: str):
        self._markup = markup

    def select(self, selector: str) -> list[Any]:
        return []

    def __str__(self) -> str:
        return self._markup


class PageExporter(HTMLExporter):
    """Pages as `HTMLExporter` makes them, but not parsed once more."""

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **options: Any
    ) -> tuple[Any, dict[str, Any]]:  # the page, a string
        module: Any = html
        parser, module.BeautifulSoup = module.BeautifulSoup, _Unparsed
        try:
            return super().from_notebook_node(nb, resources, **options)
        finally:
            module.BeautifulSoup = parser
