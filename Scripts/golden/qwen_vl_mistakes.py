"""Mistakes that Qwen2-VL's and Qwen2.5-VL's golden references must notice, and what Qwen3-VL's share with them.

A mistake is its name and a function that makes it in a freshly loaded model and in what that is asked.
"""

import types

import torch
from transformers.vision_utils import get_vision_position_ids, get_vision_window_index

from qwen_vl_models import PICTURES, name_of

functional = torch.nn.functional


def put(**changed):
    """Sets values of what is asked."""
    return lambda fresh, asked: vars(asked).update(changed)


def vision(**changed):
    """Gives the tower values it would compute."""
    return put(vision=changed)


def fill(ending, value):
    """Fills all parameters whose name ends so."""
    def change(fresh, asked):
        found = [parameter for key, parameter in fresh.named_parameters() if key.endswith(ending)]
        assert found, ending
        for parameter in found:
            parameter.data.fill_(value)
    return change


def modules(ending, **changed):
    """Sets attributes of all modules whose name ends so."""
    def change(fresh, asked):
        found = [module for key, module in fresh.named_modules() if key.endswith(ending)]
        assert found, ending
        for module in found:
            for key, value in changed.items():
                setattr(module, key, value)
    return change


def method(ending, name, function):
    """Replaces a method of all modules whose name ends so (a string or several)."""
    def change(fresh, asked):
        found = [module for key, module in fresh.named_modules() if key.endswith(ending)]
        assert found, ending
        for module in found:
            setattr(module, name, types.MethodType(function, module))
    return change


def tower_method(ending, function):
    """Replaces `forward` of those of the tower's modules whose name ends so."""
    def change(fresh, asked):
        found = [module for key, module in fresh.model.visual.named_modules() if key.endswith(ending)]
        assert found, ending
        for module in found:
            module.forward = types.MethodType(function, module)
    return change


def sections(mixed):
    """The text's angles mixed in another way from the three rows."""
    return method("language_model.rotary_emb", "recomposition_frequencies",
                  lambda self, freq: torch.cat([mixed(freq)] * 2, -1))


def contiguous(lengths, rows=(0, 1, 2)):
    """Sections one after another, from these rows."""
    return sections(lambda freq: torch.cat(
        [part[row] for row, part in zip(rows, freq.split(lengths, -1))], -1))


def interleaved(rows=(0, 1, 2)):
    """Row after row, to the last pair."""
    return sections(lambda freq: torch.stack(
        [freq[rows[index % 3], ..., index] for index in range(freq.shape[-1])], -1))


def raster(grids):
    """For every patch row by row, its place in transformers' order."""
    begin, result = 0, []
    for _, rows, columns in grids.tolist():
        block = torch.arange(rows * columns).view(rows // 2, columns // 2, 2, 2).transpose(1, 2)
        result.append(begin + block.flatten())
        begin += rows * columns
    return torch.cat(result)


def column_by_column(count):
    """Places of patches when a merge's were column by column."""
    return torch.arange(count).view(-1, 2, 2).transpose(1, 2).flatten()


def shared(model, asked):
    """Mistakes of positions, pixels and attention that every Qwen-VL can have."""
    image, order = asked.types[0].bool(), torch.arange(asked.ids.shape[1])
    first = image & ~image.roll(1)      # The first token of each picture.
    start = torch.where(image, torch.where(first, order, 0).cummax(0).values, order)
    count, places, look = len(asked.pixels), get_vision_position_ids(asked.grids, 2), PICTURES[name_of(model)]
    row_by_row, swapped = raster(asked.grids), column_by_column(count)

    def positions(changed):
        return put(positions=changed)

    def pixels(change):
        return put(pixels=change(asked.pixels.view(count, 3, 2, -1)).reshape(count, -1))

    yield "1-D positions", positions(order.expand(3, 1, -1))
    yield "rows and columns of positions exchanged", positions(asked.positions[[0, 2, 1]])
    yield "text goes on by the number of image tokens", positions(asked.positions - asked.positions[:1] + start)
    yield "positions of a picture from 0", positions(asked.positions - asked.positions[:1] * image)
    yield "text norm epsilon", modules("layernorm", variance_epsilon=1e-6)
    yield "patches row by row", put(pixels=asked.pixels[row_by_row])
    yield "patches of a merge column by column", put(pixels=asked.pixels[swapped])
    yield "tower positions row by row", vision(position_ids=places[row_by_row])
    yield "tower rows and columns exchanged", vision(position_ids=places.flip(1))
    yield "tower positions left out", vision(position_ids=places * 0)
    yield "pictures see one another", vision(cu_seqlens=torch.tensor([0, count], dtype=torch.int32))
    yield "picture tokens backwards", put(after=lambda rows, deep: (rows.flip(0), deep))
    yield "blue and red exchanged", pixels(lambda values: values.flip(1))
    yield "frames before channels", pixels(lambda values: values.transpose(1, 2))
    yield "columns before rows in a patch", pixels(
        lambda values: values.unflatten(-1, (look.patch, look.patch)).transpose(-1, -2))
    yield "no second frame", pixels(lambda values: values * torch.tensor([1.0, 0.0])[:, None])
    mean, deviation, other_mean, other_deviation = (torch.tensor(values)[:, None, None] for values in (
        look.mean, look.std, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    yield "ImageNet's mean and deviation", pixels(
        lambda values: (values * deviation + mean - other_mean) / other_deviation)
    yield "one 8-bit step in one channel", pixels(
        lambda values: values + torch.tensor([1 / 255 / look.std[0], 0, 0])[:, None, None])
    yield "qkv bias left out", fill("attn.qkv.bias", 0.0)
    yield "projection bias left out", fill("attn.proj.bias", 0.0)
    yield "tower norm weight left out", fill("norm1.weight", 1.0)


def mistakes(model, asked):
    """Everything for Qwen2-VL or Qwen2.5-VL."""
    yield from shared(model, asked)
    places, swapped = get_vision_position_ids(asked.grids, 2), column_by_column(len(asked.pixels))
    norms = ("norm1", "norm2", "ln_q")

    def gelu(kind):
        return tower_method(("mlp.act", "mlp.act_fn"), lambda self, x: kind(x))

    yield "sections interleaved", interleaved()
    yield "sections in another order", contiguous([2, 3, 3], (2, 1, 0))
    yield "other sections", contiguous([3, 3, 2])
    for letter in "qkv":
        yield f"text {letter} bias left out", fill(f"self_attn.{letter}_proj.bias", 0.0)
    yield "merged column by column", put(pixels=asked.pixels[swapped], vision={"position_ids": places[swapped]})
    yield "merger norm weight left out", fill("ln_q.weight", 1.0)
    yield "merger bias left out", fill("merger.mlp.2.bias", 0.0)
    yield "tanh GELU in the merger", modules("merger.mlp.1", approximate="tanh")
    yield "quick GELU in the merger", modules("merger.mlp.1", forward=lambda x: x * torch.sigmoid(1.702 * x))
    yield "exact GELU in the tower", gelu(functional.gelu)
    if "window_size" not in model.config.vision_config.to_dict():
        yield "tanh GELU in the tower", gelu(lambda x: functional.gelu(x, approximate="tanh"))
        yield "SiLU in the tower", gelu(functional.silu)
        yield "RMSNorm for LayerNorm", tower_method(norms, lambda self, x: functional.rms_norm(
            x, x.shape[-1:], self.weight, 1e-6) + self.bias)
        yield "merger norm bias left out", fill("ln_q.bias", 0.0)
        return
    tower = "model.visual"
    window, bounds = get_vision_window_index(asked.grids, 2, 56, 14)
    yield "windows twice as large", modules(tower, window_size=112)
    yield "windows of single tokens", modules(tower, window_size=28)
    yield "no windows", modules(tower, fullatt_block_indexes=[0, 1, 2, 3])
    yield "windows in all layers", modules(tower, fullatt_block_indexes=[])
    yield "windows in the other layers", modules(tower, fullatt_block_indexes=[0, 2])
    yield "window order not undone", put(after=lambda rows, deep: (rows[window], deep))
    yield "windows of tokens in a row", vision(
        window_index=torch.arange(len(window)), cu_window_seqlens=bounds)
    yield "tower positions not in window order", vision(
        position_ids=places.view(-1, 4, 2)[torch.argsort(window)].view(-1, 2))
    yield "LayerNorm for RMSNorm", tower_method(norms, lambda self, x: functional.layer_norm(
        x, x.shape[-1:], self.weight, None, 1e-6))
    for part in ("gate", "up", "down"):
        yield f"tower {part} bias left out", fill(f"mlp.{part}_proj.bias", 0.0)
