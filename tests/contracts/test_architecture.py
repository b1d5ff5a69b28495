"""The house rules that a machine can check."""

import ast
import re

import pytest

from tests.contracts.imports import ROOT, imports

PIPELINE = sorted((ROOT / "pipeline").glob("*.py"))
STAGES = sorted((ROOT / "stages").glob("*.py"))
ARRAYS_ONLY = (
    "pooling", "cam", "guide", "labels", "crf", "metrics", "localise", "saliency_scores",
    "seed_curve",
)  # fmt: skip


def folder(path):
    return path.relative_to(ROOT).parts[0]


@pytest.mark.parametrize("path", PIPELINE, ids=lambda p: p.stem)
def test_pipeline_imports_no_stage_dvc_or_typer(path):
    assert {folder(p) for p in imports(path)} <= {"pipeline"}
    assert not re.search(r"^\s*(import|from) (dvc|typer)\b", path.read_text(), re.M)


@pytest.mark.parametrize("path", STAGES, ids=lambda p: p.stem)
def test_stages_import_only_pipeline_and_the_runner(path):
    names = {p.relative_to(ROOT).as_posix() for p in imports(path)}
    assert {n for n in names if n.startswith("stages/")} <= {"stages/_run.py", "stages/__init__.py"}
    assert not re.search(r"^\s*(import|from) (dvc|typer|cli)\b", path.read_text(), re.M)


@pytest.mark.parametrize("name", ARRAYS_ONLY)
def test_array_modules_do_no_io_and_know_only_types(name):
    """Arrays in, arrays out."""
    path = ROOT / "pipeline" / f"{name}.py"
    allowed = {"config", "blocks", "arrays", "__init__", "errors", *ARRAYS_ONLY}
    assert {p.stem for p in imports(path)} <= allowed
    calls = {n.func.attr for n in ast.walk(ast.parse(path.read_text()))
             if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)}  # fmt: skip
    assert not calls & {"open", "read_text", "write_text", "imread", "imwrite", "load", "save"}


@pytest.mark.parametrize("path", PIPELINE, ids=lambda p: p.stem)
def test_nothing_in_pipeline_prints_but_runtime(path):
    prints = [n for n in ast.walk(ast.parse(path.read_text()))
              if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "print"]  # fmt: skip
    assert not prints or path.stem == "runtime"


@pytest.mark.parametrize("path", [*PIPELINE, *STAGES, ROOT / "cli.py"], ids=lambda p: p.stem)
def test_files_stay_readable(path):
    assert len(path.read_text().splitlines()) <= 290
    assert path.stem not in ("utils", "helpers", "common")


def test_median_function_is_short():
    lengths = sorted(
        n.end_lineno - n.body[1 if ast.get_docstring(n) and len(n.body) > 1 else 0].lineno + 1
        for path in (*PIPELINE, *STAGES)
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, ast.FunctionDef)
    )
    assert lengths[len(lengths) // 2] <= 15


def test_no_pickles_and_no_yaml_of_pyyaml():
    for path in (*PIPELINE, *STAGES, ROOT / "cli.py"):
        text = path.read_text()
        assert not re.search(r"^\s*(import|from) (yaml|pickle)\b", text, re.M), path
        assert "torch.load(" not in text or "weights_only=True" in text, path
        assert "cv2.imread" not in text, path
