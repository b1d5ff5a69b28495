"""New projects: which files they have, and what is refused."""

import posixpath
import subprocess

import pytest

from app import template
from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml
from tests.project import ROOT, Project
from tests.test_documents import LINK

NO_PART = (  # of a project: what only a developer of GuideLabel needs
    ".ci/", "tests/", "benchmarks/", "guidelabel/", "docs/", "examples/", "hatch_build.py",
    "pyproject.toml", "Makefile", "Dockerfile", ".dockerignore", "CHANGELOG.md", "CITATION.cff",
    "README.md", "dvc.lock", "mkdocs.yml", "optional/dvc.lock",
    "params.yaml",
)  # fmt: skip


def in_git(*options):
    command = ["git", "ls-files", *options]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {line for line in lines.split() if (ROOT / line).is_file()}


def git(folder, *args):
    return Project(folder).run("git", *args).stdout


def test_a_project_has_every_tracked_file_that_it_needs_and_no_other():
    names = {path.as_posix() for path in template.list_files(ROOT)}
    assert {name for name in in_git() if not name.startswith(NO_PART)} <= names
    assert names <= in_git("--cached", "--others", "--exclude-standard")


def test_a_project_has_no_files_of_developers(tmp_path):
    names = {path.relative_to(tmp_path).as_posix() for path in template.lay_out(tmp_path)}
    documents = {name for name in names if name.startswith("docs/")}
    assert all(name.endswith((".md", ".png", ".sh", ".yaml")) for name in documents)
    assert not [n for n in names - documents - {"params.yaml"} if n.startswith(NO_PART)]


def test_each_link_of_a_projects_documents_leads_to_one_of_its_files():
    files = {path.as_posix() for path in template.list_files(ROOT)}
    for page in (name for name in files if name.endswith(".md")):
        links = LINK.findall((ROOT / page).read_text())
        targets = {posixpath.normpath(f"{posixpath.dirname(page)}/{to}") for to, _ in links if to}
        assert {target.lstrip("/") for target in targets} <= files, page


def test_a_new_project_has_the_params_of_the_demo_and_one_commit(tmp_path):
    folder = tmp_path / "deep/project"
    files = template.lay_out(folder)
    assert all(path.is_file() for path in files)
    assert read_yaml(folder / "params.yaml") == read_yaml(ROOT / "presets/shapes.yaml")
    assert git(folder, "log", "--format=%s").splitlines() == ["A new GuideLabel project"]
    assert git(folder, "status", "--porcelain") == ""
    assert set(git(folder, "ls-files").split()) == {p.relative_to(folder).as_posix() for p in files}


def test_a_new_project_can_answer_its_commands(tmp_path):
    template.lay_out(tmp_path)
    project = Project(tmp_path)
    project.commit()  # of somebody with a name
    assert "seed_threshold: 0.2" in project.here("cli.py", "config").stdout
    assert "train_seed" in project.python("-m", "dvc", "dag", "--dot").stdout


def test_an_empty_folder_is_filled_where_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    template.lay_out(tmp_path)
    assert tmp_path.stat().st_ino == before and (tmp_path / ".git").is_dir()
    assert not list(tmp_path.glob(".new-*"))


@pytest.mark.parametrize("make, message", [
    (lambda path: (path.mkdir(), (path / "photo.jpg").touch()), "is not empty; choose a new"),
    (lambda path: path.touch(), "is a file; choose a new folder"),
])  # fmt: skip
def test_a_folder_in_use_is_refused_and_left_as_it_is(tmp_path, make, message):
    make(tmp_path / "used")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=f"used: {message}"):
        template.lay_out(tmp_path / "used")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_failure_leaves_the_folder_empty(tmp_path, monkeypatch):
    monkeypatch.setattr(template, "PARAMS", "presets/missing.yaml")
    with pytest.raises(UserError, match="cannot be written"):
        template.lay_out(tmp_path)
    assert not list(tmp_path.iterdir())


def test_git_may_know_no_name(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.useConfigOnly")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    template.lay_out(tmp_path / "project")
    author = git(tmp_path / "project", "log", "--format=%an <%ae>").strip()
    assert author == "GuideLabel <guidelabel@localhost>"


def test_a_repository_that_a_variable_names_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))
    template.lay_out(tmp_path / "project")
    assert (tmp_path / "project/.git").is_dir() and not (tmp_path / "other").exists()


def test_without_git_one_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"^git: not found; install it"):
        template.lay_out(tmp_path / "project")
