#!/usr/bin/env bash
# Runs `torchduet against` for the action beside it, and writes what the workflow shows and keeps of it.
#
# Every input is an environment variable, so no text of a pull request is ever part of a script:
#   DUET_SUITE (one file a line), DUET_BASE, DUET_BUDGET, DUET_THRESHOLD, DUET_FAIL_ON, DUET_ONLY_CHANGED, DUET_BUILD,
#   DUET_ARGUMENTS (quoted as in a shell), DUET_PYTHON, DUET_PULL_REQUEST.
# It works with the bash 3.2 of macOS. Exit codes: those of `torchduet against`; 2 for an input that cannot be used.
set -euo pipefail

: "${GITHUB_OUTPUT:=/dev/null}" "${GITHUB_STEP_SUMMARY:=/dev/null}" "${RUNNER_TEMP:=${TMPDIR:-/tmp}}"
python=${DUET_PYTHON:-python}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
folder=$(mktemp -d "$RUNNER_TEMP/torchduet.XXXXXX")

# shellcheck disable=SC2329 # the trap calls it
# Writes the outputs, whatever ends this script, and keeps its exit code.
finish() {
    local code=$? verdict=error
    case $code in 0) verdict=pass ;; 1) verdict=fail ;; 3) verdict=none ;; esac
    if [ ! -s "$folder/run.json" ]; then
        [ "$code" -ne 0 ] || code=2
        verdict=error
        echo "**No duet was made** (exit code $code); the log of this step has the reason." >>"$GITHUB_STEP_SUMMARY"
    fi
    {
        echo "verdict=$verdict"
        echo "exit-code=$code"
        echo "folder=$folder"
        echo "json=$folder/run.json"
        echo "report=$folder/report.html"
    } >>"$GITHUB_OUTPUT"
    exit "$code"
}
trap finish EXIT

# Ends with one line, which the workflow's page shows.
fail() {
    local line=${1//'%'/%25}
    line=${line//$'\r'/%0D}
    echo "::error title=torchduet::${line//$'\n'/%0A}"
    exit 2
}

# Whether an input is on.
on() {
    case $2 in
        true) return 0 ;;
        false | "") return 1 ;;
        *) fail "$1: is true or false, not $2" ;;
    esac
}

has_merge_base() {
    git merge-base "$1" HEAD >/dev/null 2>&1
}

# Fetches commits of origin; the remaining arguments are options. What git says is shown only if it is of use.
fetch() {
    git fetch --quiet --no-tags --no-recurse-submodules "$@" 2>"$folder/fetch.log"
}

# Sets `revision` to the base as git names it, with enough history for a merge base.
find_base() {
    local name=$1 spec="" head depth
    git rev-parse --git-dir >/dev/null 2>&1 || fail "$PWD is no git repository: use actions/checkout before this action"
    if git rev-parse --verify --quiet "refs/remotes/origin/$name^{commit}" >/dev/null; then
        revision=origin/$name
        spec="+refs/heads/$name:refs/remotes/origin/$name"
    elif git rev-parse --verify --quiet --end-of-options "$name^{commit}" >/dev/null; then
        revision=$name
        spec=$(git rev-parse --verify --end-of-options "$name^{commit}")
    elif [[ $name =~ ^[0-9a-f]{40}([0-9a-f]{24})?$ ]]; then
        revision=$name
        spec=$name
    elif ! git check-ref-format "refs/heads/$name"; then
        fail "base: $name is no name of a branch, a tag or a commit"
    elif git ls-remote --exit-code origin "refs/heads/$name" >/dev/null 2>"$folder/fetch.log"; then
        revision=origin/$name
        spec="+refs/heads/$name:refs/remotes/origin/$name"
    elif git ls-remote --exit-code origin "refs/tags/$name" >/dev/null 2>"$folder/fetch.log"; then
        revision=$name
        spec="+refs/tags/$name:refs/tags/$name"
    else
        fail "base: origin has no branch and no tag $name, or cannot be read: $(tail -n 1 "$folder/fetch.log")"
    fi
    if ! has_merge_base "$revision"; then
        if [ "$(git rev-parse --is-shallow-repository)" = true ]; then
            head=$(git rev-parse HEAD)
            for depth in 1 20 200 2000; do
                fetch "--depth=$depth" origin "$spec" "$head" || break
                if has_merge_base "$revision"; then break; fi
            done
            has_merge_base "$revision" || fetch --unshallow origin "$spec" "$head" ||
                fetch --unshallow origin "$spec" || true  # HEAD is no commit of origin
        else
            fetch origin "$spec" || true
        fi
    fi
    git rev-parse --verify --quiet --end-of-options "$revision^{commit}" >/dev/null ||
        fail "base: $name cannot be fetched: $(tail -n 1 "$folder/fetch.log")"
    has_merge_base "$revision" ||
        fail "base: $name and HEAD have no common commit here: check out with fetch-depth: 0$(reason)"
    rm -f "$folder/fetch.log"
}

reason() {
    if [ -s "$folder/fetch.log" ]; then echo " ($(tail -n 1 "$folder/fetch.log"))"; fi
}

# Adds the words of DUET_ARGUMENTS to `arguments`; quotes and backslashes hold words together, nothing is expanded.
add_arguments() {
    local word
    DUET_ARGUMENTS=${DUET_ARGUMENTS:-} "$python" -I -c '
import os, shlex, sys
try:
    words = shlex.split(os.environ["DUET_ARGUMENTS"])
except ValueError as error:
    sys.exit(f"{error}")
sys.stdout.write("".join(f"{word}\0" for word in words))
' >"$folder/words" 2>"$folder/words.log" || fail "arguments: $(tail -n 1 "$folder/words.log")"
    while IFS= read -r -d '' word; do
        arguments+=("$word")
    done <"$folder/words"
    rm -f "$folder/words" "$folder/words.log"
}

command -v "$python" >/dev/null || fail "python: there is no $python; use actions/setup-python before this action"
"$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "python: Torchduet needs Python 3.11 or newer, $python is $("$python" -I -c 'import platform; print(platform.python_version())')"

base=${DUET_BASE:-${GITHUB_BASE_REF:-}}
[ -n "$base" ] || fail "base: name the branch, tag or commit to compare with; by itself it is known in pull requests only"
find_base "$base"

arguments=(against "$revision" --json "$folder/run.json" -o "$folder/report.html" --budget "${DUET_BUDGET:-150s}")
if [ -n "${DUET_FAIL_ON:-}" ]; then arguments+=(--fail-on "$DUET_FAIL_ON"); fi
if [ -n "${DUET_THRESHOLD:-}" ]; then arguments+=(--threshold "$DUET_THRESHOLD"); fi
if on only-changed "${DUET_ONLY_CHANGED:-}"; then arguments+=(--only-changed); fi
if on build "${DUET_BUILD:-}"; then arguments+=(--build); fi
arguments+=(--)
while IFS= read -r line || [ -n "$line" ]; do
    line=${line%$'\r'}
    line=${line#"${line%%[![:space:]]*}"}
    line=${line%"${line##*[![:space:]]}"}
    if [ -n "$line" ]; then arguments+=(--suite "$line"); fi
done <<<"${DUET_SUITE:-}"
add_arguments

# -P: the current folder may have one called torchduet.
if ! "$python" -P -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torchduet") is None)'; then
    "$python" -m pip install --quiet --disable-pip-version-check "$root" ||
        fail "Torchduet cannot be installed into $python; the lines above have pip's reason"
fi

code=0
"$python" -P -m torchduet "${arguments[@]}" || code=$?

if [ -s "$folder/run.json" ]; then
    link=${GITHUB_SERVER_URL:-https://github.com}/${GITHUB_REPOSITORY:-}/actions/runs/${GITHUB_RUN_ID:-}#artifacts
    "$python" -P -m torchduet render "$folder/run.json" --comment "$folder/comment.md" --link "$link" >/dev/null &&
        cat "$folder/comment.md" >>"$GITHUB_STEP_SUMMARY" ||
        echo "The summary of the duet cannot be written; the log of this step has the reason." >>"$GITHUB_STEP_SUMMARY"
    # For people who look into the artifact; the action `comment` does not believe it.
    if [[ ${DUET_PULL_REQUEST:-} =~ ^[0-9]+$ ]]; then echo "$DUET_PULL_REQUEST" >"$folder/pull-request"; fi
fi
exit "$code"
