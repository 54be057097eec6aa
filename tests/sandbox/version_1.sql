-- A file of version 1, as `sqlite3 .dump` writes it: made by the last release that knew nothing newer.
PRAGMA application_id = 1919316834;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE asset (
  id INTEGER PRIMARY KEY AUTOINCREMENT, world INTEGER NOT NULL, file_id TEXT NOT NULL, owner TEXT NOT NULL,
  mime_type TEXT NOT NULL, size INTEGER NOT NULL, digest BLOB NOT NULL, display_name TEXT, reference_id TEXT,
  metadata TEXT NOT NULL, projects TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,
  UNIQUE (world, file_id));
CREATE TABLE assignment (world INTEGER NOT NULL, email TEXT NOT NULL, project INTEGER NOT NULL,
  PRIMARY KEY (world, email, project)) WITHOUT ROWID;
CREATE TABLE attempt (
  id INTEGER PRIMARY KEY, task INTEGER NOT NULL, number INTEGER NOT NULL, labeler TEXT NOT NULL,
  started_ms INTEGER NOT NULL, completed_ms INTEGER NOT NULL, response TEXT NOT NULL);
INSERT INTO "attempt" VALUES(1,3,1,'labeler02@example.com',1795339550379,1795339580121,'{"category":"b"}');
INSERT INTO "attempt" VALUES(2,2,1,'labeler06@example.com',1795342551128,1795342598863,'{"category":"a"}');
INSERT INTO "attempt" VALUES(3,5,1,'labeler02@example.com',1795342962233,1795342989030,'{"category":"a"}');
INSERT INTO "attempt" VALUES(4,6,1,'labeler12@example.com',1795347608981,1795347618331,'{"category":"a"}');
INSERT INTO "attempt" VALUES(5,7,1,'labeler10@example.com',1795349613549,1795349731124,'{"category":"a"}');
CREATE TABLE batch (
  id INTEGER PRIMARY KEY AUTOINCREMENT, world INTEGER NOT NULL, name TEXT NOT NULL, project INTEGER NOT NULL,
  status TEXT NOT NULL, created_ms INTEGER NOT NULL, callback TEXT, metadata TEXT NOT NULL,
  is_calibration INTEGER NOT NULL, is_self_label INTEGER NOT NULL, priority INTEGER, UNIQUE (world, name));
INSERT INTO "batch" VALUES(1,1,'b',1,'in_progress',1795332896844,NULL,'{}',0,0,NULL);
CREATE TABLE batch_group (world INTEGER NOT NULL, batch INTEGER NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL,
  PRIMARY KEY (batch, position)) WITHOUT ROWID;
CREATE TABLE counter (
  world INTEGER NOT NULL, project INTEGER NOT NULL, batch INTEGER NOT NULL, type TEXT NOT NULL,
  status TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (world, project, batch, type, status)) WITHOUT ROWID;
INSERT INTO "counter" VALUES(1,0,0,'audiotranscription','error',1);
INSERT INTO "counter" VALUES(1,0,0,'audiotranscription','pending',0);
INSERT INTO "counter" VALUES(1,0,0,'categorization','canceled',1);
INSERT INTO "counter" VALUES(1,0,0,'categorization','completed',2);
INSERT INTO "counter" VALUES(1,0,0,'categorization','pending',0);
INSERT INTO "counter" VALUES(1,1,1,'categorization','completed',3);
INSERT INTO "counter" VALUES(1,1,1,'categorization','pending',2);
INSERT INTO "counter" VALUES(2,0,0,'categorization','completed',1);
CREATE TABLE delivery (
  id INTEGER PRIMARY KEY, world INTEGER NOT NULL, name TEXT NOT NULL, target TEXT NOT NULL, number INTEGER NOT NULL,
  at_ms INTEGER NOT NULL, status INTEGER, note TEXT NOT NULL);
CREATE TABLE doc (id INTEGER PRIMARY KEY, doc TEXT NOT NULL);
INSERT INTO "doc" VALUES(1,'{"task_id":"6b029b20ede52244b6000001","created_at":"2026-11-22T07:34:56.856Z","updated_at":"2026-11-22T07:34:56.856Z","type":"categorization","status":"pending","params":{"attachment":"a0","attachment_type":"text","categories":["a","b"]},"metadata":{},"project":"p","batch":"b"}');
INSERT INTO "doc" VALUES(2,'{"task_id":"6b029b20ede52244b6000002","created_at":"2026-11-22T07:34:56.867Z","updated_at":"2026-11-22T10:16:38.863Z","type":"categorization","status":"completed","params":{"attachment":"a1","attachment_type":"text","categories":["a","b"]},"metadata":{},"project":"p","batch":"b","unique_id":"renamed","tags":["x","t1"],"completed_at":"2026-11-22T10:16:38.863Z","response":{"category":"a"},"customer_review_status":"pending"}');
INSERT INTO "doc" VALUES(3,'{"task_id":"6b029b20ede52244b6000003","created_at":"2026-11-22T07:34:56.882Z","updated_at":"2026-11-22T09:26:20.121Z","type":"categorization","status":"completed","params":{"attachment":"a2","attachment_type":"text","categories":["a","b"]},"metadata":{},"project":"p","batch":"b","unique_id":"u2","completed_at":"2026-11-22T09:26:20.121Z","response":{"category":"b"},"customer_review_status":"pending"}');
INSERT INTO "doc" VALUES(4,'{"task_id":"6b029b20ede52244b6000004","created_at":"2026-11-22T07:34:56.900Z","updated_at":"2026-11-22T07:34:56.900Z","type":"categorization","status":"pending","params":{"attachment":"a3","attachment_type":"text","categories":["a","b"]},"metadata":{},"project":"p","batch":"b","tags":["x","t3"]}');
INSERT INTO "doc" VALUES(5,'{"task_id":"6b029b20ede52244b6000005","created_at":"2026-11-22T07:34:56.912Z","updated_at":"2026-11-22T10:23:09.030Z","type":"categorization","status":"completed","params":{"attachment":"a4","attachment_type":"text","categories":["a","b"]},"metadata":{},"project":"p","batch":"b","unique_id":"u4","completed_at":"2026-11-22T10:23:09.030Z","response":{"category":"a"},"customer_review_status":"pending"}');
INSERT INTO "doc" VALUES(6,'{"task_id":"6b029b20ede52244b6000006","created_at":"2026-11-22T07:34:56.921Z","updated_at":"2026-11-22T11:40:18.331Z","type":"categorization","status":"completed","params":{"attachment":"a5","attachment_type":"text","categories":["a","b"]},"metadata":{},"unique_id":"u5","tags":["x","t5"],"completed_at":"2026-11-22T11:40:18.331Z","response":{"category":"a"},"customer_review_status":"pending"}');
INSERT INTO "doc" VALUES(7,'{"task_id":"6b029b20ede52244b6000007","created_at":"2026-11-22T07:34:56.932Z","updated_at":"2026-11-22T12:15:31.124Z","type":"categorization","status":"completed","params":{"attachment":"a6","attachment_type":"text","categories":["a","b"]},"metadata":{},"completed_at":"2026-11-22T12:15:31.124Z","response":{"category":"a"},"customer_review_status":"accepted","audits":[{"audited_by":"admin@example.com","audited_at":"2026-11-22T12:22:57.027Z","audit_time_secs":126,"audit_result":"accepted","audit_source":"customer"}]}');
INSERT INTO "doc" VALUES(8,'{"task_id":"6b029b20ede52244b6000008","created_at":"2026-11-22T07:34:56.947Z","updated_at":"2026-11-22T07:34:56.976Z","type":"categorization","status":"canceled","params":{"attachment":"a7","attachment_type":"text","categories":["a","b"]},"metadata":{},"unique_id":"u7","tags":["x","t7"],"completed_at":"2026-11-22T07:34:56.976Z"}');
INSERT INTO "doc" VALUES(9,'{"task_id":"6b029b20ede52244b6000009","created_at":"2026-11-22T07:34:56.959Z","updated_at":"2026-11-22T07:35:56.981Z","type":"audiotranscription","status":"error","params":{"attachment":"https://unreachable.invalid/a.mp3"},"metadata":{},"completed_at":"2026-11-22T07:35:56.981Z","response":{"error":"One or more attachments could not be downloaded","failed_attachments":[{"url":"https://unreachable.invalid/a.mp3","status_code":404}]}}');
INSERT INTO "doc" VALUES(10,'{"task_id":"6b02dea1ede52244b600000a","created_at":"2026-11-22T12:22:57.052Z","updated_at":"2026-11-22T12:22:57.052Z","type":"categorization","status":"completed","params":{"attachment":"t","attachment_type":"text","categories":["a","b"]},"metadata":{},"completed_at":"2026-11-22T12:22:57.052Z","response":{"category":"a"},"customer_review_status":"pending"}');
CREATE TABLE event (
  id INTEGER PRIMARY KEY AUTOINCREMENT, due_ms INTEGER NOT NULL, kind TEXT NOT NULL, world INTEGER NOT NULL,
  task INTEGER NOT NULL, value TEXT NOT NULL);
INSERT INTO "event" VALUES(1,1795401106126,'audit',1,2,'{"audit":{"audited_by":"reviewer2@refonte.ai","audited_at":"","audit_time_secs":23,"audit_result":"accepted","audit_source":"refonte"},"fix":null}');
INSERT INTO "event" VALUES(2,1795455513467,'audit',1,2,'{"audit":{"audited_by":"lead@example.com","audited_at":"","audit_time_secs":25,"audit_result":"accepted","audit_source":"customer"},"fix":null}');
INSERT INTO "event" VALUES(3,1795354006391,'audit',1,6,'{"audit":{"audited_by":"reviewer3@refonte.ai","audited_at":"","audit_time_secs":37,"audit_result":"accepted","audit_source":"refonte"},"fix":null}');
INSERT INTO "event" VALUES(4,1795482188437,'audit',1,7,'{"audit":{"audited_by":"lead@example.com","audited_at":"","audit_time_secs":20,"audit_result":"accepted","audit_source":"customer"},"fix":null}');
CREATE TABLE labeler_group (
  id INTEGER PRIMARY KEY AUTOINCREMENT, world INTEGER NOT NULL, project INTEGER NOT NULL, name TEXT NOT NULL,
  is_singleton INTEGER NOT NULL, workers TEXT NOT NULL, UNIQUE (project, name));
CREATE TABLE mail (
  id INTEGER PRIMARY KEY, world INTEGER NOT NULL, sender TEXT NOT NULL, receiver TEXT NOT NULL,
  sent_ms INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE member (
  id INTEGER PRIMARY KEY AUTOINCREMENT, world INTEGER NOT NULL, email TEXT NOT NULL, role TEXT NOT NULL,
  is_labeler INTEGER NOT NULL, first_name TEXT, last_name TEXT, company TEXT, expiry_ms INTEGER, invited_role TEXT,
  UNIQUE (world, email));
INSERT INTO "member" VALUES(1,1,'admin@example.com','admin',0,'Ada','Example','Example',NULL,NULL);
INSERT INTO "member" VALUES(2,2,'admin@example.com','admin',0,'Ada','Example','Example',NULL,NULL);
CREATE TABLE occurrence (world INTEGER NOT NULL, digest TEXT NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY (world, digest)) WITHOUT ROWID;
INSERT INTO "occurrence" VALUES(1,'2b79d4d880d432f14681fa12a96613b0',1);
INSERT INTO "occurrence" VALUES(1,'704e60c0c1c1889dd22215ab08f8f85c',1);
INSERT INTO "occurrence" VALUES(1,'85b7e46a7c22c87d04c6495fe7fad83a',1);
INSERT INTO "occurrence" VALUES(1,'fbac523216cf42f9ecb0ef6d1c825ce9',1);
INSERT INTO "occurrence" VALUES(2,'4c5a921fe17cdb0c52540983d16adff3',1);
CREATE TABLE project (
  id INTEGER PRIMARY KEY AUTOINCREMENT, world INTEGER NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,
  workflow TEXT NOT NULL, created_ms INTEGER NOT NULL, history TEXT NOT NULL, pipeline TEXT,
  consensus_attempts INTEGER, is_archived INTEGER NOT NULL DEFAULT 0, UNIQUE (world, name));
INSERT INTO "project" VALUES(1,1,'p','categorization','enterprise',1795332896823,'[{"version":0,"created_at":"2026-11-22T07:34:56.823Z"}]',NULL,NULL,0);
CREATE TABLE quality_attempt (
  id INTEGER PRIMARY KEY AUTOINCREMENT, world INTEGER NOT NULL, attempt_id TEXT NOT NULL, quality_id TEXT NOT NULL,
  labeler TEXT NOT NULL, doc TEXT NOT NULL, UNIQUE (world, attempt_id));
CREATE TABLE quality_task (
  id INTEGER PRIMARY KEY AUTOINCREMENT, world INTEGER NOT NULL, quality_id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
  type TEXT NOT NULL, duty_ms INTEGER NOT NULL, unique_id TEXT, doc TEXT NOT NULL);
CREATE TABLE reply (
  account BLOB NOT NULL, key TEXT NOT NULL, world INTEGER NOT NULL, fingerprint BLOB NOT NULL,
  status INTEGER NOT NULL, body TEXT NOT NULL, expires_ms INTEGER NOT NULL, PRIMARY KEY (account, key))
  WITHOUT ROWID;
INSERT INTO "reply" VALUES(X'B4F571FD32809563BFBC06EB6F9596A4B08B2FACE2983C1DB9DBDB4297D2F55B','k0',1,X'E48AD6ED99D4A2A395AD0DE316008243',200,'{"task_id":"6b029b20ede52244b6000001","created_at":"2026-11-22T07:34:56.856Z","updated_at":"2026-11-22T07:34:56.856Z","type":"categorization","status":"pending","params":{"attachment":"a0","attachment_type":"text","categories":["a","b"]},"metadata":{},"project":"p","batch":"b"}',1795419296857);
INSERT INTO "reply" VALUES(X'B4F571FD32809563BFBC06EB6F9596A4B08B2FACE2983C1DB9DBDB4297D2F55B','k1',1,X'809247C9B8CD1F30DDD40D3D84F5F105',200,'{"task_id":"6b029b20ede52244b6000002","created_at":"2026-11-22T07:34:56.867Z","updated_at":"2026-11-22T07:34:56.867Z","type":"categorization","status":"pending","params":{"attachment":"a1","attachment_type":"text","categories":["a","b"]},"metadata":{},"project":"p","batch":"b","unique_id":"u1","tags":["x","t1"]}',1795419296868);
INSERT INTO "reply" VALUES(X'B4F571FD32809563BFBC06EB6F9596A4B08B2FACE2983C1DB9DBDB4297D2F55B','k2',1,X'F65EF1FC89DDCCCE5DE196A5C6285D2D',200,'{"task_id":"6b029b20ede52244b6000003","created_at":"2026-11-22T07:34:56.882Z","updated_at":"2026-11-22T07:34:56.882Z","type":"categorization","status":"pending","params":{"attachment":"a2","attachment_type":"text","categories":["a","b"]},"metadata":{},"project":"p","batch":"b","unique_id":"u2"}',1795419296882);
INSERT INTO "reply" VALUES(X'B4F571FD32809563BFBC06EB6F9596A4B08B2FACE2983C1DB9DBDB4297D2F55B','k3',1,X'370AE6FFE8AAE3086E46865A8868724D',200,'{"task_id":"6b029b20ede52244b6000004","created_at":"2026-11-22T07:34:56.900Z","updated_at":"2026-11-22T07:34:56.900Z","type":"categorization","status":"pending","params":{"attachment":"a3","attachment_type":"text","categories":["a","b"]},"metadata":{},"project":"p","batch":"b","tags":["x","t3"]}',1795419296900);
INSERT INTO "reply" VALUES(X'B4F571FD32809563BFBC06EB6F9596A4B08B2FACE2983C1DB9DBDB4297D2F55B','k4',1,X'375A21FC69E54CF1A286D857D9335B8E',200,'{"task_id":"6b029b20ede52244b6000005","created_at":"2026-11-22T07:34:56.912Z","updated_at":"2026-11-22T07:34:56.912Z","type":"categorization","status":"pending","params":{"attachment":"a4","attachment_type":"text","categories":["a","b"]},"metadata":{},"project":"p","batch":"b","unique_id":"u4"}',1795419296912);
INSERT INTO "reply" VALUES(X'B4F571FD32809563BFBC06EB6F9596A4B08B2FACE2983C1DB9DBDB4297D2F55B','k5',1,X'437C47E30D4E0AC1FCAAA72C4073D926',200,'{"task_id":"6b029b20ede52244b6000006","created_at":"2026-11-22T07:34:56.921Z","updated_at":"2026-11-22T07:34:56.921Z","type":"categorization","status":"pending","params":{"attachment":"a5","attachment_type":"text","categories":["a","b"]},"metadata":{},"unique_id":"u5","tags":["x","t5"]}',1795419296921);
INSERT INTO "reply" VALUES(X'B4F571FD32809563BFBC06EB6F9596A4B08B2FACE2983C1DB9DBDB4297D2F55B','k6',1,X'F79B10B2777CB37CB1D0A7054D138DB7',200,'{"task_id":"6b029b20ede52244b6000007","created_at":"2026-11-22T07:34:56.932Z","updated_at":"2026-11-22T07:34:56.932Z","type":"categorization","status":"pending","params":{"attachment":"a6","attachment_type":"text","categories":["a","b"]},"metadata":{}}',1795419296932);
INSERT INTO "reply" VALUES(X'B4F571FD32809563BFBC06EB6F9596A4B08B2FACE2983C1DB9DBDB4297D2F55B','k7',1,X'4A0C5573A07E54D2E3856CD92CAFFA27',200,'{"task_id":"6b029b20ede52244b6000008","created_at":"2026-11-22T07:34:56.947Z","updated_at":"2026-11-22T07:34:56.947Z","type":"categorization","status":"pending","params":{"attachment":"a7","attachment_type":"text","categories":["a","b"]},"metadata":{},"unique_id":"u7","tags":["x","t7"]}',1795419296947);
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "setting" VALUES('clock','{"sandbox_ms":1795350177003,"wall_ms":1795332897003,"rate":0.0}');
INSERT INTO "setting" VALUES('duty_ms','17280000');
INSERT INTO "setting" VALUES('seed','7');
INSERT INTO "setting" VALUES('token_secret','edd510e001b12f77bab722970845728f');
CREATE TABLE studio_priority (world INTEGER NOT NULL, batch INTEGER NOT NULL, priority INTEGER NOT NULL,
  PRIMARY KEY (world, batch)) WITHOUT ROWID;
CREATE TABLE tag (world INTEGER NOT NULL, tag TEXT NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (world, tag, id))
  WITHOUT ROWID;
INSERT INTO "tag" VALUES(1,'t1',2);
INSERT INTO "tag" VALUES(1,'x',2);
INSERT INTO "tag" VALUES(1,'t3',4);
INSERT INTO "tag" VALUES(1,'x',4);
INSERT INTO "tag" VALUES(1,'t5',6);
INSERT INTO "tag" VALUES(1,'x',6);
INSERT INTO "tag" VALUES(1,'t7',8);
INSERT INTO "tag" VALUES(1,'x',8);
CREATE TABLE task (
  id INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT NOT NULL UNIQUE, world INTEGER NOT NULL, type TEXT NOT NULL,
  status TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, completed_ms INTEGER,
  project INTEGER NOT NULL DEFAULT 0, batch INTEGER NOT NULL DEFAULT 0, review TEXT, unique_id TEXT,
  key TEXT NOT NULL, clears_unique_id_on_error INTEGER NOT NULL, due_ms INTEGER);
INSERT INTO "task" VALUES(1,'6b029b20ede52244b6000001',1,'categorization','pending',1795332896856,1795332896856,NULL,1,1,NULL,NULL,'85b7e46a7c22c87d04c6495fe7fad83a:1',0,57566196);
INSERT INTO "task" VALUES(2,'6b029b20ede52244b6000002',1,'categorization','completed',1795332896867,1795342598863,1795342598863,1,1,'pending','renamed','id:u1',0,NULL);
INSERT INTO "task" VALUES(3,'6b029b20ede52244b6000003',1,'categorization','completed',1795332896882,1795339580121,1795339580121,1,1,'pending','u2','id:u2',0,NULL);
INSERT INTO "task" VALUES(4,'6b029b20ede52244b6000004',1,'categorization','pending',1795332896900,1795332896900,NULL,1,1,NULL,NULL,'2b79d4d880d432f14681fa12a96613b0:1',0,56123718);
INSERT INTO "task" VALUES(5,'6b029b20ede52244b6000005',1,'categorization','completed',1795332896912,1795342989030,1795342989030,1,1,'pending','u4','id:u4',0,NULL);
INSERT INTO "task" VALUES(6,'6b029b20ede52244b6000006',1,'categorization','completed',1795332896921,1795347618331,1795347618331,0,0,'pending','u5','id:u5',0,NULL);
INSERT INTO "task" VALUES(7,'6b029b20ede52244b6000007',1,'categorization','completed',1795332896932,1795349731124,1795349731124,0,0,'accepted',NULL,'704e60c0c1c1889dd22215ab08f8f85c:1',0,NULL);
INSERT INTO "task" VALUES(8,'6b029b20ede52244b6000008',1,'categorization','canceled',1795332896947,1795332896976,1795332896976,0,0,NULL,'u7','id:u7',0,NULL);
INSERT INTO "task" VALUES(9,'6b029b20ede52244b6000009',1,'audiotranscription','error',1795332896959,1795332956981,1795332956981,0,0,NULL,NULL,'fbac523216cf42f9ecb0ef6d1c825ce9:1',0,NULL);
INSERT INTO "task" VALUES(10,'6b02dea1ede52244b600000a',2,'categorization','completed',1795350177052,1795350177052,1795350177052,0,0,'pending',NULL,'4c5a921fe17cdb0c52540983d16adff3:1',0,NULL);
CREATE TABLE world (
  id INTEGER PRIMARY KEY, key_hash BLOB NOT NULL UNIQUE, account BLOB NOT NULL, is_live INTEGER NOT NULL,
  default_callback_url TEXT);
INSERT INTO "world" VALUES(1,X'7AAEA8EB3EF34E58A1DC95BF80F3AFED0ED985BD8FE7CBB45D726A427B9E160E',X'B4F571FD32809563BFBC06EB6F9596A4B08B2FACE2983C1DB9DBDB4297D2F55B',1,NULL);
INSERT INTO "world" VALUES(2,X'9EFE7509D9466F13C46E87B652B2B9403E759C930C520BAF50124E4B4D0FD66F',X'B4F571FD32809563BFBC06EB6F9596A4B08B2FACE2983C1DB9DBDB4297D2F55B',0,NULL);
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
CREATE INDEX tag_task ON tag (id);
CREATE INDEX attempt_task ON attempt (task);
CREATE INDEX event_due ON event (kind, due_ms, id);
CREATE INDEX event_world ON event (world);
CREATE INDEX delivery_world ON delivery (world);
CREATE INDEX mail_world ON mail (world);
CREATE INDEX quality_task_world ON quality_task (world);
CREATE UNIQUE INDEX quality_task_unique_id ON quality_task (world, unique_id) WHERE unique_id IS NOT NULL;
CREATE INDEX quality_attempt_task ON quality_attempt (world, quality_id);
CREATE INDEX quality_attempt_labeler ON quality_attempt (world, labeler);
CREATE UNIQUE INDEX asset_reference ON asset (world, reference_id) WHERE reference_id IS NOT NULL;
CREATE INDEX reply_expires ON reply (expires_ms);
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
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('member',2);
INSERT INTO "sqlite_sequence" VALUES('project',1);
INSERT INTO "sqlite_sequence" VALUES('batch',1);
INSERT INTO "sqlite_sequence" VALUES('task',10);
INSERT INTO "sqlite_sequence" VALUES('event',4);
COMMIT;
