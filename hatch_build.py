"""What a wheel holds: one package `guidelabel`, which this hook makes while hatchling builds it.

    guidelabel/            of the repository
    guidelabel/cli.py      and app/, pipeline/: the same code, its imports rewritten
    guidelabel/project/    the files of a new project, as they are

So a wheel puts no package called `app` or `pipeline` into anybody's environment.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PACKAGE = "guidelabel"
CODE = ("guidelabel/*.py", "cli.py", "app/**/*.py", "pipeline/**/*.py", "pipeline/**/templates/*")
OURS = ("app", "cli", "pipeline")
NAME = re.compile(rf"(?:{'|'.join(OURS)})(?:\.\w+)*")
Place = tuple[int, int, str]  # line from 0; column in bytes, at or before the name; the name


def get_build_hook() -> type:
    """Return the hook. hatchling calls this; only its own environment has hatchling."""
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    class Hook(BuildHookInterface):  # type: ignore[misc]
        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            self.folder = TemporaryDirectory()
            if version != "editable":  # which reads the repository itself
                build_data["force_include"] |= wheel_files(Path(self.root), Path(self.folder.name))

        def finalize(self, *_: object) -> None:
            self.folder.cleanup()

    return Hook


def wheel_files(root: Path, made: Path) -> dict[str, str]:
    """Return file -> its path in the wheel. Rewritten files are written into the folder `made`."""
    sys.path.insert(0, str(root))
    from app import template

    files = {str(root / f): f"{PACKAGE}/project/{f.as_posix()}" for f in template.list_files(root)}
    for path in sorted({path for part in CODE for path in root.glob(part)}):
        name = path.relative_to(root)
        target = made / name
        target.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text("utf-8")
        if path.suffix == ".py":
            text = rewrite(text, str(name), is_module=lambda dotted: is_module(root, dotted))
        target.write_text(text, "utf-8")
        files[str(target)] = (Path(PACKAGE, name) if name.parts[0] != PACKAGE else name).as_posix()
    return files


def is_module(root: Path, name: str) -> bool:
    """Whether a dotted name is a module or a package of ours."""
    path = root / name.replace(".", "/")
    ours = "." in name and NAME.fullmatch(name)
    return bool(ours) and (path.is_dir() or path.with_suffix(".py").is_file())


def rewrite(text: str, name: str, *, is_module: Callable[[str], bool]) -> str:
    """Return a module's code with `from app import x` as `from guidelabel.app import x`.

    A text that is the dotted name of a module, as in `import_module("app.x")`, changes too.

    Args:
        text: the code.
        name: its file, for errors.
        is_module: whether a dotted name is a module of ours.

    Raises:
        SyntaxError: a statement such as `import app.x`, which would bind another name.
    """
    lines = text.encode().splitlines(keepends=True)
    found = [place for node in ast.walk(ast.parse(text)) for place in places(node, name, is_module)]
    for row, column, module in sorted(found, reverse=True):
        at = lines[row].index(module.encode(), column)
        lines[row] = b"%b%b.%b" % (lines[row][:at], PACKAGE.encode(), lines[row][at:])
    return b"".join(lines).decode()


def places(node: ast.AST, name: str, is_module: Callable[[str], bool]) -> Iterator[Place]:
    """Yield each name of a module of ours that a node holds, and where to look for it."""
    match node:
        case ast.ImportFrom(level=0, module=str(module)) if NAME.fullmatch(module):
            yield node.lineno - 1, node.col_offset + len("from"), module
        case ast.Import():
            for alias in filter(lambda alias: NAME.fullmatch(alias.name), node.names):
                if not alias.asname:
                    raise SyntaxError(f"{name}:{node.lineno}: write `from ... import ...` instead")
                yield alias.lineno - 1, alias.col_offset, alias.name
        case ast.Constant(value=str(text)) if is_module(text):
            yield node.lineno - 1, node.col_offset, text
