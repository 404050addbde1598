#!/usr/bin/env python3
"""Writes what measure.sh needs into a folder: the shape of InternVL3-8B and photo-like JPEG files. Needs Pillow and numpy.

    Scripts/gpu/make_inputs.py FOLDER
"""

import json
import pathlib
import shutil
import sys

import numpy
from PIL import Image

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TINY = REPOSITORY / "Tests/Fixtures/models/internvl-qwen2-opengvlab"

# InternViT-300M-448px and Qwen2.5-7B, as OpenGVLab/InternVL3-8B has them.
VISION = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24,
    "image_size": 448, "layer_norm_eps": 1e-6,
}
TEXT = {
    "hidden_size": 3584, "intermediate_size": 18944, "num_attention_heads": 28, "num_key_value_heads": 4,
    "num_hidden_layers": 28, "max_window_layers": 28, "max_position_embeddings": 32768, "vocab_size": 151674,
}


def write_shape(folder):
    """A checkpoint folder without weights: the configuration, with the small tokenizer of the tests."""
    shutil.copytree(TINY, folder, ignore=shutil.ignore_patterns("*.safetensors"), dirs_exist_ok=True)
    config = json.loads((TINY / "config.json").read_text())
    config["force_image_size"] = 448
    config["vision_config"].update(VISION)
    config["llm_config"].update(TEXT)
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
    write_shape(folder / "internvl3-8b")
    write_photo(folder / "1344x896.jpg", 1344, 896, 236_000)
    write_photo(folder / "448x448.jpg", 448, 448, 45_000)
    write_photo(folder / "1024x768.jpg", 1024, 768, 150_000)


main()
