#!/usr/bin/env bash
# The gguf package, which converts models for llama.cpp, reads generation_config.json and writes sampling settings into
# the file. One expects all of them or none. It takes temperature, top_k, top_p and min_p under their names, and has no
# place for do_sample: a config that says greedy, and keeps a temperature that transformers never reads, becomes a file
# that says to sample at that temperature. The repetition penalty is looked for as penalty_repeat, a name that no
# generation_config.json has, so it is lost; so are limit, stop strings, beams and further end tokens.
#
# Seen with gguf 0.19.0: of eight settings two arrive.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet gguf==0.19.0
cd "$folder"
env/bin/python - <<'PY'
import json
from pathlib import Path

import gguf


def converted(settings):
    """The sampling settings of a GGUF file whose model has this generation_config.json."""
    model = Path("model")
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text("{}")
    (model / "generation_config.json").write_text(json.dumps(settings))
    writer = gguf.GGUFWriter(model / "model.gguf", "llama")
    gguf.Metadata.load(model_path=model).set_gguf_meta_model(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    fields = gguf.GGUFReader(model / "model.gguf").fields
    return {name: round(field.contents(), 4) for name, field in fields.items() if ".sampling." in name}


greedy = {
    "do_sample": False, "temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.05,
    "num_beams": 4, "max_new_tokens": 512, "stop_strings": ["\n"], "eos_token_id": [0, 5],
}
print("written:", greedy)
print("arrived:", converted(greedy))
assert converted(greedy) == {"general.sampling.temp": 0.6, "general.sampling.top_p": 0.9}
assert converted(greedy) == converted(greedy | {"do_sample": True}), "greedy or not, the file is the same"
assert converted({"repetition_penalty": 1.05}) == {}
assert converted({"penalty_repeat": 1.05}) == {"general.sampling.penalty_repeat": 1.05}, "the name it looks for"
PY
