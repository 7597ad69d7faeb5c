#!/usr/bin/env python3
"""A run in shards under HyperQueue, inside an allocation, and then their merge: run.py --help.

Without --server-dir it begins a server and a worker on this node and ends them with itself; with it, the shards go to the workers
of a server that runs already (the wheel has no `hq` command to begin workers on other nodes: the site's own is needed). Finished
shards are not simulated again, and interrupted ones go on: the same command in the next allocation does what is missing.
"""

import argparse
import contextlib
import os
import sys
import tempfile
from pathlib import Path

from hyperqueue import Client, Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
from hyperqueue.ffi.protocol import ResourceRequest

# Exit codes of the program and of this script.
BAD_INPUT, INTERRUPTED = 2, 3
ROUNDS_MAX = 4


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", type=Path)
    parser.add_argument("out", type=Path, help="directory of the run; shards and logs go to OUT.shards")
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--cpus", type=int, default=16, help="cores of a shard, which is its number of threads")
    parser.add_argument("--program", default="taorisk")
    parser.add_argument("--server-dir", type=Path, help="of a HyperQueue server that runs already")
    parser.add_argument("run_flags", nargs="*", metavar="FLAG", help="flags of `taorisk run`, after --")
    return parser.parse_args()


@contextlib.contextmanager
def client_of(server_dir):
    """A client of the server, or of one of its own with all cores that this process may use."""
    if server_dir:
        yield Client(server_dir)
        return
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="hq-") as directory:
        with LocalCluster(directory, WorkerConfig(cores=cores)) as cluster:
            yield cluster.client()


def job_of(wanted, parts):
    """All shards, and the merge that waits for them."""
    job = Job(name="taorisk", max_fails=None, default_workdir=Path.cwd())

    def task(name, cpus, words, after=()):
        log = {"stdout": f"{parts}/{name}.out", "stderr": f"{parts}/{name}.err"}
        command = [wanted.program, *map(str, words), "--quiet"]
        return job.program(command, name=name, deps=after, resources=ResourceRequest(cpus=cpus), **log)

    of = wanted.shards
    run = ["run", wanted.scenario, "--out", parts, "--resume", "--threads", wanted.cpus, *wanted.run_flags]
    shards = [task(f"shard-{shard}", wanted.cpus, [*run, "--shard", f"{shard}/{of}"]) for shard in range(1, of + 1)]
    directories = [f"{parts}/shard-{shard}-of-{of}" for shard in range(1, of + 1)]
    task("merge", 1, ["merge", *directories, "--out", wanted.out], shards)
    return job


def main():
    wanted = options()
    parts = Path(f"{wanted.out}.shards").resolve()
    parts.mkdir(parents=True, exist_ok=True)
    with client_of(wanted.server_dir) as client:
        for _ in range(ROUNDS_MAX):
            job = job_of(wanted, parts)
            submitted = client.submit(job)
            if client.wait_for_jobs([submitted], raise_on_error=False):
                print(f"{wanted.shards} shards are merged in {wanted.out}")
                return 0
            failed = client.get_failed_tasks(submitted)
            for task, failure in failed.items():
                print(f"{job.task_by_id(task).label}: {failure.error} See {failure.stderr}", file=sys.stderr)
            # Bad input and failures of the program stay what they are; interrupted and killed shards go on.
            errors = [failure.error for failure in failed.values()]
            if any(f"exit code {code}." in error for code in (1, BAD_INPUT) for error in errors):
                return BAD_INPUT if any(f"exit code {BAD_INPUT}." in error for error in errors) else 1
    print(f"not done after {ROUNDS_MAX} rounds; the same command goes on", file=sys.stderr)
    return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
