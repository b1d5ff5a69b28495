"""Watch a folder: segment each photograph once it is complete."""

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from time import sleep

from app.predict import Predictor, Results
from app.sources import Source, in_folder
from pipeline.core.errors import UserError

SECONDS = 1.0  # between two looks
State = tuple[int, int]  # of a file: size and time of the last change


def segment_new(predictor: Predictor, folder: Path, *, say: Callable[[str], None]) -> Results:
    """Segment what is in a folder and what is put into it, until Ctrl-C.

    Args:
        predictor: the segmenter.
        folder: the folder, with its subfolders.
        say: takes a line for people.

    Raises:
        UserError: the folder does not exist or cannot be read; or as `Predictor.segment`.
    """
    results, owners = Results(0, 0, predictor.net.classes, ()), dict[str, Path]()
    say(f"watching {folder}; stop with Ctrl-C")
    with contextlib.suppress(KeyboardInterrupt):
        for sources in new_sources(folder):
            same = [s for s in sources if owners.setdefault(s.id, s.path) == s.path]
            clashes = [
                f"{s.path}: another image is already called '{s.id}'; rename it"
                for s in sources
                if s not in same
            ]
            with contextlib.redirect_stderr(io.StringIO()):  # no progress bar for each look
                made = predictor.segment(same) + Results(0, 0, (), tuple(clashes))
            results += made
            for message in made.skipped:
                say(f"skipped: {message}")
            if made.count:
                say(f"{', '.join(s.id for s in same)}: done")
    return results


def new_sources(folder: Path) -> Iterator[list[Source]]:
    """Yield the photographs that are new or have changed, and are complete.

    A file is complete if its size and time were the same at the last look.

    Raises:
        UserError: the folder does not exist or cannot be read.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: is no folder; make it, or watch another one")
    before: dict[Source, State] = {}
    given: dict[Source, State] = {}
    while True:
        now = _look(folder)
        chosen = [s for s, state in now.items() if before.get(s) == state != given.get(s)]
        given |= {source: now[source] for source in chosen}
        before = now
        if chosen:
            yield chosen
        sleep(SECONDS)


def _look(folder: Path) -> dict[Source, State]:
    states = {}
    for source in in_folder(folder, may_be_empty=True):
        try:
            stat = source.path.stat()
        except OSError:  # it was removed in the meantime
            continue
        states[source] = (stat.st_size, stat.st_mtime_ns)
    return states
