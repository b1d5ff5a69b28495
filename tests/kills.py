"""Kill the chain at random moments and resume it; at the end, its outputs have the same bytes.

`python -m tests.kills` (`make kills`) does this with one process, then with two ranks. Each kill is
a SIGKILL of all processes of `python cli.py run`. Every second kill waits for DVC to write a lock
file, which is then often cut off.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from pipeline.core import formats
from pipeline.core.layout import Layout
from tests.project import TINY, Project, wait_for

RESTORED = "restored its last valid copy"
NOT_COMPARED = ("log", "lists")  # times; what git holds


def outputs(root: Path) -> dict[str, str]:
    """Return the digest of each file that the chain made."""
    data = root / "data"
    files = (p for p in data.rglob("*") if p.is_file())
    return {
        p.relative_to(data).as_posix(): formats.digest(p)
        for p in files
        if p.relative_to(data).parts[0] not in NOT_COMPARED
    }


@contextlib.contextmanager
def running(project: Project, nproc: int, log: Path) -> Iterator[subprocess.Popen]:
    """Run the chain in a session of its own, so that all its processes can be killed at once."""
    command = [sys.executable, "cli.py", "run", "--nproc", str(nproc)]
    with log.open("a") as out, subprocess.Popen(
        command, cwd=project.root, stdout=out, stderr=out, start_new_session=True,
        env=project.env(GUIDELABEL_WORKERS="2"),
    ) as run:  # fmt: skip
        yield run


def written(project: Project) -> list[float]:
    """When DVC wrote each lock file."""
    locks = Layout(project.root).locks
    return [lock.stat().st_mtime if lock.exists() else 0.0 for lock in locks]


def killed(project: Project, nproc: int, log: Path, *, seconds: float, at_write: bool) -> bool:
    """Run the chain, and kill it after `seconds`; `at_write`: when DVC next writes a lock file.

    Returns:
        Whether it was killed. Otherwise it ended before.
    """
    with running(project, nproc, log) as run:
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(seconds)
        before = written(project)
        while at_write and run.poll() is None and written(project) == before:
            time.sleep(0.001)
        if run.poll() is not None:
            return False
        os.killpg(run.pid, signal.SIGKILL)
    wait_for(lambda: not [p for p in psutil.process_iter(["cwd"])
                          if p.info["cwd"] == str(project.root)], seconds=60)  # fmt: skip
    return True


def finish(project: Project, nproc: int, log: Path) -> None:
    """Run the chain to its end."""
    with running(project, nproc, log) as run:
        assert run.wait() == 0, log.read_text()[-3000:]


def undisturbed(folder: Path, *, nproc: int) -> Project:
    """Run the chain without a kill."""
    whole = Project.clone(folder)
    whole.change(TINY)
    whole.commit()
    finish(whole, nproc, folder.with_suffix(".txt"))
    return whole


def survive(
    folder: Path, whole: Project, *, kills: int, nproc: int, random_seed: int, interval: float
) -> dict[str, int]:
    """Kill the chain `kills` times, and compare its outputs with those of `whole`.

    The moments are uniformly distributed; `interval` is their mean distance in seconds.

    If a chain ends before it was killed so often, another one starts from nothing.

    Returns:
        How many kills and chains there were, and how often a lock file was restored.
    """
    chance, log = random.Random(random_seed), folder / "log.txt"
    fresh = whole.copy(folder / "fresh")
    fresh.run("git", "reset", "--hard", "--quiet")  # the same commit, which the records name
    fresh.run("git", "clean", "-ffdxq")
    expected, done, chains = outputs(whole.root), 0, 0
    while done < kills:
        chains += 1
        project = fresh.copy(folder / f"chain{chains}")
        before = done
        while done < kills and killed(project, nproc, log, at_write=done % 2 == 1,
                                      seconds=chance.uniform(0, 2 * interval)):  # fmt: skip
            done += 1
        assert done > before, "the chain ended before its first kill"
        finish(project, nproc, log)
        got = outputs(project.root)
        different = {f for f in got.keys() | expected.keys() if got.get(f) != expected.get(f)}
        assert not different, f"{len(different)} files differ: {sorted(different)[:5]}"
        print(f"chain {chains}: same bytes after {done - before} kills, {done} in all", flush=True)
        shutil.rmtree(project.root)
    return {"kills": done, "chains": chains, "locks restored": log.read_text().count(RESTORED)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30, help="for each number of processes")
    parser.add_argument("--nproc", type=int, nargs="*", default=[1, 2], help="numbers of processes")
    parser.add_argument("--interval", type=float, default=8.0, help="mean seconds between kills")
    parser.add_argument("--seed", type=int, default=7, help="chooses the moments")
    args = parser.parse_args()
    for nproc in args.nproc:
        with TemporaryDirectory() as folder:
            whole = undisturbed(Path(folder) / "whole", nproc=nproc)
            result = survive(
                Path(folder), whole, kills=args.kills, nproc=nproc, random_seed=args.seed,
                interval=args.interval,
            )  # fmt: skip
        counts = ", ".join(f"{name}: {count}" for name, count in result.items())
        print(f"{nproc} process(es): survived, with the same bytes. {counts}", flush=True)


if __name__ == "__main__":
    main()
