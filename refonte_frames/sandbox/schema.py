"""The tables of the sandbox's store, as SQL text; nothing is run here.

Tasks are kept twice: narrow columns that lists filter on, and the document as it is served, so that a page is
a concatenation of texts. The row number of a task rises with ``created_at`` (the clock never goes back), so
that every index, which SQLite ends with the row number, already holds the order of the lists.
"""

from __future__ import annotations

__all__ = ["APPLICATION_ID", "DDL", "VERSION"]

#: PRAGMA user_version; a file with a higher one is refused.
VERSION = 1

#: PRAGMA application_id: "rfsb"; a database without it is somebody else's.
APPLICATION_ID = 0x72667362

DDL = """
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

CREATE TABLE task (
  id INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT NOT NULL UNIQUE, world INTEGER NOT NULL, type TEXT NOT NULL,
  status TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, completed_ms INTEGER,
  project INTEGER NOT NULL DEFAULT 0, batch INTEGER NOT NULL DEFAULT 0, review TEXT, unique_id TEXT,
  key TEXT NOT NULL, clears_unique_id_on_error INTEGER NOT NULL, due_ms INTEGER);
CREATE UNIQUE INDEX task_unique_id ON task (world, unique_id) WHERE unique_id IS NOT NULL;
CREATE INDEX task_world ON task (world);
CREATE INDEX task_project ON task (world, project);
CREATE INDEX task_batch ON task (world, batch);
CREATE INDEX task_status ON task (world, status);
CREATE INDEX task_type ON task (world, type);
CREATE INDEX task_project_status ON task (world, project, status);
CREATE INDEX task_batch_status ON task (world, batch, status);
CREATE INDEX task_updated ON task (world, updated_ms);
CREATE INDEX task_completed ON task (world, completed_ms) WHERE completed_ms IS NOT NULL;
CREATE INDEX task_review ON task (world, review) WHERE review IS NOT NULL;
CREATE INDEX task_created ON task (created_ms);
CREATE INDEX task_due ON task (due_ms) WHERE due_ms IS NOT NULL;

CREATE TABLE doc (id INTEGER PRIMARY KEY, doc TEXT NOT NULL);

CREATE TABLE tag (world INTEGER NOT NULL, tag TEXT NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (world, tag, id))
  WITHOUT ROWID;
CREATE INDEX tag_task ON tag (id);

CREATE TABLE occurrence (world INTEGER NOT NULL, digest TEXT NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY (world, digest)) WITHOUT ROWID;

CREATE TABLE attempt (
  id INTEGER PRIMARY KEY, task INTEGER NOT NULL, number INTEGER NOT NULL, labeler TEXT NOT NULL,
  started_ms INTEGER NOT NULL, completed_ms INTEGER NOT NULL, response TEXT NOT NULL);
CREATE INDEX attempt_task ON attempt (task);

CREATE TABLE event (
  id INTEGER PRIMARY KEY AUTOINCREMENT, due_ms INTEGER NOT NULL, kind TEXT NOT NULL, world INTEGER NOT NULL,
  task INTEGER NOT NULL, value TEXT NOT NULL);
CREATE INDEX event_due ON event (kind, due_ms, id);
CREATE INDEX event_world ON event (world);

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

CREATE TABLE reply (
  account BLOB NOT NULL, key TEXT NOT NULL, world INTEGER NOT NULL, fingerprint BLOB NOT NULL,
  status INTEGER NOT NULL, body TEXT NOT NULL, expires_ms INTEGER NOT NULL, PRIMARY KEY (account, key))
  WITHOUT ROWID;
CREATE INDEX reply_expires ON reply (expires_ms);

CREATE TABLE counter (
  world INTEGER NOT NULL, project INTEGER NOT NULL, batch INTEGER NOT NULL, type TEXT NOT NULL,
  status TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (world, project, batch, type, status)) WITHOUT ROWID;
CREATE TRIGGER counter_insert AFTER INSERT ON task BEGIN
  INSERT INTO counter VALUES (new.world, new.project, new.batch, new.type, new.status, 1)
    ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER counter_delete AFTER DELETE ON task BEGIN
  UPDATE counter SET n = n - 1 WHERE world = old.world AND project = old.project AND batch = old.batch
    AND type = old.type AND status = old.status;
END;
CREATE TRIGGER counter_update AFTER UPDATE OF status ON task WHEN new.status <> old.status BEGIN
  UPDATE counter SET n = n - 1 WHERE world = old.world AND project = old.project AND batch = old.batch
    AND type = old.type AND status = old.status;
  INSERT INTO counter VALUES (new.world, new.project, new.batch, new.type, new.status, 1)
    ON CONFLICT DO UPDATE SET n = n + 1;
END;
"""
