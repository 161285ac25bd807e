"""What students wrote, as HTML and notebook outputs that can do nothing: no script, no request, no huge image.

Markdown is rendered here, raw HTML in it shown as text, formulas turned into MathML, and the result cleaned once
more against lists of what is allowed. It comes as one line that nbconvert passes on as it is, and which MathJax
leaves alone: neither sees anything of a student's to interpret. What is too large is cut, and says so.
"""

import base64
import binascii
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any

import nh3
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin

from grader.terminal import clean

KEPT = 128  # answers whose HTML is kept, so that it can be made ahead of its use
MAX_TEXT = 60_000  # characters of an answer, a cell's source or an output
MAX_IMAGE_BYTES = 3_000_000
MAX_IMAGE_SIDE = 5_000  # pixels: a PNG of some kilobytes can unpack to gigabytes
_MAX_FORMULA = 2_000  # characters

_TAGS = {
    *("p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "img", "span", "div"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
    *("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "msup", "msub", "msubsup", "mfrac", "msqrt", "mroot"),
    *("munder", "mover", "munderover", "mtable", "mtr", "mtd", "mstyle", "mpadded", "mphantom", "menclose"),
}  # fmt: skip
_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title"},
    "ol": {"start"},
    "th": {"style"},
    "td": {"style"},
    "math": {"display"},
    "mi": {"mathvariant"},
    "mo": {"stretchy", "fence", "form", "separator", "lspace", "rspace"},
    "mspace": {"width", "linebreak"},
    "mtable": {"columnalign", "rowspacing", "columnspacing"},
    "mtd": {"columnalign"},
    "mstyle": {"displaystyle", "scriptlevel", "mathvariant"},
    "mfrac": {"linethickness"},
    "mover": {"accent"},
}
_ALIGNMENT = re.compile(r"text-align:(left|right|center)")
_OUR_IMAGE = re.compile(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+")
_LINK = re.compile(r"(https?|mailto):", re.IGNORECASE)
IGNORED_BY_MATHJAX = "tex2jax_ignore mathjax_ignore"


# -- text ---------------------------------------------------------------------------------------------


def text(value: object, limit: int = MAX_TEXT) -> str:
    """Plain text without control characters, cut to `limit` characters; a list of strings is joined."""
    if isinstance(value, list):
        value = "".join(part for part in value if isinstance(part, str))
    if not isinstance(value, str):
        return ""
    value = clean(value.encode("utf-8", "replace").decode())
    return (
        value if len(value) <= limit else f"{value[:limit]}\n[... {len(value) - limit:,} characters left out]"
    )


def html_text(value: str, limit: int = MAX_TEXT) -> str:
    """Plain text as HTML that shows it."""
    return escape(text(value, limit))


def one_line(html: str) -> str:
    """HTML as a single line in which Markdown and TeX find nothing to interpret; it shows the same."""
    line = html.strip().replace("\r", "").replace("\n", "&#10;").replace("$", "&#36;").replace("\\", "&#92;")
    # a word or a formula of any length stays within its cell
    return f'<div class="{IGNORED_BY_MATHJAX}" style="overflow-wrap:anywhere;overflow-x:auto">{line}</div>'


# -- Markdown -----------------------------------------------------------------------------------------


def markdown_html(source: str, attachments: object = None) -> str:
    """A student's Markdown as one line of safe HTML.

    attachments: of the notebook's cell, `{name: {mime type: base64}}`; only PNG and JPEG images are shown.
    """
    return _kept(text(source)) if not attachments else _markdown_html(text(source), attachments)


@lru_cache(maxsize=KEPT)
def _kept(source: str) -> str:
    return _markdown_html(source, None)


def _markdown_html(source: str, attachments: object) -> str:
    try:
        rendered = _PARSER.render(source, {"attachments": attachments})
    except (RecursionError, ValueError, IndexError):  # nested beyond what the parser takes
        rendered = f"<pre>{escape(source)}</pre>"
    return one_line(
        nh3.clean(
            rendered,
            tags=_TAGS,
            attributes=_ATTRIBUTES,
            attribute_filter=_allowed,
            url_schemes={"http", "https", "mailto", "data"},
            link_rel="noopener noreferrer nofollow",
        )
    )


def _allowed(tag: str, name: str, value: str) -> str | None:
    """The attribute's value, None where it has to go."""
    if name == "src":
        return value if _OUR_IMAGE.fullmatch(value) else None
    if name == "href":
        return value if _LINK.match(value) else None
    if name == "style":
        return value if _ALIGNMENT.fullmatch(value) else None
    return value


def _formula(latex: str, options: Mapping[str, Any]) -> str:
    if len(latex) <= _MAX_FORMULA:
        return _mathml(latex, "block" if options.get("display_mode") else "inline")
    return f"<code>{escapeHtml(latex)}</code>"


@lru_cache(maxsize=1024)
def _mathml(latex: str, display: str) -> str:
    """The formula as MathML, or as code where it is none; a class writes the same ones again and again."""
    try:
        return convert(latex, display=display)
    except Exception:  # the library raises whatever it trips over
        return f"<code>{escapeHtml(latex)}</code>"


def _environment(
    renderer: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    return f"<div>{_formula(tokens[index].content, {'display_mode': True})}</div>"


def _image(
    renderer: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    token = tokens[index]
    source, alt = str(token.attrs.get("src", "")), token.content
    name = source.removeprefix("attachment:")
    held = env.get("attachments")
    if source.startswith("attachment:") and isinstance(held, Mapping) and isinstance(held.get(name), Mapping):
        for mime, data in held[name].items():
            shown = image_url(mime, data)
            if isinstance(shown, str):
                return f'<img src="{shown}" alt="{escapeHtml(alt or name)}">'
    return f"<em>[an image that is not in the notebook: {escapeHtml(alt or source[:200])}]</em>"


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.use(dollarmath_plugin, renderer=_formula, double_inline=True)
    parser.use(amsmath_plugin)
    parser.add_render_rule("image", _image)
    parser.add_render_rule("amsmath", _environment)
    return parser


_PARSER = _parser()


# -- images -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unsafe:
    """Why an image is not shown: "an image that is too large"."""

    why: str


def image_url(mime: object, data: object) -> str | Unsafe:
    """The `data:` URL of a PNG or JPEG that a browser can show without harm; else `Unsafe`, with the reason."""
    if mime not in ("image/png", "image/jpeg"):
        return Unsafe("an output of a kind that is not shown")
    if isinstance(data, list):
        data = "".join(part for part in data if isinstance(part, str))
    if not isinstance(data, str) or len(data) > 2 * MAX_IMAGE_BYTES:
        return Unsafe("an image that is too large")
    try:
        raw = base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        return Unsafe("an image that cannot be read")
    if len(raw) > MAX_IMAGE_BYTES:
        return Unsafe("an image that is too large")
    size = _png_size(raw) if mime == "image/png" else _jpeg_size(raw)
    if size is None:
        return Unsafe("an image that cannot be read")
    if max(size) > MAX_IMAGE_SIDE:
        return Unsafe(f"an image of {size[0]:,} x {size[1]:,} pixels")
    return f"data:{mime};base64,{base64.b64encode(raw).decode()}"


def _png_size(raw: bytes) -> tuple[int, int] | None:
    if len(raw) < 33 or raw[:8] != b"\x89PNG\r\n\x1a\n" or raw[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", raw[16:24])
    return width, height


def _jpeg_size(raw: bytes) -> tuple[int, int] | None:
    """Width and height from the frame header, for which the segments before it are stepped over."""
    position = 2
    while raw[:2] == b"\xff\xd8" and position + 9 <= len(raw) and raw[position] == 0xFF:
        marker, length = raw[position + 1], int.from_bytes(raw[position + 2 : position + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", raw[position + 5 : position + 9])
            return width, height
        position += 2 + max(length, 2)
    return None


# -- outputs of code cells ----------------------------------------------------------------------------

_MAX_OUTPUTS = 40


def outputs(found: object) -> list[dict[str, Any]]:
    """The outputs of a student's code cell: printed text, plain text of values, errors, PNG and JPEG images.

    HTML, SVG, LaTeX, JavaScript, widgets and metadata are left out.
    """
    safe: list[dict[str, Any]] = []
    for one in found if isinstance(found, list) else []:
        if len(safe) >= _MAX_OUTPUTS:
            safe.append(_stream("stdout", "[more outputs were left out]\n"))
            break
        if isinstance(one, Mapping):
            safe += _output(one)
    return safe


def _output(one: Mapping[str, Any]) -> list[dict[str, Any]]:
    match one.get("output_type"):
        case "stream":
            return [_stream("stderr" if one.get("name") == "stderr" else "stdout", text(one.get("text")))]
        case "error":
            lines = one.get("traceback")
            traceback = [text(line) for line in lines[:60]] if isinstance(lines, list) else []
            return [
                {
                    "output_type": "error",
                    "ename": text(one.get("ename"), 200),
                    "evalue": text(one.get("evalue"), 2000),
                    "traceback": traceback,
                }
            ]
        case "display_data" | "execute_result":
            return _data(one.get("data"))
    return []


def _data(data: object) -> list[dict[str, Any]]:
    if not isinstance(data, Mapping):
        return []
    shown: dict[str, str] = {}
    about: dict[str, dict[str, str]] = {}
    for mime in ("image/png", "image/jpeg"):
        if mime in data:
            url = image_url(mime, data[mime])
            if isinstance(url, Unsafe):
                return [_stream("stdout", f"[{url.why} was left out]\n")]
            shown = {mime: url.partition(",")[2]}
            about = {mime: {"alt": "a figure that the cell above drew"}}
            break
    plain = text(data.get("text/plain"))
    if not shown and not plain:
        return [_stream("stdout", "[an output of a kind that is not shown was left out]\n")] if data else []
    return [{"output_type": "display_data", "data": {**shown, "text/plain": plain}, "metadata": about}]


def _stream(name: str, content: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": content}
