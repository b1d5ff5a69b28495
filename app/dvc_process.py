"""DVC as a child: its lines as they come, without its hints; stopped by Ctrl-C and SIGTERM."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, cast

import psutil

from pipeline.core.errors import UserError

HINTS = (  # of dvc, which has no setting to leave them out
    "Generating lock file",
    "Updating lock file",
    "To track the changes with git, run:",
    "\tgit add ",
    "To enable auto staging, run:",
    "\tdvc config core.autostage",
    "Use `dvc push`",
)


def dvc(*args: str, say: Callable[[str], None]) -> int | None:
    """Run dvc, its stages with this very Python: the environment need not be activated.

    Args:
        args: of dvc.
        say: takes each line of its stdout; progress and errors are on stderr.

    Returns:
        Its exit code, or None if it was stopped; it and its stage have then ended.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "dvc", *args]
    env = {**os.environ, "PATH": path}
    signal.signal(signal.SIGTERM, _interrupt)
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            _relay(cast(IO[str], process.stdout), say)
            return process.wait()
        except KeyboardInterrupt:  # dvc and its stage got it too
            if "--keep-going" in args:
                process.kill()  # it would go on with the next cell
            process.communicate()  # until the last of them has ended
            return None


def ask(*args: str) -> str:
    """What dvc prints, for a question that changes nothing.

    Raises:
        UserError: another run holds DVC's lock, or DVC cannot read the project.
    """
    command = [sys.executable, "-m", "dvc", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "is busy" in done.stderr or "Unable to acquire lock" in done.stderr:
        raise UserError("another run is at work in this folder; wait for its end, or stop it")
    if done.returncode:
        raise UserError(done.stderr.strip().splitlines()[0])
    return done.stdout


def _interrupt(*_: object) -> None:
    """Make of SIGTERM what Ctrl-C is: all that was started here ends, and is waited for."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as `&` in a script has it
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.send_signal(signal.SIGTERM if ignored else signal.SIGINT)
    raise KeyboardInterrupt


def _relay(lines: Iterable[str], say: Callable[[str], None]) -> None:
    blank = False
    for line in lines:
        if not line.startswith(HINTS) and not (blank and line.isspace()):
            say(line)
            blank = line.isspace()
