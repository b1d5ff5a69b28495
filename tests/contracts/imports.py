"""Which of our own files a module needs: its import closure, read from the source."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ("pipeline", "stages", "app")


def _file(name: str) -> Path | None:
    path = ROOT / (name.replace(".", "/") + ".py")
    return path if path.exists() else None


def imports(path: Path) -> set[Path]:
    """The files of ours that `path` imports directly."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        else:
            continue
        found |= {f for n in names if n.split(".")[0] in OURS and (f := _file(n))}
    return found


def closure(path: Path) -> set[str]:
    """`path` and everything of ours it imports, directly or not; relative to the root."""
    todo, seen = [path.resolve()], set()
    while todo:
        if (here := todo.pop()) not in seen:
            seen.add(here)
            todo += imports(here)
    return {p.relative_to(ROOT).as_posix() for p in seen}
