"""Copies of the project that tests run and change."""

import contextlib
import io
import os
import runpy
import shutil
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

from ruamel.yaml import YAML

from pipeline.core.layout import SCORED, Layout
from pipeline.core.params import lay_over, read_yaml
from pipeline.report import links

ROOT = Path(__file__).resolve().parents[1]
ONE_WORKER = {"GUIDELABEL_WORKERS": "1"}  # so that runs do not depend on the number of cores
TINY = {
    "data": {"options": {"shapes": {"train": 24, "val": 8, "boxed": 12, "size_px": 64}}},
    "pretext": {"train": {"epochs": 1, "size_px": 64}},
    "seed": {"train": {"epochs": 2, "size_px": 64}, "maps": {"size_px": 64, "scales": [1.0]}},
    "saliency": {
        "options": {"net": {"train": {"epochs": 1, "size_px": 64}, "infer": {"size_px": 64}}}
    },
    "segment": {"train": {"epochs": 1, "size_px": 64}, "predict": {"size_px": 64}},
    "report": {"best": 1, "worst": 1, "random": 1},
}
CHAIN = (
    "optional/dvc.yaml:generate", "prepare", "train_seed", "seed",
    "optional/dvc.yaml:train_saliency", "optional/dvc.yaml:saliency_net", "fuse", "diffuse",
    "train_segment@guide", "predict@guide", "refine@guide", "evaluate_seed", "evaluate_saliency",
    "evaluate_guide", "score_labels@guide", "evaluate_segment", "report",
)  # fmt: skip


class Project:
    """A copy of the project in the folder `root`. `clone` and `copy` make one."""

    def __init__(self, root: Path) -> None:
        """Take `root` as it is."""
        self.root = root

    @classmethod
    def clone(cls, root: Path) -> "Project":
        """Copy what a newcomer has after `git clone`, with the demo's params."""
        files = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout.split()  # fmt: skip
        for name in files:
            if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/")):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, root / name)
        shutil.copy2(ROOT / "presets/shapes.yaml", root / "params.yaml")
        project = cls(root)
        project.run("git", "init", "-q")
        project.run("git", "add", "-A")
        project.commit()
        return project

    def copy(self, root: Path) -> "Project":
        """Copy all files. The copies share only the files of DVC's cache, as hard links."""

        def copy_file(source: str, target: str) -> str:
            if "/.dvc/cache/" in source:  # DVC never writes into a file of its cache
                os.link(source, target)
                return target
            return shutil.copy2(source, target)

        shutil.copytree(self.root, root, symlinks=True, copy_function=copy_file)
        return Project(root)

    def env(self, **changes: str) -> dict[str, str]:
        """Return an environment in which `python` is the Python that runs the tests."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "PATH": path, **changes}

    def run(self, *args: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the project. With `check`, it must succeed."""
        done = subprocess.run(
            args, cwd=self.root, capture_output=True, text=True, check=False, env=self.env(**env)
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def commit(self) -> None:
        """Commit all changes of tracked files."""
        author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        self.run("git", *author, "commit", "-qam", "state", "--allow-empty")

    def python(self, *args: str, **kw) -> subprocess.CompletedProcess[str]:
        """Run `python ...` in a process of its own, with the copy's code."""
        return self.run(sys.executable, *args, **kw)

    def here(self, *args: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `python cli.py ...` or `python -m stages NAME ...` in this process.

        It runs the code of this checkout, not the copy's. This is faster: another process would
        import torch again, which takes seconds.
        """
        module, *argv = ["cli", *args[1:]] if args[0] == "cli.py" else args[1:]
        sys.modules.pop(module, None)  # runpy warns if the module was imported before
        out, err, code = io.StringIO(), io.StringIO(), 0
        with (
            contextlib.chdir(self.root),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.dict(os.environ, {**ONE_WORKER, **env}),
            mock.patch("sys.argv", [module, *argv]),
        ):
            try:
                runpy.run_module(module, run_name="__main__", alter_sys=True)
            except SystemExit as e:
                code = e.code if isinstance(e.code, int) else int(bool(e.code))
        done = subprocess.CompletedProcess(args, code, out.getvalue(), err.getvalue())
        assert not check or code == 0, done.stdout + done.stderr
        return done

    def stages(self, *stages: str, **env: str) -> None:
        """Run stages in this process. A text is a stage's name, with its variant if it has one."""
        for name, *args in map(str.split, stages):
            self.here("-m", "stages", name, *args, **env)

    def repro(self, *args: str, **env: str) -> list[str]:
        """Run `dvc repro`, and return the stages that ran."""
        stdout = self.python("-m", "dvc", "repro", *args, **{**ONE_WORKER, **env}).stdout
        return [line.split("'")[1] for line in stdout.splitlines() if line.startswith("Running")]

    def change(self, changes: dict) -> None:
        """Merge `changes` into params.yaml."""
        values = read_yaml(self.root / "params.yaml")
        lay_over(values, changes)
        with (self.root / "params.yaml").open("w") as f:
            YAML().dump(values, f)

    def scores(self) -> dict:
        """Read the scores of all links of the last run."""
        return links.read_scores(Layout(self.root).scores(group) for group in SCORED)


def wait_for(condition, seconds=20):
    """Wait until `condition()` holds. Fail after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
