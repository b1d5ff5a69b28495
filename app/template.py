"""Lay out a new project: the code, `dvc.yaml`, the params and the presets, in a git repository.

The files come from `guidelabel/project` of the installed package, or from the clone that this file
lies in.
"""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.core.errors import UserError, unwritable

# What a project has of a clone. hatch_build.py packs the same files. They do not name params.yaml,
# because that of a clone may hold somebody's own params: a new project gets those of the demo.
PARTS = (
    ".dvc/.gitignore", ".dvc/config", ".dvcignore", ".gitignore", "CONTRIBUTING.md", "LICENSE",
    "ablation/*.yaml", "app/**/*.py", "app/**/templates/*", "cli.py", "data/lists/**/*.txt",
    "data/pretext/none/README.md", "docs/*.md", "docs/recipes/*", "docs/scale.png",
    "dvc.yaml", "optional/dvc.yaml",
    "pipeline/**/*.py", "pipeline/**/templates/*", "presets/*.yaml", "requirements.lock",
    "stages/**/*.py",
)  # fmt: skip
PARAMS = "presets/shapes.yaml"
NOBODY = ("-c", "user.name=GuideLabel", "-c", "user.email=guidelabel@localhost")


def list_files(root: Path) -> list[Path]:
    """List the files of a project that lie below `root`, relative to it."""
    found = {path for part in PARTS for path in root.glob(part) if path.is_file()}
    return sorted(path.relative_to(root) for path in found if "__pycache__" not in path.parts)


def source() -> Path:
    """Return the folder that new projects are copied from."""
    here = Path(__file__).resolve().parents[1]
    return here / "project" if __name__.startswith("guidelabel.") else here


def lay_out(folder: Path) -> list[Path]:
    """Make a new project, with the params of the demo, and commit its files to a new repository.

    Args:
        folder: a folder that is empty or does not exist.

    Returns:
        The files of the project.

    Raises:
        UserError: the folder is not empty or cannot be written, or git is missing.
    """
    if shutil.which("git") is None:
        raise UserError("git: not found; install it first, because DVC needs it")
    _require_empty(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".new-", dir=folder) as temporary:
            made = Path(temporary) / "project"
            names = _copy(source(), made)
            _git(made, "init", "--quiet")
            commit(made, "A new GuideLabel project")
            for path in made.iterdir():
                path.rename(folder / path.name)
    except OSError as e:
        raise unwritable(folder, e) from e
    return [folder / name for name in names]


def commit(folder: Path, message: str) -> None:
    """Commit all files that git does not ignore. `run -S` needs a commit.

    Raises:
        UserError: git refuses.
    """
    _git(folder, "add", "--all")
    known = _run_git(folder, "var", "GIT_COMMITTER_IDENT").returncode == 0
    settings = (*(() if known else NOBODY), "-c", "commit.gpgsign=false")
    _git(folder, *settings, "commit", "--quiet", "--no-verify", "--allow-empty", "-m", message)


def _require_empty(folder: Path) -> None:
    try:
        if any(folder.iterdir()):
            raise UserError(f"{folder}: is not empty; choose a new folder")
    except NotADirectoryError as e:
        raise UserError(f"{folder}: is a file; choose a new folder") from e
    except FileNotFoundError:
        return
    except OSError as e:
        raise unwritable(folder, e) from e


def _copy(home: Path, target: Path) -> list[Path]:
    """Copy the files of a project, and return their names with that of params.yaml."""
    names = list_files(home)
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(home / name, target / name)
    shutil.copyfile(home / PARAMS, target / "params.yaml")
    return [*names, Path("params.yaml")]


def _git(folder: Path, *args: str) -> None:
    if (done := _run_git(folder, *args)).returncode:
        raise UserError(f"{folder}: git {args[0]} failed: {' '.join(done.stderr.split())}")


def _run_git(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run git in `folder`, not in a repository that a variable such as GIT_DIR names."""
    env = {
        k: v
        for k, v in os.environ.items()
        if k not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    }
    return subprocess.run(
        ["git", *args], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
