"""Frames in, labels out: the DataFrame bridge to the Refonte AI labeling API.

Public names are loaded when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from refonte_frames import errors
from refonte_frames.errors import *  # noqa: F403 - every error is public, and errors.py imports nothing

if TYPE_CHECKING:
    # What `__getattr__` does at run time, for editors and type checkers; a test compares the two.
    from refonte_frames import callbacks, plots, quality, schemas, spark
    from refonte_frames.client import Client
    from refonte_frames.export import portions
    from refonte_frames.export.attempts import export_attempts, read_attempts, scan_attempts
    from refonte_frames.export.batch_dataset import export_batches
    from refonte_frames.export.batches import read_batches, scan_batches
    from refonte_frames.export.delta import to_delta
    from refonte_frames.export.downloads import download_attachments
    from refonte_frames.export.export import export_tasks
    from refonte_frames.export.opened import Export, open_export
    from refonte_frames.export.read import get_task, read, read_annotations, read_audits, read_tasks
    from refonte_frames.export.report import ExportReport
    from refonte_frames.export.results import results
    from refonte_frames.export.scan import scan_annotations, scan_audits, scan_tasks
    from refonte_frames.export.spreadsheets import to_csv, to_excel
    from refonte_frames.export.wait import wait
    from refonte_frames.resources import batches, files, projects, studio, teams
    from refonte_frames.resources.tasks import (
        add_tags,
        audit,
        cancel,
        clear_unique_ids,
        remove_tags,
        resend_callbacks,
        set_metadata,
        set_tags,
        set_unique_ids,
    )
    from refonte_frames.sandbox.session import Sandbox
    from refonte_frames.upload import quality_tasks
    from refonte_frames.upload.convert import from_tasks, to_tasks
    from refonte_frames.upload.report import SubmitReport
    from refonte_frames.upload.submit import plan, submit

#: Where each public function and class lives.
_HOMES = {
    "Client": "client",
    "Export": "export.opened",
    "ExportReport": "export.report",
    "Sandbox": "sandbox.session",
    "SubmitReport": "upload.report",
    "add_tags": "resources.tasks",
    "audit": "resources.tasks",
    "cancel": "resources.tasks",
    "clear_unique_ids": "resources.tasks",
    "download_attachments": "export.downloads",
    "export_attempts": "export.attempts",
    "export_batches": "export.batch_dataset",
    "export_tasks": "export.export",
    "from_tasks": "upload.convert",
    "get_task": "export.read",
    "open_export": "export.opened",
    "plan": "upload.submit",
    "read": "export.read",
    "read_annotations": "export.read",
    "read_attempts": "export.attempts",
    "read_audits": "export.read",
    "read_batches": "export.batches",
    "read_tasks": "export.read",
    "remove_tags": "resources.tasks",
    "resend_callbacks": "resources.tasks",
    "results": "export.results",
    "scan_annotations": "export.scan",
    "scan_attempts": "export.attempts",
    "scan_audits": "export.scan",
    "scan_batches": "export.batches",
    "scan_tasks": "export.scan",
    "set_metadata": "resources.tasks",
    "set_tags": "resources.tasks",
    "set_unique_ids": "resources.tasks",
    "submit": "upload.submit",
    "to_csv": "export.spreadsheets",
    "to_delta": "export.delta",
    "to_excel": "export.spreadsheets",
    "to_tasks": "upload.convert",
    "wait": "export.wait",
}
#: Modules that are public as a whole: namespaces of functions or constants.
_NAMESPACES = {
    "batches": "resources.batches",
    "callbacks": "callbacks",
    "errors": "errors",
    "files": "resources.files",
    "plots": "plots",
    "portions": "export.portions",
    "projects": "resources.projects",
    "quality": "quality",
    "quality_tasks": "upload.quality_tasks",
    "schemas": "schemas",
    "spark": "spark",
    "studio": "resources.studio",
    "teams": "resources.teams",
}

__all__ = [
    "ApiError",
    "BadRequest",
    "Client",
    "ColumnError",
    "ConfigError",
    "Conflict",
    "DuplicateUniqueId",
    "Export",
    "ExportError",
    "ExportReport",
    "Forbidden",
    "IdempotencyMismatch",
    "InputError",
    "JournalError",
    "NoReplyError",
    "NotEnabled",
    "NotFound",
    "RefonteError",
    "ReplyError",
    "RowErrors",
    "Sandbox",
    "SandboxError",
    "SchemaDrift",
    "ServiceError",
    "SubmitInterrupted",
    "SubmitReport",
    "TooManyRequests",
    "Unauthorized",
    "WaitTimeout",
    "add_tags",
    "audit",
    "batches",
    "callbacks",
    "cancel",
    "clear_unique_ids",
    "download_attachments",
    "errors",
    "export_attempts",
    "export_batches",
    "export_tasks",
    "files",
    "from_tasks",
    "get_task",
    "open_export",
    "plan",
    "plots",
    "portions",
    "projects",
    "quality",
    "quality_tasks",
    "read",
    "read_annotations",
    "read_attempts",
    "read_audits",
    "read_batches",
    "read_tasks",
    "remove_tags",
    "resend_callbacks",
    "results",
    "scan_annotations",
    "scan_attempts",
    "scan_audits",
    "scan_batches",
    "scan_tasks",
    "schemas",
    "set_metadata",
    "set_tags",
    "set_unique_ids",
    "spark",
    "studio",
    "submit",
    "teams",
    "to_csv",
    "to_delta",
    "to_excel",
    "to_tasks",
    "wait",
]


def __getattr__(name: str) -> Any:
    if name in _NAMESPACES:
        value: Any = import_module(f"refonte_frames.{_NAMESPACES[name]}")
    elif name in _HOMES:
        value = getattr(import_module(f"refonte_frames.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module 'refonte_frames' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
