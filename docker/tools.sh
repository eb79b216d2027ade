# Sourced by the scripts here: what is on this machine, and one line where something is missing.

complain() {
  echo "$0: $*" >&2
  exit 1
}

# The first builder that works. A docker client without a daemon does not.
find_builder() {
  if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
    echo docker
  elif command -v podman >/dev/null; then
    echo podman
  elif command -v buildah >/dev/null; then
    echo buildah
  else
    complain "no docker with a running daemon, no podman and no buildah here; install one, for example" \
      "apt-get install buildah"
  fi
}

# Install the Debian packages of these names whose program of the same name is missing; only root on Debian can.
need() {
  local missing=()
  for program in "$@"; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    complain "missing: ${missing[*]}; on Debian root installs them: apt-get install ${missing[*]}"
  fi
  echo "installing ${missing[*]}"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends \
    "${missing[@]}" >/dev/null || complain "apt-get could not install ${missing[*]}"
}

# A second name, without a registry, for an image of podman or buildah, which fetch it where it is not here.
local_name() {
  local number
  if [ "$1" = podman ]; then
    podman image exists "$2" || podman pull --quiet "$2" >/dev/null || complain "there is no image $2"
    number=$(podman image inspect --format '{{.Id}}' "$2")
  else
    number=$(buildah pull --quiet --policy missing "$2") || complain "there is no image $2"
  fi
  "$1" tag "$number" "localhost/ambidex-base:${number:0:12}"
  echo "localhost/ambidex-base:${number:0:12}"
}
