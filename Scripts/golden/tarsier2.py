"""Tarsier2, which transformers does not have, in plain PyTorch; proves that it is Qwen2-VL under other names.

Written from the published architecture (https://arxiv.org/abs/2409.12191, section 2) and Tarsier's tensor names
(https://arxiv.org/abs/2501.07888 and the folders under https://huggingface.co/omni-research): a tower below
`vision_tower`, the language model below `language_model`, no projector but the tower's merger.

    python tarsier2.py

renames the committed Qwen2-VL checkpoint, asks this model the questions of its references and ends on an answer that is
another than transformers'. The tests do the same with the renamed checkpoint, so there are no files for it.
"""

import json
import math

import torch
from safetensors.torch import load_file
from torch.nn.functional import gelu, layer_norm, linear, rms_norm, silu

from check_references import floats
from fixture_paths import GOLDEN, MODELS
from make_qwen_vl import picture
from qwen_vl_models import PICTURES

NAME = "qwen2-vl"


def renamed(name):
    """What Tarsier calls one of Qwen2-VL's tensors."""
    return name.replace("visual.", "vision_tower.", 1) if name.startswith("visual.") else f"language_model.{name}"


class Part:
    """The tensors below a name."""

    def __init__(self, tensors, name=""):
        self.tensors, self.name = tensors, name

    def __getitem__(self, name):
        return Part(self.tensors, f"{self.name}{name}.")

    def linear(self, x, name):
        """The product with `name`, and its bias if there is one."""
        return linear(x, self.tensors[f"{self.name}{name}.weight"], self.tensors.get(f"{self.name}{name}.bias"))

    def layer_norm(self, x, name):
        """The layer norm `name`."""
        weight, bias = (self.tensors[f"{self.name}{name}.{kind}"] for kind in ("weight", "bias"))
        return layer_norm(x, weight.shape, weight, bias, 1e-6)

    def rms_norm(self, x, name, epsilon):
        """The root-mean-square norm `name`."""
        weight = self.tensors[f"{self.name}{name}.weight"]
        return rms_norm(x, weight.shape, weight, epsilon)


def turn(x, angles):
    """Rotates x [T, heads, dim] by halves, by angles [T, dim / 2]."""
    first, second = x.chunk(2, dim=-1)
    cosines, sines = angles.cos()[:, None], angles.sin()[:, None]
    return torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)


def attend(queries, keys, values, unseen):
    """Attention of [T, heads, dim] each, with key heads repeated; nobody sees what `unseen` [T, T] holds."""
    group = queries.shape[1] // keys.shape[1]
    keys, values = (part.repeat_interleave(group, dim=1) for part in (keys, values))
    scores = torch.einsum("qhd,khd->hqk", queries, keys) / math.sqrt(queries.shape[-1])
    return torch.einsum("hqk,khd->qhd", scores.masked_fill(unseen, -torch.inf).softmax(-1), values).flatten(1)


def tower(part, vision, pixels, grid):
    """The tokens of a picture whose patches [P, 3 · 2 · patch²] stand in groups of four, in a grid of `grid` patches."""
    x = linear(pixels, part.tensors[f"{part.name}patch_embed.proj.weight"].flatten(1))
    rows, columns = grid
    places = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij"), dim=-1)
    places = places.view(rows // 2, 2, columns // 2, 2, 2).transpose(1, 2).reshape(-1, 2).float()
    dim, heads = vision["embed_dim"] // vision["num_heads"], vision["num_heads"]
    frequencies = 1.0 / 10000.0 ** (torch.arange(0, dim // 2, 2, dtype=torch.float32) / (dim // 2))
    angles = (places[:, :, None] * frequencies).flatten(1)
    unseen = torch.zeros(len(x), len(x), dtype=torch.bool)
    for index in range(vision["depth"]):
        block = part["blocks"][str(index)]
        fused = block["attn"].linear(block.layer_norm(x, "norm1"), "qkv")
        queries, keys, values = fused.view(len(x), 3, heads, dim).unbind(1)
        x = x + block["attn"].linear(attend(turn(queries, angles), turn(keys, angles), values, unseen), "proj")
        inner = block["mlp"].linear(block.layer_norm(x, "norm2"), "fc1")
        x = x + block["mlp"].linear(inner * torch.sigmoid(1.702 * inner), "fc2")
    merger = part["merger"]
    joined = merger.layer_norm(x, "ln_q").reshape(len(x) // 4, -1)
    return merger["mlp"].linear(gelu(merger["mlp"].linear(joined, "0")), "2")


def logits(part, text, x, positions):
    """The last row's logits of embeddings x [T, hidden] at positions [3, T]."""
    heads, key_heads = text["num_attention_heads"], text["num_key_value_heads"]
    dim, epsilon = text["hidden_size"] // heads, text["rms_norm_eps"]
    frequencies = 1.0 / text["rope_theta"] ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)
    axes = torch.repeat_interleave(torch.arange(3), torch.tensor(text["rope_scaling"]["mrope_section"]))
    angles = positions[axes].T.float() * frequencies
    unseen = torch.ones(len(x), len(x), dtype=torch.bool).triu(1)
    for index in range(text["num_hidden_layers"]):
        layer = part["model"]["layers"][str(index)]
        normed = layer.rms_norm(x, "input_layernorm", epsilon)
        queries, keys, values = (
            layer["self_attn"].linear(normed, f"{kind}_proj").view(len(x), count, dim)
            for kind, count in (("q", heads), ("k", key_heads), ("v", key_heads)))
        mixed = attend(turn(queries, angles), turn(keys, angles), values, unseen)
        x = x + layer["self_attn"].linear(mixed, "o_proj")
        normed = layer.rms_norm(x, "post_attention_layernorm", epsilon)
        mlp = layer["mlp"]
        x = x + mlp.linear(silu(mlp.linear(normed, "gate_proj")) * mlp.linear(normed, "up_proj"), "down_proj")
    head = part.tensors.get("language_model.lm_head.weight", part.tensors["language_model.model.embed_tokens.weight"])
    return linear(part["model"].rms_norm(x[-1], "norm", epsilon), head)


@torch.no_grad()
def main():
    config = json.loads((MODELS / NAME / "config.json").read_text())
    stored = {}
    for file in sorted((MODELS / NAME).glob("*.safetensors")):
        stored.update({renamed(name): value.float() for name, value in load_file(file).items()})
    root, worst = Part(stored), 0.0
    table = stored["language_model.model.embed_tokens.weight"]
    for case in json.loads((GOLDEN / f"{NAME}.json").read_text())["cases"]:
        rows = []
        for image in case["images"]:
            pixels, grids, _ = picture(image["file"], PICTURES[NAME])
            rows.append(tower(root["vision_tower"], config["vision_config"], pixels, grids[0, 1:].tolist()))
        ids, positions = torch.tensor(case["input_ids"]), torch.tensor(case["positions"])
        x = table[ids].clone()
        if rows:
            x[ids == config["image_token_id"]] = torch.cat(rows)
        following = int(positions.max()) + 1
        for step, expected in enumerate(case["greedy_ids"]):
            found = logits(root["language_model"], config, x, positions)
            if step == 0:
                worst = max(worst, float((found - floats(case["logits"])).abs().max()))
            assert int(found.argmax()) == expected, (case["name"], step)
            x = torch.cat([x, table[expected][None]])
            positions = torch.cat([positions, torch.full((3, 1), following + step)], dim=1)
    assert worst < 1e-4
    print(f"  tarsier2: the answers of {NAME}, logits differ by at most {worst:.7f}")


if __name__ == "__main__":
    main()
