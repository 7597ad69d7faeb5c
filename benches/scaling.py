"""Paths per second over threads, and peak memory over paths, of the release program, against the bounds of its design.

    python3 benches/scaling.py                  threads 1, 2, 4 .. all cores, and 10,000 to 100,000 paths
    python3 benches/scaling.py --large          memory at 1,000,000 paths too, over a few days: some minutes
    python3 benches/scaling.py --record         keep the figures in benches/record/

Repeats are interleaved: every thread count runs once before any runs again. Figures are medians, with the best in brackets (of
memory, the largest): where others use the machine, the best is nearer to the truth. Exits with 1 where a bound is broken. The Python standard library
suffices.
"""

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "benches/record"
# Bounds: efficiency from one core to more; memory (bytes) of a run, and its growth from 1e5 to 1e6 paths.
EFFICIENCY_MIN = 0.95
MEMORY_BASE, MEMORY_PER_THREAD = 300e6, 8e6
MEMORY_GROWTH_MAX = 1.1


def run(program, threads, paths, days):
    """Simulates into a directory that is thrown away; what the program tells of its own run."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory, "run")
        command = [program, "run", "--quiet", "--out", out, "--threads", threads, "--paths", paths, "--horizon-days", days]
        subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
        return json.loads((out / "runtime.json").read_text())


def thread_counts(cores):
    """Powers of two, and all cores."""
    return sorted({2**power for power in range(cores.bit_length()) if 2**power <= cores} | {cores})


def scaling(program, options):
    """Rates and memory over threads; every run has the same paths."""
    counts = thread_counts(options.cores)
    runs = {threads: [] for threads in counts}
    for _ in range(options.repeats):
        for threads in counts:
            runs[threads].append(run(program, threads, options.paths, options.days))
    rows = []
    for threads, of_count in runs.items():
        rates = [one["paths_per_second"] for one in of_count]
        row = {"threads": threads, "paths_per_second": statistics.median(rates), "paths_per_second_best": max(rates)}
        first = rows[0] if rows else row
        for key in ("", "_best"):
            rate = "paths_per_second" + key
            row["efficiency" + key] = row[rate] / (threads * first[rate])
        rows.append(row | {"peak_memory_bytes": max(one["peak_memory_bytes"] for one in of_count)})
    return rows


def memory(program, options):
    """Peak memory over paths, on all cores, over a short horizon; medians, as the peak depends on who waits for whom."""
    peaks = {paths: [] for paths in [10_000, 100_000] + [1_000_000] * options.large}
    for _ in range(options.repeats):
        for paths, of_size in peaks.items():
            of_size.append(run(program, options.cores, paths, options.memory_days)["peak_memory_bytes"])
    return [
        {"paths": paths, "peak_memory_bytes": statistics.median(of_size), "peak_memory_bytes_max": max(of_size)}
        for paths, of_size in peaks.items()
    ]


def checks(scaled, sized, cores):
    """What the design asks for, and whether it holds."""
    held = {}
    for row in scaled:
        bound = MEMORY_BASE + MEMORY_PER_THREAD * row["threads"]
        held[f"memory with {row['threads']} threads <= {bound / 1e6:.0f} MB"] = row["peak_memory_bytes"] <= bound
        if row["threads"] > 1:
            held[f"efficiency on {row['threads']} cores >= {EFFICIENCY_MIN:.0%}"] = row["efficiency_best"] >= EFFICIENCY_MIN
    bound = MEMORY_BASE + MEMORY_PER_THREAD * cores
    held |= {f"memory at {row['paths']:,} paths <= {bound / 1e6:.0f} MB": row["peak_memory_bytes_max"] <= bound for row in sized}
    peaks = {row["paths"]: row["peak_memory_bytes"] for row in sized}
    if 1_000_000 in peaks:
        held[f"memory at 1e6 paths <= {MEMORY_GROWTH_MAX} x that at 1e5"] = peaks[1_000_000] <= MEMORY_GROWTH_MAX * peaks[100_000]
    return held


def machine():
    """What the figures were taken on."""
    try:
        model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        model = platform.processor()
    return {"cpu": model, "cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/taorisk")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--paths", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--memory-days", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="memory at 1,000,000 paths too")
    parser.add_argument("--record", action="store_true", help="write benches/record/scaling-DATE-CORES.json")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    scaled, sized = scaling(options.program, options), memory(options.program, options)
    print(f"{options.paths:,} paths of {options.days} days; load before: {load:.1f}")
    for row in scaled:
        print(
            f"{row['threads']:4} threads  {row['paths_per_second']:10,.0f} paths/s ({row['paths_per_second_best']:,.0f})"
            f"  efficiency {row['efficiency']:.1%} ({row['efficiency_best']:.1%})  peak {row['peak_memory_bytes'] / 1e6:.0f} MB"
        )
    for row in sized:
        print(f"{row['paths']:10,} paths of {options.memory_days} days  peak {row['peak_memory_bytes'] / 1e6:.0f} MB ({row['peak_memory_bytes_max'] / 1e6:.0f})")
    held = checks(scaled, sized, options.cores)
    for check, holds in held.items():
        print("holds " if holds else "BROKEN", check)
    if options.record:
        version = subprocess.run([options.program, "--version"], text=True, check=True, capture_output=True).stdout.strip()
        record = {"date": str(datetime.date.today()), "program": version, "machine": machine(), "load_before": load}
        record |= {"paths": options.paths, "days": options.days, "repeats": options.repeats, "memory_days": options.memory_days}
        record |= {"threads": scaled, "memory": sized, "held": held}
        RECORD.mkdir(exist_ok=True)
        path = RECORD / f"scaling-{record['date']}-{options.cores}.json"
        path.write_text(json.dumps(record, indent=1) + "\n")
        print(path)
    sys.exit(not all(held.values()))


if __name__ == "__main__":
    main()
