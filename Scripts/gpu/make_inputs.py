#!/usr/bin/env python3
"""Writes what measure.sh needs into a folder: shapes of real models and photo-like JPEG files. Needs Pillow and numpy.

    Scripts/gpu/make_inputs.py FOLDER
"""

import json
import pathlib
import shutil
import sys

import numpy
from PIL import Image

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MODELS = REPOSITORY / "Tests/Fixtures/models"

# Qwen2.5-7B, the text tower of both.
TEXT = {
    "hidden_size": 3584, "intermediate_size": 18944, "num_attention_heads": 28, "num_key_value_heads": 4,
    "num_hidden_layers": 28, "max_window_layers": 28, "max_position_embeddings": 32768,
}
INTERNVL3_8B = {
    "force_image_size": 448,
    # InternViT-300M-448px.
    "vision_config": {
        "hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24,
        "image_size": 448, "layer_norm_eps": 1e-6,
    },
    "llm_config": {**TEXT, "vocab_size": 151674},
}
# InternViT-300M with Qwen2-0.5B.
INTERNVL_1B = {
    **INTERNVL3_8B,
    "llm_config": {
        "hidden_size": 896, "intermediate_size": 4864, "num_attention_heads": 14, "num_key_value_heads": 2,
        "num_hidden_layers": 24, "max_window_layers": 24, "max_position_embeddings": 32768, "vocab_size": 151655,
    },
}
QWEN25_VL_7B = {
    "vision_config": {
        "depth": 32, "hidden_size": 1280, "num_heads": 16, "intermediate_size": 3420, "out_hidden_size": 3584,
        "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31],
    },
    "text_config": {
        **TEXT, "vocab_size": 152064, "layer_types": ["full_attention"] * 28,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    },
}
# Qwen3-30B-A3B: 128 experts, of which a token goes to 8.
QWEN3_30B_A3B = {
    "hidden_size": 2048, "intermediate_size": 6144, "moe_intermediate_size": 768, "num_attention_heads": 32,
    "num_key_value_heads": 4, "head_dim": 128, "num_hidden_layers": 48, "max_window_layers": 48,
    "num_experts": 128, "num_experts_per_tok": 8, "norm_topk_prob": True, "decoder_sparse_step": 1,
    "max_position_embeddings": 40960, "rope_theta": 1e6, "rms_norm_eps": 1e-6, "vocab_size": 151936,
}


def write_shape(folder, tiny, changes):
    """A checkpoint folder without weights: a tiny model's files with the sizes of a real one."""
    shutil.copytree(MODELS / tiny, folder, ignore=shutil.ignore_patterns("*.safetensors*"), dirs_exist_ok=True)
    config = json.loads((MODELS / tiny / "config.json").read_text())
    for key, value in changes.items():
        if isinstance(value, dict):
            config[key].update(value)
        else:
            config[key] = value
    (folder / "config.json").write_text(json.dumps(config, indent=2))


def write_photo(path, width, height, bytes_wanted):
    """A JPEG of smooth shapes and fine grain, of about that many bytes."""
    random = numpy.random.default_rng(width * height)
    pixels = numpy.zeros((height, width, 3))
    for octave in range(1, 9):
        cells = 2**octave
        noise = random.integers(0, 256, (max(2, cells * height // width), cells, 3), dtype=numpy.uint8)
        layer = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
        pixels += numpy.asarray(layer, dtype=float) * 0.62**octave
    pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min()) * 255
    image = Image.fromarray(pixels.astype(numpy.uint8))
    for quality in range(98, 20, -2):
        image.save(path, quality=quality)
        if path.stat().st_size <= bytes_wanted:
            return


def main():
    folder = pathlib.Path(sys.argv[1])
    write_shape(folder / "internvl3-8b", "internvl-qwen2-opengvlab", INTERNVL3_8B)
    write_shape(folder / "internvl-1b", "internvl-qwen2-opengvlab", INTERNVL_1B)
    write_shape(folder / "qwen2.5-vl-7b", "qwen2_5-vl", QWEN25_VL_7B)
    write_shape(folder / "qwen3-30b-a3b", "qwen3-moe", QWEN3_30B_A3B)
    preprocessor = folder / "qwen2.5-vl-7b/preprocessor_config.json"
    limits = {"min_pixels": 3136, "max_pixels": 12845056}
    preprocessor.write_text(json.dumps({**json.loads(preprocessor.read_text()), **limits}, indent=2))
    write_photo(folder / "1344x896.jpg", 1344, 896, 236_000)
    write_photo(folder / "448x448.jpg", 448, 448, 45_000)
    write_photo(folder / "1024x768.jpg", 1024, 768, 150_000)


main()
