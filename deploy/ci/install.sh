#!/bin/sh
# Create an environment with the grader: install.sh FOLDER. The command is then FOLDER/bin/grader.
# PYTHON: the interpreter; by default scripts/find-python chooses one. TORCH_INDEX_URL: the package index for PyTorch; by
# default that of the builds for CPUs. If it is empty, pip's own, whose build of several GB also runs on GPUs.
set -eu
folder=$1
repository=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
python=${PYTHON:-$("$repository/scripts/find-python")}
index=${TORCH_INDEX_URL-https://download.pytorch.org/whl/cpu}
torch=$(sed -n 's/^ *"\(torch[a-z]*==[^"]*\)".*/\1/p' "$repository/pyproject.toml")

install() {
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
}

"$python" -m venv "$folder"
# shellcheck disable=SC2086 # torch and torchvision are two words
install ${index:+--index-url "$index"} $torch
# Editable, so that rubrics are outside Python's own folders, which students can read in the sandbox.
install --editable "${repository}[colab,course,grading]"
# d2l pins old versions that conflict with ours, so it is installed without its dependencies (see the Makefile).
install --no-deps d2l==1.0.3
