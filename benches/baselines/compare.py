"""Times the program and all baselines on the same cores in one run, checks that their laws agree, and prints the ratios.

    python compare.py                     the default network: 128 slots, 30 days, all cores; about four minutes
    python compare.py --days 90 --threads 1 --only numba,jax
    python compare.py --smoke             NumPy alone, few paths, no times: ten seconds

1. Exact: without chance (no volatility, registrations as soon as the rate limit allows, starts at once) every baseline must
   give the program's prices, moving prices, shares and P&L to 2e-7: the program puts flows together in single precision.
2. Times: repeats are interleaved, each with a seed of its own; medians count. Not counted: start-up and compilation.
3. Laws: statistics of the timed paths against those of the program, each with its Monte Carlo error; more than 4 combined
   standard errors apart is a failure.

Exits with 1 where a check fails.
"""

import argparse
import csv
import json
import math
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars

import model

# Names, and whether they run in the environment of `--svml-python`.
BASELINES = {"numpy": False, "jax": False, "numba": False, "numba_svml": True, "numba_tuned": True}
EXACT_TOLERANCE = 2e-7
STANDARD_ERRORS = 4.0
LAW_PATHS = 100_000
EXACT_DAYS = 20

# The same on every path: volatility 0, an attempt in the first block that the rate limit allows, starts and enablings at once.
WITHOUT_CHANCE = """
[flow]
scale_median = 1e-14
scale_sd_log = 0.0
loading_sd = 0.0
[registration]
hazard_per_day = 1e9
elasticity = 2.0
willingness_sd_log = 0.0
willingness_start_tao = 517.0
[entrants]
never_start_probability = 0.0
never_start_probability_incumbent = 0.0
start_delay_mean_days = 1e-9
enable_delay_mean_days = 1e-9
burn_all_probability = 0.0
"""


def main():
    options = parse_options()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    warn_if_loaded(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(options, Path(folder))
        try:
            comparison.check_exact()
            if not options.smoke:
                comparison.time_all()
            comparison.check_laws()
        finally:
            comparison.close()
    comparison.report()
    if comparison.failures:
        sys.exit("\n".join(["", "FAILED:", *comparison.failures]))


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(model.ROOT / "target/release/taorisk"))
    parser.add_argument("--slots", type=int, default=128, help="subnets: the first so many of the snapshot, twice above 128")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one repeat of each")
    parser.add_argument("--only", default=",".join(BASELINES), help="baselines, by commas")
    parser.add_argument("--svml-python", help="Python of an environment with what requirements-svml.txt pins")
    parser.add_argument("--smoke", action="store_true", help="NumPy alone, few paths, laws only")
    options = parser.parse_args()
    names = ["numpy"] if options.smoke else [name for name in BASELINES if name in options.only.split(",")]
    options.baselines = [name for name in names if options.svml_python or not BASELINES[name]]
    if left := sorted(set(names) - set(options.baselines)):
        note(f"warning: {', '.join(left)} left out: they need --svml-python")
    return options


def warn_if_loaded(threads):
    load = os.getloadavg()[0]
    if load > 0.25 * threads:
        note(f"warning: load average {load:.2f} before the start: others use this machine, times will be off")


class Comparison:
    """One run of everything, in a folder of its own."""

    def __init__(self, options, folder):
        self.options, self.folder, self.failures = options, folder, []
        self.seconds = {name: [] for name in ("taorisk", *options.baselines)}
        self.cpu_seconds = {name: [] for name in self.seconds}
        self.paths, self.results, self.laws = {}, {}, {}
        inputs = write_inputs(folder, options.slots)
        limit = f"[protocol]\nsubnet_limit = {options.slots}\n"
        self.scenario = write(folder / "base.toml", f"[run]\nhorizon_days = {options.days}\n{inputs}{limit}")
        recorded = f"event_paths = {LAW_PATHS}\nsample_paths = 0\nreport_days = [{options.days}]\n"
        self.law_scenario = write(folder / "laws.toml", f"[run]\nhorizon_days = {options.days}\n{recorded}{inputs}{limit}")
        once = f"[run]\npaths = 1\nhorizon_days = {EXACT_DAYS}\nsample_paths = 1\nreport_days = [{EXACT_DAYS}]\n"
        fast_decay = "lock_reduction_interval_blocks = 57600\n"
        self.exact_scenario = write(folder / "exact.toml", once + inputs + limit + fast_decay + WITHOUT_CHANCE)
        models = [model.load(options.program, scenario) for scenario in (self.exact_scenario, self.scenario)]
        self.exact_model, self.model = models
        pythons = {name: options.svml_python if BASELINES[name] else sys.executable for name in options.baselines}
        self.workers = {name: Worker(pythons[name], name, models, options.threads) for name in pythons}

    def close(self):
        for worker in self.workers.values():
            worker.close()

    def taorisk(self, scenario, paths, seed):
        """Runs the program; its own simulation time, CPU seconds, and the folder of its files."""
        out = self.folder / "out"
        command = [self.options.program, "run", scenario, "--out", out, "--force", "--quiet"]
        command += ["--paths", str(paths), "--seed", str(seed), "--threads", str(self.options.threads)]
        before = os.times()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        cpu = after.children_user - before.children_user + after.children_system - before.children_system
        return json.loads((out / "runtime.json").read_text())["simulation_seconds"], cpu, out

    def check_exact(self):
        """Without chance all must be equal."""
        start = time.perf_counter()
        _, _, out = self.taorisk(self.exact_scenario, 1, 1)
        samples, path = polars.read_parquet(out / "samples.parquet"), polars.read_parquet(out / "paths.parquet")
        last = samples.filter(polars.col("step") == self.exact_model.constants.steps).sort("netuid")
        events = polars.read_parquet(out / "events.parquet")["kind"].to_list()
        expected = dict(
            price=last["price"].to_numpy(),
            moving_price=last["moving_price"].to_numpy(),
            share=last["emission_share"].to_numpy(),
            pnl_mark_tao=path["pnl_mark_tao"].to_numpy(),
            pnl_liquidation_tao=path["pnl_liquidation_tao"].to_numpy(),
            max_drawdown=path["max_drawdown"].to_numpy(),
            deregistered_holdings=path["deregistered_holdings"].to_numpy(),
            registrations=np.array([events.count("registered")]),
            starts=np.array([events.count("started")]),
            enablings=np.array([events.count("emission_enabled")]),
        )
        for worker in self.workers.values():
            worker.ask("exact")
        for name, worker in self.workers.items():
            result = worker.answer()
            worst = max((distance(getattr(result, key)[0], value), key) for key, value in expected.items())
            registrations = events.count("registered")
            print(f"exact  {name:12} differs by {worst[0]:.1e} at most ({worst[1]}; {registrations} registrations)")
            if not worst[0] <= EXACT_TOLERANCE:
                self.failures.append(f"{name} without chance: {worst[1]} differs by {worst[0]:.1e}")
        note(f"exact and compilation: {time.perf_counter() - start:.0f} s")

    def time_all(self):
        """Repeats in turn, each as long as asked; the first, shorter, tells how many paths that takes.

        The program's are twice as long: its fixed costs, sampled paths and events, are those of 100,000 paths.
        """
        for name in self.seconds:
            paths, times = (4_000, 2.0) if name == "taorisk" else (1_000, 1.0)
            seconds = self.run_once(name, paths, 1)
            least = 64 * self.options.threads
            self.paths[name] = max(least, round(paths * times * self.options.seconds / seconds / least) * least)
            self.seconds[name].clear()
            self.cpu_seconds[name].clear()
        self.results.clear()
        for repeat in range(self.options.repeats):
            for name in self.seconds:
                self.run_once(name, self.paths[name], 2 + repeat)

    def run_once(self, name, paths, seed):
        if name == "taorisk":
            seconds, cpu, _ = self.taorisk(self.scenario, paths, seed)
        else:
            seconds, cpu, result = self.workers[name].run(paths, seed)
            self.results.setdefault(name, []).append(result)
        self.seconds[name].append(seconds)
        self.cpu_seconds[name].append(cpu)
        return seconds

    def check_laws(self):
        """Statistics of all paths of a baseline against those of the program."""
        paths = 4_000 if self.options.smoke else LAW_PATHS
        _, _, out = self.taorisk(self.law_scenario, paths, 77)
        program = ProgramPaths(out, self.model, paths)
        if self.options.smoke:
            _, _, result = self.workers["numpy"].run(2_000, 1)
            self.results["numpy"] = [result]
        for name, results in self.results.items():
            merged = model.Result(*(np.concatenate(part) for part in zip(*results)))
            self.laws[name] = compare_laws(program, merged, self.model)
            for law in self.laws[name]:
                if not abs(law.z) <= STANDARD_ERRORS:
                    values = f"{law.baseline:.6g}, the program's {law.program:.6g}"
                    self.failures.append(f"{name}: {law.name} is {values} ({law.z:+.1f})")

    def report(self):
        self.report_laws()
        if not self.options.smoke:
            self.report_times()

    def report_laws(self):
        names = list(self.laws)
        print("\nDistance from the program in combined standard errors (taorisk: the value)\n")
        print(f"| {'statistic':44} | {'taorisk':>11} | " + " | ".join(f"{name:>11}" for name in names) + " |")
        print(f"| {'-' * 44} | {'-' * 10}: | " + " | ".join("-" * 10 + ":" for _ in names) + " |")
        for row in zip(*self.laws.values()):
            cells = " | ".join(f"{law.z:+11.2f}" for law in row)
            print(f"| {row[0].name:44} | {row[0].program:11.6g} | {cells} |")
        counts = [sum(len(result.registrations) for result in self.results[name]) for name in names]
        cells = " | ".join(f"{count:11,}" for count in counts)
        print(f"| {'paths':44} | {4_000 if self.options.smoke else LAW_PATHS:11,} | {cells} |")

    def report_times(self):
        options = self.options
        print(f"\n{machine()}, {options.threads} threads, {options.slots} slots, {options.days} days")
        versions = (f"{name} is {worker.versions}" for name, worker in self.workers.items())
        print(f"Python {platform.python_version()}; {', '.join(versions)}\n")
        head = ("paths", "median s", "spread", "ns", "CPU ns", "cores busy", "x taorisk", "x by CPU")
        print(f"| {'per subnet-step':15} | " + " | ".join(f"{title:>10}" for title in head) + " |")
        print(f"| {'-' * 15} | " + " | ".join("-" * 9 + ":" for _ in head) + " |")
        steps = self.model.constants.steps * options.slots * 1e-9
        base, warnings = {}, []
        for name, seconds in self.seconds.items():
            median, work = np.median(seconds), self.paths[name] * steps
            ns, cpu_ns = median / work, np.median(self.cpu_seconds[name]) / work
            base = base or dict(ns=ns, cpu_ns=cpu_ns)
            busy = np.median(np.array(self.cpu_seconds[name]) / seconds) / options.threads
            spread = (max(seconds) - min(seconds)) / median
            cells = (f"{self.paths[name]:,}", f"{median:.2f}", f"{spread:.0%}", f"{ns:.2f}", f"{cpu_ns:.2f}", f"{busy:.0%}")
            cells += (f"{ns / base['ns']:.2f}", f"{cpu_ns / base['cpu_ns']:.2f}")
            print(f"| {name:15} | " + " | ".join(f"{cell:>10}" for cell in cells) + " |")
            if busy < 0.85:
                warnings.append(f"warning: {name} had {busy:.0%} of its cores; the CPU column says more then")
        for warning in warnings:
            note(warning)


class Worker:
    """A process that holds one baseline, compiled for both models: exact, and timed."""

    def __init__(self, python, name, models, threads):
        self.pipe, other = multiprocessing.Pipe()
        command = [python, Path(__file__).with_name("worker.py"), name, str(threads), str(other.fileno())]
        self.process = subprocess.Popen(command, pass_fds=[other.fileno()])
        other.close()
        self.name = name
        self.versions = None
        self.ask(models)

    def ask(self, *request):
        self.pipe.send(request)

    def answer(self):
        self.versions = self.versions or self.receive()
        return self.receive()

    def receive(self):
        try:
            message = self.pipe.recv()
        except EOFError:
            raise SystemExit(f"{self.name}: ended early") from None
        if isinstance(message, RuntimeError):
            raise SystemExit(f"{self.name}: {message}")
        return message

    def run(self, paths, seed):
        """Seconds, CPU seconds, outcomes."""
        self.ask("run", paths, seed)
        return self.answer()

    def close(self):
        try:
            self.ask("close")
            self.process.wait(10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.terminate()


class ProgramPaths:
    """What the program's files hold of its paths, in the form of the baselines' results."""

    def __init__(self, out, compared, paths):
        read = lambda name: polars.read_parquet(out / f"{name}.parquet")
        rows = read("paths").sort("path")
        for column in ("pnl_mark_tao", "pnl_liquidation_tao", "pnl_mark_usd", "max_drawdown", "deregistered_holdings"):
            setattr(self, column, rows[column].to_numpy().astype(float))
        events = read("events")
        count = lambda kind, column=None: per_path(events.filter(polars.col("kind") == kind), column, paths)
        self.registrations, self.starts = count("registered"), count("started")
        self.enablings = count("emission_enabled")
        self.lock_cost_sum = count("registered", "lock_cost_tao")
        self.moving_price_sum = count("deregistered", "moving_price")
        self.deregistered = np.zeros((paths, len(compared.netuids)), bool)
        out_of = events.filter(
            (polars.col("kind") == "deregistered") & (polars.col("registered_at") <= compared.constants.start_block)
        )
        self.deregistered[out_of["path"].to_numpy(), np.searchsorted(compared.netuids, out_of["netuid"].to_numpy())] = True
        self.quantiles = read("quantiles")

    def quantile(self, netuid, metric):
        """Median of a subnet's price or share where it is alive, and its error."""
        at = (polars.col("netuid") == netuid) & (polars.col("metric") == metric) & (polars.col("probability") == 0.5)
        row = self.quantiles.filter(at).row(0, named=True)
        return row["value"], row["standard_error"]


def per_path(events, column, paths):
    weights = events[column].to_numpy() if column else None
    return np.bincount(events["path"].to_numpy(), weights, paths).astype(float)


class Law:
    """A statistic by the program and by a baseline, and their distance in combined standard errors."""

    def __init__(self, name, program, baseline):
        self.name, self.program, self.baseline = name, program[0], baseline[0]
        error = math.hypot(program[1], baseline[1])
        difference = baseline[0] - program[0]
        self.z = difference / error if error > 0.0 else (0.0 if difference == 0.0 else math.inf)


def compare_laws(program, result, compared):
    """All statistics of one baseline."""
    opening = float((compared.start.book_alpha * spot(compared)[compared.start.book_slot]).sum())
    growth = lambda paths: np.log1p(paths.pnl_mark_tao / opening)
    of_paths = {
        "mean log growth of the book": (mean, growth),
        "sd of log growth": (standard_deviation, growth),
        "5 % quantile of P&L at spot, TAO": (lambda x: quantile(x, 0.05), lambda paths: paths.pnl_mark_tao),
        "95 % quantile of P&L at spot, TAO": (lambda x: quantile(x, 0.95), lambda paths: paths.pnl_mark_tao),
        "median P&L on liquidation, TAO": (lambda x: quantile(x, 0.5), lambda paths: paths.pnl_liquidation_tao),
        "mean P&L at spot, USD": (mean, lambda paths: paths.pnl_mark_usd),
        "5 % quantile of P&L at spot, USD": (lambda x: quantile(x, 0.05), lambda paths: paths.pnl_mark_usd),
        "mean maximum drawdown": (mean, lambda paths: paths.max_drawdown),
        "holdings deregistered": (mean, lambda paths: paths.deregistered_holdings),
        "registrations": (mean, lambda paths: paths.registrations),
        "sd of registrations": (standard_deviation, lambda paths: paths.registrations),
        "lock costs paid, TAO": (mean, lambda paths: paths.lock_cost_sum),
        "moving prices of the deregistered, summed": (mean, lambda paths: paths.moving_price_sum),
        "starts": (mean, lambda paths: paths.starts),
        "enablings": (mean, lambda paths: paths.enablings),
    }
    laws = [Law(name, of(get(program)), of(get(result))) for name, (of, get) in of_paths.items()]
    probability = program.deregistered.mean(0)
    for slot in np.argsort(np.abs(probability - 0.3))[:4]:
        name = f"probability of deregistration, SN{compared.netuids[slot]}"
        laws.append(Law(name, mean(program.deregistered[:, slot]), mean(result.deregistered[:, slot])))
    for slot in np.argsort(-compared.start.moving_price)[[0, len(compared.netuids) // 2]]:
        alive, netuid = ~result.deregistered[:, slot], compared.netuids[slot]
        for metric, values in (("price", result.price), ("emission_share", result.share)):
            expected = program.quantile(netuid, metric)
            if expected[0] > 2e-5:
                name = f"median {metric.replace('_', ' ')}, SN{netuid}"
                laws.append(Law(name, expected, quantile(values[alive, slot], 0.5)))
    return laws


def spot(compared):
    return compared.start.reserve_tao / compared.start.reserve_alpha


def mean(x):
    """With its standard error, as all estimates here; that of a proportion is never 0."""
    n = len(x)
    if x.dtype == bool:
        p = (x.sum() + 2.0) / (n + 4.0)
        return x.mean(), math.sqrt(p * (1.0 - p) / n)
    return x.mean(), x.std(ddof=1) / math.sqrt(n)


def standard_deviation(x):
    centred, sd = x - x.mean(), x.std(ddof=1)
    fourth = (centred**4).mean()
    return sd, math.sqrt(max(fourth - sd**4, 0.0) / len(x)) / (2.0 * sd)


def quantile(x, p):
    """Half the distance of the order statistics one standard error of the rank away."""
    away = math.sqrt(p * (1.0 - p) / len(x))
    low, middle, high = np.quantile(x, [max(p - away, 0.0), p, min(p + away, 1.0)])
    return middle, 0.5 * (high - low)


def distance(values, expected):
    """Largest difference, relative to the larger of the expected value and 1e-6."""
    return float(np.max(np.abs(values - expected) / np.maximum(np.abs(expected), 1e-6)))


def write(path, text):
    path.write_text(text)
    return path


def write_inputs(folder, slots):
    """Snapshot and positions for another number of slots than the default 128; the table that names them."""
    with open(model.ROOT / "configs/snapshot-2026-09-30.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    if slots == len(rows):
        return ""
    model.require(slots <= 2 * len(rows), f"at most {2 * len(rows)} slots")
    # Cheaper copies: between equal subnets rounding would decide which is pruned.
    cheaper = lambda row: {key: repr(0.97 * float(row[key])) for key in ("tao_in", "price")}
    again = [{**row, **cheaper(row), "netuid": int(row["netuid"]) + len(rows)} for row in rows]
    write_csv(folder / "snapshot.csv", (rows + again)[:slots])
    with open(model.ROOT / "configs/sample-book.csv", newline="") as file:
        write_csv(folder / "book.csv", [row for row in csv.DictReader(file) if int(row["netuid"]) <= slots])
    return '[input]\nsnapshot = "snapshot.csv"\npositions = "book.csv"\n'


def write_csv(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def machine():
    """Model of the processor, and its vector instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    value = lambda key: next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "?")
    vectors = "AVX-512" if "avx512f" in value("flags") else "AVX2" if "avx2" in value("flags") else "no AVX2"
    return f"{value('model name')} ({vectors})"


def note(text):
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
