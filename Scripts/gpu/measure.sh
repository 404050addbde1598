#!/usr/bin/env bash
# Measures a release binary on the first GPU: everything docs/performance.md reports, in about six minutes.
#
#     Scripts/gpu/measure.sh VIREO FOLDER [PART...]
#
# FOLDER is what make_inputs.py wrote; it also takes the weights that are made here, 16 GB. PART is one of check, step, serve,
# qwen, sanitize; without one all of these are run. The part ranks runs two ranks, on two GPUs where there are; the part moe
# a mixture of experts.
set -uo pipefail

# Multicast over NVLink can put the GPUs of a host that is shared out of service.
export NCCL_NVLS_ENABLE=0
vireo=$1 folder=$2
shift 2
parts=${*:-check step serve qwen sanitize}
models=$(cd "$(dirname "$0")/../../Tests/Fixtures/models" && pwd)
shape=$folder/internvl3-8b weights=$folder/internvl3-8b-random
port=8123 url=http://127.0.0.1:8123

say() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

check() {
    say "operators against the CPU"
    timeout 120 "$vireo" check --device cuda | tail -4
    say "whole small models against the CPU"
    timeout 120 "$vireo" check --device cuda --skip_operators --model_dir "$models"/*{llama,mistral,qwen}* | tail -14
}

step() {
    say "decode, prefill, pictures, kernels"
    timeout 150 "$vireo" bench step --model_dir "$shape" --load_format dummy --input_len 1024 --output_len 128 \
        --batch 1 8 64 256 --profile --image_file "$folder/1344x896.jpg" --image_size 1344x896
    say "a long prompt"
    timeout 60 "$vireo" bench step --model_dir "$shape" --load_format dummy --input_len 4096 --output_len 2 --batch 1
}

# The tokenizer of the tests makes three tokens of a word. Requests: the name of the workload, how many, how many at once, and the
# rest of the flags. Each workload has prompts and pictures of its own: nothing is left of another's in the caches.
workload=0
ask() {
    local name=$1 count=$2 concurrency=$3
    shift 3
    workload=$((workload + 1))
    say "$name: $count requests, $concurrency at once, $*"
    timeout 90 "$vireo" bench serve --url "$url" --num_prompts "$count" --max_concurrency "$concurrency" \
        --seed "${workload}000000000" "$@" |
        grep -E 'Failed|input tokens|Request thr|Output token|Median T|P99 T'
}

start() {
    local began=$EPOCHREALTIME
    "$vireo" serve --model_dir "$@" --port "$port" --running_max_req_size 512 >"$folder/server.log" 2>&1 &
    server=$!
    until curl -sf "$url/health" >"$folder/health.log"; do
        kill -0 "$server" || { cat "$folder/server.log"; return 1; }
        sleep 0.05
    done
    awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "ready after %.2f s\n", b - a }'
    grep -i ' of weights in ' "$folder/server.log" || true
}

stop() {
    grep -E 'VmHWM|VmRSS|RssAnon|RssFile' "/proc/$server/status"
    awk '{ printf "processor time of the server: %.1f s\n", ($14 + $15) / 100 }' "/proc/$server/stat"
    kill "$server"
    wait "$server"
}

serve() {
    local source=("$weights")
    say "making weights"
    if ! timeout 80 "$vireo" inspect --make-random "$shape" --output "$weights"; then
        rm -rf "$weights"
        source=("$shape" --load_format dummy)
    fi
    say "first start"
    start "${source[@]}" || return
    stop
    say "second start"
    start "${source[@]}" || return
    ask W1 4 1 --input_words 40 --output_len 256
    ask W2 12 1 --input_words 8 --output_len 2 --images 1 --image_file "$folder/1344x896.jpg"
    ask W2r 12 1 --input_words 8 --output_len 2 --images 1 --distinct_images 1 --image_file "$folder/1344x896.jpg"
    ask W3 512 256 --input_words 30 --output_len 128 --images 1 --image_file "$folder/448x448.jpg"
    awk '{ printf "processor time of the server so far: %.1f s\n", ($14 + $15) / 100 }' "/proc/$server/stat"
    ask W4 192 64 --input_words 8 --output_len 128 --images 1 --image_file "$folder/1024x768.jpg"
    ask W5 1024 512 --input_words 168 --output_len 256
    ask W6-1 4 1 --input_words 82 --output_len 128
    ask W6-8 32 8 --input_words 82 --output_len 128
    ask W6-32 128 32 --input_words 82 --output_len 128
    ask W6-128 512 128 --input_words 82 --output_len 128
    stop
}

qwen() {
    say "Qwen2.5-VL-7B"
    start "$folder/qwen2.5-vl-7b" --load_format dummy || return
    ask W1 4 1 --input_words 40 --output_len 256
    ask W2 12 1 --input_words 8 --output_len 2 --images 1 --image_file "$folder/1344x896.jpg"
    ask W2r 12 1 --input_words 8 --output_len 2 --images 1 --distinct_images 1 --image_file "$folder/1344x896.jpg"
    ask W3 512 256 --input_words 30 --output_len 128 --images 1 --image_file "$folder/448x448.jpg"
    ask W4 192 64 --input_words 8 --output_len 128 --images 1 --image_file "$folder/1024x768.jpg"
    stop
}

sanitize() {
    for tool in memcheck racecheck; do
        say "compute-sanitizer $tool"
        timeout 100 compute-sanitizer --tool "$tool" "$vireo" check --device cuda | tail -4
    done
}

# A mixture of experts: 61 GB of random weights, made on the way to the device.
moe() {
    local sizes=(--model_dir "$folder/qwen3-30b-a3b" --load_format dummy)
    say "Qwen3-30B-A3B: decode, kernels"
    LOADWORKER=16 timeout 240 "$vireo" bench step "${sizes[@]}" --input_len 128 --output_len 128 --batch 1 64 --profile
    say "Qwen3-30B-A3B: a long prompt"
    LOADWORKER=16 timeout 240 "$vireo" bench step "${sizes[@]}" --input_len 4096 --output_len 2 --batch 1 --profile
}

# Two ranks: on one GPU, and where there are two, on both.
ranks() {
    local small=("$models"/internvl-{llama-hf,mistral-hf,qwen2-hf,qwen3-hf} "$models"/qwen{2-vl,2_5-vl,3-vl,3-moe,3-vl-moe})
    local each=(check --device cuda --skip_operators --tp 2 --model_dir "${small[@]}")
    say "two ranks on one GPU"
    timeout 90 "$vireo" "${each[@]}" --gpu_ids 0,0 | tail -9
    timeout 90 "$vireo" "${each[@]}" --gpu_ids 0,0 --visual_tp 2 | tail -9
    timeout 60 "$vireo" bench ranks --tp 2 --gpu_ids 0,0
    timeout 60 "$vireo" bench ranks --tp 1 --rank_transport nccl
    timeout 90 "$vireo" bench step --tp 2 --gpu_ids 0,0 --model_dir "$folder/internvl-1b" --load_format dummy \
        --input_len 1024 --output_len 64 --batch 1 8 --image_size 448x448
    (($(nvidia-smi -L | wc -l) > 1)) || return 0
    nvidia-smi topo -m | head -5
    say "sums over two GPUs: memory of the other, NCCL"
    timeout 60 "$vireo" bench ranks --tp 2 --rank_transport peers
    timeout 60 "$vireo" bench ranks --tp 2 --rank_transport nccl
    say "two GPUs: memory of the other, NCCL, a tower over both"
    timeout 90 "$vireo" "${each[@]}" | tail -9
    timeout 90 "$vireo" "${each[@]}" --rank_transport nccl | tail -9
    timeout 90 "$vireo" "${each[@]}" --visual_tp 2 | tail -9
    for tp in 1 2; do
        say "InternVL3-8B, tp $tp"
        LOADWORKER=16 timeout 150 "$vireo" bench step --tp $tp --model_dir "$shape" --load_format dummy --input_len 1024 \
            --output_len 128 --batch 1 8 64 --image_file "$folder/1344x896.jpg" --image_size 1344x896
    done
}

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
for part in $parts; do "$part"; done
