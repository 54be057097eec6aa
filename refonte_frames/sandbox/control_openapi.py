"""The calls under /_sandbox/ as an OpenAPI 3.1 document of their own: they are the sandbox's, not the service's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from refonte_frames.api import BATCH_STATUSES, TASK_STATUSES
from refonte_frames.sandbox.faults import ACTIONS, TWISTS, Rule
from refonte_frames.sandbox.openapi import ERROR, Schema, array_of, enum_of, object_of
from refonte_frames.sandbox.queries import TASK_FILTERS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["control_document"]

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_WHOLE: Schema = {"type": "integer"}
_OBJECT: Schema = {"type": "object"}
_TEXTS: Schema = array_of(_TEXT)
_TIME: Schema = {"type": "string", "format": "date-time"}
_KEY: Schema = {"type": "string", "pattern": "^(test|live)_[a-z0-9-]{1,24}$", "examples": ["live_demo"]}
_TASK = object_of(("task_id", "status"), task_id=_TEXT, status=enum_of(*TASK_STATUSES))
_BATCH = object_of(("name", "status"), name=_TEXT, status=enum_of(*BATCH_STATUSES))
_CLOCK = object_of(("now", "now_ms", "rate"), now=_TIME, now_ms=_WHOLE, rate=_NUMBER, events=_WHOLE)
_WELL = object_of(("result",), result={"const": "success"})
_COUNTS = ("completed", "errors", "audits", "quality_attempts")
_SWITCHES = object_of(
    is_strict={"type": "boolean"},
    broken_attachments=_TEXTS,
    touching_updated_at=_TEXTS,
    requests_per_sec={"type": "number", "minimum": 0},
)


def _rule() -> Schema:
    """Describe a fault by its fields and their limits: each may be left out, which is what null means to `Rule`."""
    properties: dict[str, Schema] = {}
    for name, schema in msgspec.json.schema(Rule)["$defs"]["Rule"]["properties"].items():
        given = next((way for way in schema.get("anyOf", ()) if way.get("type") != "null"), schema)
        properties[name] = {key: value for key, value in given.items() if key != "default"}
    listed = {
        "action": enum_of(*ACTIONS, *TWISTS),
        "side": enum_of("before", "after"),
        "names": array_of(enum_of(*TASK_FILTERS)),
        "retry_after": {"type": "string", "pattern": "^[ -~]*$"},
    }
    counts: dict[str, Schema] = {name: {"type": "integer", "minimum": 1} for name in ("nth", "times", "every")}
    return {**object_of(("action",), **{**properties, **listed, **counts}), "additionalProperties": False}


#: What each call does, its body and its answer; None is no body.
_CALLS: dict[str, tuple[str, Schema | None, Schema]] = {
    "GET /_sandbox/ready": (
        "Answers as soon as the server does; needs no token.",
        None,
        object_of(("ready", "now"), ready={"const": True}, now=_TIME),
    ),
    "GET /_sandbox/fidelity": (
        "What is documented, inferred or assumed; needs no token.",
        None,
        object_of(("behaviours",), behaviours=array_of(_OBJECT)),
    ),
    "GET /_sandbox/results/{recipe}/{name}": ("A file behind a link in a response; needs no token.", None, {}),
    "GET /_sandbox/clock": ("Tells the sandbox's time.", None, _CLOCK),
    "POST /_sandbox/clock": (
        "Sets the pace of the clock, then moves it forward; everything due is done on return.",
        object_of(advance_ms={"type": "number", "minimum": 0}, rate={"type": "number", "minimum": 0, "maximum": 1e6}),
        _CLOCK,
    ),
    "POST /_sandbox/work": (
        "Lets the labelers of all worlds work; the clock goes on by as much.",
        object_of(("days",), days={"type": "number", "exclusiveMinimum": 0, "maximum": 3650}),
        object_of((*_COUNTS, "now"), now=_TIME, **dict.fromkeys(_COUNTS, _WHOLE)),
    ),
    "POST /_sandbox/tasks/{name}/complete": (
        "Completes a pending task, with this response or the right one.",
        object_of(response=_OBJECT),
        _TASK,
    ),
    "POST /_sandbox/tasks/{name}/fail": (
        "Moves a pending task to error.",
        object_of(error={"type": "string", "minLength": 1}, response=_OBJECT),
        _TASK,
    ),
    "POST /_sandbox/batches/complete": (
        "Completes a batch whose tasks have ended.",
        object_of(("key", "batch"), key=_KEY, batch=_TEXT),
        _BATCH,
    ),
    "POST /_sandbox/reset": ("Empties one world.", object_of(("key",), key=_KEY), _WELL),
    "POST /_sandbox/truth": (
        "What is right, how hard it was, and who answered what.",
        object_of(("key",), key=_KEY),
        object_of(("rows",), rows=array_of(_OBJECT)),
    ),
    "POST /_sandbox/quality_truth": (
        "How likely each attempt at a quality task was to be right, and what its labeler is like.",
        object_of(("key",), key=_KEY),
        object_of(("rows",), rows=array_of(_OBJECT)),
    ),
    "POST /_sandbox/accept_invitations": (
        "Lets everybody who was invited to a team join it.",
        object_of(("key",), key=_KEY),
        object_of(("accepted",), accepted=_WHOLE),
    ),
    "POST /_sandbox/disable_members": (
        "Disables members of a team, as its dashboard would.",
        object_of(("key", "emails"), key=_KEY, emails=_TEXTS),
        object_of(("disabled",), disabled=_WHOLE),
    ),
    "POST /_sandbox/callback_url": (
        "Sets the callback URL of an account's profile; none takes it away.",
        object_of(("key",), key=_KEY, url={"type": ["string", "null"]}),
        object_of(("default_callback_url",), default_callback_url={"type": ["string", "null"]}),
    ),
    "POST /_sandbox/callbacks": (
        "The auth key of a world's callbacks, every try of one, and the mails.",
        object_of(("key",), key=_KEY),
        object_of(("auth_key", "tries", "mails"), auth_key=_TEXT, tries=array_of(_OBJECT), mails=array_of(_OBJECT)),
    ),
    "GET /_sandbox/faults": (
        "What fired, in order, and which rules never did.",
        None,
        object_of(("fired", "unfired"), fired=array_of(_OBJECT), unfired=array_of(_OBJECT)),
    ),
    "POST /_sandbox/faults": ("Orders a fault.", _rule(), object_of(("number",), number=_WHOLE)),
    "DELETE /_sandbox/faults": ("Disarms all faults and forgets the log.", None, _WELL),
    "POST /_sandbox/switches": ("Turns abilities on or off.", {**_SWITCHES, "additionalProperties": False}, _SWITCHES),
    "DELETE /_sandbox/switches": ("Puts all switches back.", None, _SWITCHES),
    "GET /_sandbox/requests": (
        "The last calls to the API, oldest first.",
        None,
        object_of(("requests",), requests=array_of(_OBJECT)),
    ),
    "GET /_sandbox/openapi.json": ("Describes the documented API; needs no token.", None, _OBJECT),
    "GET /_sandbox/openapi-control.json": ("Describes the control calls; needs no token.", None, _OBJECT),
}


def control_document(routes: Sequence[tuple[str, str]], public: Collection[str], url: str, token_header: str) -> Schema:
    """Write the document.

    Parameters
    ----------
    routes : sequence of (str, str)
        Verb and path.
    public : collection of str
        Paths that need no token.
    url : str
        Of the server that is described.

    Raises
    ------
    KeyError
        If a route has no description.
    """
    paths: dict[str, dict[str, Any]] = {}
    for verb, path in routes:
        paths.setdefault(path, {})[verb.lower()] = _operation(verb, path, is_public=path in public)
    token = {"type": "apiKey", "in": "header", "name": token_header}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Steering the Refonte sandbox",
            "version": "1",
            "description": "The service itself has nothing of this.",
        },
        "servers": [{"url": url}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {"schemas": {"Error": ERROR}, "securitySchemes": {"token": token}},
    }


def _operation(verb: str, path: str, *, is_public: bool) -> Schema:
    says, body, answer = _CALLS[f"{verb} {path}"]
    names = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
    whole: Schema = {
        "operationId": f"{verb} {path}",
        "summary": says,
        "parameters": [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names],
        "responses": {
            "200": {"description": "Well.", "content": _content(answer)},
            **({} if is_public else {"403": _REFUSED}),
            **({"400": _REFUSED, "413": _REFUSED, "415": _REFUSED} if body is not None else {}),
            **({"404": _REFUSED} if names or path.endswith("/batches/complete") else {}),
        },
        **({"security": []} if is_public else {}),
    }
    if body is not None:
        whole["requestBody"] = {
            "required": bool(body.get("required")),
            "content": {"application/json": {"schema": body}},
        }
    return whole


def _content(answer: Schema) -> Schema:
    if answer:
        return {"application/json": {"schema": answer}}
    return {"application/json": {}, "image/png": {}}


_REFUSED: Schema = {
    "description": "Refused.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
