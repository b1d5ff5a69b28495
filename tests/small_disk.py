"""Run the chain on a disk that is too small, and give it more room each time it stops.

`python -m tests.small_disk` (Linux, as root, because it mounts a tmpfs). A run must stop with a
line about the disk; at the end, the outputs must have the same bytes as those of a run with room.
"""

import argparse
import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.kills import finish, outputs, running
from tests.project import TINY, Project

FULL = re.compile(r"no space left|disk is full", re.IGNORECASE)
MIB = 1 << 20


@contextlib.contextmanager
def disk(folder: Path, *, size: int) -> Iterator[None]:
    """Mount a tmpfs of `size` bytes on `folder`."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    subprocess.run(["mount", *options], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def grow(folder: Path, *, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def used(folder: Path) -> int:
    return shutil.disk_usage(folder).used


def stopped_at(log: str) -> str:
    """Return the stage that was running when the disk was full."""
    return (re.findall(r"Running stage '(.*)'", log) or ["before the first stage"])[-1]


def run(project: Project, log: Path) -> bool:
    """Run the chain. Return whether it finished.

    Raises:
        AssertionError: it stopped without a word about the disk, or with a traceback.
    """
    log.write_text("")
    with running(project, 1, log) as process:
        code = process.wait()
    text = log.read_text()
    assert code == 0 or FULL.search(text), text[-3000:]
    assert "Traceback" not in text, text[-3000:]
    return code == 0


def survive(folder: Path, *, step: int) -> list[str]:
    """Run the chain with `step` bytes more each time it stops.

    Returns:
        The stage at which each run stopped.
    """
    log, stages = folder / "log.txt", []
    fresh = Project.clone(folder / "fresh")
    fresh.change(TINY)
    fresh.commit()
    whole = fresh.copy(folder / "whole")
    finish(whole, 1, log)
    with disk(folder / "disk", size=1 << 30):
        project = fresh.copy(folder / "disk/project")
        size = used(folder / "disk") + step
        grow(folder / "disk", size=size)
        while not run(project, log):
            stages.append(stopped_at(log.read_text()))
            print(f"{size / MIB:.1f} MiB: full at {stages[-1]}", flush=True)
            size = max(size, used(folder / "disk")) + step
            grow(folder / "disk", size=size)
        got, expected = outputs(project.root), outputs(whole.root)
    different = {f for f in got.keys() | expected.keys() if got.get(f) != expected.get(f)}
    assert not different, f"{len(different)} files differ: {sorted(different)[:5]}"
    return stages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--step", type=float, default=2.0, help="MiB that each run adds")
    args = parser.parse_args()
    if not sys.platform.startswith("linux"):
        sys.exit("needs Linux, to mount a tmpfs")
    with TemporaryDirectory() as folder:
        stages = survive(Path(folder), step=round(args.step * MIB))
    print(f"survived, with the same bytes. Full {len(stages)} times, in {len(set(stages))} stages")


if __name__ == "__main__":
    main()
