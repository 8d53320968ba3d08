#!/usr/bin/env bash
# From a LLaMA-VID-format checkpoint to the table, on miniature data sets: `bash recipes/paper/demo.sh [WORK]`.
# The checkpoint is a tiny one with random weights; the figures mean nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=${1:-$(mktemp -d)}
python=$([[ -x .venv/bin/python ]] && echo .venv/bin/python || echo python3)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} TQDM_DISABLE=${TQDM_DISABLE:-1}  # tensors are tiny: threads only wait

mkdir -p "$work"
[[ -d $work/model ]] || "$python" -m emo_llama_hf convert tests/fixtures/llama_vid/a_mean --output "$work/model" \
    --facexformer tests/fixtures/facexformer
[[ -d $work/data ]] || "$python" recipes/paper/make_miniature.py "$work/data"
"$python" recipes/paper/run.py "$work/data" "$work/run" --model "$work/model" --ablation all --cross-modality
echo "Table and chart are in $work/run."
