"""What the platform holds under a plan's ids: asked in few calls, judged as a submission would judge its answers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd

from refonte_frames.lookup import IdSearch, JsonDesk
from refonte_frames.transport.replies import decode_json
from refonte_frames.upload.holders import differs_in, say_ended, say_taken

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from refonte_frames.client import Client
    from refonte_frames.upload.plan import Task
    from refonte_frames.upload.run import Work

__all__ = ["Foreseen", "foresee", "with_foreseen"]

#: Bodies that are held in memory while their ids are looked up.
_TASKS_A_LOOK: Final = 2_000


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a submission would meet under an id.

    Attributes
    ----------
    action : {"existing", "different", "ended"}
        The platform has this very task; the id belongs to another one; it has this very task, which was canceled or
        ended in error, and still holds the id.
    """

    action: Literal["existing", "different", "ended"]
    task_id: str
    error_code: str | None = None
    error_message: str | None = None


def foresee(client: Client, work: Iterator[Work], resubmit: Collection[str]) -> dict[int, Foreseen]:
    """Ask the platform for the ids of tasks that would be sent.

    Parameters
    ----------
    work : iterator of Work
        The tasks with their ids and bodies; consumed a few at a time.
    resubmit : collection of str
        Statuses of a holder whose row would be made anew.

    Returns
    -------
    dict of int to Foreseen
        By the tasks' places; those whose ids are free are left out.

    Raises
    ------
    ReplyError
        The service does not honour the filter on unique_id.
    """
    search = IdSearch(JsonDesk(client))
    seen: dict[int, Foreseen] = {}
    while some := list(islice(work, _TASKS_A_LOOK)):
        by_id = {str(item.task.unique_id): item for item in some}
        for _, found in search.each(list(by_id)):
            for unique_id, holder in found.items():
                item = by_id[unique_id]
                foreseen = _judged(item, holder, resubmit)
                if foreseen is not None:
                    seen[item.at] = foreseen
    return seen


def _judged(item: Work, holder: Mapping[str, Any], resubmit: Collection[str]) -> Foreseen | None:
    """Judge a holder as a submission would after a 409."""
    unique_id, holder_id, status = str(item.task.unique_id), str(holder["task_id"]), str(holder.get("status"))
    body = decode_json(item.body, where="our own body", type=dict[str, Any])
    difference = differs_in(holder, body, task_type=item.task.type, unique_id=unique_id)
    if difference:
        return Foreseen("different", holder_id, "unique_id_taken", say_taken(unique_id, holder_id, difference))
    if status in resubmit:
        return None
    if status in ("canceled", "error"):
        return Foreseen("ended", holder_id, f"holder_{status}", say_ended(holder_id, status))
    return Foreseen("existing", holder_id)


def with_foreseen(planned: pd.DataFrame, tasks: Sequence[Task], seen: Mapping[int, Foreseen]) -> pd.DataFrame:
    """Write what was foreseen into the rows of a plan; the frame that came is not changed."""
    names = ("action", "task_id", "error_code", "error_message")
    cells = {name: planned[name].tolist() for name in names}
    for at, foreseen in seen.items():
        for position in tasks[at].positions:
            for name in names:
                cells[name][position] = getattr(foreseen, name)
    return planned.assign(
        **{name: pd.Series(values, index=planned.index, dtype=planned[name].dtype) for name, values in cells.items()}
    )
