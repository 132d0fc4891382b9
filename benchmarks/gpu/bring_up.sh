#!/bin/bash
# Check the grader on a bare GPU machine: bash benchmarks/gpu/bring_up.sh CARRIED RESULTS [ARGUMENT ...]
#
# CARRIED is the folder that `python -m benchmarks.gpu.carry` filled, RESULTS where the results go, and ARGUMENTs are those
# of `python -m benchmarks.gpu`. Needs root, a python3 with torch and pip, and no network. A step that fails is printed, and
# the next one is tried: what is missing then breaks single parts, which say so.
set -u

carried=$(realpath "$1")
mkdir -p "$2"
results=$(realpath "$2")
shift 2
root=$(realpath "$(dirname "$0")/../..")
python=$(command -v python3)
wheels=("$carried"/wheels/*.whl)
place=/usr/local/grader # the sandbox shows /usr, and has a /tmp of its own
state=${GRADER_CHECK_STATE:-/var/tmp/grader-check}

say() { echo "$(date +%H:%M:%S) $*"; }

site() { "$1" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }

install_wheels() { # into the environment $1
    "$1" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --disable-pip-version-check \
        --root-user-action=ignore --break-system-packages "${wheels[@]}"
}

# The warm process sees the packages of its environment alone, so PYTHONPATH does not serve. If the environment of torch
# cannot be written, a new one borrows its packages, bound below the new one's folder so that the sandbox shows them, too.
make_environment() {
    [ -e "${wheels[0]}" ] || return 1
    say "installing into $(site "$python") failed; making an environment in $place"
    "$python" -m venv --without-pip "$place" && mkdir -p "$place/borrowed" &&
        mount --bind "$(site "$python")" "$place/borrowed" &&
        echo "$place/borrowed" >"$(site "$place/bin/python3")/borrowed.pth" &&
        "$python" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --upgrade \
            --disable-pip-version-check --target "$(site "$place/bin/python3")" "${wheels[@]}" &&
        python=$place/bin/python3
}

# The sandbox's user must be able to enter the folders of Python, which may lie in root's home.
open_folders() {
    "$python" - <<'END'
import os, pathlib, sys

for prefix in {sys.prefix, sys.base_prefix, os.path.realpath(sys.prefix), os.path.realpath(sys.base_prefix)}:
    for folder in pathlib.Path(prefix, "x").parents:
        if not folder.stat().st_mode & 0o001:
            print(f"letting every user enter {folder}")
            folder.chmod(folder.stat().st_mode | 0o001)
END
}

# The sandbox's user opens the device files, too, as drivers make them unless told otherwise.
open_nodes() {
    for node in /dev/nvidia[0-9]* /dev/nvidiactl /dev/nvidia-uvm /dev/nvidia-uvm-tools; do
        if [ -c "$node" ] && [ "$(stat -c %a "$node")" != 666 ]; then
            say "letting every user open $node" && chmod 666 "$node"
        fi
    done
}

find_seccomp() { "$python" -c 'import ctypes.util, sys; sys.exit(not ctypes.util.find_library("seccomp"))'; }

install_seccomp() {
    find_seccomp && return
    cp "$carried/lib/libseccomp.so.2" /usr/local/lib/ && echo /usr/local/lib >/etc/ld.so.conf.d/grader.conf && ldconfig
    # Without ldconfig's cache or a compiler, ctypes finds no library by its name.
    find_seccomp || say "libseccomp is not found, so the layer seccomp stays off"
}

say "python3 is $python ($("$python" -V 2>&1)), the user $(id -un), the kernel $(uname -sr)"
install_wheels "$python" || make_environment || say "the wheels are not installed"
open_folders || say "the folders of Python stay closed"
open_nodes
ulimit -v unlimited 2>/dev/null # CUDA reserves more addresses than there is memory
install_seccomp || say "libseccomp is not installed"
mkdir -p "$state/cache/data/FashionMNIST/raw" && cp "$carried"/data/*.gz "$state/cache/data/FashionMNIST/raw/"
notebooks=()
for notebook in "$carried"/notebooks/*.ipynb; do
    [ -e "$notebook" ] && notebooks+=(--notebook "$notebook")
done
say "set up after $SECONDS s"

cd "$root" || exit 2
export PYTHONPATH=$root PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
export GRADER_CACHE=$state/cache GRADER_KEY_FILE=$state/installation.key
exec "$python" -m benchmarks.gpu "$results" "${notebooks[@]}" "$@"
