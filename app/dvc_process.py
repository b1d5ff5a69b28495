"""DVC as a child process: relay its lines without its hints; stop it on Ctrl-C and SIGTERM."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, cast

import psutil

from app import cache, locks
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout

BUSY = "another run is using this folder; wait until it ends, or stop it"
HINTS = (  # lines that DVC prints and has no setting to leave out
    "Generating lock file",
    "Updating lock file",
    "To track the changes with git, run:",
    "\tgit add ",
    "To enable auto staging, run:",
    "\tdvc config core.autostage",
    "Use `dvc push`",
)


def dvc(*args: str, say: Callable[[str], None]) -> int | None:
    """Run DVC with this Python, also for its stages. So nobody has to activate the environment.

    Args:
        args: DVC's arguments.
        say: receives each line of its stdout. Progress and errors go to stderr.

    Returns:
        DVC's exit code, or None if it was stopped. DVC and its stage have then ended.

    Raises:
        UserError: another run is using this folder.
    """
    if _busy():
        raise UserError(BUSY)
    locks.RWLOCK.unlink(missing_ok=True)  # DVC would take a zombie, or another's pid, for a run
    for line in locks.restore(Layout()):
        say(f"{line}\n")
    cache.distrust()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "app.watched_dvc", *args]
    env = {**os.environ, "PATH": path}
    signal.signal(signal.SIGTERM, _interrupt)
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            _relay(cast(IO[str], process.stdout), say)
            return process.wait()
        except KeyboardInterrupt:  # DVC and its stage received it too
            if "--keep-going" in args:
                process.kill()  # else it would go on with the next cell
            process.communicate()  # wait until the last of them has ended
            return None


def ask(*args: str) -> str:
    """Return what DVC prints in answer to a question, which changes nothing.

    Raises:
        UserError: another run holds DVC's lock, a lock file is damaged, or DVC cannot read the
            project.
    """
    command = [sys.executable, "-m", "dvc", *args]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if not _busy():
        locks.require_valid(Layout())  # DVC accepts some files that were cut off in a checksum
    if "is busy" in answer.stderr or "Unable to acquire lock" in answer.stderr:
        raise UserError(BUSY)
    if answer.returncode:
        raise UserError(answer.stderr.strip().splitlines()[0])
    return answer.stdout


def _busy() -> bool:
    """Whether a running process has locked a path of this folder.

    DVC would find the lock, too. But its message suggests to remove the lock.
    """
    try:
        users_of = json.loads(locks.RWLOCK.read_text())
    except (FileNotFoundError, ValueError):  # no run yet, or DVC is writing the file
        return False
    readers = [
        reader for path_readers in users_of.get("read", {}).values() for reader in path_readers
    ]
    users = [*users_of.get("write", {}).values(), *readers]
    return any(_is_alive(user["pid"]) for user in users)


def _is_alive(pid: int) -> bool:
    """Whether the process that locked a path still runs.

    After a kill, it may be a zombie until its parent has read its exit code. And its number may be
    that of a younger process.
    """
    try:
        process = psutil.Process(pid)
        written = locks.RWLOCK.stat().st_mtime
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= written + 1
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False


def _interrupt(*_: object) -> None:
    """Treat SIGTERM like Ctrl-C: interrupt all children, so that the caller can wait for them."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # so it is after `&` in a script
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.send_signal(signal.SIGTERM if ignored else signal.SIGINT)
    raise KeyboardInterrupt


def _relay(lines: Iterable[str], say: Callable[[str], None]) -> None:
    """Pass on all lines but the hints, and only one of several blank lines."""
    blank = False
    for line in lines:
        if not line.startswith(HINTS) and not (blank and line.isspace()):
            say(line)
            blank = line.isspace()
