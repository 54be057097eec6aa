"""Files in SQL; a part of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from refonte_frames.sandbox.exchange import encode
from refonte_frames.sandbox.files import Asset, Sent

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from refonte_frames.sandbox.exchange import World

__all__ = ["FileTable"]

_COLUMNS = (
    "id, file_id, owner, mime_type, size, digest, display_name, reference_id, metadata, projects, created_ms, "
    "updated_ms"
)


class FileTable:
    """The files of all worlds.

    Parameters
    ----------
    db : sqlite3.Connection
        The store's; changes are made inside its transactions.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add(self, world: World, asset: Asset) -> None:
        """Insert a file."""
        sent = asset.sent
        values = (world.row, asset.id, asset.owner, sent.mime_type, sent.size, sent.digest, sent.display_name)
        texts = (sent.reference_id, encode(sent.metadata).decode(), encode(asset.projects).decode())
        self._db.execute(
            "INSERT INTO asset (world, file_id, owner, mime_type, size, digest, display_name, reference_id, metadata, "
            "projects, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, *texts, asset.created_ms, asset.updated_ms),
        )

    def save(self, asset: Asset) -> None:
        """Write the projects of a file."""
        self._db.execute(
            "UPDATE asset SET projects = ?, updated_ms = ? WHERE id = ?",
            (encode(asset.projects).decode(), asset.updated_ms, asset.row),
        )

    def by_reference(self, world: World, reference_id: str) -> Asset | None:
        """Find a file by its reference_id."""
        found = self._assets("world = ? AND reference_id = ?", (world.row, reference_id))
        return found[0] if found else None

    def by_id(self, world: World, file_id: str) -> Asset | None:
        """Find a file by its id."""
        found = self._assets("world = ? AND file_id = ?", (world.row, file_id))
        return found[0] if found else None

    def before(self, world: World, row: int | None) -> list[Asset]:
        """List the files that are older than a row, newest first."""
        last = row if row is not None else 1 << 62
        return self._assets("world = ? AND id < ? ORDER BY id DESC", (world.row, last))

    def _assets(self, where: str, values: Sequence[Any]) -> list[Asset]:
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM asset WHERE {where}", values)
        return [_asset(row) for row in rows]


def _asset(row: Sequence[Any]) -> Asset:
    number, file_id, owner, *about, metadata, projects, created_ms, updated_ms = row
    mime_type, size, digest, display_name, reference_id = about
    sent = Sent(mime_type, size, digest, display_name, None, reference_id, msgspec.json.decode(metadata))
    return Asset(number, file_id, owner, sent, tuple(msgspec.json.decode(projects)), created_ms, updated_ms)
