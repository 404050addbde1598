"""What `make_qwen_vl.py --check` does: proves that Qwen2-VL's and Qwen2.5-VL's golden references would notice mistakes.

Also compares our resizing, both spellings of a config, the processors' token ids and `generate` with transformers'.
"""

import json
import types

import torch
from transformers import AutoTokenizer, Qwen2_5_VLProcessor, Qwen2VLProcessor
from transformers.models.qwen2_vl import image_processing_pil_qwen2_vl as theirs
from transformers.vision_utils import get_vision_position_ids, get_vision_window_index

import tiling
from check_references import floats
from fixture_paths import GOLDEN, IMAGES, MODELS
from make_qwen_vl import CASES, STEPS, decode, forward, question, smart_resize
from qwen_vl_models import (
    CLASSES, MAX_PIXELS, MEAN, MIN_PIXELS, STD, load, make_tokenizer, settings, version4, version5,
)

NOTICED = 5e-4  # Every mistake moves the logits by more; tests compare more closely than this.


def mistakes(model, asked):
    """(name, function making the mistake in a freshly loaded model and what it is asked) for all a model has."""
    length, image = asked.ids.shape[1], asked.types[0].bool()
    order = torch.arange(length)
    first = image & ~image.roll(1)      # The first token of each picture.
    start = torch.where(image, torch.where(first, order, 0).cummax(0).values, order)
    blocks = torch.arange(len(asked.pixels))
    tower_places = get_vision_position_ids(asked.grids, 2)

    def raster():
        """For every patch row by row, its place in transformers' order."""
        begin, result = 0, []
        for _, rows, columns in asked.grids.tolist():
            block = torch.arange(rows * columns).view(rows // 2, columns // 2, 2, 2).transpose(1, 2)
            result.append(begin + block.flatten())
            begin += rows * columns
        return torch.cat(result)

    def put(**changed):
        return lambda fresh, asked: vars(asked).update(changed)

    def positions(changed):
        return put(positions=changed)

    def vision(**changed):
        return put(vision=changed)

    def pixels(change):
        values = asked.pixels.view(-1, 3, 2, 196)
        return put(pixels=change(values).reshape(len(values), -1))

    def fill(ending, value):
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
        return lambda fresh, asked: [setattr(module, name, types.MethodType(function, module))
                                     for key, module in fresh.named_modules() if key.endswith(ending)]

    def sections(mixed):
        """The text's angles mixed in another way from the three rows."""
        return method("language_model.rotary_emb", "recomposition_frequencies",
                      lambda self, freq: torch.cat([mixed(freq)] * 2, -1))

    def interleaved(freq):
        return torch.stack([freq[index % 3, ..., index] for index in range(freq.shape[-1])], -1)

    def other_norm(function):
        return lambda fresh, asked: [
            setattr(module, "forward", lambda x, module=module: function(module, x))
            for key, module in fresh.model.visual.named_modules() if key.endswith(("norm1", "norm2", "ln_q"))]

    def gelu(kind):
        return lambda fresh, asked: [
            setattr(module, "forward", kind) for key, module in fresh.model.visual.named_modules()
            if key.endswith(("mlp.act", "mlp.act_fn"))]

    functional = torch.nn.functional
    yield "1-D positions", positions(order.expand(3, 1, -1))
    yield "rows and columns of positions exchanged", positions(asked.positions[[0, 2, 1]])
    yield "text goes on by the number of image tokens", positions(asked.positions - asked.positions[:1] + start)
    yield "positions of a picture from 0", positions(asked.positions - asked.positions[:1] * image)
    yield "sections interleaved", sections(interleaved)
    yield "sections in another order", sections(
        lambda freq: torch.cat([part[2 - index] for index, part in enumerate(freq.split([2, 3, 3], -1))], -1))
    yield "other sections", sections(
        lambda freq: torch.cat([part[index] for index, part in enumerate(freq.split([3, 3, 2], -1))], -1))
    yield "text norm epsilon", modules("layernorm", variance_epsilon=1e-6)
    for letter in "qkv":
        yield f"text {letter} bias left out", fill(f"self_attn.{letter}_proj.bias", 0.0)
    yield "patches row by row", put(pixels=asked.pixels[raster()])
    swapped = blocks.view(-1, 2, 2).transpose(1, 2).flatten()
    yield "merged column by column", put(pixels=asked.pixels[swapped], vision={"position_ids": tower_places[swapped]})
    yield "patches of a merge column by column", put(pixels=asked.pixels[swapped])
    yield "tower positions row by row", vision(position_ids=tower_places[raster()])
    yield "tower rows and columns exchanged", vision(position_ids=tower_places.flip(1))
    yield "tower positions left out", vision(position_ids=tower_places * 0)
    yield "pictures see one another", vision(cu_seqlens=torch.tensor([0, len(blocks)], dtype=torch.int32))
    yield "picture tokens backwards", put(after=lambda rows: rows.flip(0))
    yield "blue and red exchanged", pixels(lambda values: values.flip(1))
    yield "frames before channels", pixels(lambda values: values.transpose(1, 2))
    yield "columns before rows in a patch", pixels(lambda values: values.unflatten(-1, (14, 14)).transpose(-1, -2))
    yield "no second frame", pixels(lambda values: values * torch.tensor([1.0, 0.0])[:, None])
    mean, deviation, other_mean, other_deviation = (torch.tensor(values)[:, None, None] for values in (
        MEAN, STD, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    yield "ImageNet's mean and deviation", pixels(
        lambda values: (values * deviation + mean - other_mean) / other_deviation)
    yield "one 8-bit step in one channel", pixels(
        lambda values: values + torch.tensor([1 / 255 / STD[0], 0, 0])[:, None, None])
    yield "qkv bias left out", fill("attn.qkv.bias", 0.0)
    yield "projection bias left out", fill("attn.proj.bias", 0.0)
    yield "merger norm weight left out", fill("ln_q.weight", 1.0)
    yield "tower norm weight left out", fill("norm1.weight", 1.0)
    yield "merger bias left out", fill("merger.mlp.2.bias", 0.0)
    yield "tanh GELU in the merger", modules("merger.mlp.1", approximate="tanh")
    yield "quick GELU in the merger", modules("merger.mlp.1", forward=lambda x: x * torch.sigmoid(1.702 * x))
    yield "exact GELU in the tower", gelu(functional.gelu)
    if "window_size" not in model.config.vision_config.to_dict():
        yield "tanh GELU in the tower", gelu(lambda x: functional.gelu(x, approximate="tanh"))
        yield "SiLU in the tower", gelu(functional.silu)
        yield "RMSNorm for LayerNorm", other_norm(lambda module, x: functional.rms_norm(
            x, x.shape[-1:], module.weight, 1e-6) + module.bias)
        yield "merger norm bias left out", fill("ln_q.bias", 0.0)
        return
    tower = "model.visual"
    window, bounds = get_vision_window_index(asked.grids, 2, 56, 14)
    yield "windows twice as large", modules(tower, window_size=112)
    yield "windows of single tokens", modules(tower, window_size=28)
    yield "no windows", modules(tower, fullatt_block_indexes=[0, 1, 2, 3])
    yield "windows in all layers", modules(tower, fullatt_block_indexes=[])
    yield "windows in the other layers", modules(tower, fullatt_block_indexes=[0, 2])
    yield "window order not undone", put(after=lambda rows: rows[window])
    yield "windows of tokens in a row", vision(
        window_index=torch.arange(len(window)), cu_window_seqlens=bounds)
    yield "tower positions not in window order", vision(
        position_ids=tower_places.view(-1, 4, 2)[torch.argsort(window)].view(-1, 2))
    yield "LayerNorm for RMSNorm", other_norm(lambda module, x: functional.layer_norm(
        x, x.shape[-1:], module.weight, None, 1e-6))
    for part in ("gate", "up", "down"):
        yield f"tower {part} bias left out", fill(f"mlp.{part}_proj.bias", 0.0)


@torch.no_grad()
def check_model(name, tokenizer):
    """Prints what every mistake does to the case with three pictures; ends on one that nothing would notice."""
    golden = {case["name"]: case for case in json.loads((GOLDEN / f"{name}.json").read_text())["cases"]}
    assert len({tuple(case["greedy_ids"]) for case in golden.values()}) == len(CASES), "every case answers differently"
    model = load(name)
    for case, messages in CASES.items():
        asked, stored = question(model, tokenizer, messages), golden[case]
        assert asked.ids[0].tolist() == stored["input_ids"] and asked.positions[:, 0].tolist() == stored["positions"]
        output, _ = forward(model, asked)
        assert (output.logits[0, -1] - floats(stored["logits"])).abs().max() < 1e-5, case
        pictures = {} if asked.pixels is None else {"pixel_values": asked.pixels, "image_grid_thw": asked.grids}
        made = model.generate(
            input_ids=asked.ids, attention_mask=torch.ones_like(asked.ids), mm_token_type_ids=asked.types,
            do_sample=False, max_new_tokens=STEPS, min_new_tokens=STEPS, eos_token_id=[], **pictures)
        assert made[0, -STEPS:].tolist() == stored["greedy_ids"], case
        if pictures:
            late = decode(model, output, asked.ids.shape[1])
            moved = max(abs(a - b) for step, other in zip(late[1:], stored["steps"][1:])
                        for a, b in zip(step["top_logprobs"], other["top_logprobs"]))
            print(f"  {name} {case}: decoding at 1-D positions moves logprobs by {moved:.4f}")
            assert moved > NOTICED
    print(f"  {name}: {len(CASES)} cases decode as transformers' generate does")
    stored, asked = golden["three-images"], question(model, tokenizer, CASES["three-images"])
    for mistake, change in mistakes(model, asked):
        fresh, changed = load(name), types.SimpleNamespace(**vars(asked))
        change(fresh, changed)
        logits, expected = forward(fresh, changed)[0].logits[0, -1], floats(stored["logits"])
        moved, token = float((logits - expected).abs().max()), int(logits.argmax()) != int(expected.argmax())
        print(f"  {name} {mistake:44} logits move by {moved:8.4f}{'  first token changes' if token else ''}")
        assert moved > NOTICED, mistake


def check_spellings(name, tokenizer):
    """The committed config and both spellings of it are the same to transformers."""
    config_class = CLASSES[name][0]
    ignored = {"_name_or_path", "transformers_version", "architectures", "dtype", "in_chans", "spatial_patch_size"}

    def values(config):
        if not isinstance(config, dict):
            return config
        return {key: values(value) for key, value in config.items() if key not in ignored}
    read = [config_class.from_pretrained(MODELS / name)] + [
        config_class(**spelling(name, *settings(name, tokenizer))) for spelling in (version4, version5)]
    read = [values(config.to_dict()) for config in read]
    differing = {key for one in read for key in read[0].keys() | one.keys() if one.get(key) != read[0].get(key)}
    assert not differing, [[one.get(key) for one in read] for key in differing]
    print(f"  {name}: both spellings of the config are the same")


def check_processor(name):
    """transformers' own processor and template, with the folder's files, give the golden prompts and ids."""
    folder, kind = MODELS / name, Qwen2VLProcessor if name == "qwen2-vl" else Qwen2_5_VLProcessor
    kind.check_argument_for_proper_class = lambda *arguments: None     # Its video part needs torchvision.
    template = (json.loads((folder / "chat_template.json").read_text())["chat_template"] if name == "qwen2-vl"
                else (folder / "chat_template.jinja").read_text())
    processor = kind(theirs.Qwen2VLImageProcessorPil.from_pretrained(folder), AutoTokenizer.from_pretrained(folder),
                     chat_template=template)
    for case in json.loads((GOLDEN / f"{name}.json").read_text())["cases"]:
        assert processor.apply_chat_template(case["messages"], add_generation_prompt=True) == case["prompt"]
        images = [tiling.open_rgb(IMAGES / image["file"]) for image in case["images"]] or None
        inputs = processor(images=images, text=case["prompt"], return_tensors="pt")
        assert inputs["input_ids"][0].tolist() == case["input_ids"], case["name"]
    print(f"  {name}: the processor agrees on {len(CASES)} cases")


def check_resizing():
    """Our sizes against transformers' for many pictures, with the fixtures' and the published limits."""
    compared = 0
    for least, most in [(MIN_PIXELS, MAX_PIXELS), (3136, 12845056), (256 * 28 * 28, 1280 * 28 * 28)]:
        for width in [*range(1, 200), *range(200, 4000, 37)]:
            for height in [*range(1, 200, 3), 14, 42, 70, 98, *range(200, 4000, 43)]:
                if max(width, height) <= 200 * min(width, height):
                    high, wide = theirs.smart_resize(height, width, 28, least, most)
                    assert smart_resize(width, height, least, most) == (wide, high), (width, height)
                    compared += 1
    print(f"  sizes equal for {compared} pictures")


def check(names):
    """All checks."""
    check_resizing()
    tokenizer = make_tokenizer()
    for name in names:
        check_spellings(name, tokenizer)
        check_processor(name)
        check_model(name, tokenizer)
