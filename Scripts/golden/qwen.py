"""Qwen and Qwen-VL, which transformers does not have, in plain PyTorch.

Written from the published architecture and tensor names (https://arxiv.org/abs/2309.16609, section 2.3;
https://arxiv.org/abs/2308.12966, section 2, and the folders under https://huggingface.co/Qwen). `settings` are the keys of
a published config.json; a module's parameters have the published names. Everything is float32 and handles one sequence,
no longer than the trained length, up to which neither dynamic NTK nor log n scaling changes anything.
"""

import math

import torch
from torch import nn

POSITIONS = 16     # Learned positions of the tower along a side, of any checkpoint.
EPSILON = 1e-6     # Of all layer norms of the tower.


def turn(x, base):
    """Rotates x [T, heads, dim] by halves, each row by its place."""
    dim = x.shape[-1]
    frequencies = 1.0 / base ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)
    angles = torch.arange(len(x), dtype=torch.float32)[:, None] * frequencies
    cosines, sines = angles.cos()[:, None], angles.sin()[:, None]
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)


def attend(queries, keys, values, mask=None):
    """Attention of queries [Q, heads, dim] to keys and values [K, heads, dim], [Q, heads · dim]."""
    scores = torch.einsum("qhd,khd->hqk", queries, keys) / math.sqrt(queries.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(mask, -torch.inf)
    return torch.einsum("hqk,khd->qhd", scores.softmax(-1), values).flatten(1)


class TextAttention(nn.Module):
    """`c_attn` gives all queries, then all keys, then all values."""

    def __init__(self, settings):
        super().__init__()
        hidden = settings["hidden_size"]
        self.heads, self.base = settings["num_attention_heads"], settings["rotary_emb_base"]
        self.c_attn = nn.Linear(hidden, 3 * hidden)
        self.c_proj = nn.Linear(hidden, hidden, bias=not settings["no_bias"])

    def forward(self, x):
        """x [T, hidden]."""
        queries, keys, values = (part.reshape(len(x), self.heads, -1) for part in self.c_attn(x).chunk(3, dim=-1))
        unseen = torch.ones(len(x), len(x), dtype=torch.bool).triu(1)
        return self.c_proj(attend(turn(queries, self.base), turn(keys, self.base), values, unseen))


class TextMLP(nn.Module):
    """c_proj(w1(x) · silu(w2(x))), each half as wide as `intermediate_size`."""

    def __init__(self, settings):
        super().__init__()
        hidden, inner, bias = settings["hidden_size"], settings["intermediate_size"] // 2, not settings["no_bias"]
        self.w1 = nn.Linear(hidden, inner, bias=bias)
        self.w2 = nn.Linear(hidden, inner, bias=bias)
        self.c_proj = nn.Linear(inner, hidden, bias=bias)

    def forward(self, x):
        return self.c_proj(self.w1(x) * nn.functional.silu(self.w2(x)))


class TextLayer(nn.Module):
    """A pre-norm layer."""

    def __init__(self, settings):
        super().__init__()
        hidden, epsilon = settings["hidden_size"], settings["layer_norm_epsilon"]
        self.ln_1, self.ln_2 = nn.RMSNorm(hidden, eps=epsilon), nn.RMSNorm(hidden, eps=epsilon)
        self.attn, self.mlp = TextAttention(settings), TextMLP(settings)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class TowerAttention(nn.Module):
    """`in_proj` gives for each head its query, its key and its value."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x):
        """x [P, width]."""
        return self.out_proj(attend(*self.in_proj(x).view(len(x), self.heads, -1).chunk(3, dim=-1)))


class TowerLayer(nn.Module):
    """A pre-norm layer with an exact GELU."""

    def __init__(self, width, heads, inner):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width, eps=EPSILON), nn.LayerNorm(width, eps=EPSILON)
        self.attn = TowerAttention(width, heads)
        self.mlp = nn.Module()
        self.mlp.c_fc, self.mlp.c_proj = nn.Linear(width, inner), nn.Linear(inner, width)
        self.gelu = nn.GELU()

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp.c_proj(self.gelu(self.mlp.c_fc(self.ln_2(x))))


def stretched(positions, count):
    """Positions [side², C] for `count` patches of a square."""
    side, wanted = math.isqrt(len(positions)), math.isqrt(count)
    if side == wanted:
        return positions
    plane = positions.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    plane = nn.functional.interpolate(plane, size=(wanted, wanted), mode="bicubic", align_corners=False)
    return plane.permute(0, 2, 3, 1).reshape(count, -1)


def plane_waves(width, side):
    """What `pos_embed` of the resampler holds, [side², width]: sines and cosines of the column, then of the row."""
    frequencies = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width / 4))
    angles = torch.arange(side, dtype=torch.float64)[:, None] * frequencies
    waves = torch.cat([angles.sin(), angles.cos()], dim=-1)
    return torch.cat([waves.repeat(side, 1), waves.repeat_interleave(side, dim=0)], dim=-1).float()


class Resampler(nn.Module):
    """Learned queries attend to the patches; both know their places, the values do not."""

    def __init__(self, width, outputs, queries):
        super().__init__()
        self.pos_embed = nn.Parameter(plane_waves(outputs, math.isqrt(queries)), requires_grad=False)
        self.query = nn.Parameter(torch.zeros(queries, outputs))
        self.kv_proj = nn.Identity() if width == outputs else nn.Linear(width, outputs, bias=False)
        self.attn = nn.MultiheadAttention(outputs, outputs // 128)
        self.ln_q, self.ln_kv = nn.LayerNorm(outputs, eps=EPSILON), nn.LayerNorm(outputs, eps=EPSILON)

    def forward(self, x):
        """x [P, width]; the tokens [queries, outputs]."""
        x = self.ln_kv(self.kv_proj(x))
        queries, keys = self.ln_q(self.query) + self.pos_embed, x + stretched(self.pos_embed, len(x))
        return self.attn(queries, keys, x, need_weights=False)[0]


class Tower(nn.Module):
    """The vision tower, of the values `visual` of the config."""

    def __init__(self, visual):
        super().__init__()
        width, outputs, patch = visual["width"], visual["output_dim"], visual["patch_size"]
        self.conv1 = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.positional_embedding = nn.Parameter(torch.zeros(POSITIONS ** 2, width))
        self.ln_pre = nn.LayerNorm(width, eps=EPSILON)
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList(
            TowerLayer(width, visual["heads"], int(width * visual["mlp_ratio"])) for _ in range(visual["layers"]))
        self.attn_pool = Resampler(width, outputs, visual["n_queries"])
        self.ln_post = nn.LayerNorm(outputs, eps=EPSILON)
        self.proj = nn.Parameter(torch.zeros(outputs, outputs))

    def forward(self, pixels):
        """The tokens [queries, outputs] of pixels [3, side, side]."""
        x = self.conv1(pixels[None])[0].flatten(1).T
        x = self.ln_pre(x + stretched(self.positional_embedding, len(x)))
        for layer in self.transformer.resblocks:
            x = layer(x)
        return self.ln_post(self.attn_pool(x)) @ self.proj


class Qwen(nn.Module):
    """The language model, with a tower where the config has one."""

    def __init__(self, settings):
        super().__init__()
        self.settings = settings
        self.transformer = nn.Module()
        self.transformer.wte = nn.Embedding(settings["vocab_size"], settings["hidden_size"])
        self.transformer.h = nn.ModuleList(TextLayer(settings) for _ in range(settings["num_hidden_layers"]))
        self.transformer.ln_f = nn.RMSNorm(settings["hidden_size"], eps=settings["layer_norm_epsilon"])
        if "visual" in settings:
            self.transformer.visual = Tower(settings["visual"])
        self.lm_head = nn.Linear(settings["hidden_size"], settings["vocab_size"], bias=False)

    def forward(self, ids, rows=None):
        """Logits [T, vocabulary] of token ids [T], where `rows` [n, hidden] take the place of the image tokens."""
        assert len(ids) <= self.settings["seq_length"]
        x = self.transformer.wte(ids)
        if rows is not None:
            x = x.clone()
            x[ids == self.settings["visual"]["image_start_id"] + 2] = rows
        for layer in self.transformer.h:
            x = layer(x)
        return self.lm_head(self.transformer.ln_f(x))
