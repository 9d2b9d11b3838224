#!/usr/bin/env bash
# Type-checks the workspace with the feature `cuda`, on a machine without GPU, driver or CUDA.
#
# The compiler comes from NVIDIA's packages on PyPI, about 100 MB, into a folder that is kept for the next time. candle's kernels
# are really compiled (some minutes); nothing is linked and nothing runs: that needs a driver.
#
#   PYTHON=python3 CUDA_FOLDER=/tmp/paragraph-cuda tests/cuda/check.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
folder=${CUDA_FOLDER:-${TMPDIR:-/tmp}/paragraph-cuda}
version=13.2
mkdir -p "$folder"

if ! [ -e "$folder/complete" ]; then
  "$python" -m pip install --quiet --no-deps --upgrade --target "$folder/packages" \
    "nvidia-cuda-nvcc==$version.*" "nvidia-nvvm==$version.*" "nvidia-cuda-crt==$version.*" \
    "nvidia-cuda-runtime==$version.*" "nvidia-cuda-cccl==$version.*"
  touch "$folder/complete"
fi
root=$(echo "$folder"/packages/nvidia/cu13)
chmod +x "$root"/bin/* "$root"/nvvm/bin/*

export CUDA_HOME=$root CUDA_PATH=$root CUDA_ROOT=$root NVCC=$root/bin/nvcc PATH=$root/bin:$PATH
# Without it candle asks nvidia-smi. 80: Ampere and later.
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-80}
# A folder of its own: the flags differ from those of the workspace's build, and one must not replace the other.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$folder/target}
nvcc --version | tail -2
# Candle's devices are chosen in `sdk` alone, so the feature of that crate is the whole switch.
cargo check --release --workspace --features sdk/cuda "$@"
