"""A session of Spark for tests, and what can be done to it: started, its workers killed, its failures counted."""

from __future__ import annotations

import os
import shutil
import signal
import uuid
from pathlib import Path
from typing import Any

#: Whatever a process of Spark does, this must not be found in what it leaves behind.
KEY = f"live_canary-{uuid.uuid4().hex[:16]}"


def java() -> str | None:
    """Find a Java as Spark does."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=f"{home}/bin" if home else None)


def started(folder: Path) -> Any:
    """Start a session on two cores, in which a task may fail three times; its event log lies in the folder."""
    from pyspark.sql import SparkSession

    settings = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file://{folder}/events",
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
        "spark.ui.port": "0",
        # What is compiled is used a few times only.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.driver.memory": "1g",
    }
    builder = SparkSession.builder.master("local[2,4]").appName("tests")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session


def kill_workers(session: Any) -> int:
    """Kill the processes in which Spark runs Python now, as the system does where memory is short; count them."""
    java_pid = session.sparkContext._gateway.proc.pid
    daemons = {pid for pid in _children(java_pid) if "pyspark.daemon" in _command(pid)}
    workers = [pid for daemon in daemons for pid in _children(daemon)]
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    return len(workers)


def failed_tasks(session: Any) -> int:
    """Count the attempts that failed so far."""
    context = session._jsparkSession.sparkContext()
    context.listenerBus().waitUntilEmpty()
    store = context.statusStore()
    return sum(executor.failedTasks() for executor in _java_list(store.executorList(True)))


def _java_list(sequence: Any) -> list[Any]:
    return [sequence.apply(at) for at in range(sequence.size())]


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text("utf-8")


def _children(pid: int) -> list[int]:
    found = [thread / "children" for thread in Path(f"/proc/{pid}/task").iterdir()]
    return [int(child) for path in found if path.exists() for child in path.read_text("utf-8").split()]
