"""The command `guidelabel`. In a project it runs the project's code, elsewhere that of the package.

So edits of a project's code count. This module imports nothing of ours at its top: in a clone, the
package and the project would share the names `app` and `pipeline`.
"""

import importlib.util
import os
import sys
from pathlib import Path

MARKS = ("cli.py", "dvc.yaml", "optional/dvc.yaml", "pipeline/params.py")


def is_project(folder: Path) -> bool:
    """Whether `folder` is the root folder of a project. params.yaml may be missing: `use` adds it.

    The marks make it unlikely that another program's cli.py runs.
    """
    return all((folder / name).is_file() for name in MARKS)


def main() -> None:
    """Run a command, by the code of the project in the current folder if there is one."""
    os.environ["GUIDELABEL_COMMAND"] = "guidelabel"  # messages name it, in stages too
    if is_project(folder := Path.cwd()):
        run_project(folder)
    else:
        from cli import main as run_command

        run_command()


def run_project(folder: Path) -> None:
    """Run the main function of a project's cli.py in this process."""
    sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location("cli", folder / "cli.py")
    assert spec and spec.loader  # the file ends with .py
    module = importlib.util.module_from_spec(spec)
    sys.modules["cli"] = module
    spec.loader.exec_module(module)
    module.main()


if __name__ == "__main__":
    main()
