"""The pure parts of the transport: whether to ask again, how fast to go on, what a reply means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refonte_frames.errors import (
    BadRequest,
    Conflict,
    DuplicateUniqueId,
    Forbidden,
    IdempotencyMismatch,
    NotEnabled,
    NotFound,
    ReplyError,
    ServiceError,
    TooManyRequests,
    Unauthorized,
)
from refonte_frames.transport.calls import Call, Reply, path_of
from refonte_frames.transport.pacing import Pace
from refonte_frames.transport.replies import decode_json, refusal
from refonte_frames.transport.retries import GiveUp, Outcome, Wait, decide, retry_after_secs

DATE = "Sun, 22 Nov 2026 10:00:00 GMT"


def verdict(outcome: Outcome, *, may_be_repeated: bool = True, tries: int = 1, throttles: int = 0) -> Wait | GiveUp:
    """Decide with a fixed jitter."""
    return decide(outcome, may_be_repeated=may_be_repeated, tries=tries, throttles=throttles, jitter=0.5)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 409, 413, 422])
def test_a_refusal_that_would_not_change_is_final(status: int) -> None:
    """4xx other than 408 and 429 are not asked again."""
    assert isinstance(verdict(Outcome(status)), GiveUp)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 530])
def test_a_passing_failure_is_asked_again_when_that_is_harmless(status: int) -> None:
    """Server faults pass; a request that must not be doubled is left alone all the same."""
    assert isinstance(verdict(Outcome(status)), Wait)
    assert isinstance(verdict(Outcome(status), may_be_repeated=False), GiveUp)


def test_a_request_that_was_never_sent_may_always_be_sent_again() -> None:
    """A refused connection can do no harm."""
    assert isinstance(verdict(Outcome(None, was_sent=False), may_be_repeated=False), Wait)
    assert isinstance(verdict(Outcome(None, was_sent=True), may_be_repeated=False), GiveUp)


def test_a_service_that_was_never_there_is_told_sooner_than_one_that_went_away() -> None:
    """A wrong address after three tries, a restart after seven."""
    never = Outcome(None, was_sent=False)
    for tries, was_there, expected in [(2, False, Wait), (3, False, GiveUp), (6, True, Wait), (7, True, GiveUp)]:
        verdict = decide(never, may_be_repeated=True, tries=tries, throttles=0, jitter=0.5, was_there=was_there)
        assert isinstance(verdict, expected)


def test_tries_come_to_an_end() -> None:
    """The fifth failure is the last."""
    assert isinstance(verdict(Outcome(500), tries=4), Wait)
    assert isinstance(verdict(Outcome(500), tries=5), GiveUp)


def test_a_refusal_for_rate_makes_everybody_wait_as_long_as_asked() -> None:
    """429 is a pause for all, and no try."""
    wait = verdict(Outcome(429, retry_after_secs=7.0), tries=99)
    assert isinstance(wait, Wait)
    assert wait.everyone
    assert 7.0 <= wait.secs < 7.2


@given(st.integers(1, 40), st.floats(0, 1))
def test_waiting_times_stay_within_bounds(tries: int, jitter: float) -> None:
    """However often, a wait is above a fifth of a second and at most twenty seconds."""
    wait = decide(Outcome(500), may_be_repeated=True, tries=tries, throttles=0, jitter=jitter, max_tries=99)
    assert isinstance(wait, Wait)
    assert 0.2 <= wait.secs <= 20.0


@pytest.mark.parametrize(
    ("value", "secs"),
    [
        ("0", 0.0),
        ("12", 12.0),
        ("1.5", 1.5),
        ("Sun, 22 Nov 2026 10:01:00 GMT", 60.0),
        ("999999999", 300.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 300.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("Sun, 22 Nov 2026 09:00:00 GMT", None),
        ("Sun, 22 Nov 99999999999999999999 09:00:00 GMT", None),
    ],
)
def test_retry_after_in_all_its_forms(value: str, secs: float | None) -> None:
    """Seconds, dates relative to the reply's own date, absurd and useless values."""
    assert retry_after_secs({"retry-after": value, "date": DATE}) == secs


def test_retry_after_as_a_date_without_a_date_header_is_no_use() -> None:
    """Our own clock may differ from the service's."""
    assert retry_after_secs({"retry-after": "Sun, 22 Nov 2026 10:01:00 GMT"}) is None


def test_one_stray_refusal_at_the_start_teaches_no_rate() -> None:
    """Nothing is known then of what the service bears; the window shrinks, and that is all."""
    pace = Pace(16)
    pace.begun(0.0)
    pace.throttled(0.1, pause_secs=0.0)
    assert pace.rate is None
    assert pace.window == 2


@given(st.lists(st.tuples(st.sampled_from(["begun", "succeeded", "throttled"]), st.floats(0, 3)), max_size=200))
def test_the_window_stays_between_one_and_its_maximum(steps: list[tuple[str, float]]) -> None:
    """No order of events makes the window zero or larger than allowed, or the wait endless."""
    pace, now = Pace(8), 0.0
    for step, secs in steps:
        now += secs
        if step == "throttled":
            pace.throttled(now, pause_secs=1.0)
        else:
            getattr(pace, step)(now)
        assert 1 <= pace.window <= 8
        assert 0 <= pace.wait_secs(now) < 500


def at_full_window(size: int = 16) -> Pace:
    """Make a pace whose window has grown to its maximum by second 1."""
    pace = Pace(size)
    for _ in range(2 * size):
        pace.succeeded(1.0)
    return pace


def test_an_overloaded_service_gets_fewer_requests_at_once_and_nobody_waits() -> None:
    """503 without Retry-After says nothing of a rate or a pause; many of them together count once."""
    pace = at_full_window()
    for _ in range(5):
        pace.overloaded(2.0)
    assert (pace.window, pace.rate, pace.wait_secs(2.0)) == (11, None, 0.0)


def test_a_window_grows_with_care_where_it_was_refused_before() -> None:
    """Quickly up to there, then by a fiftieth a second; half a minute later quickly again."""
    pace = at_full_window(64)
    pace.overloaded(2.0)
    for _ in range(5_000):
        pace.succeeded(3.0)
    assert pace.window == 57
    for hundredth in range(300, 400):
        pace.succeeded(hundredth / 100)
    assert pace.window == 58
    for _ in range(700):
        pace.succeeded(33.0)
    assert pace.window == 64


def test_the_learned_rate_is_below_what_got_through_and_grows_again() -> None:
    """After a refusal the pace goes on a little slower than before, and looks for more room later."""
    pace = Pace(16)
    for tick in range(100):
        pace.begun(tick / 20)
        pace.succeeded(tick / 20)
    pace.throttled(5.0, pause_secs=1.0)
    assert pace.rate is not None
    learned = pace.rate
    assert 15 < learned < 20
    for tick in range(200):
        pace.begun(6 + tick / 10)
    assert pace.rate > learned


def reply(status: int, error: str) -> Reply:
    """Make a refusal as documented."""
    return Reply(status, {}, b'{"status_code": %d, "error": %s}' % (status, f'"{error}"'.encode()))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (401, Unauthorized),
        (402, NotEnabled),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (429, TooManyRequests),
        (500, ServiceError),
        (503, ServiceError),
    ],
)
def test_every_documented_status_has_its_error(status: int, kind: type) -> None:
    """The error carries status, the service's text, verb and path."""
    error = refusal(Call.get("tasks"), reply(status, "no."))
    assert type(error) is kind
    assert (error.status_code, error.error, error.method, error.path) == (status, "no.", "GET", "/tasks")
    assert error.message == str(error)


def test_a_taken_id_is_read_out_of_the_text() -> None:
    """Ids may hold quotes and brackets, and the documented text may be wrapped over lines."""
    told = 'The unique_id (\\"s3://b/(1) \\"x\\".png\\")'
    text = told + "\\n is already used for a different task (602c399c6d092c00115aa3c9)."
    error = refusal(Call("POST", "/task/comparison"), reply(409, text))
    assert isinstance(error, DuplicateUniqueId)
    assert error.unique_id == 's3://b/(1) "x".png'
    assert error.task_id == "602c399c6d092c00115aa3c9"


def test_another_409_on_a_keyed_request_is_about_the_key() -> None:
    """The body has no code, so what was asked decides."""
    call = Call("POST", "/task/comparison", headers={"Idempotency-Key": "k"})
    assert type(refusal(call, reply(409, "used before"))) is IdempotencyMismatch
    assert type(refusal(Call("POST", "/batches"), reply(409, "used before"))) is Conflict


@pytest.mark.parametrize("body", [b"", b"<html>502</html>", b"[]", b'{"error": 5}', b"\xff\xfe"])
def test_a_refusal_in_no_documented_form_still_says_something(body: bytes) -> None:
    """HTML, nothing, or binary: an error all the same."""
    assert "502" in str(refusal(Call.get("tasks"), Reply(502, {}, body)))


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"a": NaN}', b'{"a": Infinity}', b"{} {}", b'{"a": "\xff"}', b"[" * 100_000, b"\xef\xbb\xbf{}"],
)
def test_what_is_not_strict_json_is_refused(body: bytes) -> None:
    """NaN, trailing bytes, bad UTF-8, endless nesting: never a traceback of another kind."""
    with pytest.raises(ReplyError, match="GET /x"):
        decode_json(body, where="GET /x")


def test_integers_stay_exact() -> None:
    """Beyond 64 bits too."""
    assert decode_json(b'{"a": 18446744073709551617}', where="x") == {"a": 2**64 + 1}


def test_a_wrong_shape_names_the_place() -> None:
    """The path says where in the reply it went wrong."""
    with pytest.raises(ReplyError) as caught:
        decode_json(b'{"docs": [1, "x"]}', where="GET /x", type=dict[str, list[int]])
    assert caught.value.path == "[...][1]"


@given(st.text(min_size=1).filter(lambda text: "\ud800" not in text))
def test_a_path_segment_never_becomes_two(segment: str) -> None:
    """Slashes, dots and percent signs of a name stay inside its segment."""
    path = path_of("batches", segment)
    assert path.count("/") == 2
    assert "?" not in path
    assert "#" not in path
