"""Signed URLs of attachments for tasks that came by their ids, or as a callback: only the service's lists give them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from refonte_frames.api import MAX_PAGE_SIZE
from refonte_frames.export.columns import time_of
from refonte_frames.export.filters import stamp_of
from refonte_frames.export.windows import Window, windows_around
from refonte_frames.pages import read_pages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refonte_frames.export.decode import TaskDoc
    from refonte_frames.lookup import Desk

__all__ = ["add_signed_urls"]

_SECOND: Final = 1_000_000
#: Seconds together in one window hold a few pages at most; the list of a service that overlooks bounds is longer.
_MOST_IN_ONE: Final = 10 * MAX_PAGE_SIZE
_MOST_PAGES: Final = 20
_ASKED: Final = ("include_attachment_url", "true")
_BOUNDS: Final = ("start_time", "end_time")


def add_signed_urls(desk: Desk[TaskDoc], docs: Sequence[TaskDoc]) -> None:
    """Look tasks without a signed URL up in the list, where the desk's filters ask for these URLs; else do nothing.

    A task is found by the second in which it was created: one request for those of neighbouring seconds. What the list
    does not show there stays as it is.
    """
    if _ASKED not in desk.query():
        return
    bare: dict[int, list[TaskDoc]] = {}
    for doc in docs:
        micros, _ = time_of(doc.created_at or "")
        if micros is not None and not doc.attachment_url:
            bare.setdefault(micros // _SECOND, []).append(doc)
    seconds = sorted(bare)
    gaps = [0 if second - 1 in bare else MAX_PAGE_SIZE for second in seconds]
    windows = windows_around(seconds, [len(bare[second]) for second in seconds], gaps, target=_MOST_IN_ONE)

    def look_up(window: Window) -> None:
        of_window = range((window.start or 0) // _SECOND, (window.end or 0) // _SECOND)
        _add(desk, window, {doc.task_id: doc for second in of_window for doc in bare[second]})

    if windows:
        with ThreadPoolExecutor(desk.client.max_workers) as pool:
            list(pool.map(look_up, windows))


def _add(desk: Desk[TaskDoc], window: Window, wanted: dict[str, TaskDoc]) -> None:
    bounds = zip(_BOUNDS, map(stamp_of, (window.start or 0, window.end or 0)), strict=True)
    query = [*(pair for pair in desk.query() if pair[0] not in _BOUNDS), *bounds]
    pages = read_pages(desk.send, desk.decoder, query, where="GET /tasks?include_attachment_url=true")
    for number, (page, _) in enumerate(pages, start=1):
        for listed in page.docs:
            if (doc := wanted.pop(listed.task_id, None)) is not None:
                doc.attachment_url = listed.attachment_url
        if not wanted or number == _MOST_PAGES:
            return
