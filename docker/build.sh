#!/usr/bin/env bash
# Build one image: docker/build.sh cpu|gpu [OPTION OF THE BUILDER...]
#
#   IMAGE     name and tag (ambidex:local for cpu, ambidex:local-gpu for gpu)
#   BASE      image to build on; without it the one named in docker/Dockerfile
#   PIP_CONF  file with pip's settings, for example an index of CPU builds of torch; no layer keeps it
#   BUILDER   docker, podman or buildah; without it the first that works
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. docker/tools.sh

target=${1:-}
case $target in
cpu) image=${IMAGE:-ambidex:local} ;;
gpu) image=${IMAGE:-ambidex:local-gpu} ;;
*) complain "name the target, cpu or gpu" ;;
esac
shift

# As in a run card: the revision, with + where something differs from it. Without git (an archive) there is none.
revision=$(git rev-parse HEAD 2>/dev/null || true)
[ -z "$revision" ] || [ -z "$(git status --porcelain)" ] || revision+=+

builder=${BUILDER:-$(find_builder)}
base=${BASE:-}
options=()
case $builder in
docker)
  # No list of materials: it names the registry of the base.
  export DOCKER_BUILDKIT=1 BUILDX_NO_DEFAULT_ATTESTATIONS=1
  ;;
podman | buildah)
  # podman and buildah write the base's name, with its registry, into the image: as an annotation, which the format
  # docker does not have, and into the history, where any other name of the same image does as well.
  options+=(--layers --format docker)
  [ -z "$base" ] || base=$(local_name "$builder" "$base")
  ;;
*) complain "BUILDER is $builder, it must be docker, podman or buildah" ;;
esac
[ -z "$base" ] || options+=(--build-arg "BASE=$base")
[ -z "${PIP_CONF:-}" ] || options+=(--secret "id=pip.conf,src=$PIP_CONF")

echo "$builder builds $image, target $target, revision ${revision:-unknown}"
"$builder" build --file docker/Dockerfile --target "$target" --tag "$image" --build-arg "ACCELERATOR=$target" \
  --build-arg "REVISION=$revision" "${options[@]}" "$@" .
