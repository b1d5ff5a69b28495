"""The house rules that a machine can check."""

import ast
import re

import pytest

from pipeline.core.params import read_yaml
from tests.contracts.imports import ROOT, imports

PIPELINE = sorted((ROOT / "pipeline").rglob("*.py"))
STAGES = sorted((ROOT / "stages").rglob("*.py"))
APP = sorted((ROOT / "app").rglob("*.py"))
CODE = [*PIPELINE, *STAGES, *APP, ROOT / "cli.py"]
PACKAGES = sorted(p.name for p in (ROOT / "pipeline").iterdir() if (p / "__init__.py").exists())
# package -> the packages that it may import, in addition to core
MAY_IMPORT = {
    "core": set(),
    "boxes": {"crf"},
    "brought": {"dataset"},
    "crf": set(),
    "dataset": set(),
    "nets": set(),
    "pretext": {"nets", "training"},
    "training": set(),
    "inference": {"nets"},
    "seeds": {"nets"},
    "segment": {"nets", "crf"},
    "saliency": {"boxes", "crf"},
    "guide": {"crf"},
    "scores": set(),
    "report": {"scores"},  # intervals of the classes
}
# Modules of array code: no I/O, and no imports but array types, configs and each other
ARRAYS_ONLY = (
    "core/maps", "crf/dense", "guide/rules", "guide/diffusion", "guide/labels", "guide/seed_rule",
    "guide/map_labels", "guide/graph_cut",
    "seeds/pooling", "scores/shared/metrics", "scores/seed/localise", "scores/seed/seed_curve",
    "scores/saliency/saliency_scores", "scores/shared/percent", "boxes/grabcut",
    "boxes/labels", "boxes/rounds", "guide/component_scores",
    "scores/calibration/reliability", "scores/labels/disagreement", "scores/review/ranking",
)  # fmt: skip
READS = ("read_text", "read_bytes", "imread", "fromfile", "load", "loadtxt")
WRITES = ("write_text", "write_bytes", "imwrite", "tofile", "save", "savez", "savetxt")


def name(path):
    return path.relative_to(ROOT).as_posix()


def calls(path):
    """Yield each call in a file: the function as `module.name` or `name`, and the node."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("path", PIPELINE, ids=name)
def test_pipeline_imports_neither_stages_nor_app_nor_dvc_nor_typer(path):
    assert {name(p).split("/")[0] for p in imports(path)} <= {"pipeline"}
    assert not re.search(r"^\s*(import|from) (dvc|typer)\b", path.read_text(), re.M)


@pytest.mark.parametrize("path", STAGES, ids=name)
def test_stages_import_only_pipeline_and_what_all_stages_share(path):
    ours = {name(p) for p in imports(path)}
    shared = {"stages/_run.py", "stages/_resume.py"}
    shared |= {"stages/_ranks.py"} if path.stem == "_on_ray" else set()  # no stage: it starts ranks
    assert {n for n in ours if n.startswith("stages/")} <= shared
    assert not any(n.startswith("app/") or n == "pipeline/params.py" for n in ours)
    assert not re.search(r"^\s*(import|from) (dvc|typer|cli)\b", path.read_text(), re.M)


def test_every_package_has_a_rule():
    assert set(MAY_IMPORT) == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_it_may(package):
    """Edges between packages decide what an edit makes run again."""
    for path in (ROOT / "pipeline" / package).rglob("*.py"):
        others = {name(p).split("/")[1] for p in imports(path)} - {package, "core"}
        assert others <= MAY_IMPORT[package], name(path)


@pytest.mark.parametrize("module", ARRAYS_ONLY)
def test_array_modules_do_no_io_and_import_only_types(module):
    path = ROOT / "pipeline" / f"{module}.py"
    allowed = {"core/arrays", "core/config", "core/errors", *ARRAYS_ONLY}
    imported = {name(p).removeprefix("pipeline/").removesuffix(".py") for p in imports(path)}
    assert {i for i in imported if not i.endswith(("config", "__init__"))} <= allowed
    called = {call.rpartition(".")[2] for call, _ in calls(path)}
    assert not called & {"open", "print", *READS, *WRITES}


@pytest.mark.parametrize("path", PIPELINE, ids=name)
def test_only_runtime_prints(path):
    assert path.stem == "runtime" or "print" not in dict(calls(path))


@pytest.mark.parametrize("path", CODE, ids=name)
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) <= 290
    assert path.stem not in ("utils", "helpers", "common")


@pytest.mark.parametrize("path", [*STAGES, *APP], ids=name)
def test_only_programs_read_the_command_line(path):
    programs = ("stages/_run.py", "stages/_ranks.py", "stages/_on_ray.py", "app/cell.py")
    assert name(path) in programs or "sys.argv" not in path.read_text()


@pytest.mark.parametrize("path", [*PIPELINE, *STAGES, *APP], ids=name)
def test_no_import_sets_a_global_hook(path):
    """A program may set a hook. A module that others import must not."""
    assert name(path) == "stages/__main__.py" or "excepthook =" not in path.read_text()


def test_median_function_is_short():
    lengths = sorted(
        n.end_lineno - n.body[1 if ast.get_docstring(n) and len(n.body) > 1 else 0].lineno + 1
        for path in CODE
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, ast.FunctionDef)
    )
    assert lengths[len(lengths) // 2] <= 15


SHELL = ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput")


@pytest.mark.parametrize("path", CODE, ids=name)
def test_no_text_passes_through_a_shell(path):
    """File names, tags and params may hold any character."""
    for called, call in calls(path):
        assert called not in SHELL
        assert "shell" not in {k.arg for k in call.keywords}


@pytest.mark.parametrize("file", ["dvc.yaml", "optional/dvc.yaml", "ablation/dvc.yaml"])
def test_a_command_of_dvc_holds_no_name_of_the_data(file):
    """DVC gives commands to a shell. Only names of supervisions and of table rows go into them."""
    for stage in read_yaml(ROOT / file)["stages"].values():
        filled = set(re.findall(r"\$\{(.+?)\}", stage.get("do", stage)["cmd"]))
        assert filled <= {"item", "key", "item.supervision", "item.row", "item.random_seed"}


@pytest.mark.parametrize("path", CODE, ids=name)
def test_reading_a_file_cannot_run_code(path):
    text = path.read_text()
    assert not re.search(r"^\s*(import|from) (yaml|pickle)\b", text, re.M)
    for called, call in calls(path):
        given = {k.arg: ast.unparse(k.value) for k in call.keywords}
        assert called != "torch.load" or given.get("weights_only") == "True"
        assert called != "np.load" or given.get("allow_pickle", "False") == "False"
        assert called != "cv2.imread"  # decoding opens images, and its errors name the file
        opens = called == "Image.open"  # without a list of formats, it may start Ghostscript
        assert not opens or ("formats" in given and name(path) == "pipeline/core/decoding.py")
