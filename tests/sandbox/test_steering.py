"""Steering from Python: clock, labor, truth, single tasks, reset, and who may do it."""

from __future__ import annotations

import os
import uuid
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests

from refonte_frames.errors import SandboxError
from refonte_frames.sandbox.session import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def own() -> Iterator[Sandbox]:
    """Start a sandbox of one's own, for tests that move its clock."""
    with Sandbox(seed=7) as sandbox:
        yield sandbox


def test_an_idempotency_key_lives_24_hours_of_the_sandbox(own: Sandbox, world_of: Callable[..., Any]) -> None:
    """To the millisecond, on a frozen clock."""
    own.clock.freeze()
    live = world_of(own, "live_demo")
    headers = {"Idempotency-Key": "k"}
    first = live.task(headers=headers)
    own.clock.advance(hours=23, minutes=59, seconds=59.999)
    assert live.task(headers=headers) == first
    own.clock.advance(seconds=0.001)
    assert live.task(headers=headers)["task_id"] != first["task_id"]


def test_stamps_and_the_date_header_follow_the_clock(own: Sandbox, world_of: Callable[..., Any]) -> None:
    """A year ahead is a year ahead everywhere."""
    own.clock.freeze()
    moment = own.clock.advance(days=365)
    live = world_of(own, "live_demo")
    reply = live.call("POST", "/projects", json={"type": "categorization", "name": "p"})
    stamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert reply.json()["created_at"] == stamp
    assert parsedate_to_datetime(reply.headers["date"]) == moment.replace(microsecond=0)


def test_the_clock_goes_forward_only(own: Sandbox) -> None:
    """Backwards and absurd orders are refused, and it stands where it was."""
    now = own.clock.freeze()
    for order in ({"days": -1}, {"days": 9e6}):
        with pytest.raises((SandboxError, OverflowError)):
            own.clock.advance(**order)
    for rate in (-1, 1e9):
        with pytest.raises(SandboxError, match="rate of the clock"):
            own.clock.scale(rate)
    with pytest.raises(SandboxError, match="two orders"):
        own.control("POST", "/clock", {"rate": 1, "advance_ms": -1})
    assert own.control("GET", "/clock")["rate"] == 0
    assert own.clock.now() == now


def test_equal_stamps_keep_the_order_of_creation(own: Sandbox, world_of: Callable[..., Any]) -> None:
    """On a frozen clock all tasks are created in one millisecond; pages hold each once."""
    own.clock.freeze()
    live = world_of(own, "live_demo")
    made = [live.task() for _ in range(7)]
    assert len({task["created_at"] for task in made}) == 1
    ids, token = [], None
    while len(ids) < 7:
        page = live.ok("GET", "/tasks", params={"limit": 2, **({"next_token": token} if token else {})})
        ids += [task["task_id"] for task in page["docs"]]
        token = page.get("next_token")
    assert ids == [task["task_id"] for task in made][::-1]


def test_live_tasks_wait_until_the_labelers_work(own: Sandbox, world_of: Callable[..., Any]) -> None:
    """Advancing the clock alone completes nothing; three working days complete all."""
    live = world_of(own, "live_demo")
    made = [live.task(metadata={"n": n}) for n in range(20)]
    before = own.clock.now()
    own.clock.advance(days=10)
    assert {task["status"] for task in live.all_tasks()} == {"pending"}
    done = own.work(days=3)
    assert done["completed"] == len(made)
    assert own.clock.now() - before >= timedelta(days=13)
    for task in live.all_tasks():
        assert task["status"] == "completed"
        assert task["response"]["category"] in "abcd"
        assert task["created_at"] < task["completed_at"] == task["updated_at"]


def test_work_in_pieces_is_the_same_work(world_of: Callable[..., Any]) -> None:
    """Three times one day, or three days at once: the same answers."""

    def answers(spans: list[int]) -> dict[str, Any]:
        with Sandbox(seed=3) as sandbox:
            live = world_of(sandbox, "live_demo")
            for n in range(30):
                live.task(unique_id=f"u{n}", attachment=f"car {n}")
            for days in spans:
                sandbox.work(days=days)
            return {task["unique_id"]: task["response"] for task in live.all_tasks()}

    assert answers([3]) == answers([1, 1, 1])


def test_upload_order_worlds_and_restarts_change_no_answer(tmp_path: Any, world_of: Callable[..., Any]) -> None:
    """Same seed and same tasks, same responses and audits, whoever uploads them when."""

    def results(key: str, order: list[int], db: Any) -> Any:
        with Sandbox(seed=11, db=db) as sandbox:
            sandbox.clock.freeze()
            live = world_of(sandbox, key)
            for n in order[:20]:
                live.task(unique_id=f"u{n}", attachment=f"car {n}")
        with Sandbox(seed=11, db=db) as sandbox:
            live = world_of(sandbox, key)
            for n in order[20:]:
                live.task(unique_id=f"u{n}", attachment=f"car {n}")
            sandbox.work(days=6)
            tasks = sorted(live.all_tasks(), key=lambda task: task["unique_id"])
            truth = sandbox.truth(key).sort_values("unique_id")
        seen = [
            (task["unique_id"], task["response"], [audit["audit_result"] for audit in task.get("audits", [])])
            for task in tasks
        ]
        return seen, truth[["unique_id", "truth_json", "difficulty", "labeler", "score"]].to_dict("list")

    forward, backward = list(range(40)), list(range(40))[::-1]
    assert results("live_one", forward, tmp_path / "1.db") == results("live_two", backward, tmp_path / "2.db")


def create_quality_tasks(world: Any, order: list[int]) -> None:
    """Create some, of which two are the same."""
    world.ok("POST", "/projects", json={"type": "imageannotation", "name": "rapid", "rapid": True})
    for number in order:
        expected = {"annotations": [{"type": "box", "label": "cat", "left": number // 2, "top": 1}]}
        asked = {"attachment": "i.png", "geometries": {"box": {"objects_to_annotate": ["cat", "dog"]}}}
        body = {"project": "rapid", **asked, "expected_response": expected}
        world.ok("POST", f"/{('training', 'evaluation')[number % 3 // 2]}_tasks/imageannotation", json=body)


def attempts_at_quality_tasks(world: Any) -> list[str]:
    """Read what people did, without ids and times."""
    emails = [f"labeler{number:02d}@example.com" for number in range(1, 13)]
    docs = world.ok("GET", "/quality/labelers", params={"labeler_emails": emails})["docs"]
    names = ("quality_type", "labeler_email", "attempt_number", "score", "duration_secs", "response")
    return sorted(str([doc[name] for name in names]) for doc in docs)


def test_attempts_at_quality_tasks_do_not_depend_on_ids_and_order(own: Sandbox, world_of: Callable[..., Any]) -> None:
    """Nor on the time, which ids hold: two runs with one seed would differ."""
    worlds = [world_of(own, "live_quality-one"), world_of(own, "live_quality-two")]
    for world, order in zip(worlds, ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1]), strict=True):
        create_quality_tasks(world, order)
    own.work(days=2)
    one, two = map(attempts_at_quality_tasks, worlds)
    assert one == two
    assert len(set(one)) > 20


def test_equal_tasks_without_an_id_have_one_truth_and_answers_of_their_own(
    own: Sandbox, world_of: Callable[..., Any]
) -> None:
    """What is there depends on the content; who sees what, on the task."""
    live = world_of(own, "live_demo")
    for _ in range(60):
        live.task()
    own.work(days=3)
    truth = own.truth()
    assert truth["truth_json"].nunique() == 1
    assert truth["labeler"].nunique() > 1
    assert truth["attempt_json"].nunique() > 1


def test_the_truth_explains_the_answers(own: Sandbox, world_of: Callable[..., Any]) -> None:
    """Scores follow skill: the better half of the labelers scores higher; the frame has one row per attempt."""
    live = world_of(own, "live_demo")
    for n in range(300):
        live.task(attachment=f"car {n}")
    own.work(days=3)
    truth = own.truth()
    assert len(truth) == 300
    assert truth["task_id"].is_unique
    middle = truth["labeler_skill"].median()
    assert (
        truth.loc[truth["labeler_skill"] > middle, "score"].mean()
        > truth.loc[truth["labeler_skill"] <= middle, "score"].mean()
    )
    served = {task["task_id"]: task["response"]["category"] for task in live.all_tasks() if "audits" not in task}
    for row in truth.itertuples():
        if row.task_id in served:
            assert f'"{served[row.task_id]}"' in row.attempt_json


def test_an_untouched_world_has_an_empty_truth(own: Sandbox) -> None:
    """With all columns and their types."""
    truth = own.truth("live_nobody")
    assert len(truth) == 0
    assert str(truth["started_at"].dtype).startswith("datetime64")


@pytest.mark.parametrize("days", [0.1, 0.3, 3, 7.7])
def test_the_clock_goes_on_by_the_days_that_were_worked(own: Sandbox, days: float) -> None:
    """To the millisecond, although the work is done in pieces."""
    before = own.clock.freeze()
    assert own.work(days=days)["completed"] == 0
    assert own.clock.now() - before == timedelta(milliseconds=round(days * 86_400_000))


@pytest.mark.parametrize("days", [0, -1, 4000])
def test_an_impossible_span_of_work_is_refused(own: Sandbox, days: float) -> None:
    """With the server's sentence."""
    with pytest.raises(SandboxError, match="days"):
        own.work(days=days)


def test_consensus_projects_get_several_attempts(own: Sandbox, world_of: Callable[..., Any]) -> None:
    """As many different labelers as the project asks for; the response is the most frequent answer."""
    live = world_of(own, "live_demo")
    sent = {
        "type": "categorization",
        "name": "p",
        "studio": True,
        "pipeline": "consensus_task",
        "consensus_attempts": 5,
    }
    live.ok("POST", "/projects", json=sent)
    live.ok("POST", "/batches", json={"project": "p", "name": "b"})
    for n in range(20):
        live.task(batch="b", attachment=f"car {n}")
    live.ok("POST", "/batches/b/finalize")
    own.work(days=3)
    truth = own.truth()
    sizes = truth.groupby("task_id")["labeler"].nunique()
    assert set(sizes) == {5}
    for task in live.all_tasks():
        votes = truth.loc[truth["task_id"] == task["task_id"], "attempt_json"].value_counts()
        fixed = any(audit["audit_result"] == "fixed" for audit in task.get("audits", []))
        category = task["response"]["category"]
        assert fixed or votes[f'{{"category":"{category}"}}'] == votes.max()


def test_audits_come_from_both_sides_with_their_times(own: Sandbox, world_of: Callable[..., Any]) -> None:
    """Accepted, fixed and rejected, by refonte and by customers, after the completion, newest first."""
    live = world_of(own, "live_demo")
    for n in range(300):
        live.task(attachment=f"car {n}")
    own.work(days=3)
    own.clock.advance(days=3)
    tasks = live.all_tasks()
    audits = [(task, audit) for task in tasks for audit in task.get("audits", [])]
    kinds = {(audit["audit_source"], audit["audit_result"]) for _, audit in audits}
    assert kinds == {(who, what) for who in ("customer", "refonte") for what in ("accepted", "fixed", "rejected")}
    now = own.clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for task, audit in audits:
        assert task["completed_at"] < audit["audited_at"] <= now
        assert audit["audit_time_secs"] > 0
        assert "@" in audit["audited_by"]
    for task in tasks:
        times = [audit["audited_at"] for audit in task.get("audits", [])]
        assert times == sorted(times, reverse=True)
        newest = [audit["audit_result"] for audit in task.get("audits", []) if audit["audit_source"] == "customer"]
        assert task["customer_review_status"] == (newest[0] if newest else "pending")


def test_work_ends_batches(own: Sandbox, world_of: Callable[..., Any]) -> None:
    """A live batch completes with its last task; a staged one is not touched."""
    live = world_of(own, "live_demo")
    for name, rapid in (("open", False), ("staged", True)):
        live.ok("POST", "/projects", json={"type": "categorization", "name": name, "rapid": rapid})
        live.ok("POST", "/batches", json={"project": name, "name": name})
        live.task(batch=name)
    own.work(days=3)
    assert live.ok("GET", "/batches/open/status") == {"status": "completed", "tasks_completed": 1}
    assert live.ok("GET", "/batches/staged/status") == {"status": "staging", "tasks_pending": 1}


def test_an_enterprise_batch_of_a_test_key_is_completed_by_hand(sandbox: Sandbox, test_world: Any) -> None:
    """Once it holds a task; afterwards it is closed."""
    test_world.ok("POST", "/projects", json={"type": "categorization", "name": "p"})
    test_world.ok("POST", "/batches", json={"project": "p", "name": "b"})
    with pytest.raises(SandboxError, match="empty"):
        sandbox.complete_batch("b", key=test_world.key)
    test_world.task(batch="b")
    assert test_world.ok("GET", "/batches/b")["status"] == "in_progress"
    assert sandbox.complete_batch("b", key=test_world.key)["status"] == "completed"
    sent = {"batch": "b", "attachment": "x", "attachment_type": "text", "categories": ["a"]}
    assert test_world.call("POST", "/task/categorization", json=sent).status_code == 400


def test_attachments_can_be_made_unreachable(own: Sandbox, world_of: Callable[..., Any]) -> None:
    """By pattern: such live tasks end in error when their time has come."""
    live = world_of(own, "live_demo")
    own.fail_attachments("*broken*")
    good, bad = live.task(attachment="car"), live.task(attachment="broken car")
    assert own.work(days=3)["errors"] == 1
    assert live.ok("GET", f"/task/{bad['task_id']}")["status"] == "error"
    assert live.ok("GET", f"/task/{good['task_id']}")["status"] == "completed"


def test_a_single_task_is_completed_or_failed_by_hand(live: Any, sandbox: Sandbox) -> None:
    """With the response given, or the right one; only while it is pending."""
    first, second, third = (live.task(unique_id=name) for name in ("one", "two", "three"))
    assert sandbox.complete(first["task_id"], {"category": "a"})["response"] == {"category": "a"}
    assert sandbox.complete(second["task_id"])["response"]["category"] in "abcd"
    failed = sandbox.fail(third["task_id"], "The image is black", {"partial": 1})
    assert failed["response"] == {"error": "The image is black", "partial": 1}
    assert live.ok("GET", f"/task/{third['task_id']}") == failed
    for task in (first, third):
        with pytest.raises(SandboxError, match="only pending tasks can be completed"):
            sandbox.complete(task["task_id"])
    with pytest.raises(SandboxError, match="no task"):
        sandbox.fail("0" * 24)


def test_a_failed_task_frees_its_id_only_when_asked_to(live: Any, sandbox: Sandbox) -> None:
    """That is what clear_unique_id_on_error is for."""
    kept = live.task(unique_id="kept")
    freed = live.task(unique_id="freed", clear_unique_id_on_error=True)
    assert sandbox.fail(kept["task_id"])["unique_id"] == "kept"
    assert "unique_id" not in sandbox.fail(freed["task_id"])
    live.task(unique_id="freed")
    assert live.call("POST", "/task/categorization", json={"unique_id": "kept"}).status_code == 400


def test_reset_takes_the_callback_url_of_the_profile(sandbox: Sandbox, live: Any) -> None:
    """Otherwise the tasks of the next test would be called back to a receiver of the one before."""
    sandbox.control("POST", "/callback_url", {"key": live.key, "url": "me@example.com"})
    sandbox.reset(key=live.key)
    assert sandbox.control("POST", "/callbacks", {"key": live.key})["default_callback_url"] is None


def test_reset_empties_one_world(sandbox: Sandbox, world_of: Callable[..., Any]) -> None:
    """And no other; names, ids and Idempotency-Keys are free again."""
    one, two = world_of(sandbox, "live_reset-one"), world_of(sandbox, "live_reset-two")
    for world in (one, two):
        world.ok("POST", "/projects", json={"type": "categorization", "name": "p"})
        task = world.task(headers={"Idempotency-Key": "k"}, project="p", unique_id="u", tags=["t"])
    sandbox.reset(key="live_reset-one")
    assert (one.total(), two.total()) == (0, 1)
    assert one.ok("GET", "/tasks", params={"tags": "t"})["total"] == 0
    assert two.ok("GET", "/tasks", params={"tags": "t", "project": "p", "unique_id": "u"})["docs"] == [task]
    assert two.task(headers={"Idempotency-Key": "k"}, project="p", unique_id="u", tags=["t"]) == task
    one.ok("POST", "/projects", json={"type": "categorization", "name": "p"})
    one.task(headers={"Idempotency-Key": "k"}, project="p", unique_id="u")
    assert one.total() == 1


@pytest.mark.parametrize("change", ["audits", "tags", "metadata", "unique_id"])
def test_later_changes_touch_updated_at_only_when_switched_on(sandbox: Sandbox, test_world: Any, change: str) -> None:
    """The documented example was audited a day later without it."""

    def change_one() -> tuple[str, str]:
        task = test_world.ok("GET", f"/task/{test_world.task()['task_id']}")
        path = f"/task/{task['task_id']}"
        calls = {
            "audits": ("POST", f"{path}/audit", {"accepted": True}),
            "tags": ("PUT", f"{path}/tags", ["x"]),
            "metadata": ("POST", f"{path}/setMetadata", {"x": 1}),
            "unique_id": ("POST", f"{path}/unique_id", {"unique_id": task["task_id"]}),
        }
        sandbox.clock.advance(seconds=5)
        verb, where, sent = calls[change]
        return task["updated_at"], test_world.ok(verb, where, json=sent)["updated_at"]

    before, after = change_one()
    assert before == after
    sandbox.control("POST", "/switches", {"touching_updated_at": [change]})
    try:
        before, after = change_one()
    finally:
        sandbox.control("POST", "/switches", {"touching_updated_at": []})
    assert before < after


def test_a_key_may_be_held_to_a_rate(sandbox: Sandbox, live: Any, world_of: Callable[..., Any]) -> None:
    """Nothing is done for a request too many; another key has a rate of its own; a later one gets through."""
    sandbox.limit_rate(0.01)
    try:
        live.task(unique_id="first")
        refused = live.call("POST", "/task/categorization", json={}, headers={"Idempotency-Key": "k"})
        assert (refused.status_code, refused.json()["status_code"]) == (429, 429)
        assert 0 < int(refused.headers["retry-after"]) <= 100
        assert world_of(sandbox, f"live_{uuid.uuid4().hex[:20]}").call("GET", "/teams").status_code == 200
    finally:
        sandbox.reset_switches()
    assert live.total() == 1
    assert live.call("POST", "/task/categorization", json={}, headers={"Idempotency-Key": "k"}).status_code == 400


def test_a_rate_of_next_to_nothing_is_told_as_a_day(sandbox: Sandbox, live: Any) -> None:
    """The time until the next request is beyond all numbers."""
    sandbox.limit_rate(1e-320)
    try:
        live.call("GET", "/tasks")
        assert live.call("GET", "/tasks").headers["retry-after"] == "86400"
    finally:
        sandbox.reset_switches()


@pytest.mark.parametrize("rate", [-1, "fast", True])
def test_an_impossible_rate_is_refused(sandbox: Sandbox, rate: Any) -> None:
    """And nothing is limited."""
    with pytest.raises(SandboxError, match="no switches"):
        sandbox.limit_rate(rate)


def test_strict_mode_refuses_unknown_parameters(world_of: Callable[..., Any]) -> None:
    """In bodies and queries."""
    with Sandbox(strict=True) as sandbox:
        live = world_of(sandbox, "live_demo")
        assert live.call("GET", "/tasks", params={"colour": "red"}).status_code == 400
        sent = {"attachment": "x", "attachment_type": "text", "categories": ["a"], "colour": "red"}
        assert live.call("POST", "/task/categorization", json=sent).status_code == 400
        live.task()


@pytest.mark.parametrize("token", [None, "", "wrong"])
def test_steering_needs_the_token_of_this_run(sandbox: Sandbox, token: str | None) -> None:
    """Readiness alone is public."""
    headers = {} if token is None else {"X-Sandbox-Token": token}
    for verb, path in (
        ("POST", "/work"),
        ("GET", "/faults"),
        ("POST", "/reset"),
        ("POST", "/truth"),
        ("GET", "/clock"),
    ):
        reply = requests.request(verb, f"{sandbox.url}/_sandbox{path}", headers=headers, json={}, timeout=30)
        assert reply.status_code == 403
    assert requests.get(f"{sandbox.url}/_sandbox/ready", timeout=30).json()["ready"] is True


def test_the_requests_are_told_without_keys(live: Any, sandbox: Sandbox) -> None:
    """What was asked, in order."""
    live.task(headers={"Idempotency-Key": "k-told"})
    live.ok("GET", "/tasks", params={"limit": 3})
    *_, created, listed = sandbox.requests()
    assert (created["method"], created["path"]) == ("POST", "/v1/task/categorization")
    assert created["idempotency_key"] == "k-told"
    assert listed["query"] == [["limit", "3"]]
    assert live.key not in str(sandbox.requests())


def test_activate_sets_the_environment_for_the_block_only(sandbox: Sandbox) -> None:
    """What was there before comes back, and what was not is gone."""
    names = ("REFONTE_API_KEY", "REFONTE_BASE_URL", "REFONTE_STATE_DIR")
    before = {name: os.environ.get(name) for name in names}
    with sandbox.activate("live_active"):
        assert os.environ["REFONTE_API_KEY"] == "live_active"
        assert os.environ["REFONTE_BASE_URL"] == sandbox.base_url
    assert {name: os.environ.get(name) for name in names} == before


def test_a_client_of_the_sandbox_works_and_keeps_its_journals_inside(sandbox: Sandbox) -> None:
    """The same object for the same key."""
    from refonte_frames.transport.calls import Call

    client = sandbox.client("live_client")
    assert client is sandbox.client("live_client")
    assert client.send(Call.get("tasks")).status == 200
    assert client.state_dir == sandbox.state_dir


def test_a_stopped_sandbox_says_so() -> None:
    """Instead of an address that nobody answers at."""
    sandbox = Sandbox()
    for use in (lambda: sandbox.url, lambda: sandbox.work(days=1), sandbox.client):
        with pytest.raises(SandboxError, match="not running"):
            use()
    assert "not running" in repr(sandbox)
    sandbox.close()


def test_a_sandbox_can_be_started_again() -> None:
    """After it was closed; twice at once is refused."""
    sandbox = Sandbox()
    for _ in range(2):
        with sandbox:
            with pytest.raises(SandboxError, match="already running"):
                sandbox.start()
            assert sandbox.url in repr(sandbox)
            assert sandbox._ready["control_token"] not in repr(sandbox)


def test_the_truth_about_attempts_is_what_they_were_drawn_by(own: Sandbox, world_of: Callable[..., Any]) -> None:
    """Every attempt that is served has its chance, also of people who joined later; scores come out as likely."""
    world = world_of(own, "live_quality-truth")
    create_quality_tasks(world, list(range(12)))
    own.work(days=2)
    world.ok("POST", "/teams/invite", json={"emails": ["late@example.com"], "team_role": "labeler"})
    own.accept_invitations(key=world.key)
    asked = {"attachment": "j.png", "geometries": {"box": {"objects_to_annotate": ["cat", "dog"]}}}
    expected = {"annotations": [{"type": "box", "label": "cat", "left": 1, "top": 1}]}
    body = {"project": "rapid", **asked, "expected_response": expected}
    world.ok("POST", "/evaluation_tasks/imageannotation", json=body)
    own.work(days=2)
    truth = own.quality_truth(world.key).set_index("attempt_id")
    emails = [*(f"labeler{number:02d}@example.com" for number in range(1, 13)), "late@example.com"]
    served: dict[str, Any] = {}
    token: dict[str, str] = {}
    while len(served) < len(truth):
        page = world.ok("GET", "/quality/labelers", params={"labeler_emails": emails, **token})
        served |= {doc["attempt_id"]: doc for doc in page["docs"]}
        token = {"next_token": page["next_token"]} if page["has_more"] else {}
    assert set(served) == set(truth.index)
    assert {doc["labeler_email"] for doc in served.values()} == set(emails)
    assert all(truth.loc[name, "score"] == doc["score"] for name, doc in served.items())
    assert (truth["chance"] > 0).all()
    assert truth["score"].corr(truth["chance"]) > 0.2


def test_an_untouched_world_has_no_attempts_to_tell_of(own: Sandbox) -> None:
    """With all columns and their types."""
    truth = own.quality_truth("live_nobody")
    assert len(truth) == 0
    assert (truth["chance"].dtype, truth["is_spammer"].dtype) == ("float64", "bool")
