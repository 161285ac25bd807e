"""The handout as one page of HTML that needs no network: formulas as MathML, figures within the page."""

import base64
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from mdit_py_plugins.anchors import anchors_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
{body}</body>
</html>
"""

_STYLE = """\
:root { color-scheme: light; }
body { max-width: 46rem; margin: 0 auto; padding: 1rem 1rem 4rem; background: #fff; color: #222;
  font: 1.05rem/1.55 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
h1, h2, h3 { line-height: 1.25; }
h2 { margin-top: 2.6em; padding-bottom: .2em; border-bottom: 2px solid #0072b2; }
h3 { margin-top: 2em; }
a { color: #005a8f; }
code { font: .9em ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; background: #f2f2f2;
  padding: .1em .25em; border-radius: 3px; overflow-wrap: break-word; }
pre { background: #f2f2f2; padding: .7em .9em; border-radius: 6px; overflow-x: auto; font-size: .93em; line-height: 1.4; }
pre code { padding: 0; background: none; overflow-wrap: normal; }
.wide { overflow-x: auto; margin: 1.2em 0; }
table { border-collapse: collapse; font-size: .95em; }
th, td { padding: .35em .7em; border-bottom: 1px solid #ccc; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #777; }
img { display: block; width: 100%; min-width: 36rem; }
.math.block { overflow-x: auto; overflow-y: hidden; margin: 1em 0; padding: .3em 0; }
math { font-family: "STIX Two Math", "Cambria Math", "Latin Modern Math", math; font-size: 1.08em; }
@media print {
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  img { min-width: 0; }
  h2, h3 { break-after: avoid; }
  .wide, pre, .math.block { break-inside: avoid; overflow: visible; }
  pre { white-space: pre-wrap; }
  a { color: inherit; text-decoration: none; }
}
"""


def render(markdown: str, figures: Mapping[str, bytes]) -> str:
    """The page of `markdown`, whose images are among `figures`: their bytes by the path that it uses.

    Raises KeyError for an image that is not there.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.use(anchors_plugin, max_level=3)
    parser.use(dollarmath_plugin, renderer=_formula)

    def image(
        renderer: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType
    ) -> str:
        path = str(tokens[index].attrs["src"])
        data = base64.b64encode(figures[path]).decode()
        kind = {".svg": "svg+xml", ".png": "png"}[PurePosixPath(path).suffix]
        tokens[index].attrs["src"] = f"data:image/{kind};base64,{data}"
        return f'<span class="wide">{renderer.image(tokens, index, options, env)}</span>'

    parser.add_render_rule("image", image)
    parser.add_render_rule("table_open", lambda *_: '<div class="wide"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    title = next(line for line in markdown.splitlines() if line.startswith("# ")).removeprefix("# ")
    return _PAGE.format(title=title, style=_STYLE, body=parser.render(markdown))


def _formula(latex: str, options: Mapping[str, Any]) -> str:
    return convert(latex, display="block" if options["display_mode"] else "inline")
