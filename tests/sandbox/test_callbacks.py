"""Callbacks arrive at a real receiver, are tried again on the sandbox's clock, and their outcome is served."""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import requests

from refonte_frames.sandbox.deliveries import RETRY_SECS
from refonte_frames.sandbox.session import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class Receiver:
    """A server that notes what it is sent, and answers with the statuses it is told, the last one for ever."""

    url: str = ""
    statuses: list[int] = field(default_factory=lambda: [200])
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)
    may_answer: threading.Event = field(default_factory=threading.Event)

    def wait_for(self, count: int) -> None:
        """Wait until so many calls came."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.bodies) >= count, timeout=30)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Run a receiver."""
    noted = Receiver()
    noted.may_answer.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status = noted.statuses.pop(0) if len(noted.statuses) > 1 else noted.statuses[0]
            with noted.arrived:
                noted.bodies.append(body)
                noted.headers.append({name.lower(): value for name, value in self.headers.items()})
                noted.arrived.notify_all()
            noted.may_answer.wait(30)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    noted.url = f"http://127.0.0.1:{server.server_port}/callback?x=1"
    yield noted
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def own() -> Iterator[Sandbox]:
    """Start a sandbox on a frozen clock."""
    with Sandbox(seed=7) as sandbox:
        sandbox.clock.freeze()
        yield sandbox


@pytest.fixture
def live(own: Sandbox, world_of: Callable[..., Any]) -> Iterator[Any]:
    """Give a world nobody used before, and drop what it still plans: its receiver will be gone."""
    key = f"live_{uuid.uuid4().hex[:20]}"
    yield world_of(own, key)
    own.reset(key=key)


def test_a_completed_task_is_called_back(own: Sandbox, live: Any, receiver: Receiver) -> None:
    """With the task as it is then, and the auth header in both documented spellings."""
    task = live.task(callback_url=receiver.url)
    own.complete(task["task_id"], {"category": "a"})
    (body,) = receiver.bodies
    assert (body["task_id"], body["status"], body["response"]) == (task["task_id"], "completed", {"category": "a"})
    assert body["task"]["response"] == {"category": "a"}
    key = own.callbacks(key=live.key)["auth_key"]
    assert receiver.headers[0]["refonte-ai--callback-auth"] == key
    assert receiver.headers[0]["refonte.ai-callback-auth"] == key
    assert receiver.headers[0]["content-type"] == "application/json"
    served = live.ok("GET", f"/task/{task['task_id']}")
    assert served["callback_succeeded"] is True
    assert served["callback_completed"] is True


def test_a_test_task_is_called_back_by_itself(own: Sandbox, world_of: Callable[..., Any], receiver: Receiver) -> None:
    """It ends at once, and so does nobody have to steer anything."""
    task = world_of(own, "test_demo").task(callback_url=receiver.url)
    receiver.wait_for(1)
    assert receiver.bodies[0]["task_id"] == task["task_id"]


def test_a_failed_task_is_called_back_and_a_canceled_one_is_not(own: Sandbox, live: Any, receiver: Receiver) -> None:
    """The documents name completion and error."""
    failed, canceled = (live.task(callback_url=receiver.url) for _ in range(2))
    own.fail(failed["task_id"])
    live.ok("POST", f"/task/{canceled['task_id']}/cancel")
    own.clock.advance(days=1)
    assert [body["status"] for body in receiver.bodies] == ["error"]


def test_the_profiles_url_is_the_default(own: Sandbox, live: Any, receiver: Receiver) -> None:
    """For tasks without their own."""
    own.set_callback_url(receiver.url, key=live.key)
    own.complete(live.task()["task_id"])
    own.set_callback_url(None, key=live.key)
    own.complete(live.task()["task_id"])
    assert len(receiver.bodies) == 1


def test_failures_are_tried_again_until_one_succeeds(own: Sandbox, live: Any, receiver: Receiver) -> None:
    """Each retry at its time; while they last, no outcome is served."""
    receiver.statuses[:] = [500, 302, 404, 204]
    task = live.task(callback_url=receiver.url)
    own.complete(task["task_id"])
    for number, secs in enumerate(RETRY_SECS[:3], start=1):
        assert len(receiver.bodies) == number
        assert "callback_succeeded" not in live.ok("GET", f"/task/{task['task_id']}")
        own.clock.advance(seconds=secs)
    assert live.ok("GET", f"/task/{task['task_id']}")["callback_succeeded"] is True
    own.clock.advance(days=2)
    assert [each["status"] for each in own.callbacks(key=live.key)["tries"]] == [500, 302, 404, 204]


def test_after_21_tries_within_24_hours_it_is_given_up(own: Sandbox, live: Any, receiver: Receiver) -> None:
    """One try and 20 more, all done by one jump of the clock; then the outcome is false."""
    receiver.statuses[:] = [503]
    task = live.task(callback_url=receiver.url)
    own.complete(task["task_id"])
    own.clock.advance(hours=24)
    assert len(receiver.bodies) == 21
    assert live.ok("GET", f"/task/{task['task_id']}")["callback_succeeded"] is False


def test_the_retries_fit_into_24_hours() -> None:
    """Twenty of them."""
    assert len(RETRY_SECS) == 20
    assert sum(RETRY_SECS) < 24 * 3600


def test_a_call_on_its_way_does_not_outlive_its_world(
    own: Sandbox, world_of: Callable[..., Any], receiver: Receiver
) -> None:
    """A reset forgets it: no retry comes of it, and the next task's callback, which gets its place, is made."""
    world = world_of(own, f"test_{uuid.uuid4().hex[:20]}")
    receiver.statuses = [500, 200]
    receiver.may_answer.clear()
    old = world.task(callback_url=receiver.url)["task_id"]
    receiver.wait_for(1)
    own.control("POST", "/reset", {"key": world.key})
    new = world.task(callback_url=receiver.url)["task_id"]
    receiver.may_answer.set()
    own.clock.advance(days=1)
    tries = own.control("POST", "/callbacks", {"key": world.key})["tries"]
    assert [(each["of"], each["status"]) for each in tries] == [(new, 200)]
    assert [body["task_id"] for body in receiver.bodies] == [old, new]


def test_a_callback_is_sent_again_on_request(own: Sandbox, live: Any, receiver: Receiver) -> None:
    """With the same data; a pending task and one without an address are refused."""
    task, silent = live.task(callback_url=receiver.url), live.task()
    path = f"/task/{task['task_id']}/send-callback"
    assert live.call("POST", path).status_code == 400
    own.complete(task["task_id"])
    own.complete(silent["task_id"])
    assert live.ok("POST", path) == {"success": True}
    receiver.wait_for(2)
    assert receiver.bodies[0]["response"] == receiver.bodies[1]["response"]
    assert live.call("POST", f"/task/{silent['task_id']}/send-callback").status_code == 400


def test_a_batch_is_called_back_once(own: Sandbox, live: Any, receiver: Receiver) -> None:
    """On its last task, with the counts that are not zero."""
    live.ok("POST", "/projects", json={"type": "categorization", "name": "p"})
    live.ok("POST", "/batches", json={"project": "p", "name": "b", "callback": receiver.url})
    tasks = [live.task(batch="b") for _ in range(5)]
    live.ok("POST", f"/task/{tasks[0]['task_id']}/cancel")
    own.fail(tasks[1]["task_id"])
    assert receiver.bodies == []
    own.work(days=3)
    assert receiver.bodies == [
        {"batch": "b", "status": "completed", "stats": {"canceled": 1, "completed": 3, "error": 1}}
    ]


@pytest.mark.parametrize("workflow", ["enterprise", "rapid", "studio"])
def test_a_batch_of_any_workflow_is_called_back_with_the_auth_header(
    own: Sandbox, live: Any, receiver: Receiver, workflow: str
) -> None:
    """Not while it is staged, not while a task is pending; and nothing about its tasks but their counts is told."""
    flags = {workflow: True} if workflow != "enterprise" else {}
    live.ok("POST", "/projects", json={"type": "categorization", "name": "p", **flags})
    live.ok("POST", "/batches", json={"project": "p", "name": "b", "callback": receiver.url})
    for _ in range(2):
        live.task(batch="b")
    own.work(days=3)
    if workflow != "enterprise":
        assert receiver.bodies == []
        live.ok("POST", "/batches/b/finalize")
        own.work(days=3)
    assert receiver.bodies == [{"batch": "b", "status": "completed", "stats": {"completed": 2}}]
    key = own.callbacks(key=live.key)["auth_key"]
    assert receiver.headers[0]["refonte-ai--callback-auth"] == receiver.headers[0]["refonte.ai-callback-auth"] == key
    assert live.ok("GET", "/batches/b")["status"] == "completed"


@pytest.mark.parametrize("workflow", ["rapid", "studio"])
def test_a_staged_batch_of_a_test_key_is_called_back_when_it_is_finalized(
    own: Sandbox, world_of: Callable[..., Any], receiver: Receiver, workflow: str
) -> None:
    """Its tasks end then, each with its own callback."""
    world = world_of(own, f"test_{uuid.uuid4().hex[:20]}")
    world.ok("POST", "/projects", json={"type": "categorization", "name": "p", workflow: True})
    world.ok("POST", "/batches", json={"project": "p", "name": "b", "callback": receiver.url})
    task = world.task(batch="b", callback_url=receiver.url)
    assert world.ok("POST", "/batches/b/finalize")["status"] == "completed"
    receiver.wait_for(2)
    assert {body.get("task_id", body.get("batch")) for body in receiver.bodies} == {task["task_id"], "b"}


def test_mail_for_a_batch_goes_to_the_outbox(own: Sandbox, live: Any) -> None:
    """With its statistics."""
    live.ok("POST", "/projects", json={"type": "categorization", "name": "p"})
    live.ok("POST", "/batches", json={"project": "p", "name": "b", "callback": "ops@example.com"})
    own.complete(live.task(batch="b")["task_id"])
    (mail,) = own.callbacks(key=live.key)["mails"]
    assert (mail["from"], mail["to"]) == ("hello@refonte.ai", "ops@example.com")
    assert json.loads(mail["body"]) == {"batch": "b", "status": "completed", "stats": {"completed": 1}}


def test_a_resend_begins_a_new_series_of_tries(own: Sandbox, live: Any, receiver: Receiver) -> None:
    """After 21 failures the outcome is false; a resend that gets through makes it true and moves no other stamp."""
    receiver.statuses[:] = [503]
    task = live.task(callback_url=receiver.url)
    own.complete(task["task_id"])
    own.clock.advance(hours=24)
    failed = live.ok("GET", f"/task/{task['task_id']}")
    assert (len(receiver.bodies), failed["callback_succeeded"], failed["callback_completed"]) == (21, False, False)
    receiver.statuses[:] = [503, 204]
    live.ok("POST", f"/task/{task['task_id']}/send-callback")
    own.clock.advance(seconds=30)
    assert len(receiver.bodies) == 23
    assert receiver.bodies[-1]["task_id"] == task["task_id"]
    done = live.ok("GET", f"/task/{task['task_id']}")
    assert done == {**failed, "callback_succeeded": True, "callback_completed": True}


def test_links_in_callbacks_and_after_a_restart_lead_to_the_server(
    tmp_path: Any, world_of: Callable[..., Any], receiver: Receiver
) -> None:
    """To wherever it listens now, not to where it did when the task ended; the file is the same."""
    sent = {"attachment": "http://example.com/a.png", "labels": ["soil"], "callback_url": receiver.url}
    with Sandbox(db=tmp_path / "sandbox.db") as sandbox:
        world = world_of(sandbox, "test_demo")
        task = world.ok("POST", "/task/segmentannotation", json=sent)
        receiver.wait_for(1)
        link = receiver.bodies[0]["response"]["annotations"]["labeled"]["soil"]
        assert receiver.bodies[0]["task"]["response"]["annotations"]["labeled"]["soil"] == link
        assert link.startswith(f"{sandbox.url}/")
        before = requests.get(link, timeout=30).content
    with Sandbox(db=tmp_path / "sandbox.db") as sandbox:
        (task,) = world_of(sandbox, "test_demo").ok("GET", "/tasks")["docs"]
        link = task["response"]["annotations"]["labeled"]["soil"]
        assert link.startswith(f"{sandbox.url}/")
        assert requests.get(link, timeout=30).content == before


def test_mail_goes_to_the_outbox(own: Sandbox, live: Any) -> None:
    """One for each task, with the data as its body; the task counts as called back."""
    task = live.task(callback_url="me@example.com")
    own.complete(task["task_id"])
    (mail,) = own.callbacks(key=live.key)["mails"]
    assert (mail["from"], mail["to"]) == ("hello@refonte.ai", "me@example.com")
    assert json.loads(mail["body"])["task_id"] == task["task_id"]
    assert live.ok("GET", f"/task/{task['task_id']}")["callback_succeeded"] is True


@pytest.mark.parametrize(
    "url",
    ["http://192.0.2.1/x", "http://example.com/", "https://10.0.0.1", "http://127.0.0.1.example.com/", "http://[::2]/"],
)
def test_only_loopback_is_called(own: Sandbox, live: Any, url: str) -> None:
    """Anything else is noted as not sent: the sandbox is no way into a network."""
    own.complete(live.task(callback_url=url)["task_id"])
    (tried,) = own.callbacks(key=live.key)["tries"]
    assert tried["status"] is None
    assert "loopback" in tried["note"]


def test_a_dead_receiver_is_noted(own: Sandbox, live: Any) -> None:
    """With what the system said."""
    own.complete(live.task(callback_url="http://127.0.0.1:9/")["task_id"])
    (tried,) = own.callbacks(key=live.key)["tries"]
    assert "ConnectionRefusedError" in tried["note"]


def test_planned_retries_survive_a_restart(tmp_path: Any, world_of: Callable[..., Any], receiver: Receiver) -> None:
    """They are kept with the data."""
    db = tmp_path / "sandbox.db"
    receiver.statuses[:] = [500, 200]
    with Sandbox(db=db) as sandbox:
        sandbox.clock.freeze()
        task = world_of(sandbox, "live_demo").task(callback_url=receiver.url)
        sandbox.complete(task["task_id"])
    with Sandbox(db=db) as sandbox:
        sandbox.clock.advance(seconds=30)
        assert len(receiver.bodies) == 2
        assert world_of(sandbox, "live_demo").ok("GET", f"/task/{task['task_id']}")["callback_succeeded"] is True
