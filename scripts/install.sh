#!/bin/sh
# Finds the program for action.yml, and says where in $GITHUB_OUTPUT: the path that was given, else
# the tool cache, else the release asset whose SHA-256 stands in this very commit, else a build from
# the source of this commit. Plain sh: not every self-hosted runner has bash.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
name=lockkeeper
base=${LOCKKEEPER_RELEASE_BASE:-https://github.com/lockkeeper/lockkeeper/releases/download}
temp=${RUNNER_TEMP:-${TMPDIR:-/tmp}}

die() {
  printf '::error title=Lockkeeper install::%s\n' "$*"
  exit 1
}
use() {
  printf 'binary=%s\n' "$1" >>"${GITHUB_OUTPUT:-/dev/null}"
  printf 'Lockkeeper: %s (%s)\n' "$1" "$2"
  exit 0
}
sum_of() {
  { sha256sum "$1" 2>/dev/null || shasum -a 256 "$1"; } | cut -d ' ' -f 1
}

if [ -n "${LOCKKEEPER_BINARY_PATH:-}" ]; then
  if [ ! -f "$LOCKKEEPER_BINARY_PATH" ] || [ ! -x "$LOCKKEEPER_BINARY_PATH" ]; then
    die "binary-path is '$LOCKKEEPER_BINARY_PATH', which is not an executable file"
  fi
  case $LOCKKEEPER_BINARY_PATH in
    /*) use "$LOCKKEEPER_BINARY_PATH" 'as given' ;;
    *) use "$PWD/$LOCKKEEPER_BINARY_PATH" 'as given' ;;
  esac
fi

system=$(uname -s)
case $system-$(uname -m) in
  Linux-x86_64) target=x86_64-unknown-linux-musl ;;
  Linux-aarch64 | Linux-arm64) target=aarch64-unknown-linux-musl ;;
  Darwin-arm64) target=aarch64-apple-darwin ;;
  Darwin-x86_64) target=x86_64-apple-darwin ;;
  MINGW* | MSYS* | CYGWIN*) die 'Windows runners are not supported: use a Linux runner (runs-on: ubuntu-24.04)' ;;
  *) target='' ;;
esac

sums=${LOCKKEEPER_CHECKSUMS:-$here/checksums.txt}
own_version=''
[ ! -f "$sums" ] || own_version=$(sed -n 's/^version //p' "$sums")
version=${LOCKKEEPER_VERSION:-$own_version}
want=''
if [ -n "$version" ]; then
  case $version in
    *[!0-9.]* | .* | *. | *..*) die "version '$version' is not of the form 1.2.3" ;;
  esac
  asset=$name-$version-$target.tar.gz
  [ ! -f "$sums" ] || want=$(awk -v asset="$asset" '$2 == asset { print $1 }' "$sums")
fi

if [ -n "$version" ] && [ -n "$want" ] && [ -n "$target" ]; then
  cache=${RUNNER_TOOL_CACHE:-$temp}/$name/$version/$target
  if [ -x "$cache/$name" ] && [ "$(cat "$cache/.sha256" 2>/dev/null || true)" = "$want" ]; then
    use "$cache/$name" 'tool cache'
  fi
  work=$(mktemp -d "$temp/lockkeeper.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  # No REST API (60 anonymous requests an hour), and no --retry-all-errors (half a minute on a 404).
  if curl --proto "${LOCKKEEPER_PROTO:-=https}" --tlsv1.2 -fsSL --retry 4 --retry-connrefused \
    --connect-timeout 10 --max-time 120 -o "$work/asset" "$base/v$version/$asset"; then
    got=$(sum_of "$work/asset")
    # A wrong sum is no reason to build instead: something handed us another file.
    [ "$got" = "$want" ] || die "the SHA-256 of $asset is $got, not $want; it is not run"
    tar -xzf "$work/asset" -C "$work" "$name"
    mkdir -p "$cache"
    chmod 755 "$work/$name"
    mv -f "$work/$name" "$cache/$name"
    printf '%s\n' "$want" >"$cache/.sha256"
    use "$cache/$name" 'downloaded, SHA-256 as in this commit'
  fi
  printf '::warning title=Lockkeeper install::%s could not be downloaded; building from source\n' "$asset"
elif [ -n "$version" ] && [ "$version" != "$own_version" ]; then
  die "this commit has no SHA-256 for version $version: pin the action to that release instead of setting version"
fi

command -v cargo >/dev/null ||
  die "there is no released program for $system $(uname -m), and no cargo to build one: set binary-path, or install Rust before this step"
built=${LOCKKEEPER_BUILD_DIR:-${RUNNER_TOOL_CACHE:-$temp}/lockkeeper-build}
cargo build --quiet --locked --release --manifest-path "$here/../Cargo.toml" --target-dir "$built" >&2 ||
  die 'the build from source failed: see the lines above'
use "$built/release/$name" 'built from source'
