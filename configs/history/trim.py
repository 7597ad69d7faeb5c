"""Makes the files of this folder from the full tables: python3 trim.py DATA_FOLDER"""

import pathlib
import sys

import pandas

HERE = pathlib.Path(__file__).parent
IDS = ["netuid", "registration_block", "block"]
MEASURED = [
    "price",
    "moving_price",
    "tao_in",
    "alpha_in",
    "alpha_out",
    "emission_tao_per_block",
    "ema_tao_inflow_per_block",
]

data = pathlib.Path(sys.argv[1])

panel = pandas.read_parquet(data / "daily_panel.parquet")[[*IDS, *MEASURED, "startup"]]
# Flows derived from single-precision reserves are those of the table to 1e-7 of the pool.
panel = panel.astype({column: "int32" for column in IDS} | {column: "float32" for column in MEASURED})
panel.sort_values(IDS).to_parquet(
    HERE / "daily-panel.parquet",
    index=False,
    compression="zstd",
    compression_level=19,
    use_dictionary=["netuid", "registration_block", "startup"],
    use_byte_stream_split=MEASURED,
)

registrations = pandas.read_csv(data / "registrations.csv", dtype=str)
columns = ["netuid", "registration_block", "lock_cost_tao", "replaced_registration_block"]
registrations[columns].to_csv(HERE / "registrations.csv", index=False)

closes = pandas.read_csv(data / "tao_usd_daily.csv", dtype=str)
# Single values of a day that are no closes.
closes = closes[~closes.source.str.contains("intraday")]
closes[["date", "close"]].to_csv(HERE / "tao-usd.csv", index=False)
