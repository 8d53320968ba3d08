#!/usr/bin/env bash
# Everything that must pass: style, types, tests and coverage. Arguments go to pytest, e.g. `bash tests/run.sh -k hub`
# (a selection is run without the coverage threshold).
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

# The virtual environment is installed anew only when what it is made from has changed.
stamp=.venv/installed
if [[ ! -f $stamp || setup.py -nt $stamp || pyproject.toml -nt $stamp || constraints.txt -nt $stamp ]]; then
    [[ -x .venv/bin/python ]] || python3 -m venv .venv
    .venv/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[test]"
    touch $stamp
fi
export PATH=$root/.venv/bin:$PATH

ruff check .
ruff format --check .

# mypy finds modules by folder, so it reads a tree of links laid out as the package is installed; `sed` undoes that in
# the paths that it reports.
tree=$root/.mypy_cache/tree
rm -rf "$tree"
mkdir -p "$tree/emo_llama_hf"
ln -s "$root"/emo_llama_hf/* "$root"/{modeling,processing,conversion} "$tree/emo_llama_hf/"
ln -s "$root/emo_llama_command.py" "$tree/"
(cd "$tree" && mypy --config-file "$root/pyproject.toml" --cache-dir "$root/.mypy_cache" -p emo_llama_hf -m emo_llama_command) |
    sed -E 's#^emo_llama_hf/(modeling|processing|conversion)/#\1/#'

# The same tree for what may import what.
(cd "$tree" && PYTHONPATH=$tree lint-imports --config "$root/pyproject.toml" --no-cache)

# transformers' own test classes. Without them the tests made of them would be skipped, so this stops here instead.
python tests/common/fetch.py

if (($#)); then
    python -m pytest "$@"
else
    # One process a core, and one thread in each.
    OMP_NUM_THREADS=1 python -m pytest -n auto --dist loadfile --cov --cov-report=term --cov-fail-under=90
fi
