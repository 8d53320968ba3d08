#!/usr/bin/env bash
# Set up `.venv` and ask the default model about a photo and about a video made from it.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
.venv/bin/python examples/make_clip.py tests/samples/astronaut.png .venv/astronaut.mp4
.venv/bin/emo-llama analyze tests/samples/astronaut.png .venv/astronaut.mp4 --max-new-tokens 16
