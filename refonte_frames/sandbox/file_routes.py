"""The documented calls on files (contract 2.4)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from refonte_frames.api import MAX_PAGE_SIZE
from refonte_frames.sandbox import files, queries
from refonte_frames.sandbox.checks import an_object, invalid, required
from refonte_frames.sandbox.exchange import Answer, Asked, Refusal, World, parse, read_object
from refonte_frames.sandbox.files import Asset
from refonte_frames.sandbox.unknowns import Handler, knowing

if TYPE_CHECKING:
    from refonte_frames.sandbox.files import Sent
    from refonte_frames.sandbox.service import Service

__all__ = ["FILE_ROUTES"]


def upload_file(service: Service, world: World, asked: Asked) -> Answer:
    """POST /files/upload."""
    sent, unknown = files.read_upload(asked)
    headers = service.warned(unknown)
    return Answer.of(_keep(service, world, sent).served(), headers)


def import_file(service: Service, world: World, asked: Asked) -> Answer:
    """POST /files/import."""
    return Answer.of(_keep(service, world, files.read_import(read_object(asked))).served())


def _keep(service: Service, world: World, sent: Sent) -> Asset:
    """Keep a file; the same one again for another project joins that project too."""
    table, now_ms = service.store.files, service.clock.now_ms()
    if sent.project is not None and service.store.catalog.project(world, sent.project) is None:
        raise invalid("project_name", f"is not a known project: {sent.project!r}")
    there = table.by_reference(world, sent.reference_id) if sent.reference_id is not None else None
    with service.store.transaction():
        if there is None:
            owner = world.account.hex()[:24]
            projects = (sent.project,) if sent.project is not None else ()
            made = Asset(0, str(uuid4()), owner, sent, projects, now_ms, now_ms)
            table.add(world, made)
            return made
        if there.sent.digest != sent.digest or sent.project is None or sent.project in there.projects:
            raise Refusal(409, f"The reference_id {sent.reference_id!r} is already used for the file {there.id}.")
        joined = replace(there, projects=(*there.projects, sent.project), updated_ms=now_ms)
        table.save(joined)
        return joined


def list_files(service: Service, world: World, asked: Asked) -> Answer:
    """GET /files."""
    query = queries.Query(asked.query)
    headers = service.warned(query.unknown(("projects", "metadata", "cursor")))
    projects = query.texts("projects")
    if not projects:
        raise required("projects")
    wanted = _metadata(query.text("metadata"))
    row = _row_of(service, world, query.text("cursor"))
    found = [
        asset
        for asset in service.store.files.before(world, row)
        if set(projects) & set(asset.projects) and wanted.items() <= asset.sent.metadata.items()
    ]
    page = found[:MAX_PAGE_SIZE]
    has_more = len(found) > len(page)
    token = {"next_token": page[-1].id} if has_more else {}
    return Answer.of({"docs": [asset.served() for asset in page], "has_more": has_more, **token}, headers)


def _metadata(text: str | None) -> dict[str, Any]:
    value = parse(text) if text is not None else {}
    if why := an_object(value):
        raise invalid("metadata", why)
    return dict(value)


def _row_of(service: Service, world: World, cursor: str | None) -> int | None:
    if cursor is None:
        return None
    asset = service.store.files.by_id(world, cursor)
    if asset is None:
        raise invalid("cursor", "is not a cursor of this list")
    return asset.row


FILE_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/files/upload", knowing(upload_file, has_free_body=True)),
    ("POST", "/files/import", knowing(import_file, "file_url", *files.FIELDS)),
    ("GET", "/files", list_files),
)
