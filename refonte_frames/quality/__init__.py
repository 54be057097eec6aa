"""What labels and attempts say about quality: functions from frame to frame. Nothing here asks the service."""

from __future__ import annotations

from refonte_frames.quality.labels import labels_from

__all__ = ["labels_from"]
