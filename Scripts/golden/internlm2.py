"""InternLM2, which transformers does not have, in plain PyTorch, and InternVL with it as its text tower.

Written from the published architecture and tensor names (https://arxiv.org/abs/2403.17297, section 2, and the folders
under https://huggingface.co/internlm and https://huggingface.co/OpenGVLab). `settings` are the keys of a published
config.json; a module's parameters have the published names. Everything is float32 and handles one sequence.
"""

import json
import math
from types import SimpleNamespace

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import InternVLModel

from opengvlab_layout import fill_from_opengvlab


class Attention(nn.Module):
    """`wqkv` gives, for each key head, the queries that use it, the key and the value."""

    def __init__(self, settings):
        super().__init__()
        self.heads, self.key_heads = settings["num_attention_heads"], settings["num_key_value_heads"]
        self.dim = settings["hidden_size"] // self.heads
        width = (self.heads + 2 * self.key_heads) * self.dim
        self.wqkv = nn.Linear(settings["hidden_size"], width, bias=settings["bias"])
        self.wo = nn.Linear(self.heads * self.dim, settings["hidden_size"], bias=settings["bias"])

    def forward(self, x, angles, past):
        """x [T, hidden] after the `past` keys and values [P, key heads, dim]; also returns those with x's appended."""
        group = self.heads // self.key_heads
        fused = self.wqkv(x).view(len(x), self.key_heads, group + 2, self.dim)
        queries = turn(fused[:, :, :group].reshape(len(x), self.heads, self.dim), angles)
        keys, values = turn(fused[:, :, group], angles), fused[:, :, group + 1]
        if past is not None:
            keys, values = torch.cat([past[0], keys]), torch.cat([past[1], values])
        repeated = [part.repeat_interleave(group, dim=1) for part in (keys, values)]
        scores = torch.einsum("qhd,khd->hqk", queries, repeated[0]) / math.sqrt(self.dim)
        unseen = torch.ones(scores.shape[1:], dtype=torch.bool).triu(scores.shape[2] - scores.shape[1] + 1)
        weights = scores.masked_fill(unseen, -torch.inf).softmax(-1)
        mixed = torch.einsum("hqk,khd->qhd", weights, repeated[1])
        return self.wo(mixed.flatten(1)), (keys, values)


class FeedForward(nn.Module):
    """w2(silu(w1(x)) · w3(x))."""

    def __init__(self, settings):
        super().__init__()
        hidden, inner = settings["hidden_size"], settings["intermediate_size"]
        self.w1 = nn.Linear(hidden, inner, bias=False)
        self.w3 = nn.Linear(hidden, inner, bias=False)
        self.w2 = nn.Linear(inner, hidden, bias=False)

    def forward(self, x):
        return self.w2(nn.functional.silu(self.w1(x)) * self.w3(x))


class Layer(nn.Module):
    """A pre-norm layer."""

    def __init__(self, settings):
        super().__init__()
        self.attention = Attention(settings)
        self.feed_forward = FeedForward(settings)
        self.attention_norm = nn.RMSNorm(settings["hidden_size"], eps=settings["rms_norm_eps"])
        self.ffn_norm = nn.RMSNorm(settings["hidden_size"], eps=settings["rms_norm_eps"])

    def forward(self, x, angles, past):
        mixed, cache = self.attention(self.attention_norm(x), angles, past)
        x = x + mixed
        return x + self.feed_forward(self.ffn_norm(x)), cache


class InternLM2(nn.Module):
    """The language model."""

    def __init__(self, settings):
        super().__init__()
        self.settings = settings
        self.model = nn.Module()
        self.model.tok_embeddings = nn.Embedding(settings["vocab_size"], settings["hidden_size"])
        self.model.layers = nn.ModuleList([Layer(settings) for _ in range(settings["num_hidden_layers"])])
        self.model.norm = nn.RMSNorm(settings["hidden_size"], eps=settings["rms_norm_eps"])
        self.output = nn.Linear(settings["hidden_size"], settings["vocab_size"], bias=False)

    def forward(self, x, past):
        """Logits [T, vocabulary] of embeddings x [T, hidden], and the cache, one entry a layer."""
        start = 0 if past is None else len(past[0][0])
        angles, cache = self.angles(start, start + len(x)), []
        for index, layer in enumerate(self.model.layers):
            x, entry = layer(x, angles, past and past[index])
            cache.append(entry)
        return self.output(self.model.norm(x)), cache

    def angles(self, start, end):
        """[end - start, dim / 2]; with dynamic scaling the base grows with a sequence beyond the trained length."""
        dim = self.settings["hidden_size"] // self.settings["num_attention_heads"]
        base, trained = self.settings["rope_theta"], self.settings["max_position_embeddings"]
        scaling = self.settings["rope_scaling"]
        if scaling is not None:
            assert scaling["type"] == "dynamic"
            if end > trained:
                base *= (scaling["factor"] * end / trained - (scaling["factor"] - 1)) ** (dim / (dim - 2))
        frequencies = 1.0 / base ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)
        return torch.arange(start, end, dtype=torch.float32)[:, None] * frequencies


def turn(x, angles):
    """Rotates x [T, heads, dim] by halves."""
    first, second = x.chunk(2, dim=-1)
    cosines, sines = angles.cos()[:, None], angles.sin()[:, None]
    return torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)


class InternVLWithInternLM2(nn.Module):
    """transformers' vision tower and projector before InternLM2, called as its InternVL is."""

    def __init__(self, config, settings):
        """`config` is transformers'; its text part stands in and gives the sizes alone."""
        super().__init__()
        self.config = config
        self.model = InternVLModel(config)
        self.model.language_model = nn.Identity()
        self.language_model = InternLM2(settings)

    def get_image_features(self, pixels, return_dict=True):
        return self.model.get_image_features(pixels, return_dict=return_dict)

    def forward(self, input_ids, pixel_values=None, past_key_values=None, use_cache=True):
        x = self.language_model.model.tok_embeddings(input_ids[0])
        if pixel_values is not None:
            pictures = self.get_image_features(pixel_values).pooler_output.flatten(0, 1)
            x[input_ids[0] == self.config.image_token_id] = pictures
        logits, cache = self.language_model(x, past_key_values)
        return SimpleNamespace(logits=logits[None], past_key_values=cache)


@torch.no_grad()
def load(folder, config):
    """The OpenGVLab folder's weights and text settings; `config` as above."""
    settings = json.loads((folder / "config.json").read_text())["llm_config"]
    model = InternVLWithInternLM2(config, settings).eval()
    fill_from_opengvlab(model, load_file(folder / "model.safetensors"))
    return model
