"""Mutation testing: change the code in one place at a time. The module's own tests must fail.

`python -m tests.mutation` runs every module, `python -m tests.mutation maps dense` these two; with
`--again` only those mutants run that survived the last time. It prints how many mutants each
module has, how many the tests killed, and how many of these only ran out of time. The mutants that
survived are in `.mutants/<module>/survivors.txt`, each as a diff. docs/testing.md says what they
mean.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / ".mutants"
MUTMUT = Path(sys.executable).with_name("mutmut")
PROCESSES = 2
SHOW = """
import sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
for name in sys.argv[1:]:
    print(get_diff_for_mutant(name))
"""  # `mutmut show`, for many at once
TIMED_OUT = (24, -24, 36, 152, 255)  # exit codes of mutmut
# A test failed; pytest itself broke; out of time; killed by a signal.
KILLED = (1, 3, *TIMED_OUT, -9, -11)

# File -> the tests that must kill its mutants. They must be quick, as they run for each mutant.
TESTS = {
    "pipeline/guide/rules.py": [
        "tests/pipeline/guide/test_rules.py", "tests/pipeline/guide/test_values.py",
        "tests/pipeline/guide/test_labels.py",
    ],
    "pipeline/guide/diffusion.py": [
        "tests/pipeline/guide/test_rules.py", "tests/pipeline/guide/test_values.py",
    ],
    "pipeline/guide/labels.py": ["tests/pipeline/guide/test_labels.py"],
    "pipeline/guide/seed_rule.py": [
        "tests/pipeline/guide/test_labels.py", "tests/pipeline/core/test_maps.py",
    ],
    "pipeline/core/maps.py": [
        "tests/pipeline/core/test_maps.py", "tests/pipeline/crf/test_dense.py",
    ],
    "pipeline/crf/dense.py": ["tests/pipeline/crf/test_dense.py"],
    "pipeline/boxes/grabcut.py": [
        "tests/pipeline/boxes/test_grabcut.py", "tests/pipeline/saliency/test_boxes.py",
    ],
    "pipeline/boxes/labels.py": ["tests/pipeline/boxes/test_labels.py"],
    "pipeline/boxes/rounds.py": ["tests/pipeline/boxes/test_rounds.py"],
    "pipeline/saliency/boxes.py": ["tests/pipeline/saliency/test_boxes.py"],
    "pipeline/seeds/pooling.py": ["tests/pipeline/seeds/test_pooling.py"],
    "pipeline/scores/shared/metrics.py": [
        "tests/pipeline/scores/test_metrics.py", "tests/pipeline/scores/test_intervals.py",
    ],
    "pipeline/scores/seed/seed_curve.py": ["tests/pipeline/scores/test_seed_curve.py"],
    "pipeline/scores/seed/localise.py": ["tests/pipeline/scores/test_localise.py"],
    "pipeline/scores/saliency/saliency_scores.py": [
        "tests/pipeline/scores/test_saliency_scores.py", "tests/pipeline/scores/test_scores.py",
    ],
    "pipeline/training/optim.py": ["tests/pipeline/training/test_optim.py"],
}  # fmt: skip


def folder_of(file: str) -> Path:
    """Return the folder in which `file` is mutated."""
    return WORK / dotted(file)


def dotted(file: str) -> str:
    """Return the name by which Python imports `file`."""
    return Path(file).with_suffix("").as_posix().replace("/", ".")


def copy(file: str) -> None:
    """Copy what the tests of `file` need, and tell mutmut to change only `file`."""
    folder = folder_of(file)
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("pipeline", "tests", "presets"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "pyproject.toml").read_text()
    options = f"only_mutate = {[file]}\npytest_add_cli_args_test_selection = {TESTS[file]}\n"
    head = "[tool.mutmut]\n"
    (folder / "pyproject.toml").write_text(text.replace(head, head + options))


def results(file: str) -> dict[str, int]:
    """Read the exit code of the tests for each mutant that ran."""
    path = folder_of(file) / "mutants" / f"{file}.meta"
    codes = json.loads(path.read_text())["exit_code_by_key"]
    return {name: code for name, code in codes.items() if code is not None}


def survivors(file: str) -> list[str]:
    """List the mutants that no test killed."""
    return [name for name, code in results(file).items() if code not in KILLED]


def mutate(file: str, *, again: bool) -> None:
    """Run mutmut on `file`. With `again`, run today's tests on the survivors of the last run."""
    folder = folder_of(file)
    names: list[str] = []
    if again:
        shutil.copytree(ROOT / "tests", folder / "tests", dirs_exist_ok=True)
        if not (names := survivors(file)):
            return
    else:
        copy(file)
    run = [str(MUTMUT), "run", "--max-children", str(PROCESSES), *names]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("w") as log:
        done = subprocess.run(run, cwd=folder, env=env, stdout=log, stderr=log, check=False)
    if done.returncode:
        sys.exit(f"error: mutmut failed on {file}; see {folder / 'log.txt'}")
    show = [sys.executable, "-c", SHOW, *survivors(file)]
    shown = subprocess.run(show, cwd=folder, capture_output=True, text=True, check=True)
    (folder / "survivors.txt").write_text(shown.stdout)


def main(modules: list[str], *, again: bool) -> None:
    """Print a line for each module and one for all."""
    total = Counter[str]()
    print(f"{'module':44}{'mutants':>8}{'killed':>8}{'timed out':>10}{'survived':>10}{'share':>8}")
    for file in TESTS:
        if modules and Path(file).stem not in modules:
            continue
        mutate(file, again=again)
        codes = results(file).values()
        counts = Counter(
            mutants=len(codes),
            survived=len(survivors(file)),
            timed_out=sum(code in TIMED_OUT for code in codes),
        )
        total.update(counts)
        report(file, counts)
    report("all", total)


def report(name: str, counts: Counter[str]) -> None:
    """Print a line of the table."""
    killed = counts["mutants"] - counts["survived"]
    share = 100 * killed / counts["mutants"]
    print(
        f"{name:44}{counts['mutants']:8}{killed:8}{counts['timed_out']:10}"
        f"{counts['survived']:10}{share:7.1f}%",
        flush=True,
    )


if __name__ == "__main__":
    main([a for a in sys.argv[1:] if a != "--again"], again="--again" in sys.argv)
