"""What many tasks are like now, read ahead in as few calls as the service allows. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from refonte_frames.errors import RefonteError
from refonte_frames.lookup import IdSearch, JsonDesk, by_listing
from refonte_frames.transport.pacing import Stopped

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence

    from refonte_frames.client import Client

__all__ = ["States"]

T = TypeVar("T")

#: Tasks that are read ahead at a time: what is read of the last of them is as old as the changes of the others take.
_TASKS_AHEAD: Final = 1_000
#: Fewer are read one by one, without finding out first what the service's filter can do.
_FEWEST_AHEAD: Final = 4


@dataclass(slots=True)
class States:
    """Reads tasks ahead: by unique_id where it is known, else in the list of all that were created in their time.

    The service's list has no filter on task ids. What cannot be found so is left out, for the caller to read alone;
    errors too are his to meet, task by task.

    Attributes
    ----------
    unique_ids : mapping of str to str
        The unique_id beside a task_id, as the caller's frame has it; it may have another task by now.
    stop : threading.Event
        When set, nothing more is read.
    """

    client: Client
    unique_ids: Mapping[str, str]
    stop: threading.Event
    _is_off: bool = False
    _search: IdSearch[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self._search = IdSearch(JsonDesk(self.client, self.stop))

    def beside(self, items: Iterator[tuple[str, T]]) -> Iterator[tuple[str, T, Mapping[str, Any] | None]]:
        """Put what is known of each task beside it, in order; None where it was not read."""
        while some := list(islice(items, _TASKS_AHEAD)):
            known = self._read([task_id for task_id, _ in some])
            for task_id, item in some:
                yield task_id, item, known.get(task_id)

    def _read(self, task_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        if self._is_off or self.stop.is_set() or len(task_ids) < _FEWEST_AHEAD:
            return {}
        found: dict[str, Mapping[str, Any]] = {}
        try:
            found |= self._by_unique_id(task_ids)
            rest = [task_id for task_id in task_ids if task_id not in found]
            found |= {str(task["task_id"]): task for task in by_listing(JsonDesk(self.client, self.stop), rest)}
        except (RefonteError, Stopped):
            self._is_off = True
        return found

    def _by_unique_id(self, task_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        asked = dict.fromkeys(self.unique_ids[task_id] for task_id in task_ids if task_id in self.unique_ids)
        tasks = (task for _, found in self._search.each(list(asked)) for task in found.values())
        # Known by its task_id, whatever stood beside that: an id may have gone to another task since.
        return {str(task["task_id"]): task for task in tasks}
