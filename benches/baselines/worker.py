"""One baseline in a process of its own, in the environment of the Python that runs it: what `compare.py` starts.

    python worker.py NAME THREADS DESCRIPTOR      of a pipe: models, then requests; versions, then answers
"""

import sys
import time
from multiprocessing.connection import Connection


def main():
    name, threads, descriptor = sys.argv[1:]
    pipe = Connection(int(descriptor))
    try:
        serve(pipe, name, int(threads))
    except Exception as error:
        pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))


def serve(pipe, name, threads):
    """Answers requests with the baseline, after the versions that it runs on."""
    (models,) = pipe.recv()
    module = __import__(f"baseline_{name.removesuffix('_svml')}")
    exact, timed = (module.Runner(each, threads) for each in models)
    pipe.send(versions(name))
    while (request := pipe.recv())[0] != "close":
        pipe.send(exact.run(1, 1) if request[0] == "exact" else timed_run(timed, *request[1:]))
        if request[0] == "exact":
            exact.close()
            timed.run(1, 1)
    timed.close()


def timed_run(runner, paths, seed):
    start, cpu = time.perf_counter(), runner.cpu_seconds()
    result = runner.run(paths, seed)
    return time.perf_counter() - start, runner.cpu_seconds() - cpu, result


def versions(name):
    """What the baseline ran on."""
    library = name.split("_")[0]
    text = f"{library} {sys.modules[library].__version__}"
    if library == "numba":
        text += " with SVML" if sys.modules["numba"].config.USING_SVML else ""
    return text


if __name__ == "__main__":
    main()
