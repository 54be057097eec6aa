"""Tasks cut by their batch, for a service that does not look at bounds of time; used only where the counts add up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from refonte_frames.api import MAX_PAGE_SIZE
from refonte_frames.errors import ApiError, ReplyError
from refonte_frames.export.windows import Window
from refonte_frames.transport.calls import Call
from refonte_frames.transport.replies import decode_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refonte_frames.client import Client
    from refonte_frames.export.filters import Filters

__all__ = ["plan_by_batch"]

#: More batches than this would cost more requests to count than reading side by side could spare.
_MAX_BATCHES: Final = 2_000
#: A service whose pages of batches never end is not followed further.
_MAX_PAGES: Final = 2 * _MAX_BATCHES // MAX_PAGE_SIZE


class _Batch(Struct):
    name: str


class _Page(Struct):
    docs: list[_Batch]
    has_more: bool = False


def plan_by_batch(client: Client, filters: Filters, total: int, count: Callable[[Filters], int]) -> list[Window] | None:
    """Plan one window for each batch that has tasks.

    Parameters
    ----------
    client : Client
        Lists the batches.
    filters : Filters
        What is to be read.
    total : int
        Tasks that match them, by the service's account.
    count : callable
        Asks how many tasks match some filters.

    Returns
    -------
    list of Window or None
        The largest first. None when the batches' tasks are not all tasks: some are in no batch, or the service does
        not look at the batch either.
    """
    if filters.batch is not None:
        return None
    try:
        names = _names(client, filters.project)
    except (ApiError, ReplyError):
        # One more thing that it does not do as documented: the pass over all tasks is still there.
        return None
    if not 1 < len(names) <= _MAX_BATCHES:
        return None
    with ThreadPoolExecutor(client.max_workers) as pool:
        counts = list(pool.map(lambda name: count(replace(filters, batch=name)), names))
    if sum(counts) != total:
        return None
    counted = sorted(zip(counts, names, strict=True), reverse=True)
    return [Window(batch=name) for tasks, name in counted if tasks]


def _names(client: Client, project: str | None) -> Sequence[str]:
    """List the names of all batches, each once: pages by offset shift while batches are made."""
    names: dict[str, None] = {}
    of_project = [] if project is None else [("project", project)]
    for number in range(_MAX_PAGES):
        query = [*of_project, ("limit", str(MAX_PAGE_SIZE)), ("offset", str(number * MAX_PAGE_SIZE))]
        reply = client.send(Call.get("batches", query=query))
        page = decode_json(reply.body, type=_Page, where=f"GET /batches, page {number + 1},")
        names.update(dict.fromkeys(batch.name for batch in page.docs))
        if not page.has_more or not page.docs:
            break
    return list(names)
