"""The service as a data source of Spark: `RefonteDataSource`, which needs pyspark 4; nothing is done here.

``spark.dataSource.register(refonte_frames.spark.RefonteDataSource)`` makes ``format("refonte")`` known to a session.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from refonte_frames.errors import ConfigError

if TYPE_CHECKING:
    from refonte_frames.spark.source import RefonteDataSource

__all__ = ["RefonteDataSource"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'refonte_frames.spark' has no attribute {name!r}")
    try:
        # Not under the name of pyspark's own module, which an older one has not.
        import_module("pyspark.sql.datasource")
    except ImportError:
        raise ConfigError(
            "refonte_frames.spark needs pyspark 4.0 or newer: pip install 'refonte-frames[spark]'; "
            "it needs a Java of version 17 or newer, too."
        ) from None
    value = getattr(import_module("refonte_frames.spark.source"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
