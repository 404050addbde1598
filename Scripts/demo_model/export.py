#!/usr/bin/env python3
"""Turns a checkpoint of train.py into the file that ships: weights.safetensors, matrices as int8 with a scale a row.

python3 export.py --checkpoint WORK/checkpoint.pt --output weights.safetensors
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file


def quantised(state):
    result = {}
    for name, tensor in sorted(state.items()):
        array = tensor.float().numpy()
        if name.startswith(("tower.layers", "llm.down", "llm.up", "tower.patch")) and array.ndim >= 2:
            scale = np.maximum(np.abs(array).max(-1, keepdims=True), 1e-12) / 127
            result[name] = np.clip(np.round(array / scale), -127, 127).astype(np.int8)
            result[name + ".scale"] = scale.astype(np.float32)
        elif name.startswith(("projector.linear", "tower.position")) and array.ndim >= 2:
            result[name] = array.astype(np.float16)
        else:
            result[name] = array.astype(np.float32)
    return result


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--checkpoint", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    options = arguments.parse_args()
    save_file(quantised(torch.load(options.checkpoint, map_location="cpu")), options.output)
    print(options.output, options.output.stat().st_size)


if __name__ == "__main__":
    main()
