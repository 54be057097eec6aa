"""Faults: each arrives at a real client as ordered, and the store is as the ordered side says."""

from __future__ import annotations

import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from refonte_frames.errors import SandboxError
from refonte_frames.sandbox.faults import Rule

if TYPE_CHECKING:
    from refonte_frames.sandbox.session import Sandbox

SENT = {"attachment": "car", "attachment_type": "text", "categories": ["a", "b"]}
PATH = "/task/categorization"


@pytest.mark.parametrize(
    ("order", "error", "created"),
    [
        ({"action": "drop"}, "ConnectionResetError", 0),
        ({"action": "drop", "side": "after"}, "ConnectionResetError", 1),
        ({"action": "drop", "how": "fin"}, "RemoteDisconnected", 0),
        ({"action": "drop", "how": "fin", "side": "after"}, "RemoteDisconnected", 1),
        ({"action": "truncate"}, "IncompleteRead", 1),
        ({"action": "truncate", "how": "chunked"}, "IncompleteRead", 1),
        ({"action": "truncate", "keep": 0.0, "side": "before"}, "IncompleteRead", 0),
        ({"action": "garbage"}, "BadStatusLine", 0),
        ({"action": "garbage", "side": "after"}, "BadStatusLine", 1),
        ({"action": "bad_gzip"}, "ContentDecodingError", 1),
    ],
)
def test_a_broken_answer_breaks_the_client_and_the_side_decides_about_the_task(
    live: Any, sandbox: Sandbox, order: dict[str, Any], error: str, created: int
) -> None:
    """The client cannot know which side it was; the store can; the next request works."""
    sandbox.faults.add(**order)
    with pytest.raises(requests.RequestException) as caught:
        live.call("POST", PATH, json=SENT)
    assert error in repr(caught.value)
    assert live.total() == created
    (fired,) = sandbox.faults.fired()
    assert fired["side"] == ("after" if created else "before")


@pytest.mark.parametrize("action", ["drop", "truncate", "garbage", "drip"])
def test_a_client_that_hangs_up_first_makes_no_trouble(live: Any, sandbox: Sandbox, action: str) -> None:
    """Before its fault could strike: nothing is written to the server's standard error, and the next request works."""
    address, reset = urlsplit(sandbox.url), struct.pack("ii", 1, 0)
    sandbox.faults.add(action, method="GET", p=1.0, secs=0.001)
    for _ in range(10):
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)  # closing then sends RST
            sock.sendall(f"GET /v1/tasks HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    live.task()
    sandbox.faults.clear()
    assert live.total() == 1
    assert "Traceback" not in (sandbox.state_dir.parent / "stderr.txt").read_text("utf-8")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize(("side", "created"), [("before", 0), ("after", 1)])
def test_a_status_is_answered_before_or_after_the_commit(
    live: Any, sandbox: Sandbox, status: int, side: Any, created: int
) -> None:
    """In the documented shape."""
    sandbox.faults.add("status", status=status, side=side)
    reply = live.call("POST", PATH, json=SENT)
    assert reply.status_code == reply.json()["status_code"] == status
    assert live.total() == created


def test_a_proxy_answers_in_html(live: Any, sandbox: Sandbox) -> None:
    """As gateways do."""
    sandbox.faults.add("status", status=502, is_html=True)
    reply = live.call("GET", "/tasks")
    assert reply.status_code == 502
    assert reply.headers["content-type"].startswith("text/html")
    assert reply.text.startswith("<html>")


@pytest.mark.parametrize("retry_after", ["2", "0.5", "-1", "abc", "99999999999999999999", ""])
def test_retry_after_is_sent_as_it_stands(live: Any, sandbox: Sandbox, retry_after: str) -> None:
    """Sensible or absurd."""
    sandbox.faults.add("status", status=429, retry_after=retry_after)
    assert live.call("GET", "/tasks").headers["retry-after"] == retry_after


def test_retry_after_can_be_absent_or_a_date(live: Any, sandbox: Sandbox) -> None:
    """The date counts from the reply's own Date header."""
    sandbox.faults.add("status", status=429)
    sandbox.faults.add("status", status=429, retry_after_date_secs=7)
    assert "retry-after" not in live.call("GET", "/tasks").headers
    headers = live.call("GET", "/tasks").headers
    times = [time.strptime(headers[name], "%a, %d %b %Y %H:%M:%S GMT") for name in ("date", "retry-after")]
    assert time.mktime(times[1]) - time.mktime(times[0]) == 7


def test_a_malformed_body_is_a_success_that_cannot_be_read(live: Any, sandbox: Sandbox) -> None:
    """Status 200, the length right, the JSON cut."""
    sandbox.faults.add("malformed")
    reply = live.call("POST", PATH, json=SENT)
    assert reply.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        reply.json()
    assert live.total() == 1


def test_an_empty_body_and_any_body_can_be_ordered(live: Any, sandbox: Sandbox) -> None:
    """For everything a reader must survive."""
    sandbox.faults.add("empty")
    sandbox.faults.add("body", text='{"total": NaN}')
    assert live.call("GET", "/tasks").content == b""
    assert live.call("GET", "/tasks").text == '{"total": NaN}'


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_names_another_place(live: Any, sandbox: Sandbox, status: int) -> None:
    """With the status and location ordered; nothing is created."""
    sandbox.faults.add("redirect", status=status, text="http://127.0.0.1:9/elsewhere")
    reply = live.call("POST", PATH, json=SENT)
    assert reply.status_code == status
    assert reply.headers["location"] == "http://127.0.0.1:9/elsewhere"
    assert live.total() == 0


@pytest.mark.parametrize(("side", "created"), [("before", 1), ("after", 1)])
def test_a_slow_first_byte_runs_into_the_clients_timeout(live: Any, sandbox: Sandbox, side: Any, created: int) -> None:
    """The service acts all the same, early or late: a timeout proves nothing."""
    sandbox.faults.add("delay", secs=0.4, side=side)
    with pytest.raises(requests.Timeout):
        live.call("POST", PATH, json=SENT, timeout=0.1)
    sandbox.faults.add("delay", secs=0.5)
    live.call("GET", "/tasks")
    assert live.total() == created


@pytest.mark.parametrize("how", ["head", "body"])
def test_a_drip_arrives_whole_although_no_pause_is_long(live: Any, sandbox: Sandbox, how: str) -> None:
    """A read timeout never fires; only a deadline would."""
    sandbox.faults.add("drip", how=how, secs=0.001)
    assert live.call("POST", PATH, json=SENT, timeout=5).json()["status"] == "pending"


def test_a_gzip_bomb_is_small_on_the_wire(live: Any, sandbox: Sandbox) -> None:
    """And large unpacked."""
    sandbox.faults.add("gzip_bomb", size_bytes=30_000_000)
    reply = live.call("GET", "/tasks", stream=True)
    packed = reply.raw.read(decode_content=False)
    assert reply.headers["content-encoding"] == "gzip"
    assert len(packed) < 100_000


def test_an_oversized_body_says_its_length(live: Any, sandbox: Sandbox) -> None:
    """And would be sent to its end."""
    sandbox.faults.add("oversize", size_bytes=3_000_000)
    assert len(live.call("GET", "/tasks").content) == 3_000_000


@pytest.mark.parametrize(("side", "created"), [("before", 0), ("after", 1)])
def test_a_saved_5xx_is_replayed_under_its_key(live: Any, sandbox: Sandbox, side: Any, created: int) -> None:
    """The same key never leads to a task again, whether there is one or not; another key does."""
    sandbox.faults.add("status", status=500, is_saved=True, side=side)
    replies = [live.call("POST", PATH, json=SENT, headers={"Idempotency-Key": "k"}) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [500, 500, 500]
    assert live.total() == created
    live.task(headers={"Idempotency-Key": "k2"})
    assert live.total() == created + 1


def test_a_5xx_is_not_saved_unless_ordered(live: Any, sandbox: Sandbox) -> None:
    """The documents do not promise a replay of it."""
    sandbox.faults.add("status", status=503)
    headers = {"Idempotency-Key": "k"}
    assert live.call("POST", PATH, json=SENT, headers=headers).status_code == 503
    assert live.call("POST", PATH, json=SENT, headers=headers).status_code == 200


def test_equal_keys_in_flight_are_429(live: Any, sandbox: Sandbox) -> None:
    """While the first is held up, a second with its key is told to try again; one task comes of it."""
    sandbox.faults.add("delay", secs=0.6, method="POST")
    statuses: list[int] = []
    arrived = threading.Event()

    def first() -> None:
        arrived.set()
        headers = {"Idempotency-Key": "k"}
        reply = requests.post(
            live.sandbox.base_url + PATH, json=SENT, headers=headers, auth=live.session.auth, timeout=30
        )
        statuses.append(reply.status_code)

    thread = threading.Thread(target=first)
    thread.start()
    arrived.wait()
    deadline = time.monotonic() + 30
    while not sandbox.faults.fired() and time.monotonic() < deadline:
        pass
    assert live.call("POST", PATH, json=SENT, headers={"Idempotency-Key": "k"}).status_code == 429
    assert live.call("POST", PATH, json=SENT, headers={"Idempotency-Key": "other"}).status_code == 200
    thread.join()
    assert statuses == [200]
    assert live.total() == 2


@pytest.fixture
def nine(live: Any) -> list[str]:
    """Make nine tasks, and list their ids newest first."""
    return [live.task(metadata={"n": n})["task_id"] for n in range(9)][::-1]


def page_of(live: Any, **query: Any) -> Any:
    """Read one page of four."""
    return live.ok("GET", "/tasks", params={"limit": 4, **query})


def ids_of(page: Any) -> list[str]:
    """List the ids of a page."""
    return [task["task_id"] for task in page["docs"]]


def test_a_wrong_total(live: Any, sandbox: Sandbox, nine: list[str]) -> None:
    """The rows are right, the count is not."""
    sandbox.faults.add("wrong_total", by=-3)
    assert page_of(live)["total"] == len(nine) - 3


def test_a_repeated_page(live: Any, sandbox: Sandbox, nine: list[str]) -> None:
    """A token leads back to the first page."""
    first = page_of(live)
    sandbox.faults.add("repeat_page")
    second = page_of(live, next_token=first["next_token"])
    assert ids_of(second) == nine[:4]
    assert second["has_more"] is True


def test_a_shifted_page(live: Any, sandbox: Sandbox, nine: list[str]) -> None:
    """The next page begins with a row that was there already."""
    first = page_of(live)
    sandbox.faults.add("shift_page", by=1)
    assert ids_of(page_of(live, next_token=first["next_token"])) == nine[3:7]


def test_an_expired_token(live: Any, sandbox: Sandbox, nine: list[str]) -> None:
    """The list has to be begun anew."""
    token = page_of(live)["next_token"]
    sandbox.faults.add("expired_token")
    assert live.call("GET", "/tasks", params={"limit": 4, "next_token": token}).status_code == 400
    assert ids_of(page_of(live, next_token=token)) == nine[4:8]


def test_ignored_filters(live: Any, sandbox: Sandbox, nine: list[str]) -> None:
    """The rows of all time come back; a token of the overlooked filter still works."""
    sandbox.faults.add("ignore_filters", names=["end_time", "updated_after"], p=1.0)
    page = page_of(live, end_time="2001-01-01")
    assert page["total"] == len(nine)
    assert ids_of(page_of(live, end_time="2001-01-01", next_token=page["next_token"])) == nine[4:8]


def test_a_lagging_list(live: Any, sandbox: Sandbox, nine: list[str]) -> None:
    """New tasks are found by their id, not yet by the list."""
    sandbox.faults.add("list_lag", secs=3600, times=1)
    assert page_of(live)["docs"] == []
    assert live.ok("GET", f"/task/{nine[0]}")["task_id"] == nine[0]
    assert page_of(live)["total"] == len(nine)


@pytest.mark.parametrize("how", ["null", "empty_page"])
def test_the_last_page_may_end_otherwise(live: Any, sandbox: Sandbox, nine: list[str], how: str) -> None:
    """A null token, or a token that leads to an empty page."""
    sandbox.faults.add("last_token", how=how, p=1.0)
    page = live.ok("GET", "/tasks")
    assert ids_of(page) == nine
    if how == "null":
        assert page["next_token"] is None
        assert page["has_more"] is False
    else:
        page = live.ok("GET", "/tasks", params={"next_token": page["next_token"]})
        assert page["docs"] == []
        assert page["has_more"] is False


def test_rules_choose_by_verb_and_path(live: Any, sandbox: Sandbox) -> None:
    """Patterns with stars, on the path as it is on the wire, with or without its version."""
    sandbox.faults.add("status", status=503, method="POST", path="/task/*")
    sandbox.faults.add("status", status=504, method="GET", path="/v1/batches/a%2Fb")
    assert live.call("GET", "/tasks").status_code == 200
    assert live.call("GET", "/batches/a%2Fb").status_code == 504
    assert live.call("POST", PATH, json=SENT).status_code == 503


def test_what_fired_and_what_did_not_is_told(live: Any, sandbox: Sandbox) -> None:
    """A test that orders a fault wants to know that it happened."""
    number = sandbox.faults.add("status", status=503, method="GET", path="/tasks")
    unfired = sandbox.faults.add("drop", path="/nowhere")
    live.call("GET", "/tasks")
    (fired,) = sandbox.faults.fired()
    assert (fired["rule"], fired["action"], fired["path"], fired["nth"]) == (number, "status", "/v1/tasks", 1)
    assert [rule["number"] for rule in sandbox.faults.unfired()] == [unfired]


def test_an_unknown_fault_is_refused(sandbox: Sandbox) -> None:
    """With the list of those there are."""
    with pytest.raises(SandboxError, match="there is no fault 'explode'; there are drop"):
        sandbox.faults.add("explode")


@pytest.mark.parametrize(
    ("action", "details", "why"),
    [
        ("status", {"status": 199}, "status"),
        ("status", {"status": 600}, "status"),
        ("status", {"retry_after": "1\r\nx: y"}, "retry_after"),
        ("status", {"retry_after": "zwölf"}, "retry_after"),
        ("status", {"retry_after_date_secs": 1e300}, "retry_after_date_secs"),
        ("redirect", {"text": "/a\nb"}, "printable ASCII"),
        ("redirect", {"text": "/中"}, "printable ASCII"),
        ("drop", {"p": 1.5}, r"\$\.p"),
        ("drop", {"how": "fim"}, "knows no how='fim'; it knows rst, fin"),
        ("garbage", {"how": "fin"}, "it knows none"),
        ("truncate", {"keep": -0.1}, "keep"),
        ("delay", {"secs": -1}, "secs"),
        ("oversize", {"size_bytes": -1}, "size_bytes"),
        ("shift_page", {"by": 10**20}, "by"),
        ("ignore_filters", {"names": ["strat_time"]}, "'strat_time' is no filter"),
        ("ignore_filters", {"names": ["limit"]}, "'limit' is no filter"),
    ],
)
def test_a_fault_that_cannot_be_carried_out_is_refused(
    live: Any, sandbox: Sandbox, action: str, details: dict[str, Any], why: str
) -> None:
    """It would fail in another way than was ordered, or in none, and the test that orders it would not know."""
    with pytest.raises(SandboxError, match=f"This is no fault: .*{why}"):
        sandbox.faults.add(action, **details)
    assert live.call("GET", "/tasks").status_code == 200


@pytest.mark.parametrize(
    ("choice", "fired"),
    [
        ({}, [1]),
        ({"nth": 3}, [3]),
        ({"times": 2}, [1, 2]),
        ({"nth": 3, "times": 2}, [3, 4]),
        ({"every": 3}, [3, 6, 9]),
        ({"every": 3, "times": 2}, [3, 6]),
        ({"nth": 2, "every": 3}, [2, 5, 8]),
        ({"p": 1.0, "times": 3}, [1, 2, 3]),
        ({"p": 0.0}, []),
        ({"nth": 8, "p": 1.0}, [8, 9, 10]),
    ],
)
def test_which_of_ten_requests_a_rule_chooses(choice: dict[str, Any], fired: list[int]) -> None:
    """By number, count, step or chance."""
    rule = Rule(action="drop", **choice)
    found: list[int] = []
    for number in range(1, 11):
        if rule.chooses(number, len(found), 0.5):
            found.append(number)
    assert found == fired


@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 40))
def test_a_rule_never_fires_more_often_than_told(nth: int, times: int, requests_made: int) -> None:
    """Whatever the number of requests, and not before its first."""
    rule = Rule(action="drop", nth=nth, times=times)
    fired = 0
    for number in range(1, requests_made + 1):
        is_chosen = rule.chooses(number, fired, 0.0)
        assert not (is_chosen and number < nth)
        fired += is_chosen
    assert fired == min(times, max(0, requests_made - nth + 1))
