"""Find the files of the project that a module imports, by reading its source."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ("pipeline", "stages", "app")


def _file(name: str) -> Path | None:
    path = ROOT / (name.replace(".", "/") + ".py")
    return path if path.exists() else None


def imports(path: Path) -> set[Path]:
    """Return the files of the project that `path` imports directly."""
    files = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        else:
            continue
        files |= {f for n in names if n.split(".")[0] in OURS and (f := _file(n))}
    return files


def closure(path: Path) -> set[str]:
    """Return `path` and all files of the project that it imports, directly or through others.

    The paths are relative to the root.
    """
    todo, seen = [path.resolve()], set()
    while todo:
        if (file := todo.pop()) not in seen:
            seen.add(file)
            todo += imports(file)
    return {p.relative_to(ROOT).as_posix() for p in seen}
