"""Prints every row of a stream of a data folder as one JSON object a line.

    python tests/it/read.py DATA STREAM

Doubles are printed with all the digits they need, times as microseconds since 1970, bytes as
hexadecimal. `venue`, `date` and `file` are added from the path.
"""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def rows(path: Path):
    # One file, not a data set: the folders must not be taken for columns here.
    file = pq.ParquetFile(path)
    place = {
        "venue": path.parents[1].name.removeprefix("venue="),
        "date": path.parents[0].name.removeprefix("date="),
        "file": path.name,
    }
    # A row group at a time: a day of books is too much at once.
    for group in range(file.num_row_groups):
        table = file.read_row_group(group)
        columns = {name: plain(table[name]).to_pylist() for name in table.column_names}
        for values in zip(*columns.values()):
            yield dict(zip(columns, values)) | place


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type):
        assert column.type == pa.timestamp("us", tz="UTC"), column.type
        return column.cast(pa.int64())
    return column


def main() -> None:
    data, stream = sys.argv[1:]
    for path in sorted(Path(data).glob(f"stream={stream}/venue=*/date=*/*.parquet")):
        for row in rows(path):
            print(json.dumps(row, default=bytes.hex))


if __name__ == "__main__":
    main()
