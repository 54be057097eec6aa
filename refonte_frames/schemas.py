"""The Arrow schemas of every table, with what each field means; nothing else lives here. Importing it loads pyarrow.

The columns of a table are the same, in the same order and of the same types, for no rows and for ten million;
a new task type never changes them. What they have in common:

- times are ``timestamp[us, UTC]``; names that repeat are ``dictionary<int32, string>``; ids are text;
- columns ending in ``_json`` hold the service's own text, digit for digit;
- ``extra_json`` holds the keys that have no column, a documented key that was explicitly ``null``, and the original
  of every value that did not fit its column;
- every Parquet file carries the table's name and `SCHEMA_VERSION` in its key-value metadata.

"contract N" names the section of the project's HTTP contract that documents a field.
"""

from __future__ import annotations

import hashlib
from typing import Final

import pyarrow as pa

__all__ = [
    "ANNOTATIONS",
    "ATTEMPTS",
    "AUDITS",
    "BATCHES",
    "BATCH_SNAPSHOTS",
    "KEYS",
    "LABELS",
    "SCHEMAS",
    "SCHEMA_VERSION",
    "TASKS",
    "VERSION_KEY",
    "describe",
]

#: Grows with every change of a column's name, type or meaning.
SCHEMA_VERSION: Final = 1

#: Under this key the version stands in the key-value metadata of a Parquet file.
VERSION_KEY: Final = b"refonte_frames.schema_version"
_TABLE_KEY: Final = b"refonte_frames.table"

TS: Final = pa.timestamp("us", tz="UTC")
DICT: Final = pa.dictionary(pa.int32(), pa.string())
TEXTS: Final = pa.list_(pa.string())
VERTICES: Final = pa.list_(pa.struct([("x", pa.float64()), ("y", pa.float64())]))

_Column = tuple[str, pa.DataType, str]


def _schema(table: str, columns: list[_Column]) -> pa.Schema:
    fields = [pa.field(name, type_, metadata={"doc": doc}) for name, type_, doc in columns]
    return pa.schema(fields, metadata={_TABLE_KEY: table, VERSION_KEY: str(SCHEMA_VERSION)})


_TASK_ID: _Column = ("task_id", pa.string(), "Id of the task, 24 hex digits; never null (contract 1.7).")
_EXPORTED_AT: _Column = ("exported_at", TS, "When this row was read from the service; never null.")
_COMPLETED_AT: _Column = ("completed_at", TS, "When the task ended; null before (contract 2.3).")
_PLACE: list[_Column] = [
    ("project", DICT, "Name of the task's project; null without one (contract 2.3)."),
    ("batch", DICT, "Name of the task's batch; null without one (contract 2.3)."),
    ("type", DICT, "Task type, such as imageannotation; null in limited responses (contract 5.1)."),
]

#: One row per task; key ``task_id``. See `describe` for the fields.
TASKS: Final = _schema(
    "tasks",
    [
        _TASK_ID,
        ("unique_id", pa.string(), "The caller's own id; null without one or once it was cleared (contract 1.5)."),
        *_PLACE,
        ("status", DICT, "pending, completed, canceled or error (contract 2.3)."),
        (
            "customer_review_status",
            DICT,
            "pending, accepted, fixed, commented or rejected; null before completion (contract 2.3).",
        ),
        ("created_at", TS, "When the task was created; null in limited responses (contract 2.3)."),
        ("updated_at", TS, "When the task last changed by the service's account, audits excepted; may be null."),
        _COMPLETED_AT,
        (
            "turnaround_secs",
            pa.float64(),
            "Seconds from created_at to completed_at; null unless the status is completed.",
        ),
        ("instruction", pa.string(), "The task's instruction, the project's appended to it (contract 2.1)."),
        ("attachment", pa.string(), "params.attachment: a URL, or the text itself for text attachments; may be null."),
        (
            "attachments",
            TEXTS,
            "params.attachments in order: strings as they are, objects by their content or url; null without them.",
        ),
        ("attachment_type", DICT, "params.attachment_type: text, image, video, audio, website, pdf or json."),
        (
            "attachment_urls",
            TEXTS,
            "Signed URLs of the attachments; null unless asked for with include_attachment_url=True.",
        ),
        ("callback_url", pa.string(), "URL or e-mail address that is told of the end of the task; null without one."),
        (
            "callback_succeeded",
            pa.bool_(),
            "Whether the callback was taken; null without one or while tries go on (contract 3).",
        ),
        ("priority", pa.int16(), "10 (lowest) to 30 (highest); null when none was given (contract 2.3)."),
        ("tags", TEXTS, "The task's tags in order; null when it has none (contract 2.3)."),
        ("error", pa.string(), "response.error: why the task failed; null otherwise (contract 2.3)."),
        ("n_annotations", pa.int32(), "Rows of this task in the table annotations; 0 before there is a response."),
        ("n_audits", pa.int32(), "Rows of this task in the table audits."),
        ("first_audit_result", DICT, "Result of the oldest audit: accepted, fixed, commented, rejected; null without."),
        ("last_audit_result", DICT, "Result of the newest audit; null without audits."),
        ("last_audit_source", DICT, "Who made the newest audit: customer or refonte; null without audits."),
        ("params_json", pa.string(), "The service's text of params: everything specific to the type (contract 5.2)."),
        ("response_json", pa.string(), "The service's text of response; null before there is one (contract 5.3)."),
        ("metadata_json", pa.string(), "The service's text of metadata (contract 2.3)."),
        ("extra_json", pa.string(), "Keys without a column, explicit nulls and misfits, as JSON; null without any."),
        _EXPORTED_AT,
    ],
)

#: One row per audit of a task; key ``task_id, audit_index``. See `describe` for the fields.
AUDITS: Final = _schema(
    "audits",
    [
        _TASK_ID,
        ("audit_index", pa.int32(), "0 is the oldest audit of the task by audited_at."),
        ("is_first", pa.bool_(), "Whether it is the task's oldest audit."),
        ("is_last", pa.bool_(), "Whether it is the task's newest audit."),
        ("audited_by", pa.string(), "E-mail address of the auditor (contract 2.3)."),
        ("audited_at", TS, "When the audit was made (contract 2.3)."),
        ("audit_time_secs", pa.float64(), "Seconds that the auditor spent (contract 2.3)."),
        ("audit_result", DICT, "accepted, fixed, commented or rejected (contract 2.3)."),
        ("audit_source", DICT, "customer or refonte (contract 2.3)."),
        ("lag_secs", pa.float64(), "Seconds from the task's completed_at to audited_at; null if one is missing."),
        ("comments", pa.string(), "The auditor's remark; null without one (contract 2.3)."),
        *_PLACE,
        _COMPLETED_AT,
        ("extra_json", pa.string(), "Keys of the audit without a column, explicit nulls and misfits, as JSON."),
        _EXPORTED_AT,
    ],
)

#: One row per element of an answer; key ``task_id, annotation_index``. See `describe` for the fields.
ANNOTATIONS: Final = _schema(
    "annotations",
    [
        _TASK_ID,
        ("annotation_index", pa.int32(), "Position among the task's answer elements, from 0."),
        ("annotation_id", pa.string(), "The element's uuid or id; null for forms without one."),
        ("field", pa.string(), "Key under which the answer stood; null for elements of a plain list."),
        (
            "geometry",
            DICT,
            "box, polygon, line, point, cuboid, ellipse, span, category, text, choice, url, event, link or segment.",
        ),
        ("label", pa.string(), "The label, category or choice; null for forms without one (contract 5.3)."),
        ("value", pa.string(), "Text of the answer, numbers and booleans as JSON; category_id for categories."),
        ("left", pa.float64(), "Pixels from the image's left edge (of the unrotated box)."),
        ("top", pa.float64(), "Pixels from the image's top edge (of the unrotated box)."),
        ("width", pa.float64(), "Pixels."),
        ("height", pa.float64(), "Pixels."),
        ("rotation", pa.float64(), "Radians, clockwise; null for unrotated boxes."),
        ("x", pa.float64(), "Pixels from the left; points only."),
        ("y", pa.float64(), "Pixels from the top; points only."),
        ("vertices", VERTICES, "Corners in drawing order, in pixels; not closed."),
        ("start", pa.int64(), "First character of a span in params.text, from 0."),
        ("end", pa.int64(), "Character after the span (exclusive, contract 5.4)."),
        ("page", pa.int32(), "Page of a document, from 0."),
        ("frame", pa.int32(), "Frame of a video, from 0, where the frames stand in the response itself."),
        ("url", pa.string(), "Where the result lies; it is not fetched by an export."),
        ("attributes_json", pa.string(), "The service's text of the attributes, ends of a link, or object value."),
        ("extra_json", pa.string(), "Keys of the element without a column, and misfits; null without any."),
        *_PLACE,
        _COMPLETED_AT,
        _EXPORTED_AT,
    ],
)

_COUNTS: list[_Column] = [
    (
        f"tasks_{status}",
        pa.int64(),
        f"Tasks of the batch that are {status}; null unless detailed=True (contract 2.2).",
    )
    for status in ("pending", "completed", "error", "canceled")
]
_BATCH: _Column = ("batch", pa.string(), "Name of the batch, unique over all projects; never null (contract 2.2).")

#: One row per batch; key ``batch``. See `describe` for the fields.
BATCHES: Final = _schema(
    "batches",
    [
        _BATCH,
        ("project", DICT, "Name of the batch's project (contract 2.2)."),
        ("status", DICT, "staging, in_progress or completed (contract 2.2)."),
        ("created_at", TS, "When the batch was created (contract 2.2)."),
        ("callback", pa.string(), "URL or e-mail address that is told of its completion; null without one."),
        *_COUNTS,
        ("metadata_json", pa.string(), "The service's text of metadata (contract 2.2)."),
        ("extra_json", pa.string(), "Keys without a column, explicit nulls and misfits, as JSON; null without any."),
        _EXPORTED_AT,
    ],
)

#: The counts of every batch at every export; key ``batch, observed_at``. See `describe` for the fields.
BATCH_SNAPSHOTS: Final = _schema(
    "batch_snapshots",
    [
        _BATCH,
        ("observed_at", TS, "When the counts were read; never null."),
        ("project", DICT, "Name of the batch's project."),
        ("status", DICT, "staging, in_progress or completed."),
        *_COUNTS,
    ],
)

#: One row per attempt of a labeler at a training or evaluation task; key ``attempt_id``. See `describe`.
ATTEMPTS: Final = _schema(
    "attempts",
    [
        ("attempt_id", pa.string(), "The service's id, else a hash of labeler, quality task and start; never null."),
        ("labeler", pa.string(), "E-mail address of the labeler (contract 4.4)."),
        ("quality_task_id", pa.string(), "Id of the training or evaluation task (contract 4.4)."),
        ("task_id", pa.string(), "Id of the task that was served; may be null."),
        ("kind", DICT, "training, evaluation or unknown."),
        ("project", DICT, "Name of the project; may be null."),
        ("batch", DICT, "Name of the batch; may be null."),
        ("type", DICT, "Task type; may be null."),
        ("attempt_number", pa.int32(), "The labeler's how-many-eth try at this quality task, from 1."),
        ("attempt_number_source", DICT, "service, or computed when the service did not say."),
        ("labeler_seq", pa.int32(), "The labeler's how-many-eth attempt of all, from 1, by started_at."),
        ("status", DICT, "passed, failed or in_progress."),
        ("passed", pa.bool_(), "Null while undecided."),
        ("score", pa.float64(), "0 to 1; null while undecided."),
        ("started_at", TS, "When the labeler began."),
        ("completed_at", TS, "When the labeler finished; null while open."),
        ("duration_secs", pa.float64(), "Seconds the labeler spent."),
        ("difficulty", DICT, "The service's own rating of the quality task; null when it gives none."),
        ("concepts", TEXTS, "What the quality task examines; null when the service does not say."),
        ("expected_json", pa.string(), "The service's text of the expected response."),
        ("response_json", pa.string(), "The service's text of the labeler's response."),
        ("extra_json", pa.string(), "Keys without a column, explicit nulls and misfits, as JSON; null without any."),
        _EXPORTED_AT,
    ],
)

#: Who called what what, under crowd-kit's names; key ``task, worker, field, repeat``. A view, made by
#: `refonte_frames.quality.labels_from` and never exported. See `describe` for the fields.
LABELS: Final = _schema(
    "labels",
    [
        ("task", pa.string(), "What was labeled: the id of a task, or of a quality task; never null."),
        ("worker", pa.string(), "Who labeled it; null where nobody is named."),
        ("field", DICT, "The question that was answered; null where there is only one."),
        ("label", pa.string(), "The answer; of several at once a sorted JSON array; never null."),
        ("repeat", pa.int16(), "The worker's how-many-eth answer to this question of this task, from 1."),
        ("answered_at", TS, "When the answer was given; may be null."),
        ("duration_secs", pa.float64(), "Seconds it took; may be null."),
    ],
)

#: Every schema by the name of its table.
SCHEMAS: Final = {
    "tasks": TASKS,
    "audits": AUDITS,
    "annotations": ANNOTATIONS,
    "batches": BATCHES,
    "batch_snapshots": BATCH_SNAPSHOTS,
    "attempts": ATTEMPTS,
    "labels": LABELS,
}

#: The columns that tell the rows of a table apart.
KEYS: Final = {
    "tasks": ("task_id",),
    "audits": ("task_id", "audit_index"),
    "annotations": ("task_id", "annotation_index"),
    "batches": ("batch",),
    "batch_snapshots": ("batch", "observed_at"),
    "attempts": ("attempt_id",),
    "labels": ("task", "worker", "field", "repeat"),
}


def describe(table: str) -> str:
    """Say what each field of a table means: one line per field with its Arrow type.

    Parameters
    ----------
    table : str
        One of `SCHEMAS`.

    Returns
    -------
    str
        The text to print.

    Raises
    ------
    KeyError
        For a table that does not exist.

    Examples
    --------
    >>> print(rf.schemas.describe("batch_snapshots").splitlines()[1])
    observed_at (timestamp[us, tz=UTC]): When the counts were read; never null.

    >>> rf.schemas.describe("pictures")
    Traceback (most recent call last):
    KeyError: 'pictures'
    """
    return "\n".join(f"{field.name} ({field.type}): {field.metadata[b'doc'].decode()}" for field in SCHEMAS[table])


def fingerprint(schema: pa.Schema) -> str:
    """Hash names and types of a schema, leaving out the documentation.

    Parameters
    ----------
    schema : pyarrow.Schema
        One of `SCHEMAS`, or that of a file.

    Returns
    -------
    str
        16 hex digits, the same for two schemas that hold the same columns.

    Examples
    --------
    >>> rf.schemas.fingerprint(rf.scan_tasks().schema) == rf.schemas.fingerprint(rf.schemas.TASKS)
    True
    """
    columns = "\n".join(f"{field.name} {field.type}" for field in schema)
    return hashlib.sha256(columns.encode()).hexdigest()[:16]


__doc__ += "".join(f"\n\nTable ``{table}``\n\n{describe(table)}" for table in SCHEMAS)
