"""Mistakes that Qwen3-VL's golden references must notice."""

import torch
from transformers.vision_utils import get_vision_interpolation_indices_and_weights, get_vision_position_ids

from qwen_vl_mistakes import (
    column_by_column, contiguous, fill, functional, interleaved, method, modules, put, raster, sections, shared,
    tower_method, vision,
)

DEEP = ("deepstack_merger_list.0", "deepstack_merger_list.1")


def late_norm(self, x):
    """A merger's norm over the merged patches, with the weights of that over each."""
    x = functional.layer_norm(x.view(-1, self.hidden_size), [self.hidden_size], eps=1e-6)
    x = x * self.norm.weight.repeat(4) + self.norm.bias.repeat(4)
    return self.linear_fc2(self.act_fn(self.linear_fc1(x)))


def early_norm(self, x):
    """A merger's norm over each patch, with the weights of that over the merged ones."""
    x = functional.layer_norm(x, x.shape[-1:], eps=1e-6).view(-1, self.hidden_size)
    return self.linear_fc2(self.act_fn(self.linear_fc1(x * self.norm.weight + self.norm.bias)))


def table(model, asked):
    """Mistakes of the learned positions, whose 4 × 4 table is stretched over each picture."""
    merged = {"num_grid_per_side": 4, "spatial_merge_size": 2}
    indices, weights = get_vision_interpolation_indices_and_weights(asked.grids, align_corners=True, **merged)
    row_by_row, swapped = raster(asked.grids), column_by_column(len(asked.pixels))
    places = get_vision_position_ids(asked.grids, 2)

    def taps(indices, weights):
        return vision(interp_indices=indices, interp_weights=weights)

    yield "learned positions left out", fill("pos_embed.weight", 0.0)
    yield "nearest learned position", taps(indices, functional.one_hot(weights.argmax(1), 4).float())
    yield "learned position at or before", taps(indices, torch.tensor([1.0, 0, 0, 0]).expand(len(weights), 4))
    yield "half-pixel centres", taps(*get_vision_interpolation_indices_and_weights(asked.grids, **merged))
    yield "bicubic interpolation", taps(*get_vision_interpolation_indices_and_weights(
        asked.grids, align_corners=True, mode="bicubic", **merged))
    yield "learned positions not stretched", taps(
        places.clamp(max=3) @ torch.tensor([[4], [1]]), torch.ones(len(places), 1))
    yield "learned positions row by row", taps(indices[row_by_row], weights[row_by_row])
    yield "learned rows and columns exchanged", taps(indices % 4 * 4 + indices // 4, weights)
    yield "weights of the other axis", taps(indices, weights[:, [0, 2, 1, 3]])
    yield "merged column by column", put(pixels=asked.pixels[swapped], vision={
        "position_ids": places[swapped], "interp_indices": indices[swapped], "interp_weights": weights[swapped]})


def deepstack():
    """Mistakes of what is added after the first text layers."""
    def after(change):
        return put(after=change)

    def nothing(rows):
        return torch.zeros_like(rows)

    yield "deepstack left out", after(lambda rows, deep: (rows, []))
    yield "second deepstack left out", after(lambda rows, deep: (rows, deep[:1]))
    yield "first deepstack left out", after(lambda rows, deep: (rows, [nothing(rows), deep[1]]))
    yield "deepstack in the other order", after(lambda rows, deep: (rows, deep[::-1]))
    yield "deepstack a layer early", after(lambda rows, deep: (rows + deep[0], deep[1:]))
    yield "deepstack a layer late", after(lambda rows, deep: (rows, [nothing(rows), *deep]))
    yield "deepstack at the tower's indexes", after(lambda rows, deep: (rows, [deep[0], nothing(rows), deep[1]]))
    yield "deepstack all after the first layer", after(lambda rows, deep: (rows, [deep[0] + deep[1]]))
    yield "deepstack rows backwards", after(lambda rows, deep: (rows, [part.flip(0) for part in deep]))
    yield "deepstack of later tower layers", modules("model.visual", deepstack_visual_indexes=[1, 3])
    yield "deepstack of earlier tower layers", modules("model.visual", deepstack_visual_indexes=[0, 1])
    yield "deepstack norm before the merge", tower_method(DEEP, early_norm)
    yield "deepstack bias left out", fill(tuple(f"{name}.linear_fc2.bias" for name in DEEP), 0.0)
    yield "deepstack norm weight left out", fill(tuple(f"{name}.norm.weight" for name in DEEP), 1.0)
    yield "deepstack norm bias left out", fill(tuple(f"{name}.norm.bias" for name in DEEP), 0.0)
    yield "tanh GELU in the deepstack mergers", modules(tuple(f"{name}.act_fn" for name in DEEP), approximate="tanh")


def mistakes(model, asked):
    """Everything for Qwen3-VL."""
    yield from shared(model, asked)
    yield "sections contiguous", contiguous([4, 2, 2])
    yield "interleaved to the last pair", interleaved()
    yield "interleaved from columns", sections(lambda freq: torch.stack(
        [freq[(0, 2, 1)[index % 3] if index < 6 else 0, ..., index] for index in range(8)], -1))
    for letter in "qk":
        yield f"{letter} norm weight left out", fill(f"{letter}_norm.weight", 1.0)
        yield f"{letter} norm left out", modules(f"{letter}_norm", forward=lambda x: x)
        yield f"{letter} norm epsilon", modules(f"{letter}_norm", variance_epsilon=1e-6)
    yield from table(model, asked)
    yield "tower pairs of rows and columns in turn", method(
        "visual.rotary_pos_emb", "recomposition_frequencies",
        lambda self, freq: torch.cat([freq.transpose(1, 2).flatten(1)] * 2, -1))
    yield "patch bias left out", fill("patch_embed.proj.bias", 0.0)
    for part in ("linear_fc1", "linear_fc2"):
        yield f"tower {part} bias left out", fill(f"mlp.{part}.bias", 0.0)
        yield f"merger {part} bias left out", fill(f"visual.merger.{part}.bias", 0.0)
    yield "tower norm bias left out", fill("norm2.bias", 0.0)
    yield "RMSNorm for LayerNorm", tower_method(("norm1", "norm2"), lambda self, x: functional.rms_norm(
        x, x.shape[-1:], self.weight, 1e-6) + self.bias)
    for kind, function in [("exact GELU", functional.gelu), ("SiLU", functional.silu),
                           ("quick GELU", lambda x: x * torch.sigmoid(1.702 * x))]:
        yield f"{kind} in the tower", tower_method("mlp.act_fn", lambda self, x, function=function: function(x))
    yield "tanh GELU in the merger", modules("visual.merger.act_fn", approximate="tanh")
    yield "merger norm after the merge", tower_method("merger", late_norm)
    yield "merger norm weight left out", fill("visual.merger.norm.weight", 1.0)
    yield "merger norm bias left out", fill("visual.merger.norm.bias", 0.0)
    yield from deepstack()
