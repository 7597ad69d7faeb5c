#!/usr/bin/env bash
# A fund's nightly batch: checks the scenario, simulates it into a directory of the day, holds the tail against a limit, and says what
# moved since the last night. For cron, or anything else that reads exit codes:
#
#   nightly.sh SCENARIO DIRECTORY LIMIT [options of `taorisk run`, such as --positions today.csv]
#
# LIMIT is the largest expected shortfall in USD, of everything sold through the pools, at the last horizon and highest confidence, as a
# fraction of the first book's opening value. The whole 95 % interval must be on one side of it:
#
#   0  within the limit            1  failed (disk, memory)          4  beyond the limit: call somebody
#   3  interrupted                 2  bad input: nothing simulated   5  too close to tell: run more paths
#
# TAORISK names the program where it is not on the path. Needs Python 3 for the last step, no packages.
set -euo pipefail
[ $# -ge 3 ] || { echo "usage: $0 SCENARIO DIRECTORY LIMIT [options of taorisk run]" >&2; exit 2; }
scenario=$1 directory=$2 limit=$3
shift 3
taorisk=${TAORISK:-taorisk}
today=$directory/$(date -u +%F)

# A failing command ends the script with its own exit code: 1, 2 or 3.
complete=$("$taorisk" check "$scenario" "$@" --quiet)
table=$("$taorisk" run "$scenario" "$@" --quiet --force --out "$today")
echo "$complete" >"$today/scenario.toml"
echo "$table" >"$today/table.txt"

python3 - "$directory" "$today" "$limit" <<'PY'
import json
import sys
from pathlib import Path

directory, today, limit = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])


def shortfall(run):
    """Expected shortfall and its interval as fractions of the opening value, and what it is of."""
    rows = json.loads((run / "summary.json").read_text())["rows"]
    rows = [row for row in rows if row["book"] == rows[0]["book"] and row["currency"] == "USD"]
    opening = next(row["value"] for row in rows if row["measure"] == "opening_value" and row["basis"] == "mark")
    tail = [row for row in rows if row["measure"] == "expected_shortfall" and row["basis"] == "liquidation"]
    row = max(tail, key=lambda row: (row["horizon_days"], row["level"]))
    what = f"book {row['book']}, expected shortfall {row['level']:.0%} after {row['horizon_days']:g} days"
    # An end that the sample does not give is null.
    low, high = (float("inf") if row[end] is None else row[end] / opening for end in ("ci_low", "ci_high"))
    return what, row["value"] / opening, -low if row["ci_low"] is None else low, high


what, value, low, high = shortfall(today)
print(f"{what}: {value:.1%} of {limit:.1%} allowed (95 % interval {low:.1%} to {high:.1%})")
earlier = sorted(run.parent for run in directory.glob("????-??-??/summary.json") if run.parent.name < today.name)
if earlier:
    before = shortfall(earlier[-1])
    print(f"{earlier[-1].name}: {before[1]:.1%} ({before[2]:.1%} to {before[3]:.1%})")
sys.exit(0 if high <= limit else 4 if low > limit else 5)
PY
