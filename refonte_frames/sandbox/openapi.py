"""The documented calls as an OpenAPI 3.1 document, for tools that read one; made of the routes and the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refonte_frames.api import (
    ATTACHMENT_TYPES,
    AUDIT_RESULTS,
    BATCH_STATUSES,
    IDEMPOTENCY_HEADER,
    MAX_PAGE_SIZE,
    MAX_TAGS,
    PRIORITY_MAX,
    PRIORITY_MIN,
    REVIEW_STATUSES,
    TASK_STATUSES,
    TASK_TYPES,
)
from refonte_frames.sandbox.fidelity import ledger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ERROR", "Schema", "array_of", "document", "enum_of", "object_of"]

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_ANY_TEXT: Schema = {"type": "string"}
_BOOL: Schema = {"type": "boolean"}
_WHOLE: Schema = {"type": "integer"}
_OBJECT: Schema = {"type": "object"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_PRIORITY: Schema = {"type": "integer", "minimum": PRIORITY_MIN, "maximum": PRIORITY_MAX}
_TEXTS: Schema = {"type": "array", "items": _TEXT, "minItems": 1}
_TAGS: Schema = {**_TEXTS, "maxItems": MAX_TAGS}
_EMAILS: Schema = {"oneOf": [_TEXT, _TEXTS]}
_LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": MAX_PAGE_SIZE}


def enum_of(*values: str) -> Schema:
    """Describe one of some texts."""
    return {"type": "string", "enum": list(values)}


def object_of(required: Sequence[str] = (), **properties: Schema) -> Schema:
    """Describe an object."""
    head: Schema = {"type": "object", "properties": properties}
    return {**head, "required": list(required)} if required else head


def array_of(items: Schema) -> Schema:
    """Describe an array."""
    return {"type": "array", "items": items}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


#: The documented shape of every refusal.
ERROR = object_of(("status_code", "error"), status_code=_WHOLE, error=_TEXT)

_PARAMS = object_of(("version", "created_at"), version=_WHOLE, created_at=_TIME)
_AUDIT = object_of(
    ("audited_by", "audited_at", "audit_time_secs", "audit_result", "audit_source"),
    audited_by=_TEXT,
    audited_at=_TIME,
    audit_time_secs=_WHOLE,
    audit_result=enum_of(*AUDIT_RESULTS),
    audit_source=enum_of("customer", "refonte"),
    comments=_ANY_TEXT,
)

_SCHEMAS: dict[str, Schema] = {
    "Error": ERROR,
    "Project": object_of(
        ("type", "name", "param_history", "created_at"),
        type=enum_of(*TASK_TYPES),
        name=_TEXT,
        param_history={**array_of(_PARAMS), "minItems": 1},
        created_at=_TIME,
        archived=_BOOL,
        pipeline=enum_of("standard_task", "consensus_task"),
        consensus_attempts=_WHOLE,
    ),
    "Batch": object_of(
        ("project", "name", "callback", "status", "created_at", "metadata"),
        project=_TEXT,
        name=_TEXT,
        callback={"type": ["string", "null"]},
        status=enum_of(*BATCH_STATUSES),
        created_at=_TIME,
        metadata=_OBJECT,
        **{f"tasks_{status}": _WHOLE for status in TASK_STATUSES},
    ),
    "Task": object_of(
        ("task_id", "type", "status", "created_at", "params", "metadata"),
        task_id={"type": "string", "pattern": "^[0-9a-f]{24}$"},
        type=enum_of(*TASK_TYPES),
        status=enum_of(*TASK_STATUSES),
        instruction=_ANY_TEXT,
        params=_OBJECT,
        metadata=_OBJECT,
        project=_TEXT,
        batch=_TEXT,
        callback_url=_TEXT,
        callback_succeeded=_BOOL,
        callback_completed=_BOOL,
        response=_OBJECT,
        created_at=_TIME,
        updated_at=_TIME,
        completed_at=_TIME,
        audits=array_of(_AUDIT),
        customer_review_status=enum_of(*REVIEW_STATUSES),
        tags=_TAGS,
        unique_id=_TEXT,
        priority=_PRIORITY,
    ),
    "LimitedTask": object_of(("task_id", "status", "metadata"), task_id=_TEXT, status=enum_of(*TASK_STATUSES)),
    "QualityTask": object_of(("id", "expected_response"), id=_TEXT, expected_response=_OBJECT),
    "Attempt": object_of(
        ("attempt_id", "quality_task_id", "quality_type", "labeler_email", "status"),
        attempt_id=_TEXT,
        quality_task_id=_TEXT,
        quality_type=enum_of("training", "evaluation"),
        labeler_email=_TEXT,
        status=enum_of("passed", "failed", "in_progress"),
        score={"type": ["number", "null"]},
    ),
    "Member": object_of(("email", "role", "isStudioLabeler"), email=_TEXT, role=_TEXT, isStudioLabeler=_BOOL),
    "Assignments": {"type": "object", "additionalProperties": array_of(_TEXT)},
    "Group": object_of(
        ("id", "name", "numWorkers", "isSingleton"), id=_TEXT, name=_TEXT, numWorkers=_WHOLE, isSingleton=_BOOL
    ),
    "StudioBatch": object_of(("id", "name", "projectName", "total", "completed", "groups"), groups=array_of(_TEXT)),
    "File": object_of(("id", "attachment_url", "mime_type", "size"), id=_TEXT, attachment_url=_TEXT, size=_WHOLE),
    "Success": object_of(("success",), success={"const": True}),
    "Result": object_of(("result",), result={"const": "success"}),
    "Completed": object_of(("result", "tasks_completed"), result={"const": "success"}, tasks_completed=_WHOLE),
    "BatchStatus": object_of(("status",), status=enum_of(*BATCH_STATUSES)),
}


def _page(items: Schema, *required: str) -> Schema:
    return object_of(("docs", "has_more", *required), docs=array_of(items), has_more=_BOOL, next_token=_TEXT)


_NEW_TASK = object_of(
    project=_TEXT,
    batch=_TEXT,
    instruction=_ANY_TEXT,
    callback_url=_TEXT,
    attachment=_TEXT,
    attachments=array_of({}),
    attachment_type=enum_of(*ATTACHMENT_TYPES),
    metadata=_OBJECT,
    priority=_PRIORITY,
    unique_id=_TEXT,
    clear_unique_id_on_error=_BOOL,
    tags=_TAGS,
)
_NEW_QUALITY_TASK = {
    **object_of(("expected_response",), **_NEW_TASK["properties"], expected_response=_OBJECT, initial_response=_OBJECT)
}
_PIPELINE = object_of(("pipeline",), pipeline=enum_of("standard_task", "consensus_task"), consensus_attempts=_WHOLE)
_TEAM = object_of(("emails", "team_role"), emails=_EMAILS, team_role=enum_of("labeler", "member", "manager"))
_ASSIGNMENT = object_of(("emails", "projects"), emails=_EMAILS, projects=_TEXTS)
_GROUP_CHANGE = object_of(add_emails=array_of(_TEXT), remove_emails=array_of(_TEXT))
_FILE_FORM = object_of(
    ("file",),
    file={"type": "string", "format": "binary"},
    display_name=_ANY_TEXT,
    project_name=_ANY_TEXT,
    reference_id=_ANY_TEXT,
    metadata=_ANY_TEXT,
)
_FILE_URL = object_of(("file_url",), file_url=_TEXT, display_name=_TEXT, project_name=_TEXT, reference_id=_TEXT)

#: Body of a request by verb and path.
_BODIES: dict[str, Schema] = {
    "POST /projects": object_of(
        ("type", "name"),
        type=enum_of(*TASK_TYPES),
        name=_TEXT,
        rapid=_BOOL,
        studio=_BOOL,
        params=_OBJECT,
        pipeline=enum_of("standard_task", "consensus_task"),
        consensus_attempts=_WHOLE,
    ),
    "POST /projects/{project}/setParams": object_of(patch=_BOOL, instruction=_ANY_TEXT),
    "POST /projects/{project}/updatePipelineConfig": _PIPELINE,
    "POST /studio/projects/{project}/updatePipelineConfig": _PIPELINE,
    "POST /studio/projects/{project}/send_tasks_to_completed": object_of(all_batches=_BOOL, batches=array_of(_TEXT)),
    "POST /batches": object_of(
        ("project", "name"),
        project=_TEXT,
        name=_TEXT,
        callback=_ANY_TEXT,
        calibration_batch=_BOOL,
        self_label_batch=_BOOL,
        metadata=_OBJECT,
    ),
    "POST /batches/{batch}/prioritize": object_of(("priority",), priority=_PRIORITY),
    "POST /batches/{batch}/setMetadata": _OBJECT,
    "POST /task/{name}": _NEW_TASK,
    "POST /training_tasks/{name}": _NEW_QUALITY_TASK,
    "POST /evaluation_tasks/{name}": _NEW_QUALITY_TASK,
    "POST /task/{name}/setMetadata": _OBJECT,
    "POST /task/{name}/unique_id": object_of(("unique_id",), unique_id=_TEXT),
    "POST /task/{name}/tags": {**_TAGS, "minItems": 0},
    "PUT /task/{name}/tags": _TAGS,
    "DELETE /task/{name}/tags": _TAGS,
    "POST /task/{name}/audit": object_of(("accepted",), accepted=_BOOL, comments=_ANY_TEXT),
    "POST /files/import": _FILE_URL,
    "POST /teams/invite": _TEAM,
    "POST /teams/set_role": _TEAM,
    "POST /studio/assignments/add": _ASSIGNMENT,
    "POST /studio/assignments/remove": _ASSIGNMENT,
    "POST /studio/projects/{project}/groups": object_of(("name", "emails"), name=_TEXT, emails=_EMAILS),
    "PUT /studio/projects/{project}/groups/{group}": _GROUP_CHANGE,
    "POST /studio/projects/{project}/groups/{group}": _GROUP_CHANGE,
    "PUT /studio/batches/{batch}": object_of(("groups",), groups=array_of(_TEXT)),
    "POST /studio/batches/{batch}": object_of(("groups",), groups=array_of(_TEXT)),
    "POST /studio/batches/set_priorities": object_of(("batches",), batches=array_of(object_of(("name",), name=_TEXT))),
}

_TASKS_QUERY: dict[str, Schema] = {
    **dict.fromkeys(("start_time", "end_time", "completed_after", "completed_before"), _TIME),
    **dict.fromkeys(("updated_after", "updated_before"), _TIME),
    "status": enum_of(*TASK_STATUSES),
    **dict.fromkeys(("type", "project", "batch", "next_token"), _TEXT),
    "customer_review_status": enum_of(*REVIEW_STATUSES),
    **dict.fromkeys(("unique_id", "tags"), _TEXTS),
    "limit": _LIMIT,
    **dict.fromkeys(("include_attachment_url", "limited_response"), _BOOL),
}
#: Query of a request.
_QUERIES: dict[str, dict[str, Schema]] = {
    "GET /tasks": _TASKS_QUERY,
    "GET /projects": {"archived": _BOOL},
    "GET /batches": {
        "project": _TEXT,
        "status": enum_of(*BATCH_STATUSES),
        **dict.fromkeys(("detailed", "exclude_archived"), _BOOL),
        **dict.fromkeys(("start_time", "end_time"), _TIME),
        "limit": _LIMIT,
        "offset": {"type": "integer", "minimum": 0},
    },
    "POST /task/{name}/cancel": {"clear_unique_id": _BOOL},
    "GET /quality/labelers": {
        **dict.fromkeys(("quality_task_ids", "labeler_emails"), _TEXTS),
        "next_token": _TEXT,
        "limit": _LIMIT,
    },
    "GET /files": {"projects": _TEXTS, "metadata": _TEXT, "cursor": _TEXT},
}

_TASK_CHANGES = ("cancel", "setMetadata", "unique_id", "tags", "audit")


def _answers() -> dict[str, Schema]:
    """Give the body of each successful answer."""
    members, groups, batches = array_of(_ref("Member")), array_of(_ref("Group")), array_of(_ref("StudioBatch"))
    listed = {"oneOf": [_ref("Task"), {"allOf": [_ref("LimitedTask"), {"required": ["otherVersion"]}]}]}
    found = {
        "POST /projects": _ref("Project"),
        "GET /projects": array_of(_ref("Project")),
        "GET /projects/{project}": _ref("Project"),
        "POST /projects/{project}/setParams": _ref("Project"),
        "POST /projects/{project}/updatePipelineConfig": _ref("Project"),
        "POST /studio/projects/{project}/updatePipelineConfig": _ref("Project"),
        "POST /studio/projects/{project}/send_tasks_to_completed": _ref("Completed"),
        "POST /batches": _ref("Batch"),
        "GET /batches": _page(_ref("Batch"), "totalDocs", "total", "limit", "offset"),
        "GET /batches/{batch}": _ref("Batch"),
        "GET /batches/{batch}/status": _ref("BatchStatus"),
        "POST /batches/{batch}/finalize": _ref("Batch"),
        "POST /batches/{batch}/prioritize": _ref("Result"),
        "POST /batches/{batch}/setMetadata": _ref("Batch"),
        "POST /task/{name}": _ref("Task"),
        "GET /task/{name}": _ref("Task"),
        "GET /tasks": _page(listed, "total", "limit", "offset"),
        "POST /task/{name}/send-callback": _ref("Success"),
        "POST /training_tasks/{name}": _ref("QualityTask"),
        "POST /evaluation_tasks/{name}": _ref("QualityTask"),
        "GET /quality/labelers": _page(_ref("Attempt"), "total", "limit"),
        "POST /files/upload": _ref("File"),
        "POST /files/import": _ref("File"),
        "GET /files": _page(_ref("File")),
        **dict.fromkeys(("GET /teams", "POST /teams/invite", "POST /teams/set_role"), members),
        "GET /studio/assignments": _ref("Assignments"),
        "POST /studio/assignments/add": _ref("Assignments"),
        "POST /studio/assignments/remove": _ref("Assignments"),
        "GET /studio/projects/{project}/groups": groups,
        "POST /studio/projects/{project}/groups": _ref("Group"),
        "PUT /studio/projects/{project}/groups/{group}": _ref("Group"),
        "POST /studio/projects/{project}/groups/{group}": _ref("Group"),
        "GET /studio/batches": batches,
        "PUT /studio/batches/{batch}": _ref("StudioBatch"),
        "POST /studio/batches/{batch}": _ref("StudioBatch"),
        "POST /studio/batches/set_priorities": batches,
        "POST /studio/batches/reset_priorities": batches,
    }
    for verb, change in (*(("POST", change) for change in _TASK_CHANGES), ("PUT", "tags"), ("DELETE", "tags")):
        found[f"{verb} /task/{{name}}/{change}"] = _ref("Task")
    return {**found, "DELETE /task/{name}/unique_id": _ref("Task")}


def document(routes: Sequence[tuple[str, str]], base_url: str) -> Schema:
    """Write the document.

    Parameters
    ----------
    routes : sequence of (str, str)
        Verb and path below /v1.
    base_url : str
        Of the server that is described.

    Raises
    ------
    KeyError
        If a route has no description.
    """
    answers = _answers()
    paths: dict[str, dict[str, Any]] = {}
    for verb, path in routes:
        paths.setdefault(path, {})[verb.lower()] = _operation(f"{verb} {path}", answers)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Refonte AI API, as the sandbox imitates it",
            "version": "1",
            "description": "Written from the documentation; never compared with the live service.",
        },
        "servers": [{"url": base_url}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {"schemas": _SCHEMAS, "securitySchemes": {"key": {"type": "http", "scheme": "basic"}}},
    }


def _operation(route: str, answers: Mapping[str, Schema]) -> Schema:
    whole: Schema = {
        "operationId": route,
        "summary": "; ".join(row.says for row in ledger() if route in row.routes),
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_header_parameters(route)],
        "responses": _responses(route, answers[route]),
    }
    if route == "POST /files/upload":
        whole["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": _FILE_FORM}}}
    elif route in _BODIES:
        is_needed = bool(_BODIES[route].get("required"))
        whole["requestBody"] = {"required": is_needed, "content": {"application/json": {"schema": _BODIES[route]}}}
    return whole


_TYPED = ("POST /task/{name}", "POST /training_tasks/{name}", "POST /evaluation_tasks/{name}")


def _path_parameters(route: str) -> list[Schema]:
    names = [part.strip("{}") for part in route.split("/") if part.startswith("{")]
    schema = enum_of(*TASK_TYPES) if route in _TYPED else _TEXT
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]


def _query_parameters(route: str) -> list[Schema]:
    return [{"name": name, "in": "query", "schema": schema} for name, schema in _QUERIES.get(route, {}).items()]


def _header_parameters(route: str) -> list[Schema]:
    if route != "POST /task/{name}":
        return []
    return [{"name": IDEMPOTENCY_HEADER, "in": "header", "schema": {"type": "string"}}]


def _responses(route: str, answer: Schema) -> Schema:
    refused = {"description": "Refused.", "content": {"application/json": {"schema": _ref("Error")}}}
    statuses = {status for row in ledger() if {route, "*"} & set(row.routes) for status in row.statuses} - {200}
    well = {"description": "Well.", "content": {"application/json": {"schema": answer}}}
    return {"200": well, **{str(status): refused for status in sorted(statuses)}}
