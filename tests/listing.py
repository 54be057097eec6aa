"""A service that lists tasks over real HTTP and can be told to do it badly; runs in a thread, or as a program.

``python listing.py 12000`` lists so many small tasks, prints its base URL, and serves until it is ended.
"""

from __future__ import annotations

import sys
import threading
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import msgspec

START = datetime(2024, 3, 4, 8, tzinfo=UTC)


def stamp(moment: datetime) -> str:
    """Write a time as the service does."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def small_task(index: int, *, gap_ms: int = 7_000) -> dict[str, Any]:
    """Make a small completed task; every third has an audit, every task two boxes."""
    created = START + timedelta(milliseconds=gap_ms * index)
    completed = created + timedelta(minutes=3)
    task: dict[str, Any] = {
        "task_id": f"{int(created.timestamp()):08x}{index:016x}",
        "created_at": stamp(created),
        "updated_at": stamp(completed),
        "completed_at": stamp(completed),
        "type": "imageannotation",
        "status": "completed",
        "project": "dock",
        "unique_id": f"u{index}",
        "params": {"attachment": f"https://data.example.org/{index}.jpg"},
        "metadata": {"index": index},
        "response": {"annotations": [{"type": "box", "label": "a", "left": index, "top": 1} for _ in range(2)]},
    }
    if index % 3 == 0:
        task["audits"] = [
            {"audited_by": "qa@example.org", "audited_at": stamp(completed), "audit_result": "accepted"},
        ]
    return task


@dataclass
class Listing:
    """Serves ``GET /v1/tasks``, ``GET /v1/task/{id}`` and the names of ``GET /v1/batches`` of a list of tasks.

    Attributes
    ----------
    tasks : list of dict
        Newest first, as the service lists them.
    ignores, refuses : set of str
        Query names that are passed over, and those that are answered with 400.
    wrong_total : int or None
        Added to the total of every page; with None pages have no total.
    repeats_token, promises_more, expires_once, hides_once, repeats_docs : bool
        Bad manners of paging: the same token for ever; has_more on the last page; the first token refused once; the
        first page short of a task once; the last task of a page again on the next.
    body : bytes or None
        Sent instead of every page.
    now : datetime
        What the service's clock says.
    requests : list of str
        What was asked.
    """

    tasks: list[dict[str, Any]]
    ignores: set[str] = field(default_factory=set)
    refuses: set[str] = field(default_factory=set)
    wrong_total: int | None = 0
    repeats_token: bool = False
    promises_more: bool = False
    expires_once: bool = False
    hides_once: bool = False
    repeats_docs: bool = False
    body: bytes | None = None
    now: datetime = datetime(2024, 3, 11, tzinfo=UTC)
    requests: list[str] = field(default_factory=list)
    _known: tuple[list[dict[str, Any]], list[str]] | None = None

    def __enter__(self) -> Self:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server.server_port}/v1"

    def answer(self, target: str) -> tuple[int, bytes]:
        """Answer one request."""
        parts = urlsplit(target)
        self.requests.append(target)
        if parts.path.startswith("/v1/task/"):
            return self._one(parts.path.rsplit("/", 1)[1])
        asked = parse_qsl(parts.query)
        if refused := [name for name, _ in asked if name in self.refuses]:
            return 400, msgspec.json.encode({"status_code": 400, "error": f"unknown parameter {refused[0]}"})
        query = [(name, value) for name, value in asked if name not in self.ignores]
        if parts.path == "/v1/batches":
            names = dict.fromkeys(task["batch"] for task in self.tasks if "batch" in task)
            return 200, msgspec.json.encode({"docs": [{"name": name} for name in names], "has_more": False})
        token = dict(query).get("next_token")
        if token and self.expires_once:
            self.expires_once = False
            return 400, msgspec.json.encode({"status_code": 400, "error": "next_token has expired"})
        return 200, self.body if self.body is not None else self._page(query, token)

    def _one(self, task_id: str) -> tuple[int, bytes]:
        for task in self.tasks:
            if task["task_id"] == task_id:
                return 200, msgspec.json.encode(task)
        return 404, msgspec.json.encode({"status_code": 404, "error": "no such task"})

    def _page(self, query: list[tuple[str, str]], token: str | None) -> bytes:
        found = self._matching(query)
        limit = int(dict(query)["limit"])
        first = int(token) if token else 0
        docs = found[first : first + limit]
        if self.hides_once and limit > 1 and docs:
            self.hides_once, docs = False, docs[1:]
        if self.repeats_docs and first:
            docs = [found[first - 1], *docs]
        has_more = first + limit < len(found)
        total = {} if self.wrong_total is None else {"total": len(found) + self.wrong_total}
        page = {"docs": docs, **total, "limit": limit, "has_more": has_more}
        if has_more or self.promises_more:
            page |= {"next_token": "0" if self.repeats_token else str(first + limit), "has_more": True}
        return msgspec.json.encode(page)

    def _created(self) -> list[str]:
        if self._known is None or self._known[0] is not self.tasks:
            self._known = self.tasks, [task["created_at"] for task in reversed(self.tasks)]
        return self._known[1]

    def _matching(self, query: list[tuple[str, str]]) -> list[dict[str, Any]]:
        bounds = dict(query)
        created = self._created()
        low = bisect_left(created, _comparable(bounds["start_time"])) if "start_time" in bounds else 0
        high = bisect_right(created, _comparable(bounds["end_time"])) if "end_time" in bounds else len(created)
        found = self.tasks[len(created) - high : len(created) - low]
        for name, column in (("updated_after", "updated_at"), ("completed_after", "completed_at")):
            if name in bounds:
                found = [task for task in found if task.get(column, "") >= _comparable(bounds[name])]
        for name in ("project", "status", "type", "batch"):
            if name in bounds:
                found = [task for task in found if task.get(name) == bounds[name]]
        ids = [value for name, value in query if name == "unique_id"]
        return [task for task in found if task.get("unique_id") in ids] if ids else found


def _comparable(text: str) -> str:
    return text.replace("Z", "") if len(text) > len("2024-03-04T08:00:00.000Z") else text


def _handler(listing: Listing) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            status, body = listing.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002 - the base class's
            return format_datetime(listing.now, usegmt=True)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler


if __name__ == "__main__":
    with Listing([small_task(index) for index in range(int(sys.argv[1]))][::-1]) as running:
        print(running.base_url, flush=True)  # noqa: T201 - the caller waits for it
        sys.stdin.read()
