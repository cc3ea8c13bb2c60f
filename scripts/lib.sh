# Shared by the scripts here, which source it first. Afterwards the current directory is the root of the tree.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

kPackages=(build-essential cmake ninja-build pkg-config ccache libhwloc-dev libhwy-dev nlohmann-json3-dev libcli11-dev libssl-dev libgtest-dev libpugixml-dev)
# What only the tests need: launchers that they start programs with, doxygen, and network namespaces. Without them those tests are left out, and say so.
kTestPackages=(openmpi-bin mpich doxygen iproute2 libsimgrid-dev)

say() { printf '== %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

is_installed() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed* ]]; }

# Installs what is missing of kPackages and of the packages given; touches neither apt nor the network where nothing is.
install_packages() {
  local wanted=("${kPackages[@]}" "$@")
  if ! command -v apt-get >/dev/null; then
    say "This system has no apt; Tutti needs what Debian calls: ${wanted[*]}"
    return
  fi
  local package missing=() sudo=()
  for package in "${wanted[@]}"; do
    is_installed "$package" || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    command -v sudo >/dev/null || die "as root, install: ${missing[*]}"
    sudo=(sudo)
    [[ -t 0 ]] || sudo+=(-n)
  fi
  say "Installing ${missing[*]}"
  local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  "${apt[@]}" update </dev/null
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null
}

# One compiler for each core, and no more than memory holds (about 1 GiB each).
choose_jobs() {
  local cores memory_gib
  cores=$(nproc)
  memory_gib=$(awk '/^MemAvailable:/ {print int($2 / 1048576)}' /proc/meminfo)
  echo $((memory_gib < 1 ? 1 : memory_gib < cores ? memory_gib : cores))
}

# build PRESET [TARGET...]: configures where that was not done with these presets, and builds what changed.
build() {
  local preset=$1 stamp=build/$1/.configured
  shift
  command -v ninja >/dev/null && export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}
  export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(choose_jobs)}
  if [[ ! -e $stamp || CMakePresets.json -nt $stamp ]]; then
    say "Configuring build/$preset"
    cmake --preset "$preset"
    touch "$stamp"
  fi
  say "Building build/$preset"
  cmake --build --preset "$preset" ${1:+--target "$@"}
}
