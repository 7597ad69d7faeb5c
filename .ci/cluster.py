"""Runs in parts, on the engines that place them: every merged run has the files of the single run, byte for byte.

    .ci/cluster.py PROGRAM WORK shards        seven shards in random order, two of them killed and resumed
    .ci/cluster.py PROGRAM WORK slurm         an array of 16 tasks on real daemons, three of them stopped and requeued
    .ci/cluster.py PROGRAM WORK kubernetes    what the manifests' containers run; needs PyYAML
    .ci/cluster.py PROGRAM WORK hyperqueue    a local cluster; needs hyperqueue
"""

import contextlib
import ctypes
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

CLUSTER = Path(__file__).resolve().parents[1] / "configs/cluster"
# A finished shard and one on its way, in the directory of the shard.
FINISHED, JOURNAL = "shard.journal", ".journal.partial"
# Of a journal with a block of paths in it, and not only a header.
BLOCK_BYTES = 200_000


def fail(problem):
    sys.exit(f"error: {problem}")


def wait_for(what, condition, seconds=120, pause=0.005):
    """The first true value of `condition`."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            fail(f"{what}: not within {seconds} s")
        time.sleep(pause)
    return value


def digests(directory):
    """SHA-256 of all files of a run, but for the one that tells how it went."""
    files = sorted(path for path in Path(directory).iterdir() if path.name != "runtime.json")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class Runs:
    """A scenario in a place of its own, its single run and its shards."""

    def __init__(self, program, place, paths, days):
        self.program, self.place = program, place
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        self.scenario, self.out = place / "scenario.toml", place / "merged"
        self.parts = Path(f"{self.out}.shards")
        self.scenario.write_text(f"[run]\npaths = {paths}\nhorizon_days = {days}\nseed = 11\n")

    def call(self, *arguments):
        return subprocess.Popen([self.program, *map(str, arguments), "--quiet"], stdout=subprocess.DEVNULL)

    def start(self, shard, shards):
        """On one thread, so that many cores do not end it before it is looked at."""
        part = ("--shard", f"{shard}/{shards}", "--out", self.parts)
        return self.call("run", self.scenario, *part, "--resume", "--threads", 1)

    def finish(self, *arguments):
        if code := self.call(*arguments).wait():
            fail(f"exit code {code} of {arguments}")

    def journal(self, shard, shards, name=JOURNAL):
        return self.parts / f"shard-{shard}-of-{shards}" / name

    def is_under_way(self, shard, shards):
        """Whether it has some of its paths and not all."""
        try:
            return self.journal(shard, shards).stat().st_size > BLOCK_BYTES
        except OSError:
            return False

    def check_merged(self, merged=None):
        """Holds the merged run against a single one."""
        single, merged = self.place / "single", merged or self.out
        self.finish("run", self.scenario, "--out", single)
        expected, found = digests(single), digests(merged)
        if found != expected:
            names = [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
            fail(f"{merged} differs from the single run in {', '.join(sorted(names))}")
        whole = hashlib.sha256("".join(expected.values()).encode()).hexdigest()
        print(f"{len(found)} files are those of the single run, byte for byte; SHA-256 of their SHA-256: {whole}")


def shards(program, work):
    """Shards in random order; two of them are killed with some of their paths done, and run again."""
    count, seed = 7, int.from_bytes(os.urandom(4))
    chance = random.Random(seed)
    runs = Runs(program, work / "shards", 42_000, 30)
    order = chance.sample(range(1, count + 1), count)
    killed = chance.sample(order, 2)
    print(f"order {order}, killed {killed} (seed {seed})")
    for shard in order:
        run = runs.start(shard, count)
        if shard in killed:
            wait_for(f"shard {shard} under way", lambda: runs.is_under_way(shard, count) or run.poll() is not None)
            run.kill()
            if run.wait() != -signal.SIGKILL:
                fail(f"shard {shard} ended before it could be killed")
            print(f"shard {shard}: killed with {runs.journal(shard, count).stat().st_size:,} bytes in its journal")
            run = runs.start(shard, count)
        if code := run.wait():
            fail(f"shard {shard}: exit code {code}")
    directories = [runs.journal(shard, count).parent for shard in order]
    runs.finish("merge", *directories, "--out", runs.out)
    runs.check_merged()


SLURM_CONF = """\
ClusterName=taorisk
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={place}/munge.socket
CredType=cred/munge
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
# Nothing of cgroups: none can be had in a container.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,batch_sched_delay=0
ReturnToService=2
KillWait=5
NodeName={node} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def daemon(name):
    """Its path, which is not on everyone's."""
    return shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])) or fail(f"no {name} here")


class Slurm:
    """slurmctld, slurmd and munged of the current user, below a directory."""

    def __init__(self, place):
        self.place, self.daemons = place, []

    def __enter__(self):
        # munged refuses sockets and keys where others may write or cannot look.
        for directory in (self.place, self.place / "state", self.place / "spool"):
            directory.mkdir(mode=0o755)
        key = self.place / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        user = subprocess.check_output(["id", "-un"], text=True).strip()
        self.node = socket.gethostname().split(".")[0]
        conf = self.place / "slurm.conf"
        facts = {"node": self.node, "ports": free_ports(2), "user": user, "place": self.place, "cpus": os.cpu_count()}
        conf.write_text(SLURM_CONF.format(**facts))
        # The plugin that touches nothing before it is used; since 23.11 there is one that does nothing.
        version = subprocess.check_output([daemon("slurmctld"), "-V"], text=True).strip()
        print(version)
        plugin = "disabled" if int(re.search(r" (\d+)\.", version)[1]) > 23 else "cgroup/v1"
        (self.place / "cgroup.conf").write_text(f"CgroupPlugin={plugin}\n")
        os.environ["SLURM_CONF"] = str(conf)
        try:
            self.start_all()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start_all(self):
        place = self.place
        files = [f"--{name}-file={place}/munged.{name}" for name in ("pid", "log", "seed")]
        self.start("munged", "--foreground", "--force", f"--key-file={place}/munge.key",
                   f"--socket={place}/munge.socket", *files)
        wait_for("munged", (place / "munge.socket").exists)
        self.start("slurmctld", "-D", "-i")
        self.start("slurmd", "-D", "-N", self.node)
        wait_for("an idle node", lambda: "idle" in self.ask("sinfo", "--noheader", "--format=%T"))

    def start(self, program, *arguments):
        with open(self.place / f"{program}.out", "wb") as log:
            command = [daemon(program), *arguments]
            self.daemons.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))

    def ask(self, *command):
        """What a command of Slurm prints; nothing where it fails."""
        for daemon in self.daemons:
            if daemon.poll() is not None:
                fail(f"{daemon.args[0]} ended: {(self.place / Path(daemon.args[0]).name).with_suffix('.out').read_text()}")
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout

    def jobs(self):
        """State and pending reason of all jobs that are in the queue, by id; of tasks by JOB_TASK."""
        lines = self.ask("squeue", "--noheader", "--array", "--format=%i %T %r").splitlines()
        return {identity: (state, reason) for identity, state, reason in (line.split(maxsplit=2) for line in lines)}

    def __exit__(self, *_):
        for daemon in reversed(self.daemons):
            daemon.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(10)
        end_descendants()


def adopt():
    """Makes this process the parent of all its orphaned descendants: the steps of slurmd are none of its children."""
    set_child_subreaper = 36
    if ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0):
        fail("this process cannot adopt")


def end_descendants():
    """Kills all children, and those that become children by it."""
    while True:
        for process in processes():
            with contextlib.suppress(OSError):
                if parent(process) == os.getpid():
                    os.kill(process, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def processes(start=""):
    """Processes of this machine with a command line that starts so; its words end with a NUL each."""
    for directory in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if directory.name.isdigit() and (directory / "cmdline").read_bytes().startswith(start.encode()):
                yield int(directory.name)


def parent(process):
    return int(re.search(r"^PPid:\s*(\d+)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)[1])


def slurm(program, work):
    """The array as `submit` submits it. Of three tasks, with some of their paths done, one is requeued by Slurm, the program
    of one is killed, and one is told that its time is up."""
    count = 16
    runs = Runs(program, work / "slurm", 56_000, 30)
    with Slurm(work / "slurm/daemons") as cluster:
        settings = {"SHARDS": str(count), "CPUS": "1", "TAORISK": program, "SBATCH_MEM_PER_NODE": "0"}
        submit = [CLUSTER / "slurm/submit", runs.scenario, runs.out]
        told = subprocess.check_output(submit, env=os.environ | settings, text=True)
        print(told, end="")
        array, merge = re.fullmatch(r"shards: job (\d+), merge: job (\d+)\n", told).groups()
        disturb(cluster, runs, array, count)
        follow(cluster, runs, array, merge, count)
    runs.check_merged()


def disturb(cluster, runs, array, count):
    """Stops a task that is under way, three times in three ways."""
    ways = {
        "requeued by scontrol": lambda job, _: subprocess.check_call(["scontrol", "requeue", job]),
        "its program killed": lambda _, process: os.kill(process, signal.SIGKILL),
        # As --signal=B does. (scancel --batch --signal says the same, but retries for a minute while the array is not all begun.)
        "told that its time is up": lambda _, process: os.kill(parent(process), signal.SIGUSR1),
    }
    stopped = set()

    def next_one():
        """A shard under way and its process, held so that it does not end meanwhile."""
        for shard in set(range(1, count + 1)) - stopped:
            if runs.is_under_way(shard, count):
                command = f"{runs.program}\0run\0{runs.scenario}\0--shard\0{shard}/{count}\0"
                for process in processes(command):
                    os.kill(process, signal.SIGSTOP)
                    if runs.journal(shard, count).exists():
                        return shard, process
        return None

    for way, stop in ways.items():
        shard, process = wait_for("a task under way", next_one)
        print(f"task {shard}: {way}, with {runs.journal(shard, count).stat().st_size:,} bytes in its journal")
        stop(f"{array}_{shard}", process)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)
        stopped.add(shard)


def follow(cluster, runs, array, merge, count):
    """Waits for all; tasks that were requeued go at once, and not after the two minutes that Slurm makes them wait."""
    requeued, begun = set(), time.monotonic()

    def is_over():
        jobs = cluster.jobs()
        for identity, (state, reason) in jobs.items():
            if identity.startswith(f"{array}_") and state == "PENDING" and reason == "BeginTime" and identity not in requeued:
                subprocess.check_call(["scontrol", "update", f"JobId={identity}", "StartTime=now"])
                requeued.add(identity)
        return not jobs

    wait_for("the end of all jobs", is_over, 300, 0.2)
    print(f"all jobs done after {time.monotonic() - begun:.0f} s; {', '.join(sorted(requeued))} were requeued")
    if len(requeued) != 3:
        fail(f"requeued: {sorted(requeued)}, not three")
    missing = [shard for shard in range(1, count + 1) if not runs.journal(shard, count, FINISHED).exists()]
    if missing or not (runs.out / "manifest.json").exists():
        logs = "".join(path.read_text() for path in runs.parts.glob("*.log"))
        fail(f"unfinished shards: {missing}; job {merge} has merged: {runs.out.exists()}\n{logs}")


def kubernetes(program, work):
    """What the containers of the manifests run, on directories in place of volumes; one shard is interrupted, and the policy
    must say of each exit code what is right."""
    import yaml

    job, merge = ((yaml.safe_load((CLUSTER / f"kubernetes/{name}.yaml").read_text())["spec"]) for name in ("shards", "merge"))
    count = job["completions"]
    for one in (job, merge):
        if {entry["name"]: entry.get("value") for entry in container_of(one)["env"]}["SHARDS"] != str(count):
            fail(f"SHARDS is not completions, {count}")
    runs = Runs(program, work / "kubernetes", 32_000, 30)
    (runs.place / "bin").mkdir()
    (runs.place / "bin/taorisk").symlink_to(program)
    # Pods see the scenario where the single run finds it: manifests of runs name their input files.
    volumes = {"/scenario": runs.place, "/data": runs.place}
    runs.parts, runs.out = runs.place / "parts", runs.place / "run"

    for index in range(count):
        pod = start_pod(job, volumes, index)
        if index == 2:
            wait_for("a shard under way", lambda: runs.is_under_way(index + 1, count) or pod.poll() is not None)
            pod.terminate()
            expect(job, pod, 3, "Ignore")
            pod = start_pod(job, volumes, index)
        if code := pod.wait():
            fail(f"index {index}: exit code {code}")
    complete = runs.journal(1, count).parent
    complete.rename(runs.place / "elsewhere")
    expect(merge, start_pod(merge, volumes), 2, "FailJob")
    (runs.place / "elsewhere").rename(complete)
    if code := start_pod(merge, volumes).wait():
        fail(f"merge: exit code {code}")
    runs.check_merged()
    runs.scenario.write_text("[run]\npaths = -1\n")
    expect(job, start_pod(job, volumes, 0), 2, "FailJob")


def container_of(job):
    (container,) = job["template"]["spec"]["containers"]
    return container


def start_pod(job, volumes, index=0):
    """The command of a job's container, with its environment and with directories for its volumes."""
    container = container_of(job)
    paths = {mount["mountPath"]: volumes[mount["mountPath"]] for mount in container["volumeMounts"]}
    words = container["command"] + container["args"]
    for mounted, directory in paths.items():
        words = [word.replace(f"{mounted}/", f"{directory}/") for word in words]
    # A limit of cores comes as their number; one, as above.
    values = {entry["name"]: entry.get("value", "1") for entry in container["env"]}
    path = os.pathsep.join([str(volumes["/data"] / "bin"), os.environ["PATH"]])
    environment = {"PATH": path, "JOB_COMPLETION_INDEX": str(index)} | values
    return subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def expect(job, pod, code, action):
    """That a pod ends with a code for which the job's policy has this action."""
    said = pod.communicate()[1].strip()
    if pod.returncode != code:
        fail(f"exit code {pod.returncode}, not {code}: {said}")
    for rule in job["podFailurePolicy"]["rules"]:
        if code in rule.get("onExitCodes", {}).get("values", []):
            if rule["action"] == action:
                print(f"exit code {code}: {action} ({said.splitlines()[0]})")
                return
    fail(f"no {action} for exit code {code}")


def hyperqueue(program, work):
    """The script on a local cluster; one shard is killed under way, and goes on in the next round."""
    count = 8
    runs = Runs(program, work / "hyperqueue", 32_000, 30)
    script = [CLUSTER / "hyperqueue/run.py", "--shards", str(count), "--cpus", "1", "--program", program]
    run = subprocess.Popen([sys.executable, *script, runs.scenario, runs.out], stderr=subprocess.STDOUT, stdout=subprocess.PIPE,
                           text=True)

    def next_one():
        for shard in range(1, count + 1):
            if runs.is_under_way(shard, count):
                for process in processes(f"{program}\0run\0"):
                    if f"\0{shard}/{count}\0" in Path(f"/proc/{process}/cmdline").read_text():
                        os.kill(process, signal.SIGKILL)
                        return shard
        return None if run.poll() is None else fail(f"ended early: {run.communicate()[0]}")

    killed = wait_for("a shard under way", next_one)
    told = run.communicate()[0]
    if run.returncode or f"shard-{killed}: Program terminated" not in told or "SIGKILL" not in told:
        fail(f"exit code {run.returncode}: {told}")
    print(f"shard {killed} was killed; then:", told.splitlines()[-1])
    runs.check_merged()
    runs.scenario.write_text("[run]\npaths = -1\n")
    if (code := subprocess.run([sys.executable, *script, runs.scenario, work / "hyperqueue/bad"], capture_output=True).returncode) != 2:
        fail(f"bad input: exit code {code}, not 2")


def main():
    program, work, test = sys.argv[1:]
    adopt()
    # Then as at any other end, what was begun is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    tests = {"shards": shards, "slurm": slurm, "kubernetes": kubernetes, "hyperqueue": hyperqueue}
    tests[test](str(Path(program).resolve()), Path(work).resolve())


if __name__ == "__main__":
    main()
