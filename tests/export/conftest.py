"""The example objects of the documentation, and a page made of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from refonte_frames.export.columns import TASK_TABLES, build
from refonte_frames.export.decode import PageDecoder
from refonte_frames.export.drift import Drift

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

EXAMPLES = Path(__file__).parent / "examples"
NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def example() -> Callable[[str], Any]:
    """Read an example object by its name."""
    return lambda name: msgspec.json.decode((EXAMPLES / f"{name}.json").read_bytes())


@pytest.fixture
def drift() -> Drift:
    """Make empty counts of drift, filled by `tables`."""
    return Drift()


@pytest.fixture
def tables(drift: Drift) -> Callable[..., dict[str, pa.RecordBatch]]:
    """Make the tables of some task objects, as if they had come on one page."""

    def make(*docs: Any) -> dict[str, pa.RecordBatch]:
        body = b'{"docs":[%s]}' % b",".join(doc if isinstance(doc, bytes) else msgspec.json.encode(doc) for doc in docs)
        page = PageDecoder().decode(body, where="GET /tasks, page 1,")
        return build(page.docs, tables=TASK_TABLES, exported_at=NOW, drift=drift)

    return make
