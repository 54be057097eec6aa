"""Receipts of a job: staged by attempts, published together, those of other attempts and earlier jobs dropped."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

import refonte_frames as rf
from refonte_frames.spark.receipts import Receipts


def parts(folder: Path, *numbers: int) -> Path:
    """Leave parts as a submission does."""
    folder.mkdir(parents=True)
    for at, number in enumerate(numbers):
        pq.write_table(pa.table({"n": [number]}), folder / f"part-{at:05}.parquet")
    return folder


def job(path: str, name: str, folder: Path, *, replaces: bool) -> None:
    """Let two attempts at one partition and one at another stage, of which one of the first failed."""
    receipts = Receipts(path, name)
    receipts.begin()
    receipts.stage("p00000-a1.parquet", parts(folder / "a1", 1))
    receipts.stage("p00000-a2.parquet", parts(folder / "a2", 1, 2))
    receipts.stage("p00001-a3.parquet", parts(folder / "a3", 3))
    receipts.publish(["p00000-a2.parquet", "p00001-a3.parquet"], {"rows": 3}, replaces=replaces)


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_the_attempts_that_count_are_published(scheme: str, tmp_path: Path) -> None:
    """Readers see one column more, with the job; nothing is left of other attempts."""
    root = tmp_path / "receipts"
    job(f"{scheme}{root}", "one", tmp_path / "first", replaces=False)
    job(f"{scheme}{root}", "two", tmp_path / "second", replaces=False)
    found = pd.read_parquet(root)
    assert sorted(zip(found["spark_job"], found["n"], strict=True)) == [
        (at, n) for at in ("one", "two") for n in (1, 2, 3)
    ]
    assert json.loads((root / "spark_job=two" / "_summary.json").read_text("utf-8")) == {"rows": 3}
    assert [path for path in (root / "_staging").rglob("*") if path.is_file()] == []
    job(f"{scheme}{root}", "three", tmp_path / "third", replaces=True)
    assert set(pd.read_parquet(root)["spark_job"]) == {"three"}


def test_a_job_that_was_given_up_is_not_seen(tmp_path: Path) -> None:
    """What it staged is there for whoever looks."""
    job(str(tmp_path / "receipts"), "one", tmp_path / "first", replaces=False)
    left = Receipts(str(tmp_path / "receipts"), "two")
    left.stage("p00000-a9.parquet", parts(tmp_path / "a9", 7))
    assert set(pd.read_parquet(tmp_path / "receipts")["n"]) == {1, 2, 3}
    assert pd.read_parquet(Path(left.staged()) / "p00000-a9.parquet")["n"].tolist() == [7]


def test_a_place_that_cannot_be_reached_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    """A scheme that pyarrow does not know, a folder in a file; afterwards, that the rows are safe."""
    with pytest.raises(rf.InputError, match="pyarrow cannot reach the folder 'ftp://host/receipts'"):
        Receipts("ftp://host/receipts", "one").begin()
    (tmp_path / "file").write_text("")
    nowhere = Receipts(str(tmp_path / "file" / "receipts"), "one")
    with pytest.raises(rf.InputError, match="Nothing was sent"):
        nowhere.begin()
    with pytest.raises(rf.JournalError, match="The rows were sent, and their receipts cannot be written"):
        nowhere.stage("p00000-a1.parquet", parts(tmp_path / "a1", 1))


@pytest.mark.slow
def test_receipts_can_lie_on_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a local server that speaks its protocol; files are moved one by one, and the summary is written last."""
    servers = pytest.importorskip("moto.server")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    server = servers.ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    try:
        where = "{}:{}".format(*server.get_host_and_port())
        options = f"endpoint_override={where}&scheme=http&region=us-east-1"
        s3 = pafs.S3FileSystem(endpoint_override=where, scheme="http", region="us-east-1", allow_bucket_creation=True)
        s3.create_dir("receipts-of-spark")
        for name in ("one", "two"):
            job(f"s3://receipts-of-spark/lake?{options}", name, tmp_path / name, replaces=name == "two")
        found = pd.read_parquet("receipts-of-spark/lake", filesystem=s3)
        assert sorted(zip(found["spark_job"], found["n"], strict=True)) == [("two", 1), ("two", 2), ("two", 3)]
    finally:
        server.stop()
