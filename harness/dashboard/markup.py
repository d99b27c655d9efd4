"""HTML of the pages, from text that may come from anywhere: whatever is not markup of ours is escaped."""

import html
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from harness.result.units import MISSING

# For pages whose names open an experiment: sends what the button's data say.
OPENS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-open]');
  if (button) trigger('select', {...button.dataset});
});
"""
LONGEST = 4000  # characters of one text shown; longer ones are cut, and say so
_VOID = ("br", "input")  # elements without an end
# Beside HTML's own: what templates of a page's framework would read as theirs.
_MORE = str.maketrans({"{": "&#123;", "}": "&#125;", "$": "&#36;", "`": "&#96;"})


class Safe(str):
    """Markup that was made here; `escape` leaves it as it is."""


def escape(value: Any) -> Safe:
    """The text of `value`, harmless in HTML content and in quoted attributes; missing values are a dash."""
    if isinstance(value, Safe):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Safe(MISSING)
    text = value if isinstance(value, str) else str(value)
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]} … ({len(text):,} characters)"
    return Safe(html.escape(text, quote=True).translate(_MORE))


def tag(name: str, *content: Any, **attributes: Any) -> Safe:
    """One element: `tag("td", value, class_="number")`. Attributes that are None or False are left out."""
    parts = [name]
    for key, value in attributes.items():
        if value is True:
            parts.append(_attribute(key))
        elif value is not None and value is not False:
            parts.append(f'{_attribute(key)}="{escape(value)}"')
    opening = f"<{' '.join(parts)}>"
    return Safe(opening if name in _VOID else f"{opening}{join(content)}</{name}>")


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def join(parts: Iterable[Any], between: str = "") -> Safe:
    """The parts one after the other, each escaped; `between` is markup of ours."""
    return Safe(between.join(escape(part) for part in parts))


def table(heads: Sequence[Any], rows: Iterable[Sequence[Any]], class_: str = "", caption: str | None = None) -> Safe:
    """A table whose first column names the row; it scrolls sideways within its frame."""
    head = tag("tr", *(tag("th", cell, scope="col") for cell in heads))
    body = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    caption = tag("caption", caption) if caption else ""
    inner = tag("table", caption, tag("thead", head), tag("tbody", *body))
    return tag("div", inner, class_=f"frame {class_}".strip(), tabindex="0")


def notice(text: Any, kind: str = "note") -> Safe:
    """A line that stands out: kind is "note", "warning" or "error"."""
    return tag("p", text, class_=f"notice {kind}", role="alert" if kind == "error" else None)


def badge(text: Any, kind: str = "", title: str | None = None) -> Safe:
    """A small label beside a value."""
    return tag("span", text, class_=f"badge {kind}".strip(), title=title)


def details(summary: Any, *content: Any, opened: bool = False) -> Safe:
    """Content that opens on a click."""
    return tag("details", tag("summary", summary), *content, open=opened)


def section(title: str, *content: Any, help: str | None = None) -> Safe:
    """A titled part of a page, with one line of help."""
    return tag("section", tag("h3", title), tag("p", help, class_="help") if help else "", *content)


def breakable(name: str) -> Safe:
    """A name that may be broken after a slash or an underscore, not only at hyphens."""
    return Safe(escape(name).replace("/", "/<wbr>").replace("_", "_<wbr>"))


def setting(value: Any) -> str:
    """One value of a configuration as its file would spell it; null is a dash."""
    if value is None:
        return MISSING
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
