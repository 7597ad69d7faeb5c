"""Speed over commits: counts instructions under valgrind and holds them to the last line of the record.

    .ci/track.py check PROGRAM BENCH WORK    count; fail where a figure has grown by more than 3 %
    .ci/track.py accept WORK --note WHY      append what `check` has counted to the record, and write its page
    .ci/track.py page [--check]              write the record's page, or fail where it is not the record's
    .ci/track.py pairs BASE HEAD WORK        wall clock of two programs, interleaved: told, never a failure

PROGRAM is `taorisk`, BENCH the program of the bench `instructions`. benches/README.md says what the figures are. Valgrind and
the Python standard library suffice.
"""

import argparse
import datetime
import json
import math
import platform
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "benches/record/instructions.jsonl"
PAGE = ROOT / "benches/record/README.md"
SCENARIO = ROOT / "configs/smoke.toml"
# The function of the bench whose calls are counted one by one.
COUNTED = "instructions::counted_pass"
# What may grow before somebody has to say why.
GROWTH_MAX = 0.03
# Paths of the run that is measured, not counted: enough for the error of a tail, a second of time.
MEASURED_PATHS = 20_000
REPEATS = 3
PAIRS = 12
# The confidence of the interval of a ratio.
CONFIDENCE = 0.95
# The tail whose error tells the statistical efficiency.
TAIL = {"measure": "expected_shortfall", "currency": "TAO", "basis": "liquidation", "level": 0.95}
# Methods whose figures of merit are kept: the plain one, which the others are held to, and what a scenario gets that asks for none.
METHODS = ["plain", "auto"]
# The measures of the first book that they are kept of, at spot.
MERITS = {
    "mean TAO": {"measure": "mean_pnl", "currency": "TAO", "level": None},
    "mean USD": {"measure": "mean_pnl", "currency": "USD", "level": None},
    "VaR 95 TAO": {"measure": "value_at_risk", "currency": "TAO", "level": 0.95},
    "ES 99 TAO": {"measure": "expected_shortfall", "currency": "TAO", "level": 0.99},
}


def output(*command):
    """What a command prints; None where it fails or is not there."""
    try:
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


# Counting


def callgrind(out, command, *options):
    """Instructions of a command, a number for each dump. With an empty environment, which would lie on the stack."""
    valgrind = shutil.which("valgrind") or sys.exit("error: valgrind is not installed")
    tool = [valgrind, "--quiet", "--tool=callgrind", "--combine-dumps=yes", f"--callgrind-out-file={out}", *options]
    out.unlink(missing_ok=True)
    done = subprocess.run([*tool, *map(str, command)], cwd=ROOT, env={}, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"error: under valgrind: {done.stderr or done.stdout}")
    totals = [int(total) for total in re.findall(r"^totals: (\d+)$", out.read_text(), re.MULTILINE)]
    return done.stdout, totals


def count_passes(bench, work):
    """Instructions of each pass over all slots: the bench names them in the order of its calls."""
    dumps = [f"--toggle-collect={COUNTED}", f"--dump-after={COUNTED}"]
    named, totals = callgrind(work / "passes.callgrind", [bench], *dumps)
    passes = [line.split() for line in named.splitlines()]
    totals = [total for total in totals if total > 0]
    if len(totals) != len(passes):
        sys.exit(f"error: {len(totals)} counts of {len(passes)} passes: is AVX2 here, and {COUNTED} still a function?\n{named}")
    slots = {int(slots) for _, slots in passes}
    return {"slots": slots.pop(), "instructions": {name: total for (name, _), total in zip(passes, totals)}}


def run_command(program, out, paths, method="auto"):
    command = [program, "run", SCENARIO, "--simd", "avx2", "--threads", 1, "--out", out, "--force", "--quiet"]
    command += ["--set", f"estimator.method={method}"] * (method != "auto")
    return command + ["--paths", paths] * (paths is not None)


def run_measured(program, out, method="auto"):
    command = run_command(program, out, MEASURED_PATHS, method)
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    return read(out, "runtime.json")


def read(out, name):
    return json.loads((out / name).read_text())


def count_job(program, work):
    """Instructions of the whole program on the smoke scenario, start and files included."""
    out = work / "counted"
    _, totals = callgrind(work / "job.callgrind", run_command(program, out, None))
    manifest, settings = read(out, "manifest.json"), read(out, "manifest.json")["scenario"]["run"]
    days, paths = settings["horizon_days"], settings["paths"]
    steps = days * 7200 / settings["blocks_per_step"]
    return manifest, {"instructions": sum(totals), "paths": paths, "steps": int(steps), "subnets": 128}


def measure(program, work):
    """Largest memory (bytes, the median of a few runs) and the relative error of the tail of a run that is not counted."""
    peaks = []
    for _ in range(REPEATS):
        out = work / "measured"
        peaks.append(run_measured(program, out)["peak_memory_bytes"])
    rows = [row for row in read(out, "summary.json")["rows"] if TAIL.items() <= row.items()]
    tail = max(rows, key=lambda row: row["horizon_days"])
    return statistics.median(peaks), tail["standard_error"] / tail["value"]


def merits(program, work):
    """Figures of merit, 1 / (squared standard error x second), by method and measure: the median of a few runs, in turn."""
    found = {method: {name: [] for name in MERITS} for method in METHODS}
    for _ in range(REPEATS):
        for method in METHODS:
            rows = run_measured(program, work / "measured", method)["figures_of_merit"]
            for name, wanted in MERITS.items():
                row = next(row for row in rows if row["basis"] == "mark" and wanted.items() <= row.items())
                found[method][name].append(row["figure_of_merit"])
    return {method: {name: statistics.median(values) for name, values in of.items()} for method, of in found.items()}


def cpu():
    try:
        return re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        return platform.processor()


def figures(program, bench, work):
    """A line of the record, but for its note."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    manifest, job = count_job(program, work)
    peak, relative_error = measure(program, work)
    commit = manifest["commit"] or "unknown"
    changed = output("git", "status", "--porcelain", "--", "src", "benches", "configs", "Cargo.toml", "Cargo.lock")
    per_path = job["instructions"] / job["paths"]
    return {
        "date": output("git", "show", "-s", "--format=%cs", commit) or str(datetime.date.today()),
        "commit": commit[:7] + "+" * bool(changed),
        "backend": "avx2",
        "rustc": (output("rustc", "--version") or "unknown").removeprefix("rustc "),
        "valgrind": (output("valgrind", "--version") or "unknown").removeprefix("valgrind-"),
        "cpu": cpu(),
        "job": job,
        "passes": bench and count_passes(bench, work),
        "result_hash": manifest["result_hash"],
        "peak_memory_bytes": int(peak),
        "tail_relative_error": relative_error,
        "efficiency": 1e9 / (relative_error**2 * MEASURED_PATHS * per_path),
        "figures_of_merit": merits(program, work),
    }


# Comparing


def record():
    return [json.loads(line) for line in RECORD.read_text().splitlines()] if RECORD.exists() else []


def counted(line):
    """All counts of a line by name."""
    passes = (line["passes"] or {"instructions": {}})["instructions"]
    return {"smoke run": line["job"]["instructions"]} | {f"pass {name}": count for name, count in passes.items()}


def compare(before, now):
    """Prints every count beside the last accepted one; those that have grown too much."""
    grown = []
    old, new = counted(before), counted(now)
    for name in old | new:
        if name not in old or name not in new:
            print(f"  {name:18} {new.get(name, 'gone'):>14}  {'' if name in new else 'not '}counted now, not compared")
            continue
        growth = new[name] / old[name] - 1
        print(f"  {name:18} {old[name]:14,} {new[name]:14,}  {growth:+8.3%}")
        if not growth <= GROWTH_MAX:
            grown.append(f"{name}: {growth:+.2%} instructions ({old[name]:,} to {new[name]:,})")
    return grown


def tell_advisory(before, now):
    print(f"  {'peak memory, MB':18} {before['peak_memory_bytes'] / 1e6:14.1f} {now['peak_memory_bytes'] / 1e6:14.1f}")
    print(f"  {'efficiency':18} {before['efficiency']:14,.0f} {now['efficiency']:14,.0f}")
    same = before["result_hash"] == now["result_hash"]
    print(f"  {'result hash':18} {before['result_hash'][:12]:>14} {now['result_hash'][:12]:>14}  {'same' if same else 'OTHER NUMBERS'}")


def check(program, bench, work):
    now = figures(program, bench, work)
    (work / "figures.json").write_text(json.dumps(now) + "\n")
    if not record():
        sys.exit(f"error: {RECORD} has no line to compare with; accept this one")
    before = record()[-1]
    print(f"instructions on AVX2, last accepted ({before['commit']}) and now ({now['commit']}):")
    grown = compare(before, now)
    tell_advisory(before, now)
    if not grown:
        print(f"no count has grown by more than {GROWTH_MAX:.0%}")
        return
    print(f"\nmore than {GROWTH_MAX:.0%} above the last accepted line:", *grown, sep="\n  ")
    if before["rustc"] != now["rustc"]:
        print(f"advisory only: that line is of rustc {before['rustc']}, this one of {now['rustc']}")
        return
    sys.exit(f'to accept this: python3 .ci/track.py accept {work} --note "why it is worth it", and commit the record')


def accept(work, note):
    if not note.strip():
        sys.exit("error: the note is empty: it is what a reader of the record learns")
    line = json.loads((work / "figures.json").read_text()) | {"note": note.strip()}
    with RECORD.open("a") as file:
        file.write(json.dumps(line) + "\n")
    PAGE.write_text(page())


# Telling

PAGE_HEAD = """# Instructions over commits

Written by `python3 .ci/track.py page` from [`instructions.jsonl`](instructions.jsonl): change that, not this. Counts on AVX2 under
callgrind; what each is, and how a line is accepted, says [`../README.md`](../README.md#tracking). A commit with `+` had changes on
top, as the line is part of them. [`07_speed.ipynb`](../../notebooks/07_speed.ipynb) draws it.

"""


def row(*cells):
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |\n"


def table(heads, rows):
    """In Markdown; the first column and the last are text."""
    rules = ["---", *["---:"] * (len(heads) - 2), "---"]
    return row(*heads) + "|" + "|".join(rules) + "|\n" + "".join(row(*cells) for cells in rows) + "\n"


def job_rows(lines):
    """Instructions of the smoke run per subnet-step, and the change since the line before."""
    before = None
    for line in lines:
        job = line["job"]
        each = job["instructions"] / (job["paths"] * job["steps"] * job["subnets"])
        change = "" if before is None else f"{each / before - 1:+.1%}"
        before = each
        figures = [f"{line['peak_memory_bytes'] / 1e6:.0f}", f"{line['efficiency']:,.0f}", f"`{line['result_hash'][:8]}`"]
        yield [f"`{line['commit']}`", line["date"], f"{each:.1f}", change, *figures, line["note"]]


def merit_table(lines):
    """Figures of merit by the clock, plain and default; nothing where no line has them."""
    lines = [line for line in lines if "figures_of_merit" in line]
    if not lines:
        return ""
    rows = []
    for line in lines:
        plain, default = (line["figures_of_merit"][method] for method in METHODS)
        each = [f"{plain[name]:.3g}, {default[name]:.3g}" for name in MERITS]
        rows.append([f"`{line['commit']}`", *each, line["cpu"]])
    text = f"## Figures of merit\n\n1 / (squared standard error x second) of {MEASURED_PATHS:,} paths, plain and by default, by the clock of one machine. "
    text += "Tails are the same by both: what they differ by is the clock.\n\n"
    return text + table(["commit", *MERITS, "cpu"], rows)


def page():
    lines = record()
    heads = ["commit", "date", "instructions", "change", "peak MB", "efficiency", "results", "note"]
    text = PAGE_HEAD + "## Smoke run\n\nInstructions of the whole program per subnet-step.\n\n" + table(heads, job_rows(lines))
    text += merit_table(lines)
    lines = [line for line in lines if line["passes"]]
    names = list(dict.fromkeys(name for line in lines for name in line["passes"]["instructions"]))
    rows = []
    for line in lines:
        counts, slots = line["passes"]["instructions"], line["passes"]["slots"]
        each = [f"{counts[name] / slots:.1f}" if name in counts else "" for name in names]
        rows.append([f"`{line['commit']}`", *each, line["rustc"].split()[0]])
    text += "## Passes\n\nInstructions per subnet-step of each pass by itself, 256 slots.\n\n" + table(["commit", *names, "rustc"], rows)
    return text.rstrip() + "\n"


# Wall clock


def median_interval(values):
    """The median, and the order statistics that hold the true one with at least CONFIDENCE, whatever the law."""
    values, n = sorted(values), len(values)
    outside, low = 0.0, -1
    while 2 * (outside + math.comb(n, low + 1) / 2**n) <= 1 - CONFIDENCE:
        low += 1
        outside += math.comb(n, low) / 2**n
    return statistics.median(values), values[low], values[n - 1 - low]


def pairs(base, head, work):
    """Seconds of head over those of base, run in turn, each first as often as second."""
    work.mkdir(parents=True, exist_ok=True)
    ratios = []
    for number in range(PAIRS):
        seconds = {}
        for program in (base, head) if number % 2 else (head, base):
            seconds[program] = run_measured(program, work / "timed")["elapsed_seconds"]
        ratios.append(seconds[head] / seconds[base])
    median, low, high = median_interval(ratios)
    print(f"wall clock of head over base: {median:.3f} [{low:.3f}, {high:.3f}], {PAIRS} pairs (advisory)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    places = {"check": ["program", "bench", "work"], "accept": ["work"], "page": [], "pairs": ["base", "head", "work"]}
    of = {name: commands.add_parser(name) for name in places}
    for name, arguments in places.items():
        for argument in arguments:
            of[name].add_argument(argument, type=lambda text: Path(text).resolve())
    of["accept"].add_argument("--note", required=True, help="why more instructions are worth it, or what made them fewer")
    of["page"].add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    if options.command == "check":
        check(options.program, options.bench, options.work)
    elif options.command == "accept":
        accept(options.work, options.note)
    elif options.command == "pairs":
        pairs(options.base, options.head, options.work)
    elif not options.check:
        PAGE.write_text(page())
    elif page() != PAGE.read_text():
        sys.exit(f"error: {PAGE} is not what the record says: python3 .ci/track.py page")


if __name__ == "__main__":
    main()
