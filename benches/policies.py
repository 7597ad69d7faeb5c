"""What three policies on 30 positions cost over holding alone: wall and processor time of whole runs of the release program.

    python3 benches/policies.py                  12 pairs of 20,000 paths on all cores, after `cargo build --release`
    python3 benches/policies.py --pairs 4 --paths 50000

Pairs run in turn, either one first as often as the other. Over holding: the sums of all runs, the median of pairs, and the least of each;
where others use the machine these differ by several per cent. Exits with 1 where a median is above the bound. The Python standard
library suffices.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BOOKS = ROOT / "configs/portfolios"
HOLD, POLICIES = BOOKS / "broad.toml", BOOKS / "broad-policies.toml"
# Part of the cost of holding that three policies may add.
BOUND = 0.30


def processor_seconds():
    """Processor time of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(program, scenario, paths, threads):
    """Wall and processor time (s) of a run into a directory that is thrown away."""
    with tempfile.TemporaryDirectory() as directory:
        command = [program, "run", scenario, "--quiet", "--paths", paths, "--threads", threads, "--out", Path(directory, "run")]
        begun, used = time.perf_counter(), processor_seconds()
        subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begun, processor_seconds() - used


def main():
    """Prints both costs and checks them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=ROOT / "target/release/taorisk", help="the release program")
    parser.add_argument("--paths", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    load = os.getloadavg()[0]
    times = {HOLD: [], POLICIES: []}
    for pair in range(options.pairs):
        for scenario in (HOLD, POLICIES) if pair % 2 else (POLICIES, HOLD):
            times[scenario].append(run(options.program, scenario, options.paths, options.threads))
    print(f"{options.pairs} pairs of {options.paths:,} paths, {options.threads} threads, load {load:.1f}")
    print("            hold, s  policies, s   sums  median   least")
    is_held = True
    for name, index in (("wall", 0), ("processor", 1)):
        hold, more = ([of_run[index] for of_run in times[scenario]] for scenario in (HOLD, POLICIES))
        median = statistics.median(b / a - 1 for a, b in zip(hold, more))
        sums, least = sum(more) / sum(hold) - 1, min(more) / min(hold) - 1
        print(f"{name:<10}{statistics.median(hold):>9.2f}{statistics.median(more):>13.2f}{sums:>+7.1%}{median:>+8.1%}{least:>+8.1%}")
        is_held &= median <= BOUND
    return 0 if is_held else 1


if __name__ == "__main__":
    sys.exit(main())
