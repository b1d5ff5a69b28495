"""Mutation testing: break the code in one place at a time; the module's own tests must fail.

`python -m tests.mutation` runs every module, `python -m tests.mutation cam crf` these two. It
prints how many mutants each module has and how many the tests killed. The mutants that survived
are in `.mutants/<module>/survivors.txt`, each as a diff. docs/testing.md says what they mean.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / ".mutants"
PROCESSES = 2
# Exit codes: a test failed; pytest itself broke; out of time (the next five); killed by a signal.
KILLED = (1, 3, 24, -24, 36, 152, 255, -9, -11)

# Which tests must kill the mutants of a file. Keep them quick: they run once for each mutant.
TESTS = {
    "pipeline/guide.py": ["tests/pipeline/test_guide.py", "tests/pipeline/test_guide_values.py"],
    "pipeline/crf.py": ["tests/pipeline/test_crf.py"],
    "pipeline/cam.py": ["tests/pipeline/test_cam.py"],
    "pipeline/labels.py": ["tests/pipeline/test_labels.py"],
    "pipeline/boxes.py": ["tests/pipeline/test_boxes.py"],
    "pipeline/pooling.py": ["tests/pipeline/test_pooling.py"],
    "pipeline/metrics.py": ["tests/pipeline/test_metrics.py"],
    "pipeline/seed_curve.py": ["tests/pipeline/test_seed_curve.py"],
    "pipeline/localise.py": ["tests/pipeline/test_localise.py"],
    "pipeline/saliency_scores.py": ["tests/pipeline/test_saliency_scores.py"],
    "pipeline/fit.py": ["tests/pipeline/test_fit_values.py"],
}
# Of these files only some functions: a training for each mutant would take hours.
FUNCTIONS = {"pipeline/fit.py": ["one_cycle", "step", "poly", "param_groups", "optimizer_for"]}


def copy(file: str) -> Path:
    """A copy of what the tests of `file` need, with mutmut told to change `file` alone."""
    folder = WORK / Path(file).with_suffix("").as_posix().replace("/", ".")
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("pipeline", "tests", "presets"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "pyproject.toml").read_text()
    here = f"only_mutate = {[file]}\npytest_add_cli_args_test_selection = {TESTS[file]}\n"
    head = "[tool.mutmut]\n"
    (folder / "pyproject.toml").write_text(text.replace(head, head + here))
    return folder


def mutate(file: str) -> tuple[int, list[str]]:
    """Run mutmut on `file`: how many mutants it made, and a diff of each that survived."""
    folder, module = copy(file), Path(file).with_suffix("").as_posix().replace("/", ".")
    names = [f"{module}.x_{name}__mutmut_*" for name in FUNCTIONS.get(file, ())]
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = [mutmut, "run", "--max-children", str(PROCESSES), *names]
    with (folder / "log.txt").open("w") as log:
        done = subprocess.run(run, cwd=folder, env=env, stdout=log, stderr=log, check=False)
    if done.returncode:
        sys.exit(f"mutmut failed on {file}: see {folder / 'log.txt'}")
    codes = json.loads((folder / "mutants" / f"{file}.meta").read_text())["exit_code_by_key"]
    codes = {key: code for key, code in codes.items() if not names or code is not None}
    alive = [key for key, code in codes.items() if code not in KILLED]
    diffs = []
    for key in alive:
        shown = subprocess.run([mutmut, "show", key], cwd=folder, capture_output=True, text=True,
                               check=True)  # fmt: skip
        diffs.append(f"exit code {codes[key]}\n{shown.stdout}")
    (folder / "survivors.txt").write_text("\n".join(diffs))
    return len(codes), diffs


def main(wanted: list[str]) -> None:
    """Print a line for each module and one for all."""
    total = lost = 0
    print(f"{'module':32}{'mutants':>8}{'killed':>8}{'survived':>10}{'share':>8}")
    for file in TESTS:
        if wanted and Path(file).stem not in wanted:
            continue
        count, alive = mutate(file)
        total, lost = total + count, lost + len(alive)
        report(file, count, len(alive))
    report("all", total, lost)


def report(name: str, count: int, alive: int) -> None:
    """One line of the table."""
    share = 100 * (count - alive) / count
    print(f"{name:32}{count:8}{count - alive:8}{alive:10}{share:7.1f}%", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
