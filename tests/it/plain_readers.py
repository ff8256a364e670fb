"""Reads every file of a data folder with pyarrow, polars and DuckDB: no warning, the same number of
rows, statistics and page index where the schema promises them.

    python tests/it/plain_readers.py DATA
"""

import sys
import warnings
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq


def main() -> None:
    warnings.simplefilter("error")
    connection = duckdb.connect()
    paths = sorted(Path(sys.argv[1]).glob("stream=*/venue=*/date=*/*.parquet"))
    assert paths
    for path in paths:
        file = pq.ParquetFile(path)
        rows = file.metadata.num_rows
        assert file.read().num_rows == rows
        assert pl.read_parquet(path, hive_partitioning=False).height == rows
        count = connection.execute("SELECT count(*) FROM read_parquet(?)", [str(path)]).fetchone()
        assert count == (rows,)
        for number in range(file.metadata.num_row_groups):
            group = file.metadata.row_group(number)
            for place in range(group.num_columns):
                column = group.column(place)
                assert column.has_offset_index, (path, column.path_in_schema)
                if column.path_in_schema == "market":
                    assert column.has_column_index and column.is_stats_set, path
                    assert column.statistics.has_min_max or column.statistics.null_count, path


if __name__ == "__main__":
    main()
