#!/usr/bin/env bash
# Builds the server, puts the demo model together, starts the server on it, asks it about a picture, and keeps serving.
#
# PORT is the port to serve on (8080). ONCE=1 stops the server after the answer. RANDOM_WEIGHTS=1 takes a checkpoint of
# random weights, for which nothing is downloaded.
set -euo pipefail
cd "$(dirname "$0")/.."
source Scripts/common.sh

port=${PORT:-8080}
once=${ONCE:-}
random=${RANDOM_WEIGHTS:-}
checkpoint=models/demo
[[ $random != 1 ]] || checkpoint=models/demo-random
log=models/demo-server.log
server=

if ! [[ $port =~ ^[1-9][0-9]{0,4}$ ]] || ((port > 65535)); then
    fail "PORT must be a number from 1 to 65535, not '$port'"
fi

require_port_free() {
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        fail "port $port is already in use; stop what listens there, or choose another: make demo PORT=$((port + 1))"
    fi
}

stop_server() {
    if [[ -n $server ]]; then
        kill -TERM "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
        server=
    fi
}

show_log() {
    printf '%s\n' "The server's last words ($log):" >&2
    tail -n 20 "$log" >&2
}

# Waits for /readiness, showing the seconds that pass.
wait_until_ready() {
    local started=$SECONDS shown=-1 elapsed
    while kill -0 "$server" 2>/dev/null; do
        if Scripts/ask.py --port "$port" --is-ready; then
            [[ ! -t 1 ]] || printf '\r\033[K'
            printf 'The server is ready after %d s.\n' $((SECONDS - started))
            return 0
        fi
        elapsed=$((SECONDS - started))
        if ((elapsed != shown)); then
            shown=$elapsed
            if [[ -t 1 ]]; then
                printf '\r\033[KLoading the checkpoint … %d s' "$elapsed"
            elif ((elapsed % 5 == 0)); then
                printf 'Loading the checkpoint … %d s\n' "$elapsed"
            fi
        fi
        ((elapsed < 300)) || { printf '\n' && show_log && fail "the server was not ready after 300 s"; }
        sleep 0.5
    done
    [[ ! -t 1 ]] || printf '\n'
    show_log
    wait "$server" || fail "the server stopped before it was ready (exit code $?)"
    fail "the server stopped before it was ready"
}

require_port_free
require_swift
Scripts/install-packages.sh build demo

step "Building the release binary (minutes the first time)"
Scripts/build-release.sh
binary=$(swift build "${release_flags[@]}" --show-bin-path)/vireo

make_random() {
    rm -rf "$checkpoint.part"
    "$binary" inspect --make-random DemoModel/random --output "$checkpoint.part"
    mv "$checkpoint.part" "$checkpoint"
}

# NumPy, in an environment of its own.
assemble() {
    local environment=.venv-demo
    if [[ ! -x $environment/bin/python ]] || ! "$environment/bin/python" -c 'import numpy' 2>/dev/null; then
        rm -rf "$environment"
        python3 -m venv "$environment"
        "$environment/bin/pip" install --quiet --disable-pip-version-check numpy
    fi
    "$environment/bin/python" Scripts/demo_model/assemble.py --output "$checkpoint"
}

if [[ ! -f $checkpoint/config.json ]]; then
    step "Making the demo checkpoint in $checkpoint"
    mkdir -p models
    if [[ $random == 1 ]]; then
        make_random
    else
        assemble || fail "the demo model could not be put together; without a network: make demo RANDOM_WEIGHTS=1"
    fi
fi

step "Starting the server on port $port"
require_port_free
trap stop_server EXIT
trap 'stop_server; printf "\nStopped.\n"; exit 0' INT TERM
"$binary" serve --model_dir "$checkpoint" --port "$port" >"$log" 2>&1 &
server=$!
wait_until_ready

step "Asking about DemoModel/sample.jpg"
if [[ $random == 1 ]]; then
    printf '%s\n' "This checkpoint has the shape of a small vision-language model, but its weights are random numbers:" \
        "the answer is made the way a real one is, and its words mean nothing." ""
fi
Scripts/ask.py --port "$port" --image DemoModel/sample.jpg || { show_log && fail "the server gave no answer"; }

if [[ $once == 1 ]]; then
    stop_server
    printf '\nStopped the server.\n'
    exit 0
fi
printf '\nServing on http://127.0.0.1:%s until Ctrl-C; the README has requests to try. The log is in %s.\n' "$port" "$log"
wait "$server" || { show_log && fail "the server stopped by itself"; }
server=
