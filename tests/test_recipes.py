"""The recipes of docs/cluster.md, as far as they can be checked without a cluster."""

import os
import re
import subprocess

import pytest
from ruamel.yaml import YAML

from tests.project import ROOT

RECIPES = sorted((ROOT / "docs/recipes").iterdir())
SLURM = ROOT / "docs/recipes/slurm.sh"
SBATCH = {  # long options of `sbatch`, from its manual: those that describe a job on whole nodes
    "account", "chdir", "constraint", "cpus-per-task", "error", "exclusive", "gpus-per-node",
    "job-name", "mem", "no-kill", "nodes", "ntasks-per-node", "output", "partition", "qos",
    "requeue", "signal", "time",
}  # fmt: skip
STUBS = {  # srun runs the command here; ray runs what follows `--`
    "hostname": 'echo "10.0.0.1 10.0.0.2 "',
    "srun": 'while [[ $1 == --* ]]; do shift; done; exec "$@"',
    "ray": 'echo "ray $*" >> said; while [[ $1 != -- ]]; do shift; done; shift; exec "$@"',
    "python": 'echo "$RAY_ADDRESS $GUIDELABEL_ENGINE $GUIDELABEL_LAUNCH: $*" >> said; exit 3',
}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda p: p.name)
def test_the_page_shows_the_recipe_as_it_is(recipe):
    assert f"\n{recipe.read_text()}```\n" in (ROOT / "docs/cluster.md").read_text()


def test_the_options_of_sbatch_exist():
    lines = SLURM.read_text().splitlines()
    asked = [line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")]
    assert asked and all(re.fullmatch(r"([a-z-]+)(=\S+)?", option) for option in asked)
    assert {option.partition("=")[0] for option in asked} <= SBATCH


def test_the_script_for_slurm_starts_ray_on_each_node_and_the_chain_on_the_first(tmp_path):
    """With substitutes for the commands of a cluster."""
    for name, body in STUBS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/activate").touch()
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_NUM_NODES": "4",
           "SLURM_CPUS_PER_TASK": "64"}  # fmt: skip
    assert subprocess.run(["bash", SLURM], cwd=tmp_path, env=env, check=False).returncode == 3
    start, run = (tmp_path / "said").read_text().splitlines()
    assert start.startswith(
        "ray symmetric-run --address=10.0.0.1:6379 --min-nodes=4 --num-cpus=64 --"
    )
    assert run == "auto ray python -m stages._on_ray: cli.py run"


def test_the_yaml_files_start_the_same_chain():
    job, task = (YAML(typ="safe").load(p) for p in RECIPES if p.suffix == ".yaml")
    head = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    env = {each["name"]: each["value"] for each in head["env"]}
    assert task["envs"].items() <= env.items() and env["GUIDELABEL_ENGINE"] == "ray"
    for command in (job["spec"]["entrypoint"], task["run"]):
        assert "cd /project" in command and "python cli.py run" in command
    workers = job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]
    assert workers["replicas"] == task["num_nodes"]
