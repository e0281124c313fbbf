# version.sh: to be read by the scripts that build what is released. It sets VERSION, REVISION and SOURCE_DATE_EPOCH from git, unless the
# environment has them.
# shellcheck shell=bash
VERSION=${VERSION:-$(git describe --tags --always --dirty)}
REVISION=${REVISION:-$(git rev-parse HEAD)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export VERSION REVISION SOURCE_DATE_EPOCH
