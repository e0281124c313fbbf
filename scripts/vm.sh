#!/usr/bin/env bash
# vm.sh COMMAND [ARG…]: runs COMMAND as root in an emulated machine with cgroups of one version, over this machine's files.
#
# The machine is qemu's, in software, so that it starts anywhere, within seconds and without KVM; work on its CPU is
# some ten times slower, so it is for correctness and never for timing. It boots Debian's cloud kernel and sees this
# machine's file tree under a writable layer in memory: COMMAND finds every program and file here and changes none. It
# starts in the caller's directory. /run, /tmp and /dev/shm are empty, except that a checkout that lies below
# one of them is visible. What COMMAND leaves in $VM_OUT (/vmout there) comes back in that folder of this machine.
#
#   VM_CGROUP=2     cgroup version: 2 (unified, with PSI) or 1 (a hierarchy for each controller)
#   VM_TIMEOUT=2400 seconds until the machine is stopped: then the exit status is 124
#   VM_OUT=         folder to share, VM_CPUS=2 and VM_MEM=3G the machine's size
#   VM_APPEND=      more of the kernel's command line, such as psi=0
#
# Exit status: COMMAND's; 125 if the machine did not live to tell; 124 if it took too long; 3 if this host cannot run it.
set -euo pipefail

[ $# -gt 0 ] || { sed -n '2,16s/^# \{0,1\}//p' "$0" >&2; exit 2; }

version=${VM_CGROUP:-2} timeout=${VM_TIMEOUT:-2400} memory=${VM_MEM:-3G}
checkout=$(cd "$(dirname "$0")/.." && pwd -P)
here=$(pwd -P)

unable() {
  echo "vm.sh: cannot run the machine here: $*" >&2
  exit 3
}

[ "$(id -u)" = 0 ] || unable "not root, whom sharing the file tree needs"
[ "$(uname -m)" = x86_64 ] || unable "it is set up for x86_64 only, this is $(uname -m)"
virtiofsd=
for candidate in /usr/lib/qemu/virtiofsd /usr/libexec/virtiofsd; do
  [ ! -x "$candidate" ] || { virtiofsd=$candidate; break; }
done
[ -n "$virtiofsd" ] || unable "virtiofsd is missing: apt-get install qemu-system-common"
for tool in qemu-system-x86_64 cpio depmod busybox; do
  PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null ||
    unable "$tool is missing: apt-get install qemu-system-x86 qemu-system-common busybox-static cpio kmod"
done
busybox=$(command -v busybox)
# The first program of the machine runs before any library is there.
if LC_ALL=C ldd "$busybox" >/dev/null 2>&1; then unable "$busybox is not static: apt-get install busybox-static"; fi

# fetch_kernel unpacks Debian's cloud kernel below $1.
fetch_kernel() {
  local into=$1 package
  package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '/Depends: linux-image/ {print $2; exit}')
  if [ -z "$package" ]; then
    apt-get update -qq || return 1
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ {print $2; exit}')
  fi
  [ -n "$package" ] || return 1
  # A list that is older than the archive's last change names files that are gone: then once more, with a new list.
  (cd "$work" && { apt-get download -qq "$package" || { apt-get update -qq && apt-get download -qq "$package"; }; }) || return 1
  dpkg -x "$work/$package"*.deb "$into" || return 1
  PATH=$PATH:/usr/sbin:/sbin depmod -b "$into" "$(basename "$into"/boot/vmlinuz-* | sed 's/^vmlinuz-//')"
}

work=$(mktemp -d)
children=()
# shellcheck disable=SC2317 # the trap calls it
finish() {
  [ ${#children[@]} -eq 0 ] || kill "${children[@]}" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

cache=${XDG_CACHE_HOME:-${HOME:-$checkout/build}/.cache}/nodevitals
if ! compgen -G "$cache/kernel/boot/vmlinuz-*" >/dev/null; then
  mkdir -p "$cache"
  fresh=$(mktemp -d "$cache/kernel.XXXXXX")
  fetch_kernel "$fresh" >"$work/fetch.log" 2>&1 || {
    rm -rf "$fresh"
    unable "Debian's package linux-image-cloud-amd64 cannot be had: $(tail -n 1 "$work/fetch.log")"
  }
  chmod 755 "$fresh"
  # Whole or not at all, also when two runs fetch at once: the second finds the first one's and lets its own go.
  mv -T "$fresh" "$cache/kernel" 2>/dev/null || rm -rf "$fresh"
fi
kernel=$(compgen -G "$cache/kernel/boot/vmlinuz-*" | tail -n 1)
modules=$cache/kernel/lib/modules/${kernel##*/vmlinuz-}

# The initial file system: busybox, and the modules that mount the file tree, numbered in the order to load them.
initial=$work/initial
mkdir -p "$initial"/{bin,modules,proc,sys,dev,ro,rw,new}
cp "$busybox" "$initial/bin/busybox"
number=0 loaded=" "
load() {
  local name=${1//-/_} file need
  case $loaded in *" $name "*) return ;; esac
  loaded="$loaded$name "
  file=$(find "$modules" -name "${name//_/[-_]}.ko" | head -n 1)
  [ -n "$file" ] || return 0 # built into the kernel
  for need in $(tr '\0' '\n' <"$file" | sed -n 's/^depends=//p' | tr ',' ' '); do load "$need"; done
  number=$((number + 1))
  cp "$file" "$initial/modules/$(printf '%02d' "$number")-$name.ko"
}
for module in virtio_pci virtiofs overlay; do load "$module"; done

out=${VM_OUT:-$work/out}
mkdir -p "$out"
out=$(cd "$out" && pwd -P)

cat >"$initial/init" <<'INIT'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sysfs /sys; $b mount -t devtmpfs dev /dev
for m in /modules/*; do $b insmod $m; done
$b mount -t virtiofs root /ro -o ro || echo "the file tree is not there"
$b mount -t tmpfs rw /rw -o size=60%
$b mkdir /rw/upper /rw/work /rw/checkout-upper /rw/checkout-work
$b mount -t overlay overlay /new -o lowerdir=/ro,upperdir=/rw/upper,workdir=/rw/work
for d in proc sys dev; do $b mount --move /$d /new/$d; done
$b mkdir -p /new/dev/shm /new/dev/pts /new/vmout /new/run /new/tmp
for d in dev/shm run tmp; do $b mount -t tmpfs tmpfs /new/$d; done
$b chmod 1777 /new/tmp /new/dev/shm
$b mount -t devpts pts /new/dev/pts
for l in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do $b ln -sf /proc/self/${l#*:} /new/dev/${l%%:*}; done
$b mount -t virtiofs out /new/vmout
. /settings
case $checkout in
/tmp/*|/run/*|/dev/shm/*)
  $b mkdir -p "/new$checkout"
  $b mount -t overlay overlay "/new$checkout" -o "lowerdir=/ro$checkout,upperdir=/rw/checkout-upper,workdir=/rw/checkout-work" ;;
esac
$b mkdir -p /new/usr/lib/modules
$b mount --bind "/ro$modules" /new/usr/lib/modules
case $version in
2) $b mount -t cgroup2 cgroup2 /new/sys/fs/cgroup ;;
1)
  $b mount -t tmpfs cgroup /new/sys/fs/cgroup -o mode=755
  for c in cpuset cpu cpuacct blkio memory devices freezer perf_event hugetlb pids; do
    $b mkdir /new/sys/fs/cgroup/$c
    $b mount -t cgroup cgroup /new/sys/fs/cgroup/$c -o $c
  done
  $b mkdir /new/sys/fs/cgroup/systemd
  $b mount -t cgroup cgroup /new/sys/fs/cgroup/systemd -o none,name=systemd ;;
esac
exec $b chroot /new /vmout/.start
INIT
chmod 755 "$initial/init"
printf 'checkout=%q modules=%q version=%q\n' "$checkout" "$cache/kernel/lib/modules" "$version" >"$initial/settings"
(cd "$initial" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd"

{
  printf '#!/bin/bash\nexport PATH=%q HOME=%q VM_OUT=/vmout NODEVITALS_VM=1\n' "$PATH" "${HOME:-/root}"
  cat <<'START'
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  # The root must be free of processes' claims before its controllers can be handed down.
  mkdir -p /sys/fs/cgroup/init && echo $$ >/sys/fs/cgroup/init/cgroup.procs
  for c in $(cat /sys/fs/cgroup/cgroup.controllers); do echo "+$c" >/sys/fs/cgroup/cgroup.subtree_control; done
else
  for d in /sys/fs/cgroup/*/; do
    [ ! -e "$d/cpuset.cpus" ] || echo 1 >"$d/cgroup.clone_children"
    mkdir -p "$d/init" && echo $$ >"$d/init/cgroup.procs"
  done
fi
ip link set lo up 2>/dev/null
hostname vm
START
  printf 'cd %q 2>/dev/null || cd /vmout\n' "$here"
  printf '%q ' "$@"
  printf '</dev/null >/vmout/.log 2>&1\necho $? >/vmout/.status\nsync\necho o >/proc/sysrq-trigger\nsleep 20\n'
} >"$out/.start"
chmod 755 "$out/.start"
: >"$out/.log"
rm -f "$out/.status"

"$virtiofsd" --socket-path="$work/root.sock" -o source=/ -o cache=always -o sandbox=chroot -o no_posix_lock >"$work/share.log" 2>&1 &
children+=($!)
"$virtiofsd" --socket-path="$work/out.sock" -o source="$out" -o cache=none -o sandbox=chroot >>"$work/share.log" 2>&1 &
children+=($!)
for _ in $(seq 100); do
  [ -S "$work/root.sock" ] && [ -S "$work/out.sock" ] && break
  sleep 0.1
done
tail -n +1 -f "$out/.log" &
children+=($!)

# Shortly before its time is up, a machine that still runs is asked over its serial line, by magic SysRq, what its processors are at: the
# end of its console then tells a hang of the kernel from work that takes long.
mkfifo "$work/keys"
exec 8<>"$work/keys"
(
  sleep "$((timeout > 40 ? timeout - 20 : timeout / 2))" &
  trap 'kill $! 2>/dev/null' EXIT
  trap 'exit' TERM
  wait $!
  # The terminal's break and a key: 8 for all messages, l for each processor's stack.
  printf '\001b8' >&8
  sleep 1 &
  wait $!
  printf '\001bl' >&8
  sleep 5 &
  wait $!
  printf '\001bw' >&8 # tasks that wait for a device
) &
children+=($!)

ended=0
timeout --foreground --kill-after=5 "$timeout" qemu-system-x86_64 -M q35 -accel tcg,thread=multi -cpu max -smp "${VM_CPUS:-2}" -m "$memory" \
  -object "memory-backend-memfd,id=mem,size=$memory,share=on" -numa node,memdev=mem \
  -chardev "socket,id=c0,path=$work/root.sock" -device vhost-user-fs-pci,chardev=c0,tag=root \
  -chardev "socket,id=c1,path=$work/out.sock" -device vhost-user-fs-pci,chardev=c1,tag=out \
  -kernel "$kernel" -initrd "$work/initrd" -append "console=ttyS0 quiet psi=1 panic=-1 mitigations=off sysrq_always_enabled \
    ${VM_APPEND:-}" -nographic -no-reboot -nic none <"$work/keys" >"$work/console" 2>&1 || ended=$?
sleep 0.5 # lets tail catch up

if [ -s "$out/.status" ]; then exit "$(cat "$out/.status")"; fi
status=125 reason="the machine ended before its command did"
if [ "$ended" = 124 ] || [ "$ended" = 137 ]; then status=124 reason="stopped after VM_TIMEOUT=$timeout s, its command still running"; fi
{
  echo "vm.sh: $reason; the end of its console:"
  tail -n 120 "$work/console"
  tail -n 5 "$work/share.log"
} >&2
exit "$status"
