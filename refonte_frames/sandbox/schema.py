"""The tables of the sandbox's store, as SQL text; nothing is run here.

Tasks are kept twice: narrow columns that lists filter on, with codes for the names that repeat, and the document as it
is served, so that a page is a concatenation of texts. The row number of a task rises with ``created_at`` (the clock
never goes back), so that every index, which SQLite ends with the row number, already holds the order of the lists;
its last digits are the end of the task's id, so that no index is needed to find that.

An index costs every creation a page of the file. There is none on a project or a batch alone: SQLite merges the
entries of its statuses instead. Numbers that can be counted while the server runs are not in the file: see `tallies`.
"""

from __future__ import annotations

__all__ = ["APPLICATION_ID", "DDL", "MIGRATIONS", "REVIEWS", "STATUSES", "VERSION"]

#: PRAGMA user_version; a file with a higher one is refused, one with a lower one is brought up by `MIGRATIONS`.
VERSION = 2

#: PRAGMA application_id: "rfsb"; a database without it is somebody else's.
APPLICATION_ID = 0x72667362

#: A task's status and review are stored as places in these; new names go to the end.
STATUSES = ("pending", "completed", "canceled", "error")
REVIEWS = ("pending", "accepted", "fixed", "commented", "rejected")

_TASK = """
CREATE TABLE task_type (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

CREATE TABLE task (
  id INTEGER PRIMARY KEY, world INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,
  completed_ms INTEGER, project INTEGER NOT NULL, batch INTEGER NOT NULL, type INTEGER NOT NULL,
  status INTEGER NOT NULL, review INTEGER, due_ms INTEGER, clears_unique_id_on_error INTEGER NOT NULL,
  unique_id TEXT, key TEXT);
"""

#: Made after the rows where many are copied. Projects and batches count from 1; 0 is none.
_TASK_INDEXES = """
CREATE UNIQUE INDEX task_unique_id ON task (world, unique_id) WHERE unique_id IS NOT NULL;
CREATE INDEX task_world ON task (world);
CREATE INDEX task_status ON task (world, status);
CREATE INDEX task_type_name ON task (world, type);
CREATE INDEX task_project_status ON task (world, project, status) WHERE project <> 0;
CREATE INDEX task_batch_status ON task (world, batch, status) WHERE batch <> 0;
CREATE INDEX task_updated ON task (world, updated_ms);
CREATE INDEX task_completed ON task (world, completed_ms) WHERE completed_ms IS NOT NULL;
CREATE INDEX task_review ON task (world, review) WHERE review IS NOT NULL;
CREATE INDEX task_due ON task (due_ms) WHERE due_ms IS NOT NULL;
"""

_ATTEMPT = """
CREATE TABLE attempt (
  task INTEGER NOT NULL, number INTEGER NOT NULL, labeler TEXT NOT NULL, started_ms INTEGER NOT NULL,
  completed_ms INTEGER NOT NULL, response TEXT NOT NULL, PRIMARY KEY (task, number)) WITHOUT ROWID;
"""

_REPLY = """
CREATE TABLE reply (
  id INTEGER PRIMARY KEY, account BLOB NOT NULL, key TEXT NOT NULL, world INTEGER NOT NULL,
  fingerprint BLOB NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL, expires_ms INTEGER NOT NULL,
  UNIQUE (account, key));
"""

_COUNTER = """
CREATE TABLE counter (
  world INTEGER NOT NULL, project INTEGER NOT NULL, batch INTEGER NOT NULL, type INTEGER NOT NULL,
  status INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (world, project, batch, type, status)) WITHOUT ROWID;
"""

_EVENT = """
CREATE TABLE event (
  id INTEGER PRIMARY KEY, due_ms INTEGER NOT NULL, kind TEXT NOT NULL, world INTEGER NOT NULL,
  task INTEGER NOT NULL, value TEXT NOT NULL);
CREATE INDEX event_due ON event (kind, due_ms, id);
"""

_REST = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE world (
  id INTEGER PRIMARY KEY, key_hash BLOB NOT NULL UNIQUE, account BLOB NOT NULL, is_live INTEGER NOT NULL,
  default_callback_url TEXT);

CREATE TABLE project (
  id INTEGER PRIMARY KEY AUTOINCREMENT, world INTEGER NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,
  workflow TEXT NOT NULL, created_ms INTEGER NOT NULL, history TEXT NOT NULL, pipeline TEXT,
  consensus_attempts INTEGER, is_archived INTEGER NOT NULL DEFAULT 0, UNIQUE (world, name));

CREATE TABLE batch (
  id INTEGER PRIMARY KEY AUTOINCREMENT, world INTEGER NOT NULL, name TEXT NOT NULL, project INTEGER NOT NULL,
  status TEXT NOT NULL, created_ms INTEGER NOT NULL, callback TEXT, metadata TEXT NOT NULL,
  is_calibration INTEGER NOT NULL, is_self_label INTEGER NOT NULL, priority INTEGER, UNIQUE (world, name));

CREATE TABLE doc (id INTEGER PRIMARY KEY, doc TEXT NOT NULL);

CREATE TABLE tag (world INTEGER NOT NULL, tag TEXT NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (world, tag, id))
  WITHOUT ROWID;

CREATE TABLE occurrence (world INTEGER NOT NULL, digest TEXT NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY (world, digest)) WITHOUT ROWID;

CREATE TABLE delivery (
  id INTEGER PRIMARY KEY, world INTEGER NOT NULL, name TEXT NOT NULL, target TEXT NOT NULL, number INTEGER NOT NULL,
  at_ms INTEGER NOT NULL, status INTEGER, note TEXT NOT NULL);
CREATE INDEX delivery_world ON delivery (world);

CREATE TABLE mail (
  id INTEGER PRIMARY KEY, world INTEGER NOT NULL, sender TEXT NOT NULL, receiver TEXT NOT NULL,
  sent_ms INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX mail_world ON mail (world);

CREATE TABLE member (
  id INTEGER PRIMARY KEY AUTOINCREMENT, world INTEGER NOT NULL, email TEXT NOT NULL, role TEXT NOT NULL,
  is_labeler INTEGER NOT NULL, first_name TEXT, last_name TEXT, company TEXT, expiry_ms INTEGER, invited_role TEXT,
  UNIQUE (world, email));

CREATE TABLE assignment (world INTEGER NOT NULL, email TEXT NOT NULL, project INTEGER NOT NULL,
  PRIMARY KEY (world, email, project)) WITHOUT ROWID;

CREATE TABLE labeler_group (
  id INTEGER PRIMARY KEY AUTOINCREMENT, world INTEGER NOT NULL, project INTEGER NOT NULL, name TEXT NOT NULL,
  is_singleton INTEGER NOT NULL, workers TEXT NOT NULL, UNIQUE (project, name));

CREATE TABLE studio_priority (world INTEGER NOT NULL, batch INTEGER NOT NULL, priority INTEGER NOT NULL,
  PRIMARY KEY (world, batch)) WITHOUT ROWID;

CREATE TABLE batch_group (world INTEGER NOT NULL, batch INTEGER NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL,
  PRIMARY KEY (batch, position)) WITHOUT ROWID;

CREATE TABLE quality_task (
  id INTEGER PRIMARY KEY AUTOINCREMENT, world INTEGER NOT NULL, quality_id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
  type TEXT NOT NULL, duty_ms INTEGER NOT NULL, unique_id TEXT, doc TEXT NOT NULL);
CREATE INDEX quality_task_world ON quality_task (world);
CREATE UNIQUE INDEX quality_task_unique_id ON quality_task (world, unique_id) WHERE unique_id IS NOT NULL;

CREATE TABLE quality_attempt (
  id INTEGER PRIMARY KEY AUTOINCREMENT, world INTEGER NOT NULL, attempt_id TEXT NOT NULL, quality_id TEXT NOT NULL,
  labeler TEXT NOT NULL, doc TEXT NOT NULL, UNIQUE (world, attempt_id));
CREATE INDEX quality_attempt_task ON quality_attempt (world, quality_id);
CREATE INDEX quality_attempt_labeler ON quality_attempt (world, labeler);

CREATE TABLE asset (
  id INTEGER PRIMARY KEY AUTOINCREMENT, world INTEGER NOT NULL, file_id TEXT NOT NULL, owner TEXT NOT NULL,
  mime_type TEXT NOT NULL, size INTEGER NOT NULL, digest BLOB NOT NULL, display_name TEXT, reference_id TEXT,
  metadata TEXT NOT NULL, projects TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,
  UNIQUE (world, file_id));
CREATE UNIQUE INDEX asset_reference ON asset (world, reference_id) WHERE reference_id IS NOT NULL;
"""

DDL = f"{_TASK}{_TASK_INDEXES}{_ATTEMPT}{_REPLY}{_COUNTER}{_EVENT}{_REST}"


def _place(column: str, names: tuple[str, ...]) -> str:
    """Turn a name into its place."""
    return f"CASE {column} " + " ".join(f"WHEN '{name}' THEN {n}" for n, name in enumerate(names)) + " END"


def _statements(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


_FROM_1 = f"""
DROP TRIGGER counter_insert; DROP TRIGGER counter_delete; DROP TRIGGER counter_update;
DROP INDEX task_unique_id; DROP INDEX task_world; DROP INDEX task_project; DROP INDEX task_batch;
DROP INDEX task_status; DROP INDEX task_type; DROP INDEX task_project_status; DROP INDEX task_batch_status;
DROP INDEX task_updated; DROP INDEX task_completed; DROP INDEX task_review; DROP INDEX task_created;
DROP INDEX task_due; DROP INDEX tag_task; DROP INDEX attempt_task; DROP INDEX event_due; DROP INDEX event_world;
DROP INDEX reply_expires;
ALTER TABLE task RENAME TO task_1; ALTER TABLE attempt RENAME TO attempt_1; ALTER TABLE reply RENAME TO reply_1;
ALTER TABLE counter RENAME TO counter_1; ALTER TABLE event RENAME TO event_1;
{_TASK}{_ATTEMPT}{_REPLY}{_COUNTER}{_EVENT}
INSERT INTO setting SELECT 'last_task_row', seq FROM sqlite_sequence WHERE name = 'task_1';
INSERT INTO task_type (name) SELECT DISTINCT type FROM counter_1 ORDER BY type;
INSERT INTO task SELECT id, world, created_ms, updated_ms, completed_ms, project, batch,
  (SELECT id FROM task_type WHERE name = t.type), {_place("status", STATUSES)}, {_place("review", REVIEWS)}, due_ms,
  clears_unique_id_on_error, unique_id, CASE WHEN key <> 'id:' || coalesce(unique_id, '') THEN key END
  FROM task_1 t ORDER BY id;
{_TASK_INDEXES}
INSERT OR REPLACE INTO attempt SELECT task, number, labeler, started_ms, completed_ms, response FROM attempt_1
  ORDER BY task, number;
INSERT INTO reply (account, key, world, fingerprint, status, body, expires_ms)
  SELECT account, key, world, fingerprint, status, body, expires_ms FROM reply_1 ORDER BY expires_ms;
INSERT INTO counter SELECT world, project, batch, type, status, count(*) FROM task GROUP BY 1, 2, 3, 4, 5;
INSERT INTO event SELECT id, due_ms, kind, world, task, value FROM event_1 ORDER BY id;
DROP TABLE task_1; DROP TABLE attempt_1; DROP TABLE reply_1; DROP TABLE counter_1; DROP TABLE event_1
"""

#: What brings a file of a version to the next one: run in one transaction, so that a file is of one version or the
#: other whatever interrupts it. Documents, by far the most of a file, stay where they are.
MIGRATIONS: dict[int, tuple[str, ...]] = {1: _statements(_FROM_1)}
