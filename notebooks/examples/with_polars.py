"""Reads a run with Polars: what the book can lose, and which holdings make it. python with_polars.py RUN"""

import sys

import polars as pl

run = sys.argv[1]
summary = pl.read_parquet(f"{run}/summary.parquet")
last = summary.filter(pl.col("horizon_days") == pl.col("horizon_days").max(), pl.col("currency") == "TAO")
print(
    last.filter(pl.col("measure").is_in(["value_at_risk", "expected_shortfall"]))
    .select("book", "basis", "measure", "level", "value", "ci_low", "ci_high")
    .sort("book", "basis", "measure", "level")
)

# Parts of the expected shortfall by position; they add up to that of the book.
parts = pl.read_parquet(f"{run}/attribution.parquet").filter(
    pl.col("measure") == "component_expected_shortfall",
    pl.col("kind") == "position",
    pl.col("basis") == "mark",
    pl.col("currency") == "TAO",
    pl.col("horizon_days") == pl.col("horizon_days").max(),
    pl.col("level") == pl.col("level").max(),
)
print(
    parts.select("book", "netuid", "name", "value", "ci_low", "ci_high", "share").sort(
        "book", "value", descending=[False, True]
    )
)
