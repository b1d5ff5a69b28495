"""Run the chain on a machine that is too small, and give it more room each time it stops.

`python -m tests.small_machine disk` (Linux, as root, because it mounts a tmpfs) and
`python -m tests.small_machine memory` (Linux). A run should stop with a line about the disk or the
memory; those that do not are counted. At the end, the outputs must have the same bytes as those of
a run with room.
"""

import argparse
import re
import resource
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.kills import finish, outputs, running
from tests.project import TINY, Project

MIB = 1 << 20


@dataclass(frozen=True)
class Limit:
    """What is too small: how to set its size, how much the project uses, and what a run says."""

    set: Callable[[Path, int], None]
    used: Callable[[Path], int]
    says: re.Pattern[str]
    step_mib: float


def set_disk(folder: Path, size: int) -> None:
    """Mount a tmpfs of `size` bytes on `folder`, or change its size."""
    change = "remount," if folder.is_mount() else ""
    options = ["-t", "tmpfs", "-o", f"{change}size={size}", "tmpfs", str(folder)]
    subprocess.run(["mount", *options], check=True)


def set_memory(_: Path, size: int) -> None:
    """Limit the data of this process, and of each that it starts, to `size` bytes."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (size, hard))


LIMITS = {
    "disk": Limit(
        set_disk,
        lambda folder: shutil.disk_usage(folder).used,
        re.compile(r"no space left|disk is full", re.IGNORECASE),
        step_mib=2,
    ),
    "memory": Limit(
        set_memory,
        lambda _: 150 * MIB,  # less than DVC needs
        re.compile(r"memory ran out|cannot allocate memory", re.IGNORECASE),
        step_mib=25,
    ),
}


def stopped_at(log: str) -> str:
    """Return the stage that was running when the run stopped."""
    return (re.findall(r"Running stage '(.*)'", log) or ["before the first stage"])[-1]


def run(project: Project, log: Path) -> bool:
    """Run the chain. Return whether it finished."""
    log.write_text("")
    with running(project, 1, log) as process:
        return process.wait() == 0


def survive(folder: Path, *, limit: Limit, step: int) -> list[str]:
    """Run the chain with `step` bytes more each time it stops.

    Returns:
        The stage at which each run stopped, and what it said: a line, or a traceback.
    """
    log, stages = folder / "log.txt", []
    fresh = Project.clone(folder / "fresh")
    fresh.change(TINY)
    fresh.commit()
    whole = fresh.copy(folder / "whole")
    finish(whole, 1, log)
    small = folder / "small"
    small.mkdir()
    if limit is LIMITS["disk"]:
        limit.set(small, 1 << 30)
    try:
        project = fresh.copy(small / "project")
        size = limit.used(small) + step
        limit.set(small, size)
        while not run(project, log):
            text = log.read_text()
            line = limit.says.search(text) and "Traceback" not in text
            stages.append(f"{stopped_at(text)}, {'a line' if line else 'a traceback'}")
            if not line:
                print(text[-3000:], flush=True)
            print(f"{size / MIB:.1f} MiB: stopped at {stages[-1]}", flush=True)
            size = max(size, limit.used(small)) + step
            limit.set(small, size)
        got, expected = outputs(project.root), outputs(whole.root)
    finally:
        if small.is_mount():
            subprocess.run(["umount", "--lazy", str(small)], check=True)
    different = {f for f in got.keys() | expected.keys() if got.get(f) != expected.get(f)}
    assert not different, f"{len(different)} files differ: {sorted(different)[:5]}"
    return stages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=sorted(LIMITS))
    parser.add_argument("--step", type=float, help="MiB that each run adds")
    args = parser.parse_args()
    if not sys.platform.startswith("linux"):
        sys.exit("needs Linux")
    limit = LIMITS[args.what]
    with TemporaryDirectory() as folder:
        stages = survive(Path(folder), limit=limit, step=round((args.step or limit.step_mib) * MIB))
    print(f"survived, with the same bytes. Stopped {len(stages)} times:")
    for stage, count in Counter(stages).items():
        print(f"{stage}: {count}")


if __name__ == "__main__":
    main()
