#!/usr/bin/env bash
# setup.sh: installs the Debian packages that tests need and this machine lacks. Never fails: what stays missing is said here,
# and by name and reason in the last lines of the run whose part it is.
set -euo pipefail
cd "$(dirname "$0")/.."

# Each row: a program or file that shows the package is there, and the package.
wanted() {
  cat <<'ROWS'
gcc gcc
git git
shellcheck shellcheck
ip iproute2
qemu-system-x86_64 qemu-system-x86
/usr/lib/qemu/virtiofsd qemu-system-common
cpio cpio
kmod kmod
runc runc
/usr/lib/cni/ptp containernetworking-plugins
iptables iptables
buildah buildah
ROWS
}

missing=()
while read -r sign package; do
  PATH=$PATH:/usr/sbin:/sbin command -v "$sign" >/dev/null || missing+=("$package")
done < <(wanted)
# The race detector links with the C library's headers and start files.
[ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)
# The dynamic busybox has the same name as the static one that the emulated machine needs.
if ! busybox=$(command -v busybox) || LC_ALL=C ldd "$busybox" >/dev/null 2>&1; then missing+=(busybox-static); fi

# Installed, Debian's prometheus is a service that starts at once and listens everywhere. Only its programs are wanted.
unpacked=build/tools/prometheus unpack=()
for package in prometheus prometheus-node-exporter; do
  [ -x "$unpacked/$package" ] || command -v "$package" >/dev/null || unpack+=("$package")
done

[ ${#missing[@]} -gt 0 ] || [ ${#unpack[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "setup: missing here, and only root on Debian could install it: ${missing[*]} ${unpack[*]}"
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >/dev/null || true # an old list may do
if [ ${#missing[@]} -gt 0 ]; then
  echo "setup: installing ${missing[*]}"
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    echo "setup: apt-get could not install ${missing[*]}: tests that need them will say so"
fi

# unpack_programs takes a package's programs into a folder, and nothing else of it.
unpack_programs() {
  local package=$1 into=$2 work
  work=$(mktemp -d "$PWD/build/unpack.XXXXXX")
  (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$package" && dpkg-deb -x ./*.deb .) &&
    mkdir -p "$into" && cp "$work"/usr/bin/* "$into"
  local status=$?
  rm -rf "$work"
  return "$status"
}
for package in "${unpack[@]}"; do
  echo "setup: unpacking $package into $unpacked"
  mkdir -p build
  unpack_programs "$package" "$unpacked" >/dev/null || echo "setup: $package cannot be had: tests that need it will say so"
done
