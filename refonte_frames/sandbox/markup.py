"""HTML made of elements, so that a text that is not markup is always escaped; what the page says lives in `page`."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Html", "element", "table"]

_VOID = frozenset({"input", "link", "meta"})


class Html(str):
    """Text that is markup already; only `element` makes it."""

    __slots__ = ()


def element(name: str, /, *inside: object, **attributes: object) -> Html:
    """Write an element; what is inside is escaped unless it is an element itself.

    Parameters
    ----------
    name : str
        Of the element.
    attributes
        Their values; a trailing underscore is dropped from names that Python reserves; None leaves one out.

    >>> element("p", "a < b", class_="note")
    '<p class="note">a &lt; b</p>'
    """
    given = {key.rstrip("_"): value for key, value in attributes.items() if value is not None}
    head = "".join(f' {key}="{escape(str(value))}"' for key, value in given.items())
    if name in _VOID:
        return Html(f"<{name}{head}>")
    return Html(f"<{name}{head}>{''.join(_text(each) for each in inside)}</{name}>")


def _text(value: object) -> str:
    if isinstance(value, Html):
        return value
    return "" if value is None else escape(str(value))


#: As long as a time or an id: whatever is longer may be broken over lines.
_UNBROKEN = 28


def _cell(value: object) -> Html:
    is_long = isinstance(value, str) and not isinstance(value, Html) and len(value) > _UNBROKEN
    return element("td", value, class_="long" if is_long else None)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> Html:
    """Write a table, or a sentence where there are no rows."""
    body = [element("tr", *(_cell(cell) for cell in row)) for row in rows]
    if not body:
        return element("p", empty, class_="none")
    head = element("tr", *(element("th", text, scope="col") for text in headings))
    return element("div", element("table", element("thead", head), element("tbody", *body)), class_="wide")
