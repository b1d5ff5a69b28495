"""The house rules that a machine can check."""

import ast
import re

import pytest

from tests.contracts.imports import ROOT, imports

PIPELINE = sorted((ROOT / "pipeline").rglob("*.py"))
STAGES = sorted((ROOT / "stages").rglob("*.py"))
ARRAYS_ONLY = (
    "pooling", "cam", "guide", "labels", "crf", "metrics", "localise", "saliency_scores",
    "seed_curve",
)  # fmt: skip


READS = ("read_text", "read_bytes", "imread", "fromfile", "load", "loadtxt")
WRITES = ("write_text", "write_bytes", "imwrite", "tofile", "save", "savez", "savetxt")


def calls(path):
    """The name of each function that a file calls, `module.name` or `name`, and the call."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


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
    called = {name.rpartition(".")[2] for name, _ in calls(path)}
    assert not called & {"open", "print", *READS, *WRITES}


@pytest.mark.parametrize("path", PIPELINE, ids=lambda p: p.stem)
def test_nothing_in_pipeline_prints_but_runtime(path):
    assert path.stem == "runtime" or "print" not in dict(calls(path))


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


@pytest.mark.parametrize("path", [*PIPELINE, *STAGES, ROOT / "cli.py"], ids=lambda p: p.stem)
def test_no_file_is_read_in_a_way_that_could_run_code(path):
    text = path.read_text()
    assert not re.search(r"^\s*(import|from) (yaml|pickle)\b", text, re.M)
    for name, call in calls(path):
        given = {k.arg: ast.unparse(k.value) for k in call.keywords}
        assert name != "torch.load" or given.get("weights_only") == "True"
        assert name != "np.load" or given.get("allow_pickle", "False") == "False"
        assert name != "cv2.imread"  # formats reads images, with their errors named
