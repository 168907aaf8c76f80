#!/usr/bin/env bash
# Ten tokens are added to the vocabulary of DeBERTa with the head that its own documentation recommends: legacy=False, since
# the default head "does not work properly for mask infilling tasks". One expects ten rows more in the embeddings, whose
# matrix is the head's too. But the library takes the transform in front of the head, D x D, for the output embeddings, and
# gives that one a row for each token: half as many parameters again, in a model that no longer runs and cannot be saved.
#
# Seen with transformers 5.23.0 and torch 2.13.0: DeBERTa-v3 base has 184 million parameters and 282 million after
# resize_token_embeddings; a small one raises in its next forward pass and in save_pretrained. With legacy=True all is well.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.23.0
cd "$folder"
env/bin/python - <<'PY'
import torch
import transformers
from transformers import DebertaV2Config, DebertaV2ForMaskedLM

transformers.logging.set_verbosity_error()
SMALL = dict(vocab_size=1000, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4)
BASE = dict(vocab_size=128_100, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
            position_buckets=256, relative_attention=True, pos_att_type=["p2c", "c2p"], share_att_key=True,
            norm_rel_ebd="layer_norm", type_vocab_size=0, position_biased_input=False, max_relative_positions=-1)
words = torch.tensor([[1, 5, 9, 2]])


def fails(what):
    try:
        what()
    except Exception as error:
        print("   ", type(error).__name__, str(error).split("\n")[0][:100])
        return True
    return False


for legacy in (True, False):
    with torch.device("meta"):
        base = DebertaV2ForMaskedLM(DebertaV2Config(legacy=legacy, **BASE))
        before = base.num_parameters()
        base.resize_token_embeddings(128_110, mean_resizing=False)
    small = DebertaV2ForMaskedLM(DebertaV2Config(legacy=legacy, **SMALL)).eval()
    assert small(words).logits.shape == (1, 4, 1000)
    small.resize_token_embeddings(1010)
    print(f"legacy={legacy}: the base model has {before:,} parameters, and {base.num_parameters():,} with ten tokens more")
    grown = base.num_parameters() - before
    broken = fails(lambda: small(words)), fails(lambda: small.save_pretrained("saved"))
    if legacy:
        assert grown == 10 * 768 + 10 and broken == (False, False)
    else:
        assert grown > 0.5 * before and broken == (True, True)
PY
