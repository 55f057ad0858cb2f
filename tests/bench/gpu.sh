#!/usr/bin/env bash
# Everything that is to be measured on a GPU, in one run of at most eight minutes.
#
#   tests/bench/gpu.sh BINARY [--rehearse] > gpu.json
#
# BINARY is a release build of glassbox; models are made by `glassbox synth`, so that nothing else is needed. It prints one JSON object:
# the devices, `test-ops` in each tier, logits of the sample against the CPU, the time between dependent dispatches, and prefill and decode
# of real shapes. Where the machine has them, peers run on the same shapes: PyTorch with transformers (python3), llama.cpp (LLAMA_BENCH
# names its llama-bench). What found no time is listed under "left_out".
#
# --rehearse runs the same steps with the smallest shapes, for a software GPU.
# DEVICE is what `--device` gets (gpu); SECONDS_IN_ALL the time for everything (460); SCRATCH a folder for models.
set -uo pipefail

binary=$(realpath "${1:?usage: gpu.sh BINARY [--rehearse]}")
rehearse=${2:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
sample=$here/../corpus/sample/gguf
device=${DEVICE:-gpu}
total=${SECONDS_IN_ALL:-460}
scratch=$(mktemp -d "${SCRATCH:-${TMPDIR:-/tmp}}/glassbox-gpu.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
left_out=()
SECONDS=0

left() { echo $((total - SECONDS)); }

# quoted TEXT: as a JSON string.
quoted() {
  printf '"%s"' "$(printf '%s' "$1" | tr -d '\000-\010\013-\037' | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/\t/\\t/g' -e ':a;N;$!ba;s/\n/\\n/g')"
}

# joined ITEM...: with commas.
joined() {
  local IFS=,
  printf '%s' "$*"
}

# json LIMIT COMMAND...: the command's standard output where it is an object or a list; else what went wrong.
json() {
  local limit=$1 rest out code
  shift
  rest=$(left)
  if ((rest < 5)); then
    printf '{"error":"no time left"}'
    return
  fi
  out=$(timeout "$((limit < rest ? limit : rest))" "$@" 2>"$scratch/errors")
  code=$?
  case $out in
    [[{]*) printf '%s' "$out" ;;
    *) printf '{"error":%s,"exit_code":%d}' "$(quoted "$(tail -c 600 "$scratch/errors")")" "$code" ;;
  esac
}

# Passed and failed cases, and those that failed, of `test-ops`.
operations() {
  local tier=$1 only=() out
  [[ $rehearse ]] && only=(--only norm)
  out=$(GLASSBOX_TIER=$tier json 150 "$binary" test-ops --json --device "$device" "${only[@]}")
  if [[ $out == *'"ops"'* ]]; then
    awk -v tier="$tier" '
      /"kernel":/ { kernel = $0; sub(/.*: "/, "", kernel); sub(/".*/, "", kernel) }
      /"encoding":/ { encoding = $0; sub(/.*: "/, "", encoding); sub(/".*/, "", encoding) }
      /"shape":/ { shape = $0; sub(/.*: "/, "", shape); sub(/".*/, "", shape) }
      /^      "ok": true/ { passed++ }
      /^      "ok": false/ { failed++; names = names (names ? "," : "") "\"" kernel " " encoding " " shape "\"" }
      END { printf "{\"tier\":\"%s\",\"passed\":%d,\"failed\":%d,\"failures\":[%s]}", tier, passed, failed, names }' <<<"$out"
  else
    printf '%s' "$out"
  fi
}

# The logits of a prompt, one a line.
logits() {
  local model=$1 on=$2 tier=$3
  GLASSBOX_TIER=$tier timeout 60 "$binary" run "$model" --prompt-ids 1,17,42,99,7,250,3,18 -n 0 --logits --json --exact --device "$on" 2>/dev/null |
    awk '/"logits": \[/ { on = 1; next } /\]/ { on = 0 } on { gsub(/[ ,]/, ""); print }'
}

# The largest difference of a sample's logits from the CPU, and their range.
difference() {
  local encoding=$1 tier=$2
  logits "$sample/sample-$encoding.gguf" cpu core >"$scratch/cpu"
  logits "$sample/sample-$encoding.gguf" "$device" "$tier" >"$scratch/gpu"
  paste "$scratch/cpu" "$scratch/gpu" | awk -v encoding="$encoding" -v tier="$tier" '
    NF == 2 { d = $1 - $2; if (d < 0) d = -d; if (d > most) most = d; if (!n || $1 < low) low = $1; if (!n || $1 > high) high = $1; n++ }
    END { printf "{\"encoding\":\"%s\",\"tier\":\"%s\",\"logits\":%d,\"largest_difference\":%s,\"range\":%s,\"agrees\":%s}",
      encoding, tier, n, n ? most : "null", n ? high - low : "null", (n && most <= 2e-4 * (high - low)) ? "true" : "false" }'
}

# GB/s that the card's memory is made for, by its name; 0 where we do not know it.
bandwidth() {
  case $1 in
    *H200*) echo 4800 ;; *"H100 NVL"*) echo 3900 ;; *"H100 PCIe"*) echo 2000 ;; *H100*) echo 3350 ;;
    *"A100"*80*) echo 2039 ;; *A100*) echo 1555 ;; *L40S*) echo 864 ;; *"L4"*) echo 300 ;;
    *4090*) echo 1008 ;; *3090*) echo 936 ;; *) echo 0 ;;
  esac
}

# bench SIZE QUANT PREFILL DECODE: makes the model and measures it, and llama.cpp on the same file.
bench() {
  local size=$1 quant=$2 prefill=$3 decode=$4 file=$scratch/$1-$2.gguf made speed peer=null share
  made=$(json 120 "$binary" synth --size "$size" --quant "$quant" -o "$file" --json)
  if [[ ! -s $file ]]; then
    printf '{"size":"%s","quant":"%s","synth":%s}' "$size" "$quant" "$made"
    return
  fi
  speed=$(json 90 "$binary" bench "$file" -p "$prefill" -n "$decode" -r 3 --device "$device" --json)
  if [[ ${LLAMA_BENCH:-} ]]; then
    peer=$(json 60 "$LLAMA_BENCH" -m "$file" -p "$prefill" -n "$decode" -r 3 -ngl 99 -o json)
  fi
  share=$(awk -v peak="$(bandwidth "$card")" '/"gigabytes_per_s"/ { gsub(/[^0-9.e+-]/, "", $2); v = $2 } END { if (peak > 0 && v > 0) printf "%.4f", v / peak; else printf "null" }' <<<"$speed")
  rm -f "$file"
  printf '{"size":"%s","quant":"%s","share_of_bandwidth":%s,"glassbox":%s,"llama_cpp":%s}' "$size" "$quant" "$share" "$speed" "$peer"
}

card=unknown
driver=null
if command -v nvidia-smi >/dev/null; then
  card=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -1)
  driver=$(quoted "$(nvidia-smi --query-gpu=driver_version,memory.total,clocks.max.sm,clocks.max.mem --format=csv,noheader | head -1)")
fi
devices=$(json 60 "$binary" devices --json)
[[ $card == unknown ]] && card=$(awk -F'"' '/"name":/ { print $4; exit }' <<<"$devices")
version=$("$binary" --version)

ops=$(joined "$(operations core)" "$(operations subgroup)")

differences=()
for encoding in f16 q8_0 q4_0 q5_1 q4_k_m; do
  for tier in core subgroup; do differences+=("$(difference "$encoding" "$tier")"); done
done

gap=$(json 60 "$binary" gap --device "$device" --json)

# Shapes from the smallest on, so that a short run still says most.
if [[ $rehearse ]]; then
  shapes=("tiny Q4_0 16 8" "tiny Q8_0 16 8")
else
  shapes=("135m Q4_0 512 256" "135m Q8_0 512 256" "0.5b Q4_0 512 128" "0.5b Q8_0 512 128" "1.1b Q4_0 512 128" "1.1b Q8_0 512 128" "8b Q4_0 512 128" "8b Q8_0 512 64")
fi
speeds=()
for shape in "${shapes[@]}"; do
  if (($(left) < 30)); then
    left_out+=("$(quoted "bench $shape")")
    continue
  fi
  # shellcheck disable=SC2086
  speeds+=("$(bench $shape)")
done

torch=null
if python3 -c 'import torch, transformers, sys; sys.exit(0 if torch.cuda.is_available() else 1)' 2>/dev/null; then
  if (($(left) > 40)); then
    torch=$(json 120 python3 "$here/gpu_torch.py")
  else
    left_out+=('"PyTorch"')
  fi
fi

printf '{"date":"%s","glassbox":%s,"card":%s,"driver":%s,"device":"%s","seconds":%d,"devices":%s,"test_ops":[%s],"logits":[%s],"gap":%s,"bench":[%s],"pytorch":%s,"left_out":[%s]}\n' \
  "$(date -u +%FT%TZ)" "$(quoted "$version")" "$(quoted "$card")" "$driver" "$device" "$SECONDS" "$devices" "$ops" \
  "$(joined "${differences[@]}")" "$gap" "$(joined "${speeds[@]}")" "$torch" "$(joined "${left_out[@]}")"
