"""Puts a folder of tasks in order: every file anew, sorted and large, with the increments beside the base put in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from refonte_frames.export.dataset import RunPlan, write_empty
from refonte_frames.export.export import take_announced
from refonte_frames.export.fold import compacted

if TYPE_CHECKING:
    from refonte_frames.client import Client
    from refonte_frames.export.dataset import Dataset, Manifest

__all__ = ["compact"]


def compact(dataset: Dataset, client: Client | None) -> Manifest | None:
    """Write all files of a dataset anew, after the tasks that callbacks announced were taken in.

    Folders without tasks are in order after every run and stay as they are.

    Returns
    -------
    Manifest or None
        The folder's now; None where no run has finished.
    """
    with dataset.lock(), dataset.writing():
        dataset.settle()
        manifest = dataset.manifest()
        if manifest is None or "tasks" not in manifest.settings.tables:
            return manifest
        take_announced(dataset, manifest, client)
        manifest = dataset.manifest() or manifest
        plan = RunPlan.begun(manifest.settings, manifest, mode="compact", watermark=(manifest.watermark, ""))
        run = dataset.begin(structs.replace(plan, schema_version=manifest.schema_version, made_by="compact"))
        state = compacted(dataset, manifest, run)
        files = {table: entries or [write_empty(run, table)] for table, entries in state.files.items()}
        return dataset.settle_on(
            structs.replace(
                manifest,
                generation=run.plan.generation,
                run_id=run.plan.run_id,
                files=files,
                deltas=[],
                made_by=run.plan.made_by,
            )
        )
