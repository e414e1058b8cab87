#!/usr/bin/env bash
# An AArch64 board that is not there: clusters/emulated-arm64/setup.sh FOLDER
#
# Fills FOLDER with an AArch64 Python and TVM's runtime, QEMU's user-mode emulator and a cross compiler, for
# clusters/emulated-arm64.yaml. For Debian and Ubuntu on another architecture. It needs no root and installs nothing:
# apt downloads packages with a state of its own, and they are unpacked. Run again, it does what is missing.
#
#   FOLDER/bin/python                  the emulated interpreter; to Python, one of a virtual environment
#   FOLDER/bin/aarch64-linux-gnu-g++   the cross linker
#   FOLDER/root FOLDER/lib             AArch64: Debian's packages, and wheels
#   FOLDER/host                        this machine's: the emulator and the cross compiler, unless they are on PATH
#
# Packages come from this machine's apt sources, or from the list that SWEEP_APT_SOURCES names (Ubuntu keeps arm64 on a
# server of its own); wheels from where pip finds them, in the versions of constraints.txt. PYTHON is the Python whose
# pip is used, by default python3.
set -euo pipefail

constraints="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/constraints.txt"
wheels='apache-tvm apache-tvm-ffi cloudpickle ml_dtypes numpy psutil tornado typing_extensions'
platforms='manylinux_2_28 manylinux_2_27 manylinux_2_26 manylinux_2_24 manylinux_2_17 manylinux2014'

say() { printf 'emulated-arm64: %s\n' "$*"; }
die() { say "$*" >&2; exit 1; }

# fetch ARCHITECTURE NAME PACKAGE...: the packages, with all they need, unpacked into FOLDER/NAME.
fetch() {
  local architecture=$1 name=$2 state status package options
  shift 2
  say "downloading for $architecture: $*"
  state="$work/$name"
  mkdir -p "$state"/{lists,archives}/partial "$state/unpacked/usr/lib"
  ln -s usr/lib "$state/unpacked/lib"  # where programs look for their loader, wherever the package has it
  status=/var/lib/dpkg/status
  if [ "$architecture" = arm64 ]; then status="$state/status"; : >"$status"; fi  # nothing is there yet
  options=(-q -y -o "Dir::State=$state" -o "Dir::State::status=$status" -o "Dir::Cache=$state"
    -o "APT::Architecture=$architecture" -o "APT::Architectures=$architecture" -o "APT::Architectures::=$architecture"
    -o pkgCacheGen::Essential=none -o APT::Sandbox::User= -o APT::Install-Recommends=false)
  if [ -n "${SWEEP_APT_SOURCES:-}" ]; then
    options+=(-o "Dir::Etc::sourcelist=$(realpath "$SWEEP_APT_SOURCES")" -o Dir::Etc::sourceparts=-)
  fi
  apt-get "${options[@]}" update >"$state/log" 2>&1 &&
    apt-get "${options[@]}" --download-only install "$@" >>"$state/log" 2>&1 ||
    { tail -n 5 "$state/log" >&2; die "apt-get did not download $*"; }
  for package in "$state"/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$state/unpacked"
  done
  mv "$state/unpacked" "$folder/$name"
}

# tool NAME...: the first of these programs that is on PATH, or was unpacked for this machine.
tool() {
  local name
  for name in "$@"; do command -v "$name" && return; done
  for name in "$@"; do [ -x "$folder/host/usr/bin/$name" ] && echo "$folder/host/usr/bin/$name" && return; done
  return 1
}

emulator() { tool qemu-aarch64-static qemu-aarch64; }
compiler() { tool aarch64-linux-gnu-g++; }

# launcher NAME COMMAND...: FOLDER/bin/NAME, which becomes the command.
launcher() {
  local path="$folder/bin/$1"
  shift
  printf '#!/bin/sh\n%s\n' "$*" >"$path"
  chmod +x "$path"
}

unpack_wheels() {
  local pins="$work/pins" platform options=()
  for name in $wheels; do grep -iE "^$name==" "$constraints"; done >"$pins"
  if cmp -s "$pins" "$site/.pins"; then say "the wheels are there"; return; fi
  say "downloading wheels for Python $version on aarch64: $(paste -sd' ' "$pins")"
  for platform in $platforms; do options+=(--platform "${platform}_aarch64"); done
  rm -rf "$site"
  "${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --only-binary=:all: \
    --python-version "$version" --implementation cp "${options[@]}" --target "$site" --requirement "$pins"
  rm -f "$site/tvm/lib/libtvm_compiler.so"  # a device only runs: 240 MB and half the time to load TVM are spared
  cp "$pins" "$site/.pins"
}

[ $# -eq 1 ] || die 'one argument is wanted: the folder to fill'
[ "$(uname -m)" != aarch64 ] || die 'this machine is AArch64 itself: use clusters/local.yaml'
for program in apt-get dpkg-deb tar "${PYTHON:-python3}"; do
  command -v "$program" >/dev/null || die "$program is needed, and is not on PATH"
done
mkdir -p "$1/bin"
folder="$(cd "$1" && pwd)"
work="$(mktemp -d "$folder/.work-XXXXXX")"
trap 'rm -rf "$work"' EXIT

if [ -d "$folder/root" ]; then say 'the AArch64 root is there'; else fetch arm64 root python3 libstdc++6; fi
if emulator >/dev/null && compiler >/dev/null; then
  say 'emulator and cross compiler are there'
else
  fetch "$(dpkg --print-architecture)" host qemu-user-static g++-aarch64-linux-gnu
  find "$folder/host/usr/bin" -name 'qemu-*' ! -name 'qemu-aarch64*' -delete  # 400 MB of other processors
fi

python="$(basename "$(readlink "$folder/root/usr/bin/python3")")"
version="${python#python}"
site="$folder/lib/$python/site-packages"
unpack_wheels

# Workers start again from sys.executable, so that it has to be the launcher: its name goes in as the program's own, and
# pyvenv.cfg beside it makes Python look for packages here and for its library in the root.
printf 'home = %s\ninclude-system-site-packages = false\nversion = %s\n' "$folder/root/usr/bin" "$version" \
  >"$folder/pyvenv.cfg"
launcher python "unset LD_LIBRARY_PATH LD_PRELOAD PYTHONHOME
exec '$(emulator)' -L '$folder/root' -0 '$folder/bin/python' '$folder/root/usr/bin/$python' \"\$@\""
case "$(compiler)" in
  "$folder"/*)
    libraries="$(printf '%s:' "$folder"/host/usr/lib/*-linux-gnu*)"
    launcher aarch64-linux-gnu-g++ "export LD_LIBRARY_PATH='${libraries%:}'
exec '$(compiler)' --sysroot='$folder/host' \"\$@\"" ;;
  *) launcher aarch64-linux-gnu-g++ "exec '$(compiler)' \"\$@\"" ;;
esac

say 'trying both: an AArch64 library that the emulated TVM loads'
echo 'extern "C" int seven() { return 7; }' >"$work/seven.cc"
"$folder/bin/aarch64-linux-gnu-g++" -shared -fPIC -o "$work/seven.so" "$work/seven.cc"
TVM_USE_RUNTIME_LIB=1 "$folder/bin/python" -c "
import ctypes, platform, sys, tvm
assert ctypes.CDLL('$work/seven.so').seven() == 7
print('emulated-arm64: TVM', tvm.__version__, 'on Python', platform.python_version(), platform.machine())"
rm -rf "$work"
say "done, $(du -sh "$folder" | cut -f1); now: export SWEEP_ARM64_ROOT=$folder"
