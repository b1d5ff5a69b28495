#!/bin/bash
#SBATCH --job-name=guidelabel
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=64
#SBATCH --gpus-per-node=8
#SBATCH --exclusive
#SBATCH --no-kill
#SBATCH --time=24:00:00
# In the project's folder: sbatch docs/recipes/slurm.sh. If the time was too short, submit it again.
set -euo pipefail
# shellcheck source=/dev/null
source .venv/bin/activate
export GUIDELABEL_ENGINE=ray GUIDELABEL_LAUNCH="python -m stages._on_ray"
export RAY_USAGE_STATS_ENABLED=0 RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=600
first=$(hostname -I | cut -d" " -f1) # this script runs on the first node
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=0 \
  ray symmetric-run --address="$first:6379" --min-nodes="$SLURM_JOB_NUM_NODES" \
  --num-cpus="$SLURM_CPUS_PER_TASK" -- env RAY_ADDRESS=auto python cli.py run
