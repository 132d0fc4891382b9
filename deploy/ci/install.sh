#!/bin/sh
# Make an environment with the grader: install.sh FOLDER; the command is then FOLDER/bin/grader.
# PYTHON: the interpreter, else scripts/find-python chooses. TORCH_INDEX_URL: where PyTorch comes from, else pip's own
# index, whose build of several GB runs on GPUs as well.
set -eu
folder=$1
repository=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
python=${PYTHON:-$("$repository/scripts/find-python")}
torch=$(sed -n 's/^ *"\(torch[a-z]*==[^"]*\)".*/\1/p' "$repository/pyproject.toml")

install() {
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
}

"$python" -m venv "$folder"
# shellcheck disable=SC2086 # torch and torchvision are two words
install ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} $torch
# Editable, as everywhere else: rubrics then lie outside Python's own folders, which the sandbox shows to students.
install --editable "${repository}[course]"
# d2l pins an old stack beside which pip refuses to install, so it comes without its dependencies (see the Makefile).
install --no-deps d2l==1.0.3
