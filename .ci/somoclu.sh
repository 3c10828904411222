#!/usr/bin/env bash
# Install Somoclu with its C++ core: its own setup falls back to none where NumPy or the compiler's
# flags do not suit it, and says nothing. Debian: apt-get install g++ python3-dev
set -euo pipefail
python=$(realpath --no-symlinks "$1")
"$python" -W ignore -c 'from somoclu.train import wrap_train' 2>/dev/null && exit 0
headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
command -v g++ >/dev/null && [ -f "$headers" ] || {
  echo "!! g++ OR PYTHON'S HEADERS ARE NOT INSTALLED, so Somoclu is NOT tested: apt-get install g++ python3-dev" >&2
  exit 0
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m pip download --quiet --no-deps --no-build-isolation --no-binary somoclu -d "$folder" somoclu==1.7.6
tar xzf "$folder"/somoclu-1.7.6.tar.gz -C "$folder"
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
include=$("$python" -c 'import sysconfig, numpy; print("-I" + sysconfig.get_path("include"), "-I" + numpy.get_include())')
cd "$folder"/somoclu-1.7.6/somoclu
# shellcheck disable=SC2086
g++ -O2 -fopenmp -fPIC -shared $include -Isrc somoclu_wrap.cxx src/denseCpuKernels.cpp \
  src/sparseCpuKernels.cpp src/mapDistanceFunctions.cpp src/training.cpp src/uMatrix.cpp \
  -o "$site/_somoclu_wrap.so"
mkdir -p "$site/somoclu"
cp ./*.py "$site/somoclu/"
"$python" -W ignore -c 'from somoclu.train import wrap_train'
