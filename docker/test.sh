#!/usr/bin/env bash
# Build the cpu image and run it for real: docker/test.sh [ARGUMENT OF PYTEST...]
#
#   BASE     image to build on; without it one is made here by debootstrap, and kept for the next time
#   MIRROR   where debootstrap gets its packages from
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. docker/tools.sh

need podman buildah runc
export BASE=${BASE:-localhost/ambidex-base:bookworm}
if ! podman image exists "$BASE"; then
  case $BASE in
  localhost/*)
    echo "making $BASE"
    docker/local_base.sh "$BASE" ${MIRROR:+"$MIRROR"} >/dev/null
    ;;
  *) podman pull --quiet "$BASE" >/dev/null || complain "there is no image $BASE here, and it cannot be pulled" ;;
  esac
fi
python -m pytest tests/images -m images --override-ini timeout=1800 --durations 0 "$@"
