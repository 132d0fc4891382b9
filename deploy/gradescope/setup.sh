#!/bin/bash
# Gradescope runs this once, when it builds the autograder's image.
set -eu
root=${AUTOGRADER_ROOT:-/autograder}
grader=$root/source/notebook-grader
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends libseccomp2 python3 python3-venv
# The default Python of Ubuntu 22.04 is too old, but it offers a newer one.
"$grader/scripts/find-python" >/dev/null 2>&1 ||
    apt-get install -y -qq --no-install-recommends python3.11 python3.11-venv
apt-get install -y -qq --no-install-recommends dataset-fashion-mnist || echo "no Fashion-MNIST: training items stay pending"
# Gradescope has no GPU: install.sh takes PyTorch's build for CPUs.
"$grader/deploy/ci/install.sh" "$grader/.venv"
# Into the build's log, for the person who sets the course up; the machine that runs the autograder may allow more or less.
"$grader/.venv/bin/grader" doctor || true
