"""What a wheel holds, and what the installed command `guidelabel` does."""

import ast
import importlib.metadata
import os
import re
import resource
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import app
import cli
import hatch_build
from app import template
from guidelabel.__main__ import MARKS, is_project
from pipeline.core.params import read_yaml
from tests.conftest import made_once
from tests.project import ONE_WORKER, ROOT, TINY, Project

OURS = {"app", "cli", "guidelabel", "pipeline", "stages"}
MODULES = {"app.watched_dvc", "pipeline.report", "pipeline.core.errors"}
SLOW = {"cv2", "numpy", "onnxruntime", "pydantic", "psutil", "ruamel", "torch", "tqdm", "dvc"}
HELP_SECONDS = 0.5  # of processor time: the clock of a busy machine tells nothing


def rewrite(text):
    return hatch_build.rewrite(text, "a.py", is_module=MODULES.__contains__)


@pytest.mark.parametrize("before, after", [
    ("from app import chain, doctor", "from guidelabel.app import chain, doctor"),
    ("from pipeline.core.errors import (\n    UserError,\n)",
     "from guidelabel.pipeline.core.errors import (\n    UserError,\n)"),
    ("def f():\n    from app.x import y; from pipeline import z",
     "def f():\n    from guidelabel.app.x import y; from guidelabel.pipeline import z"),
    ("ä = 1; from  app import app", "ä = 1; from  guidelabel.app import app"),
    ("from cli import main as run", "from guidelabel.cli import main as run"),
    ("import os, app.x as y", "import os, guidelabel.app.x as y"),
    ('import_module("app.watched_dvc")', 'import_module("guidelabel.app.watched_dvc")'),
    ("L('pipeline.report')", "L('guidelabel.pipeline.report')"),
])  # fmt: skip
def test_imports_of_ours_go_through_the_package(before, after):
    assert rewrite(before) == after


@pytest.mark.parametrize("text", [
    "from . import app", "from apples import app", "from x.app import y", "import numpy as app",
    '"""from app import x"""', "# from app import x", "app.x = pipeline.y", '"app"', '"app.other"',
    'f"{app} pipeline.x"', "from stages import fuse",
])  # fmt: skip
def test_all_other_text_stays(text):
    assert rewrite(text) == text


@pytest.mark.parametrize("text", ["import app", "import os, pipeline.core.errors"])
def test_an_import_that_would_bind_another_name_stops_the_build(text):
    with pytest.raises(SyntaxError, match=r"a\.py:1: write `from \.\.\. import \.\.\.` instead"):
        rewrite(text)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """The files that the hook gives to hatchling: path in the wheel -> file."""
    files = hatch_build.wheel_files(ROOT, tmp_path_factory.mktemp("made"))
    return {target: Path(file) for file, target in files.items()}


@pytest.fixture(scope="module")
def site(packed, tmp_path_factory):
    """A folder of packages as pip makes it from a wheel."""
    folder = tmp_path_factory.mktemp("site")
    for target, file in packed.items():
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / target)
    return folder


def call(site, folder, *args, check=True):
    """Run Python in `folder` with the packages of `site` in addition to those of the tests.

    As for an installed command, the folder itself is not on Python's path (-P).
    """
    return Project(folder).python("-P", *args, check=check, PYTHONPATH=str(site))


def test_a_wheel_holds_one_package(packed):
    assert {target.split("/")[0] for target in packed} == {"guidelabel"}
    names = {target.split("/")[1] for target in packed}
    assert names == {"__init__.py", "__main__.py", "app", "cli.py", "pipeline", "project"}


def test_a_wheel_holds_a_project_as_it_is(packed):
    for name in template.list_files(ROOT):
        assert packed[f"guidelabel/project/{name.as_posix()}"].samefile(ROOT / name)


def test_a_wheel_holds_all_code_of_app_and_pipeline(packed):
    for part in ("app", "pipeline"):
        files = {p for p in (ROOT / part).rglob("*") if p.is_file() and p.suffix != ".pyc"}
        assert {f"guidelabel/{p.relative_to(ROOT).as_posix()}" for p in files} <= set(packed)


def test_the_package_imports_no_top_level_app_or_pipeline(packed):
    for target in packed:
        if target.endswith(".py") and not target.startswith("guidelabel/project/"):
            assert not imported(packed[target]) & (OURS - {"guidelabel"})


WRITTEN = {  # what a project writes into its results: their bytes do not depend on who runs it
    "app/grid.py",
    "pipeline/report/templates/report.html",
}


def test_messages_name_the_command_that_runs(packed):
    """An installed one has no cli.py, or not its packages. So messages use `errors.COMMAND`."""
    ours = {k.removeprefix("guidelabel/"): file for k, file in packed.items()}
    texts = {k: file.read_text() for k, file in ours.items() if not k.startswith("project/")}
    own = {k for k, text in texts.items() if "python cli.py " in text}
    assert own == WRITTEN


def test_the_installed_command_runs_the_code_of_the_package(site, tmp_path):
    code = "import sys, guidelabel.cli as cli; print(cli.explain.__module__, *sys.modules)"
    code += "; from guidelabel.pipeline.core.errors import COMMAND; print(COMMAND)"
    *names, command = call(site, tmp_path, "-c", code).stdout.split()
    assert command == "guidelabel"
    assert names[0] == "guidelabel.cli" and "guidelabel.pipeline.core.errors" in names
    assert not {"app", "cli", "pipeline"} & set(names)
    assert " predict " in call(site, tmp_path, "-m", "guidelabel", "--help").stdout


def test_outside_a_project_one_line_says_how_to_make_one(site, tmp_path):
    done = call(site, tmp_path, "-m", "guidelabel", "status", check=False)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "is not a project; run `guidelabel new DIR` first" in done.stderr
    assert call(site, tmp_path, "-m", "guidelabel", "status", "--help").returncode == 0


def test_outside_a_project_the_package_knows_the_preset_for_photographs(site, tmp_path):
    code = "from guidelabel.app import nets; print(nets.default_crf().iterations)"
    assert call(site, tmp_path, "-c", code).stdout == "10\n"


def test_in_a_project_the_command_runs_the_code_of_the_project(site, tmp_path):
    call(site, tmp_path, "-c", "from guidelabel.app import template as t; t.lay_out(t.Path('new'))")
    project = tmp_path / "new"
    assert is_project(project) and not is_project(tmp_path)
    with (project / "app/commands/chain.py").open("a") as f:
        f.write('\ndef show_config():\n    """Show."""\n    print(__name__, COMMAND)\n')
    done = call(site, project, "-m", "guidelabel", "config")
    assert done.stdout == "app.commands.chain guidelabel\n"
    assert call(site, tmp_path, "-m", "guidelabel", "config", check=False).returncode == 1


def test_in_a_clone_the_command_runs_the_code_of_another_project(tmp_path):
    """`pip install -e .` puts the clone's `app` on Python's path."""
    for name in MARKS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "app.py").write_text("name = 'the project'")
    (tmp_path / "cli.py").write_text("import app\ndef main(): print(app.name)")
    assert call(ROOT, tmp_path, "-m", "guidelabel").stdout == "the project\n"


def test_importing_the_package_loads_nothing_of_ours_and_no_library(site, tmp_path):
    code = "import guidelabel, sys; print(*sys.modules); print(guidelabel.__version__)"
    names, version = call(site, tmp_path, "-c", code).stdout.splitlines()
    assert not {name.split(".")[0] for name in names.split()} & SLOW
    assert [n for n in names.split() if n.startswith("guidelabel")] == ["guidelabel"]
    assert version == call(site, tmp_path, "-m", "guidelabel", "--version").stdout.split()[1]


@pytest.mark.parametrize("module", [
    "app.console", "app.template", "app.commands.chain", "app.commands.data",
    "app.commands.results", "cli",
])  # fmt: skip
def test_what_help_needs_loads_no_slow_library(module):
    code = f"import {module}, sys; print(*sys.modules)"
    loaded = {name.split(".")[0] for name in Project(ROOT).python("-c", code).stdout.split()}
    assert not loaded & SLOW


def test_the_help_of_a_verb_needs_typer_alone():
    code = (
        "import sys; sys.argv[1:] = ['predict', '--help']; import cli\n"
        "try: cli.main()\nfinally: print(*sys.modules)"
    )
    loaded = {name.split(".")[0] for name in Project(ROOT).python("-c", code).stdout.split()}
    assert "typer" in loaded and not loaded & {*SLOW, "rich"}


@pytest.mark.parametrize("package, extra", [("dvc", "train"), ("pydensecrf.x", "crf")])
def test_a_missing_package_is_one_line_with_its_extra(package, extra):
    line = cli.explain(ModuleNotFoundError(name=package))
    assert f"needs the package {package.split('.')[0]}; type" in line
    assert f"`pip install 'guidelabel[{extra}]'`" in line


def test_a_missing_module_of_ours_is_a_bug():
    assert cli.explain(ModuleNotFoundError(name="app.missing")) == ""
    assert cli.explain(ImportError("cannot import name x")) == ""


def test_every_package_that_our_code_imports_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = {canonical(re.split(r"[>=\[]", text)[0]) for group in groups for text in group}
    distributions = importlib.metadata.packages_distributions()
    for path in (p for part in (*hatch_build.CODE, "stages/*.py") for p in ROOT.glob(part)):
        for name in imported(path) if path.suffix == ".py" else ():
            known = {canonical(d) for d in distributions.get(name, [name])}  # Ray is not installed
            assert name in {*sys.stdlib_module_names, *OURS, "dvc_data"} or known & declared, (
                path,
                name,
            )


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(path):
    """Return the first part of the name of each module that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names |= {a.name for a in node.names} if isinstance(node, ast.Import) else set()
        if isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module)
    return {name.split(".")[0] for name in names}


def test_the_version_is_in_two_files():
    citation = read_yaml(ROOT / "CITATION.cff")
    assert str(citation["version"]) == app.__version__


# --- built and installed by pip: this needs a package server


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """The folder with both archives of a release. The wheel is built from the source archive."""
    with made_once(tmp_path_factory, "archives") as folder:
        if not folder.exists():
            python = new_environment(folder.with_name("build"), "hatchling")
            build(python, ROOT, folder, "sdist")
            unpacked = folder.with_name("unpacked")
            with tarfile.open(next(folder.glob("*.tar.gz"))) as tar:
                tar.extractall(unpacked, filter="data")
            build(python, next(unpacked.iterdir()), folder, "wheel")
    return folder


@pytest.fixture(scope="module")
def light(archives, tmp_path_factory):
    """The Python of an environment with the wheel and its dependencies, without any extra."""
    with made_once(tmp_path_factory, "light") as folder:
        if folder.exists():
            return folder / "bin/python"
        return new_environment(folder, str(next(archives.glob("*.whl"))))


def new_environment(folder, *packages):
    venv.create(folder, with_pip=True)
    python = folder / "bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--compile", *packages], check=True)
    return python


def build(python, source, folder, target):
    command = [python, "-m", "hatchling", "build", "--directory", folder, "--target", target]
    subprocess.run(command, cwd=source, check=True)


@pytest.mark.slow
def test_the_source_archive_is_the_repository(archives):
    with tarfile.open(next(archives.glob("*.tar.gz"))) as tar:
        packed = {name.split("/", 1)[1] for name in tar.getnames()}
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert packed == {n for n in names.split() if (ROOT / n).is_file()} | {"PKG-INFO"}


@pytest.mark.slow
def test_the_built_wheel_holds_what_the_hook_lists(archives, packed):
    with zipfile.ZipFile(next(archives.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert {name for name in names if ".dist-info/" not in name} == set(packed)


@pytest.mark.slow
def test_the_light_environment_has_the_command_and_no_heavy_package(light, tmp_path):
    command = light.with_name("guidelabel")
    size = sum(p.lstat().st_size for p in light.parents[1].rglob("*") if p.is_file())
    subprocess.run([command, "--help"], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    seconds = min(processor_seconds(command, "--help") for _ in range(5))
    print(f"\nlight environment: {size / 1e6:.0f} MB, --help {seconds:.2f} s of processor time")
    installed = {p.name.split("-")[0] for p in light.parents[1].glob("lib/*/site-packages/*")}
    assert "onnxruntime" in installed and not installed & {"torch", "dvc", "scipy", "skimage"}
    assert size < 450e6 and seconds < HELP_SECONDS


def processor_seconds(*command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.slow
def test_a_project_in_the_light_environment_names_the_extra_that_it_needs(light, tmp_path):
    code = "from guidelabel.app import template as t; t.lay_out(t.Path('new'))"
    subprocess.run([light, "-c", code], cwd=tmp_path, check=True)
    command = [light.with_name("guidelabel"), "run"]
    done = subprocess.run(
        command, cwd=tmp_path / "new", capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "`pip install 'guidelabel[train]'`" in done.stderr


@pytest.mark.slow
def test_a_project_from_the_wheel_has_all_that_the_chain_needs(archives, finished, tmp_path):
    """Here the libraries are those of the tests, because torch is large.

    DVC takes a result from the finished project's cache if all that it depends on is the same.
    """
    with zipfile.ZipFile(next(archives.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    site = tmp_path / "site"
    call(site, tmp_path, "-c", "from guidelabel.app import template as t; t.lay_out(t.Path('new'))")
    project = Project(tmp_path / "new")
    project.change(TINY)
    cache = ".dvc/cache"
    shutil.copytree(finished.root / cache, project.root / cache, copy_function=os.link)
    env = {"PYTHONPATH": str(site), **ONE_WORKER}
    done = project.python("-P", "-m", "guidelabel", "run", **env)
    assert "guide labels, using true tags" in done.stdout and "Running stage" not in done.stdout
    project.change({"report": {"random": 2}})
    done = project.python("-P", "-m", "guidelabel", "run", **env)
    assert re.findall("Running stage '(.*)'", done.stdout) == ["report"]
    assert "up to date" in project.python("-P", "-m", "guidelabel", "status", **env).stdout
