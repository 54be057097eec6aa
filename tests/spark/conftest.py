"""One session of Spark on two cores, whose workers find a key in their environment; skipped where there is no Java."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from spark_session import KEY, java, started

import refonte_frames as rf

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Run Spark; a task may fail three times, so that those that are killed are repeated."""
    pytest.importorskip("pyspark.sql.datasource", reason="pyspark 4 is not installed")
    if java() is None:
        pytest.skip("there is no Java on this machine")
    folder = tmp_path_factory.mktemp("spark")
    (folder / "events").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REFONTE_API_KEY", KEY)
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pyspark's own, about pandas 3
            session = started(folder)
        session.dataSource.register(rf.spark.RefonteDataSource)
        yield session
        session.stop()


@pytest.fixture
def world(sandbox: rf.Sandbox) -> Iterator[rf.Client]:
    """Empty the world that the workers' key sees, and show it."""
    sandbox.reset(key=KEY)
    yield sandbox.client(KEY)
    sandbox.faults.clear()
