"""Reads a run with Pandas: deregistration of held subnets by horizon, with intervals. python with_pandas.py RUN"""

import sys

import pandas as pd
import pyarrow.parquet

run = sys.argv[1]
subnets = pd.read_parquet(f"{run}/subnets.parquet")
held = subnets[subnets["held"]].copy()
held["deregistered"] = held.apply(
    lambda row: (
        f"{row['deregistration_probability']:.2%} [{row['deregistration_ci_low']:.2%}, {row['deregistration_ci_high']:.2%}]"
    ),
    axis="columns",
)
print(held.pivot(index=["netuid", "registered_at", "name"], columns="horizon_days", values="deregistered").to_string())

# The files of a run are plain tables: a quantile of one's own, of the P&L on liquidation in USD.
paths = pd.read_parquet(f"{run}/paths.parquet", columns=["book", "horizon_days", "pnl_liquidation_usd"])
print(
    paths.groupby(["book", "horizon_days"])["pnl_liquidation_usd"].quantile([0.01, 0.5, 0.99]).unstack().round(0).to_string()
)

# Every column says what it means.
for column in pyarrow.parquet.read_schema(f"{run}/paths.parquet"):
    print(f"{column.name:25} {column.metadata[b'meaning'].decode()}")
