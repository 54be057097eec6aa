"""`Client.send` that is stopped, or whose last try hides what the ones before it did."""

from __future__ import annotations

import socket
import threading

import pytest
from raw_server import RawServer, answer

import refonte_frames as rf
from refonte_frames.transport.calls import Call
from refonte_frames.transport.pacing import Stopped


class Stopping(rf.Client):
    """A client that is stopped after its n-th sending."""

    stop = threading.Event()
    left = 0

    def before_next_try(self, *args: object, **options: object) -> None:
        """Stop, if it is time to."""
        self.left -= 1
        if not self.left:
            self.stop.set()
        super().before_next_try(*args, **options)  # type: ignore[arg-type]


def client_of(server: RawServer, left: int) -> Stopping:
    """Make a client that stops after so many failures."""
    client = Stopping(api_key="live_demo", base_url=server.base_url)
    client.stop, client.left = threading.Event(), left
    return client


def test_a_stopped_call_is_not_sent() -> None:
    """Stopped says that the service knows nothing of it."""
    with RawServer([]) as server, client_of(server, 0) as client:
        client.stop.set()
        with pytest.raises(Stopped):
            client.send(Call.get("task", "x"), stop=client.stop)
        assert server.requests == []


def test_a_call_refused_for_rate_and_then_stopped_was_not_carried_out() -> None:
    """A 429 is no trace of the call in the service."""
    answers = [answer(b"{}", "429 Too Many Requests", "Retry-After: 300")]
    with RawServer(answers) as server, client_of(server, 1) as client:
        with pytest.raises(Stopped):
            client.send(Call.get("task", "x"), stop=client.stop)


def test_a_call_that_may_have_been_carried_out_ends_with_its_error() -> None:
    """Also when a 429 came after it."""
    answers = [
        answer(b'{"error": "oops"}', "500 Internal Server Error"),
        answer(b"{}", "429 Too Many Requests", "Retry-After: 300"),
    ]
    with RawServer(answers) as server, client_of(server, 2) as client:
        with pytest.raises(rf.ServiceError, match="oops"):
            client.send(Call("PUT", "/task/x/tags"), stop=client.stop)


def test_a_last_try_that_never_left_does_not_hide_one_that_may_have_been_carried_out() -> None:
    """The service takes the request, says nothing, and is gone: nobody may call it unsent."""
    listener = socket.create_server(("127.0.0.1", 0))
    base_url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"

    def take_one() -> None:
        connection, _ = listener.accept()
        listener.close()
        connection.recv(65536)
        connection.close()

    thread = threading.Thread(target=take_one)
    thread.start()
    with rf.Client(api_key="live_demo", base_url=base_url) as client:
        with pytest.raises(rf.NoReplyError) as caught:
            client.send(Call("PUT", "/task/x/tags"))
    thread.join()
    assert caught.value.was_sent


def test_each_run_tells_its_own_requests_and_the_client_tells_all() -> None:
    """Threads that share a client do not count each other's; a run counts those of the runs within it."""
    with RawServer([answer(), answer(), answer(), answer()]) as server, rf.Client("live_x", server.base_url) as client:
        first, second = client.for_one_run(), client.for_one_run()
        first.send(Call.get("tasks"))
        second.send(Call.get("tasks"))
        second.send(Call.get("tasks"))
        within = second.for_one_run()
        within.send(Call.get("tasks"))
    assert first.requests_by_status() == {"200": 1}
    assert second.requests_by_status() == {"200": 3}
    assert within.requests_by_status() == {"200": 1}
    assert client.requests_by_status() == {"200": 4}
