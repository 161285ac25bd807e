#!/usr/bin/env bash
# Gradescope runs this once, when it builds the image: an environment of its own, whatever Python the image has.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

apt-get update
apt-get install -y --no-install-recommends python3 python3-pip
python3 -m pip install uv || python3 -m pip install --break-system-packages uv
python3 -m uv venv --python 3.12 "$root/venv"
python3 -m uv pip install --python "$root/venv/bin/python" --torch-backend cpu -r "$root/source/pyproject.toml"
"$root/venv/bin/python" -m compileall -q "$root/source/grader"
chmod -R go-rwx "$root/source"
