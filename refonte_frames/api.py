"""Documented names and limits of the service as data, each with its source; no behaviour lives here.

The client and the sandbox share this module and nothing else, so that a misreading of the documentation
cannot agree with itself. "contract N" is the section of the project's HTTP contract that gives the source.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ATTACHMENT_TYPES",
    "AUDIT_RESULTS",
    "BATCH_STATUSES",
    "CALLBACK_AUTH_HEADERS",
    "DEFAULT_BASE_URL",
    "IDEMPOTENCY_HEADER",
    "IDEMPOTENCY_LIFE_SECS",
    "MAX_FILE_BYTES",
    "MAX_PAGE_SIZE",
    "MAX_TAGS",
    "OTHER_TASK_TYPES",
    "PRIORITY_MAX",
    "PRIORITY_MIN",
    "REVIEW_STATUSES",
    "ROUTES",
    "TASKS_QUERY",
    "TASK_STATUSES",
    "TASK_TYPES",
    "TEAM_ROLES",
    "URL_SCHEMES",
]

#: Contract 1.1.
DEFAULT_BASE_URL: Final = "https://api.refonte.com/v1"

#: Contract 1.4: honoured on POST /task/{type}; kept for 24 hours, saved error answers included.
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"
IDEMPOTENCY_LIFE_SECS: Final = 24 * 3600

#: Contract 1.6: lists take a ``limit`` of 1 to 100, which is also the default.
MAX_PAGE_SIZE: Final = 100

#: Contract 2.3, 2.2: 10 is the lowest priority, 30 the highest.
PRIORITY_MIN: Final = 10
PRIORITY_MAX: Final = 30

#: Contract 2.4: 80 MB; read in the larger sense, since the service refuses what is above its own.
MAX_FILE_BYTES: Final = 80 * 2**20

#: Contract 2.3: at most this many tags on a task.
MAX_TAGS: Final = 5

#: Contract 2.3.
TASK_STATUSES: Final = ("pending", "completed", "canceled", "error")
AUDIT_RESULTS: Final = ("accepted", "fixed", "commented", "rejected")
REVIEW_STATUSES: Final = ("pending", *AUDIT_RESULTS)

#: Contract 2.2.
BATCH_STATUSES: Final = ("staging", "in_progress", "completed")

#: Contract 3: spellings of the header that authenticates a callback, the first page's first; names are case-blind.
CALLBACK_AUTH_HEADERS: Final = ("refonte-ai--callback-auth", "refonte.ai-callback-auth", "scale-callback-auth")

#: Contract 4.1: the roles that can be given; people are also ``admin``, ``invited`` or ``disabled``.
TEAM_ROLES: Final = ("labeler", "member", "manager")

#: Contract 5.2.
ATTACHMENT_TYPES: Final = ("text", "image", "video", "audio", "website", "pdf", "json")

#: Contract 5.2: where what is to be labeled may lie, beside the service's own addresses of files.
URL_SCHEMES: Final = ("https", "http", "s3", "gs")

#: Task types with documented parameters (contract 5.2).
TASK_TYPES: Final = (
    "imageannotation",
    "segmentannotation",
    "videoannotation",
    "videoplaybackannotation",
    "categorization",
    "comparison",
    "transcription",
    "datacollection",
    "audiotranscription",
    "textcollection",
    "namedentityrecognition",
    "documenttranscription",
    "lidarannotation",
    "lidarsegmentation",
    "lidarlinking",
    "annotation",
    "polygonannotation",
    "lineannotation",
    "pointannotation",
    "cuboidannotation",
)

#: Types that the API family knows by name only (contract 5.1); creating one answers 402.
OTHER_TASK_TYPES: Final = (
    "documentmodel",
    "laneannotation",
    "lidartopdown",
    "videoboxannotation",
    "videocuboidannotation",
    "sensorfusion",
    "chat",
    "multistage",
    "federal2dvideoannotation",
    "phonecall",
)

#: Query names of GET /tasks (contract 2.3).
TASKS_QUERY: Final = (
    "start_time",
    "end_time",
    "completed_after",
    "completed_before",
    "updated_after",
    "updated_before",
    "status",
    "type",
    "project",
    "batch",
    "customer_review_status",
    "unique_id",
    "tags",
    "limit",
    "include_attachment_url",
    "limited_response",
    "next_token",
)

#: Every documented call: verb, path below the base URL, section of the contract. Where the documentation names two
#: verbs or two paths for one call, both are here.
ROUTES: Final = (
    ("GET", "/projects", "2.1"),
    ("POST", "/projects", "2.1"),
    ("GET", "/projects/{project}", "2.1"),
    ("POST", "/projects/{project}/setParams", "2.1"),
    ("POST", "/projects/{project}/updatePipelineConfig", "4.6"),
    ("POST", "/studio/projects/{project}/updatePipelineConfig", "4.6"),
    ("POST", "/batches", "2.2"),
    ("GET", "/batches", "2.2"),
    ("GET", "/batches/{batch}", "2.2"),
    ("GET", "/batches/{batch}/status", "2.2"),
    ("POST", "/batches/{batch}/finalize", "2.2"),
    ("POST", "/batches/{batch}/prioritize", "2.2"),
    ("POST", "/batches/{batch}/setMetadata", "2.2"),
    ("POST", "/task/{type}", "2.3"),
    ("GET", "/task/{task_id}", "2.3"),
    ("GET", "/tasks", "2.3"),
    ("POST", "/task/{task_id}/cancel", "2.3"),
    ("POST", "/task/{task_id}/setMetadata", "2.3"),
    ("POST", "/task/{task_id}/unique_id", "2.3"),
    ("DELETE", "/task/{task_id}/unique_id", "2.3"),
    ("PUT", "/task/{task_id}/tags", "2.3"),
    ("POST", "/task/{task_id}/tags", "2.3"),
    ("DELETE", "/task/{task_id}/tags", "2.3"),
    ("POST", "/task/{task_id}/audit", "2.3"),
    ("POST", "/task/{task_id}/send-callback", "3"),
    ("POST", "/training_tasks/{type}", "2.3"),
    ("POST", "/evaluation_tasks/{type}", "2.3"),
    ("POST", "/files/upload", "2.4"),
    ("POST", "/files/import", "2.4"),
    ("GET", "/files", "2.4"),
    ("GET", "/teams", "4.1"),
    ("POST", "/teams/invite", "4.1"),
    ("POST", "/teams/set_role", "4.1"),
    ("GET", "/studio/assignments", "4.2"),
    ("POST", "/studio/assignments/add", "4.2"),
    ("POST", "/studio/assignments/remove", "4.2"),
    ("GET", "/studio/projects/{project}/groups", "4.3"),
    ("POST", "/studio/projects/{project}/groups", "4.3"),
    ("PUT", "/studio/projects/{project}/groups/{group}", "4.3"),
    ("POST", "/studio/projects/{project}/groups/{group}", "4.3"),
    ("GET", "/studio/batches", "4.5"),
    ("PUT", "/studio/batches/{batch}", "4.5"),
    ("POST", "/studio/batches/{batch}", "4.5"),
    ("POST", "/studio/batches/set_priorities", "4.5"),
    ("POST", "/studio/batches/reset_priorities", "4.5"),
    ("GET", "/quality/labelers", "4.4"),
    ("POST", "/studio/projects/{project}/send_tasks_to_completed", "4.6"),
)
