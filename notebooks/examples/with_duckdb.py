"""Reads a run with DuckDB: the worst paths and what was deregistered on them. python with_duckdb.py RUN"""

import sys

import duckdb

run = sys.argv[1]
print(
    duckdb.sql(
        """
        WITH worst AS (
            SELECT book, path, pnl_mark_tao, max_drawdown, deregistered_holdings
            FROM read_parquet($run || '/paths.parquet')
            WHERE horizon_days = (SELECT max(horizon_days) FROM read_parquet($run || '/paths.parquet'))
            ORDER BY pnl_mark_tao
            LIMIT 5
        )
        SELECT
            worst.*,
            list(netuid ORDER BY block) AS deregistered_in_order  -- null on paths beyond run.event_paths
        FROM worst
        LEFT JOIN read_parquet($run || '/events.parquet') AS events
            ON events.path = worst.path AND events.kind = 'deregistered'
        GROUP BY ALL
        ORDER BY pnl_mark_tao
        """,
        params={"run": run},
    )
)

# Every file says what it is of.
print(
    duckdb.sql(
        "SELECT decode(key) AS key, decode(value) AS value FROM parquet_kv_metadata($file) WHERE decode(key) LIKE 'taorisk.%'",
        params={"file": f"{run}/paths.parquet"},
    )
)
