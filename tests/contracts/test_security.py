"""No code of ours runs what a file holds: no pickle, no eval, no shell."""

import ast

import pytest

from tests.contracts.test_architecture import CODE, ROOT, calls, name

EVERYTHING = [*CODE, *sorted((ROOT / "benchmarks").rglob("*.py"))]
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "yaml"}
FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "os.system", "os.popen", 
    "torch.jit.load", "torch.hub.load",
}  # fmt: skip
# call -> the keyword that it needs, and its value
NEEDED = {"np.load": ("allow_pickle", "False"), "torch.load": ("weights_only", "True"),
          "YAML": ("typ", "'safe'")}  # fmt: skip
WRITES_YAML = {
    "app/presets.py",
    "app/cells.py",
    "app/commands/chain.py",
    "app/exports/yolo.py",
}  # the round-trip type runs no tags


def keyword(call, word):
    return next((ast.unparse(k.value) for k in call.keywords if k.arg == word), None)


@pytest.mark.parametrize("path", EVERYTHING, ids=name)
def test_no_module_that_can_run_code_from_data_is_imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
        else:
            names = {node.module} if isinstance(node, ast.ImportFrom) else set()
        assert not {n.split(".")[0] for n in names if n} & FORBIDDEN_MODULES


@pytest.mark.parametrize("path", EVERYTHING, ids=name)
def test_no_call_runs_code_from_data(path):
    for function, call in calls(path):
        assert function not in FORBIDDEN_CALLS
        assert not function.endswith((".extractall", ".extract"))
        assert keyword(call, "shell") in (None, "False")
        if function in NEEDED and not (function == "YAML" and name(path) in WRITES_YAML):
            word, value = NEEDED[function]
            assert keyword(call, word) == value, f"{function}: needs {word}={value}"


def test_xml_is_parsed_in_one_place():
    parsers = [name(p) for p in EVERYTHING for f, _ in calls(p) if f.startswith("ET.")]
    assert set(parsers) == {"pipeline/core/markup.py"}
