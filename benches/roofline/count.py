"""Vector operations of a step per pass, against the ports that carry them: the table of benches/ROOFLINE.md.

    cargo bench --no-run --bench roofline
    python3 benches/roofline/count.py [--slots 256] [--backend avx512] [--write] [BINARY]

Counts are exact: a few path-steps of the binary are stepped through, instruction by instruction (ptrace), so loops need no
guessing. Time goes to passes by where the running program is found at random moments. Both are assigned by the debug
information of the same binary, so the passes are those of the step as it runs, fused and inlined, not of copies. Needs Linux on
x86-64, Python 3.11, and objdump, nm and addr2line of binutils.
"""

import argparse
import bisect
import collections
import ctypes
import datetime
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TABLE_FILE = HERE.parent / "ROOFLINE.md"

# Innermost function of the inlined stack that names a pass: function, and the file where the name alone is not enough.
PASSES = [
    ("random words", "draw_words", ""),
    ("jumps", "add", "model/jumps.rs"),
    ("normals", "draw_normals", ""),
    ("volatilities", "move_volatilities", ""),
    ("scales", "scales", "model/kernel.rs"),
    ("flows", "flows", "model/kernel.rs"),
    ("share weights", "raw_shares", ""),
    ("gate threshold", "ranked_value", ""),
    ("gate", "final_shares", ""),
    ("injection", "injection_pass", ""),
    ("emission", "emission_pass", ""),
    ("sale", "sale_pass", ""),
    ("trade", "flow_tile", ""),
    ("moving price", "tile", "protocol/moving_price_kernel.rs"),
    ("age factors", "patch_ages", ""),
    ("lifecycle", "end_step", ""),
    ("opening", "open", "engine/opening.rs"),
    ("reset", "reset", "engine/path.rs"),
]
REST = "rest"
# Functions outside the compiled step, by how their symbols begin; those of other libraries copy memory.
OUTSIDE = [("lifecycle", "taorisk::engine::lifecycle"), ("lifecycle", "core::slice::sort"), ("clock", "roofline::clock_ghz")]
COPIES, CLOCK = "copies", "clock"

# Operations that take more than one slot of the ports (uops.info, Intel from Ice Lake on, registers of 512 bits).
PORT_SLOTS = {"vdivpd": 3, "vsqrtpd": 3, "vsqrtps": 3, "vdivps": 3, "vpmullq": 3}
# Cycles on the divider by operation and register bits (uops.info, Ice Lake and later).
DIVIDER = {
    ("vdivpd", 512): 16, ("vdivpd", 256): 8, ("vdivpd", 128): 4, ("vdivsd", 128): 4,
    ("vsqrtps", 512): 12, ("vsqrtps", 256): 6, ("vsqrtpd", 512): 18, ("vsqrtpd", 256): 9, ("vsqrtsd", 128): 4.5,
}  # fmt: skip
# Vector operations, loads and stores that a cycle can begin: 512 bits on ports 0 and 5; 256 bits on 0, 1 and 5, of which
# nearly all here (multiply-add, multiplication, shift) know two only.
PER_CYCLE = {"arithmetic": 2, "loads": 2, "stores": {512: 1, 256: 2}}
CHUNK_SLOTS = 8
BATCH_PATHS = 32


class Image:
    """The binary's functions of a backend: what each instruction is, and to which pass it belongs."""

    def __init__(self, path, backend):
        self.path, self.backend = path, backend
        symbols = run("nm", "-CS", path).splitlines()
        self.ranges = [
            (int(line.split()[0], 16), int(line.split()[1], 16))
            for line in symbols
            if line.endswith(f"taorisk::simd::{backend}::run")
        ]
        functions = [line.split(maxsplit=2) for line in run("nm", "-C", path).splitlines() if re.match("[0-9a-f]", line)]
        self.functions = sorted((int(address, 16), name) for address, _, name in functions)
        self.text, self.passes, self.entries = {}, {}, {}
        for start, size in self.ranges:
            self.read(start, size)

    def read(self, start, size):
        bounds = [f"--start-address={start}", f"--stop-address={start + size}"]
        lines = run("objdump", "-d", "--no-show-raw-insn", *bounds, self.path).splitlines()
        found = [re.match(r"\s*([0-9a-f]+):\t(.*)", line) for line in lines]
        text = {int(match[1], 16): match[2].split("#")[0].strip() for match in found if match}
        self.text |= text
        names = run("addr2line", "-afiC", "-e", self.path, stdin="\n".join(f"{a:x}" for a in text))
        inside = set()
        for block in re.split(r"^0x", names, flags=re.M)[1:]:
            address, *frames = block.strip().split("\n")
            stack = [(re.sub(r"<.*", "", name).split("::")[-1], file) for name, file in zip(frames[::2], frames[1::2])]
            self.passes[int(address, 16)] = pass_of(stack)
            inside.update(name for name, _ in stack)
        for role, name in (("advance", "advance_slots"), ("open", "open_group")):
            if name in inside:
                self.entries[role] = start

    def place(self, address):
        """The pass at an address, or what stands outside all of them."""
        if address in self.passes:
            return self.passes[address]
        last, index = self.functions[-1][0], bisect.bisect(self.functions, (address + 1,)) - 1
        if not 0 <= index or address > last:
            return COPIES
        name = self.functions[index][1]
        return next((label for label, prefix in OUTSIDE if name.startswith(prefix)), REST)


def pass_of(stack):
    for name, file in stack:
        for label, function, where in PASSES:
            if name == function and where in file:
                return label
    return REST


def run(*command, stdin=None):
    return subprocess.run([str(word) for word in command], input=stdin, text=True, check=True, capture_output=True).stdout


class Counts(collections.Counter):
    """Port slots, loads, stores, divider cycles and instructions."""

    def add(self, text, times=1):
        operation, _, rest = re.sub(r"^(notrack|rep|lock|bnd) ", "", text).partition(" ")
        operands = re.split(r",(?![^(]*\))", rest.strip())
        self["instructions"] += times
        if not re.search(r"%([xyz]mm|k[0-7])", rest):
            return
        bits = 512 if "%zmm" in rest else 256 if "%ymm" in rest else 128
        in_memory = [bool(re.search(r"\(|0x[0-9a-f]+\{|^0x[0-9a-f]+$", operand)) for operand in operands]
        to_memory, from_memory = in_memory[-1], any(in_memory[:-1])
        self["loads"] += times * from_memory
        self["stores"] += times * to_memory
        is_move = re.match(r"v?mov(?!s[hl]dup|ddup)|vp?broadcast", operation)
        is_renamed = operation.startswith("vmov") and not re.search(r"\{%k|%[re]", rest)
        is_plain = is_move and (from_memory or to_memory or is_renamed)
        if not is_plain:
            self["arithmetic"] += times * PORT_SLOTS.get(operation, 1)
        self["divider"] += times * DIVIDER.get((operation, bits), 0)

    def limit(self, bits):
        """Least cycles for this much, by what is busiest."""
        stores = PER_CYCLE["stores"][bits]
        ports = max(self["arithmetic"] / PER_CYCLE["arithmetic"], self["loads"] / PER_CYCLE["loads"], self["stores"] / stores)
        return max(ports, self["divider"])


LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes, LIBC.ptrace.restype = [ctypes.c_long] * 4, ctypes.c_long
TRACEME, PEEK, POKE, CONT, STEP, GETREGS, SETREGS = 0, 2, 5, 7, 9, 12, 13
RIP, RSP = 16, 19


def ptrace(request, pid, address=0, data=0):
    result = LIBC.ptrace(request, pid, address, data)
    if result == -1 and request != PEEK:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")
    return result


class Process:
    """A traced child."""

    def __init__(self, command):
        self.registers = (ctypes.c_ulonglong * 27)()
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            ptrace(TRACEME, 0)
            os.execv(command[0], command)
        self.wait()
        maps = Path(f"/proc/{self.pid}/maps").read_text()
        self.base = int(next(line for line in maps.splitlines() if command[0] in line).split("-")[0], 16)

    def wait(self):
        _, status = os.waitpid(self.pid, 0)
        if not os.WIFSTOPPED(status):
            raise RuntimeError(f"the program ended: {status}")

    def read_registers(self):
        ptrace(GETREGS, self.pid, 0, ctypes.addressof(self.registers))
        return self.registers[RIP]

    def run_to(self, address):
        word = ptrace(PEEK, self.pid, address)
        ptrace(POKE, self.pid, address, (word & ~0xFF) | 0xCC)
        ptrace(CONT, self.pid)
        self.wait()
        ptrace(POKE, self.pid, address, word)
        assert self.read_registers() == address + 1, "another stop"
        self.registers[RIP] = address
        ptrace(SETREGS, self.pid, 0, ctypes.addressof(self.registers))

    def trace(self):
        """Addresses, relative to the image, of all instructions until the present function returns."""
        self.read_registers()
        stack = self.registers[RSP]
        while self.registers[RSP] <= stack:
            yield self.registers[RIP] - self.base
            ptrace(STEP, self.pid)
            self.wait()
            self.read_registers()

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def trace_call(process, image, role, counts, share):
    """Adds what one call executes to the counts of the passes, divided by `share`; calls out of it go to the caller's pass."""
    process.run_to(process.base + image.entries[role])
    executed, label = collections.Counter(), REST
    for address in process.trace():
        label = image.passes.get(address, label)
        executed[address, label] += 1
    for (address, label), times in executed.items():
        counts[label].add(image.text.get(address, "call"), times / share)


def count(image, arguments, steps):
    """Counts by pass, per path-step: the mean over path-steps taken from the whole horizon."""
    counts = collections.defaultdict(Counts)
    process = Process([*arguments[:1], "1", *arguments[1:]])
    for number in range(steps):
        for _ in range(BATCH_PATHS * 70 // steps + 1):
            process.run_to(process.base + image.entries["advance"])
            ptrace(STEP, process.pid)
            process.wait()
        trace_call(process, image, "advance", counts, steps)
        trace_call(process, image, "open", counts, steps * BATCH_PATHS)
    process.kill()
    return counts


def sample(image, arguments, samples):
    """Parts of the time by pass."""
    process = Process([*arguments[:1], "1000000", *arguments[1:]])
    pid, found = process.pid, collections.Counter()
    ptrace(CONT, pid)
    time.sleep(1.0)
    while found.total() < samples:
        time.sleep(random.uniform(0.0005, 0.0025))
        os.kill(pid, signal.SIGSTOP)
        process.wait()
        label = image.place(process.read_registers() - process.base)
        found[label] += label != CLOCK
        ptrace(CONT, pid)
    process.kill()
    return {label: times / samples for label, times in found.items()}


def measure(arguments, repeats):
    """Clock frequencies (GHz) and times of a subnet-step (ns)."""
    lines = run(*arguments[:1], repeats, *arguments[1:]).splitlines()
    return list(zip(*[map(float, line.split()) for line in lines]))


def table(counts, parts, cycles, slots, bits):
    """Rows of figures per chunk of eight slots, and the total."""
    chunks = slots / CHUNK_SLOTS
    labels = [label for label, *_ in PASSES] + [COPIES, REST]
    rows, total = [], Counts()
    for label in labels:
        if not counts[label] and not parts.get(label):
            continue
        of_pass = Counts({key: value / chunks for key, value in counts[label].items()})
        total.update(of_pass)
        rows.append((label, of_pass, of_pass.limit(bits), parts.get(label, 0.0) * cycles))
    rows.append(("all", total, total.limit(bits), cycles))
    return rows


def render(rows, ghz):
    lines = [
        "| pass | vector operations | loads | stores | divider cycles | instructions | port limit (cycles) | measured (cycles) | share reached | ns per subnet-step | of which above the limit |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for label, counts, limit, cycles in rows:
        figures = [f"{counts[key]:.1f}" for key in ("arithmetic", "loads", "stores", "divider", "instructions")]
        share = f"{100 * limit / cycles:.0f} %" if cycles > 0 else ""
        ns, above = (value / ghz / CHUNK_SLOTS for value in (cycles, cycles - limit))
        lines.append(f"| {label} | {' | '.join(figures)} | {limit:.1f} | {cycles:.1f} | {share} | {ns:.2f} | {above:.2f} |")
    return "\n".join(lines)


def machine():
    info = Path("/proc/cpuinfo").read_text()
    fields = dict(re.findall(r"^(model name|cpu family|model|stepping)\s*: (.*)$", info, flags=re.M))
    return f"{fields['model name']} (family {fields['cpu family']}, model {fields['model']}, stepping {fields['stepping']}), {os.cpu_count()} cores"


def built():
    """The newest roofline bench binary."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target"))
    found = [path for path in (target / "release/deps").glob("roofline-*") if not path.suffix]
    return max(found, key=lambda path: path.stat().st_mtime, default=None) or sys.exit("run `cargo bench --no-run --bench roofline`")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", nargs="?")
    parser.add_argument("--slots", type=int, default=256, choices=(128, 256))
    parser.add_argument("--backend", default="avx512", choices=("avx512", "avx2"))
    parser.add_argument("--weighted", action="store_true", help="pools of unequal weights")
    parser.add_argument("--steps", type=int, default=10, help="path-steps that are stepped through")
    parser.add_argument("--samples", type=int, default=6000)
    parser.add_argument("--repeats", type=int, default=200, help="batches that are timed")
    parser.add_argument("--write", action="store_true", help="put the table into ROOFLINE.md")
    options = parser.parse_args()
    binary = str(options.binary or built())
    arguments = [binary, str(options.slots), options.backend] + ["weighted"] * options.weighted
    bits = 512 if options.backend == "avx512" else 256
    image = Image(binary, options.backend)
    load = os.getloadavg()[0]
    frequencies, times = measure(arguments, options.repeats)
    counts = count(image, arguments, options.steps)
    parts = sample(image, arguments, options.samples)
    ghz, median, least = statistics.median(frequencies), statistics.median(times), min(times)
    rows = table(counts, parts, median * ghz * CHUNK_SLOTS, options.slots, bits)
    limit = rows[-1][2] / ghz / CHUNK_SLOTS
    commit = run("git", "-C", HERE, "describe", "--always", "--dirty").strip()
    head = (
        f"{datetime.date.today()}, commit {commit}, {machine()}; {options.backend}, {options.slots} live slots"
        f"{', unequal weights' if options.weighted else ''}. Clock {ghz:.2f} GHz, load before {load:.1f}. "
        f"A subnet-step takes **{median:.2f} ns** (median of {options.repeats} batches of 32 paths, least {least:.2f}): the port limit, "
        f"{limit:.2f} ns, is reached to **{limit / median:.0%}** (least: {limit / least:.0%}). Figures are per chunk of eight slots."
    )
    text = f"{head}\n\n{render(rows, ghz)}\n"
    print(text)
    if options.write:
        key = f"{options.backend}-{options.slots}" + "-weighted" * options.weighted
        page = TABLE_FILE.read_text()
        pattern = re.compile(rf"(<!-- {key} -->\n).*?(<!-- end -->)", re.S)
        assert pattern.search(page), f"{TABLE_FILE} has no place for {key}"
        TABLE_FILE.write_text(pattern.sub(lambda match: match[1] + text + match[2], page))


if __name__ == "__main__":
    main()
