#!/usr/bin/env bash
# Set up `.venv`, ask the default model about a photo and about a video made from it, and draw the video's timeline.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[timeline]'
.venv/bin/python examples/make_clip.py tests/samples/astronaut.png .venv/astronaut.mp4
.venv/bin/emo-llama analyze tests/samples/astronaut.png .venv/astronaut.mp4 --max-new-tokens 16
.venv/bin/emo-llama timeline .venv/astronaut.mp4 --plot .venv/astronaut-timeline.png
echo "The scores over time: $PWD/.venv/astronaut-timeline.png"
