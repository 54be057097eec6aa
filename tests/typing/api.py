"""A user's program as the type checker reads it; it is never run."""

from __future__ import annotations

from typing import Any, assert_type

import pandas as pd

import refonte_frames as rf
from refonte_frames.client import Client
from refonte_frames.errors import ApiError, DuplicateUniqueId
from refonte_frames.export.report import ExportReport
from refonte_frames.upload.convert import from_tasks, to_tasks
from refonte_frames.upload.report import SubmitReport
from refonte_frames.upload.submit import plan, submit

frame = pd.DataFrame({"text": ["a"]})
client = Client("live_demo", "http://127.0.0.1:8377/v1", timeout_secs=10.0, max_workers=4)

assert_type(submit(frame, type="categorization", client=client), pd.DataFrame)
assert_type(plan(frame, type="categorization", columns={"attachment": "text"}, metadata="rest"), pd.DataFrame)
assert_type(to_tasks(frame, type="categorization", metadata={"source": "text"}), list[dict[str, Any]])
assert_type(from_tasks([{"type": "categorization"}], rows="attachment", metadata="columns"), pd.DataFrame)
assert_type(rf.submit(frame, type="categorization"), pd.DataFrame)
assert_type(frame.pipe(rf.submit, type="categorization"), pd.DataFrame)
assert_type(rf.submit((frame for _ in range(2)), type="categorization"), SubmitReport)
assert_type(rf.submit([frame, frame], type="categorization").counts, dict[str, int])
assert_type(rf.export_tasks("out"), ExportReport)
assert_type(rf.read_attempts(labeler_emails="all"), pd.DataFrame)
assert_type(rf.read("tasks", "attempts", labeler_emails=frame["text"], attributes="columns"), dict[str, pd.DataFrame])
assert_type(rf.export_attempts("out", quality_task_ids=["a"]), ExportReport)
assert_type(rf.download_attachments(frame, "files", allow_hosts=["files.example.org"]), pd.DataFrame)
assert_type(rf.quality.labels_from(frame, worker="annotator"), pd.DataFrame)
rf.to_csv(frame, "a.csv", excel_safe=False)
rf.to_excel({"texts": frame}, "a.xlsx", long_texts="cut")
rf.open_export("out").tasks.to_csv("a.csv", columns=["task_id"])
assert_type(rf.export_batches("out"), ExportReport)
assert_type(rf.to_delta("out", "lake"), dict[str, int])
assert_type(rf.portions.plan("audits", project="kittens", rows=5_000), list[rf.portions.Portion])
assert_type(rf.cancel(frame, clear_unique_id=True, dry_run=True), pd.DataFrame)
assert_type(rf.set_metadata(frame, columns={"source": "text"}), pd.DataFrame)
assert_type(rf.add_tags(frame, ["night"], task_id="id"), pd.DataFrame)
assert_type(rf.audit(frame, accepted="is_good", comments="remark", journal="audit.journal"), pd.DataFrame)
assert_type(rf.results(frame), pd.DataFrame)
assert_type(rf.results(frame, annotations=True), tuple[pd.DataFrame, pd.DataFrame])
assert_type(rf.wait("batch", poll_secs=5, timeout_secs=60), pd.DataFrame)
assert_type(rf.files.upload(["a.png"], project="kittens"), pd.DataFrame)
assert_type(rf.files.list("kittens", metadata={"camera": 1}), pd.DataFrame)
assert_type(rf.quality_tasks.create(frame, kind="training", expected="text", type="categorization"), pd.DataFrame)
assert_type(rf.teams.invite("ann@example.org", "labeler"), pd.DataFrame)
assert_type(rf.studio.sync_assignments(frame, dry_run=False), pd.DataFrame)
assert_type(rf.studio.set_priorities(["b", "a"]), pd.DataFrame)
rf.studio.complete_tasks("kittens", batches=["a"])["tasks_completed"]

try:
    submit(frame)
except DuplicateUniqueId as error:
    assert_type(error.task_id, str)
except ApiError as error:
    assert_type(error.status_code, int)

submit(frame, duplicates="drop")  # type: ignore[call-overload]
rf.add_tags(frame)  # type: ignore[call-arg]
submit(frame, "categorization")  # type: ignore[call-overload]
submit(frame, instruction="Label it")  # type: ignore[call-overload]
