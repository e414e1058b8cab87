#!/usr/bin/env bash
# A run as a SLURM job: Ray on all nodes of the allocation for as long as the run takes.
#
#   sbatch clusters/slurm.sh experiments/quickstart.yaml clusters/local.yaml /scratch/$USER/sweeps/quickstart
#
# The folder is one that all nodes share. Further arguments are options of `sweep run`: with --max-hours a little below the
# job's time limit the run ends in order; cut off, the same sbatch goes on where it stood. RAY_START_OPTIONS: for `ray start`.
#SBATCH --job-name=sweep
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --exclusive
#SBATCH --time=08:00:00
set -euo pipefail

if (($# < 3)); then
  echo "usage: sbatch $0 STUDY CLUSTER SHARED_FOLDER [OPTIONS OF sweep run]" >&2
  exit 2
fi
study=$1 cluster=$2 out=$3
shift 3

# Whoever reaches a Ray without a token can run anything on it; the file is read by this user alone
RAY_AUTH_TOKEN_PATH=$(mktemp "$HOME/.sweep-token-$SLURM_JOB_ID-XXXXXX")
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT
od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$RAY_AUTH_TOKEN_PATH"
export RAY_AUTH_TOKEN_PATH RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0

head_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=$((20000 + SLURM_JOB_ID % 10000))

# One task a node: the first is the head and runs the command, the others serve until it ends
read -ra ray_start_options <<<"${RAY_START_OPTIONS:-}"
srun --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 \
  ray symmetric-run --address "$head_node:$port" --min-nodes "$SLURM_JOB_NUM_NODES" \
  --num-cpus="$SLURM_CPUS_PER_TASK" "${ray_start_options[@]}" -- \
  sweep run "$study" --cluster "$cluster" --out "$out" --address auto "$@"
