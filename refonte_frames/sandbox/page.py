"""The page under /_sandbox/ as a function of what it shows; nothing is looked up or changed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from refonte_frames.api import TASK_TYPES
from refonte_frames.sandbox.markup import Html, element, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["STYLE", "Labeler", "View", "Whereabouts", "render", "render_refusal"]

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 84rem; padding: 0 1rem; color: #1c2430; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; border-bottom: 1px solid #d5dae1; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; vertical-align: top; border-bottom: 1px solid #edf0f3; }
th { color: #5a6675; font-weight: 600; }
th, td { white-space: nowrap; }
td.long { white-space: normal; overflow-wrap: anywhere; min-width: 10rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f5f7f9; padding: .6rem; margin: .3rem 0; }
pre { position: absolute; left: 1rem; right: 1rem; z-index: 1; max-width: 60rem; max-height: 24rem; overflow: auto; }
pre { border: 1px solid #d5dae1; box-shadow: 0 2px 8px #1c243033; }
td form { margin: 0; }
form { display: inline-block; margin: .2rem .8rem .2rem 0; }
input[type=number] { width: 5rem; }
textarea { display: block; max-width: 100%; font: .85rem/1.4 monospace; }
.none, .note { color: #5a6675; }
.bad { color: #a11; }
nav a { margin-right: 1rem; }
"""


@dataclass(frozen=True, slots=True)
class Labeler:
    """A labeler as the page shows them: what they did, and what only the sandbox knows of them."""

    email: str
    attempts: int
    mean_secs: float
    skill: float
    is_spammer: bool


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where the reader is: the world looked at, the row that older tasks come before, and the token.

    Attributes
    ----------
    token : str or None
        The control token, when the reader has brought it: buttons are shown.
    """

    world: int | None = None
    before: int | None = None
    token: str | None = None
    is_token_wrong: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """Everything on the page.

    Attributes
    ----------
    worlds : sequence of tuple
        Number, what it is called, and how many tasks of each status.
    tasks : sequence of tuple
        Row and served task.
    requests : sequence of dict
        Newest first.
    """

    now: str
    rate: float
    seed: int
    where: Whereabouts
    worlds: Sequence[tuple[int, str, dict[str, int]]]
    projects: Sequence[dict[str, Any]]
    batches: Sequence[dict[str, Any]]
    tasks: Sequence[tuple[int, dict[str, Any]]]
    has_older: bool
    labelers: Sequence[Labeler]
    deliveries: Sequence[dict[str, Any]]
    armed: Sequence[dict[str, Any]]
    fired: Sequence[dict[str, Any]]
    requests: Sequence[dict[str, Any]]


def render(view: View) -> bytes:
    """Write the page."""
    return _document(*_top(view), *_world(view), *_server(view))


def render_refusal(status: int, sentence: str) -> bytes:
    """Write a page that says no."""
    back = element("p", element("a", "Back", href="/_sandbox/"))
    return _document(element("h1", f"{status}"), element("p", sentence, class_="bad"), back)


def _document(*inside: Html) -> bytes:
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", "Refonte sandbox"),
        element("link", rel="stylesheet", href="/_sandbox/style.css"),
    )
    return b"<!doctype html>\n" + element("html", head, element("body", *inside), lang="en").encode()


# the whole server


def _top(view: View) -> Iterable[Html]:
    yield element("h1", "Refonte sandbox")
    pace = "frozen" if not view.rate else "real time" if view.rate == 1 else f"{view.rate:g} times real time"
    yield element("p", f"It is {view.now} here ({pace}), seed {view.seed}. Nothing here leaves this machine.", id="now")
    if view.where.token is None:
        yield _sign_in(view.where)
        return
    hours = element("input", type="number", name="hours", value="24", min="0", step="any", required="required")
    days = element("input", type="number", name="days", value="3", min="0", step="any", required="required")
    yield _action(view.where, "advance", "Advance the clock", element("label", "hours ", hours))
    yield _action(view.where, "work", "Let labelers work", element("label", "days ", days))


def _sign_in(where: Whereabouts) -> Html:
    field = element("input", type="password", name="token", required="required", autocomplete="off")
    wrong = element("p", "That is not the control token of this run.", class_="bad") if where.is_token_wrong else None
    label = element("label", "To change something, enter the control_token of the ready line: ", field, " ")
    world = element("input", type="hidden", name="world", value=where.world) if where.world is not None else None
    return element("form", wrong, label, world, element("button", "Enter"), method="get", action="/_sandbox/")


def _action(where: Whereabouts, name: str, label: str, *fields: Html) -> Html:
    """Write a button that changes something; it carries the token, which a page from elsewhere cannot know."""
    kept = {"token": where.token, "world": where.world}
    hidden = [
        element("input", type="hidden", name=key, value=value) for key, value in kept.items() if value is not None
    ]
    button = element("button", label)
    return element("form", *hidden, *fields, " ", button, method="post", action=f"/_sandbox/page/{name}")


def _link(where: Whereabouts, label: object, *, world: int | None, before: int | None = None) -> Html:
    values = {"world": world, "before": before, "token": where.token}
    query = "&".join(f"{name}={value}" for name, value in values.items() if value is not None)
    return element("a", label, href=f"/_sandbox/?{query}")


def _server(view: View) -> Iterable[Html]:
    yield element("h2", "Faults")
    shown = [(rule["number"], rule["action"], rule["method"], rule["path"]) for rule in view.armed]
    yield table(("rule", "action", "method", "path"), shown, empty="No fault waits for its request.")
    fired = [(each["rule"], each["action"], each["side"], each["method"], each["path"]) for each in view.fired]
    if fired:
        yield element("h3", "Fired, newest first")
        yield table(("rule", "action", "side", "method", "path"), fired, empty="")
    yield element("h2", "Last requests")
    names = ("at", "method", "path", "query", "status", "fault")
    rows = [[_request_cell(name, each) for name in names] for each in view.requests]
    yield table(names, rows, empty="Nobody has called the API yet.")


def _request_cell(name: str, request: dict[str, Any]) -> object:
    value = request.get(name)
    if name == "query":
        return _short("&".join(f"{key}={text}" for key, text in value or ()))
    return _short(value) if isinstance(value, str) else value


# one world


def _world(view: View) -> Iterable[Html]:
    yield element("h2", "Worlds")
    rows = [
        (_link(view.where, number, world=number), name, sum(tasks.values()), _counts(tasks))
        for number, name, tasks in view.worlds
    ]
    yield table(("world", "key", "tasks", "of these"), rows, empty="No key has been used yet.")
    if view.where.world is None:
        return
    yield element("h2", f"Projects of world {view.where.world}")
    yield table(
        ("name", "type", "parameters", "created"),
        [(p["name"], p["type"], _details(p["param_history"][-1]), p["created_at"]) for p in view.projects],
        empty="No projects.",
    )
    yield element("h2", "Batches")
    yield table(
        ("name", "project", "status", "tasks", "created"),
        [(b["name"], b["project"], b["status"], _counts(b["counts"]), b["created_at"]) for b in view.batches],
        empty="No batches.",
    )
    yield from _tasks(view)
    yield element("h2", "Labelers")
    yield table(
        ("labeler", "attempts", "mean seconds", "skill (logits)", "spammer"),
        [
            (each.email, each.attempts, f"{each.mean_secs:.1f}", f"{each.skill:.2f}", "yes" if each.is_spammer else "")
            for each in view.labelers
        ],
        empty="Nobody has worked yet.",
    )
    yield element("h2", "Callbacks")
    names = ("at", "of", "target", "number", "status", "note")
    yield table(names, [[each[name] for name in names] for each in view.deliveries], empty="None was tried.")


def _counts(tasks: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {status}" for status, n in tasks.items())


def _tasks(view: View) -> Iterable[Html]:
    yield element("h2", "Tasks, newest first")
    names = ("type", "project", "batch", "unique_id", "created_at")
    rows = [
        [task["task_id"], _state(view.where, task), _details(task), *(_short(task.get(name)) for name in names)]
        for _, task in view.tasks
    ]
    yield table(("task_id", "status", "document", *names), rows, empty="No tasks.")
    if view.has_older:
        yield element("p", _link(view.where, "Older tasks", world=view.where.world, before=view.tasks[-1][0]))
    if view.where.token is not None:
        yield _new_task(view.where)
        yield _action(view.where, "reset", "Empty this world")


#: What the form for a new task begins with.
_SAMPLE = """{
  "attachment": "The parcel came two days late.",
  "attachment_type": "text",
  "categories": ["praise", "complaint", "question"]
}"""


def _new_task(where: Whereabouts) -> Html:
    types = [element("option", name, selected="" if name == "categorization" else None) for name in TASK_TYPES]
    chosen = element("p", element("label", "type ", element("select", *types, name="type")))
    body = element("p", element("label", "body ", element("textarea", _SAMPLE, name="body", rows=6, cols=60)))
    return element("details", element("summary", "New task"), _action(where, "create", "Create", chosen, body))


def _state(where: Whereabouts, task: dict[str, Any]) -> object:
    """Show a task's status, beside the button that changes it, where there is one."""
    if where.token is None or task["status"] != "pending":
        return task["status"]
    named = element("input", type="hidden", name="task", value=task["task_id"])
    return element("div", "pending ", _action(where, "complete", "Complete", named))


def _details(value: Any) -> Html:
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … ({len(text):,} characters)"
    return element("details", element("summary", "JSON"), element("pre", shown))


#: A page of 50 tasks with a megabyte each would not be read by anybody.
_LONGEST = 10_000


def _short(value: Any) -> Any:
    return f"{value[:120]}…" if isinstance(value, str) and len(value) > 120 else value
