"""Whom a caller means: e-mail addresses from values and frames. Sends nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from refonte_frames.errors import RowErrors
from refonte_frames.resources.asking import is_sendable
from refonte_frames.resources.named import Named

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["check_emails", "emails_of", "shown_cell"]

_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+")


def emails_of(given: Any) -> Named:
    """Read an address, an iterable or Series of addresses, or a frame with a column ``email``.

    Raises
    ------
    ColumnError
        The frame has no such column.
    InputError
        One of them is missing.
    RowErrors
        Some are no addresses.
    """
    named = Named.of(given, kind="email")
    check_emails(named.names)
    return named


def check_emails(emails: Sequence[Any]) -> None:
    """Refuse what is no e-mail address, all of it at once.

    Raises
    ------
    RowErrors
        With the rows.
    """
    bad = [
        (at, "bad_email", f"{shown_cell(email)} is no e-mail address")
        for at, email in enumerate(emails)
        if not isinstance(email, str) or not _EMAIL.fullmatch(email) or not is_sendable(email)
    ]
    if bad:
        more = f", and {len(bad) - 1:,} more" if len(bad) > 1 else ""
        raise RowErrors(f"Row {bad[0][0]}: {bad[0][2]}{more}; nothing was sent. The error's .rows lists all.", bad)


def shown_cell(value: Any) -> str:
    """Show what stands in a cell; nulls of all kinds look the same."""
    is_null = pd.api.types.is_scalar(value) and pd.isna(value)
    return "an empty cell" if is_null else repr(value)
