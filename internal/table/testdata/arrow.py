"""Writes arrow.parquet, with pyarrow (26.0.1 wrote the one that is here)."""

import datetime as dt
import decimal

import pyarrow as pa
import pyarrow.parquet as pq

t = dt.datetime(2026, 1, 31, 13, 5, 0)
ns = 1_769_864_700_000_000_250
table = pa.table({
    "x": pa.array([1.5, None], pa.float64()),
    "half": pa.array([0.25, 1], pa.float32()),
    "n": pa.array([-3, 4], pa.int8()),
    "big": pa.array([2**64 - 1, 0], pa.uint64()),
    "ok": pa.array([True, None], pa.bool_()),
    "tool": pa.array(["Fräser", "Säge"]).dictionary_encode(),
    "ns": pa.array([ns, None], pa.timestamp("ns")),
    "ms": pa.array([t + dt.timedelta(milliseconds=250), t], pa.timestamp("ms", tz="UTC")),
    "day": pa.array([t.date(), t.date()], pa.date32()),
    "clock": pa.array([t.time(), t.time()], pa.time64("us")),
    "price": pa.array([decimal.Decimal("-12.05"), None], pa.decimal128(12, 2)),
    "none": pa.nulls(2),
})
pq.write_table(table, "arrow.parquet", compression="zstd", version="2.6", data_page_version="2.0")
