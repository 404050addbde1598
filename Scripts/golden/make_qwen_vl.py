"""Makes the tiny Qwen2-VL, Qwen2.5-VL, Qwen3-VL and Qwen3-VL-MoE checkpoints and their golden references, as
make_models.py and make_references.py do for InternVL.

    python make_qwen_vl.py [--check] [NAME...]

With --check it writes nothing: check_qwen_vl.py then shows that the committed references notice mistakes.
"""

import argparse
import hashlib
import json
import math
from types import SimpleNamespace

import numpy as np
import torch
from jinja2.sandbox import ImmutableSandboxedEnvironment
from PIL import Image
from transformers.models.qwen2_vl import image_processing_pil_qwen2_vl as theirs
from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures

import cases
import tiling
from fixture_paths import GOLDEN, IMAGES, MODELS
from make_references import STEPS, base64_floats
from qwen_vl_models import (
    CLASSES, MARK, MERGE, PICTURES, SEEDS, load, make_model, make_tokenizer, name_of, save, template,
)

# Rows of embeddings: all up to so many, and how many of more.
ROWS = {"qwen2-vl": (60, 24), "qwen2_5-vl": (60, 24), "qwen3-vl": (16, 16), "qwen3-vl-moe": (16, 16)}
SHARED = {case["name"]: case["messages"] for case in cases.CASES}
CASES = {
    "text-only": SHARED["text-only"], "non-ascii": SHARED["non-ascii"], "one-image": SHARED["one-tile"],
    "wide": [cases.user(cases.image("golden-wide.jpg"), cases.text("What is in the picture?"))],
    "six": SHARED["six-tiles"], "twelve": SHARED["twelve-tiles"], "three-images": SHARED["three-images"],
    "conversation": SHARED["conversation"],
}


def smart_resize(width, height, least, most, factor):
    """(width, height) a picture is resized to; halves round to even. Written afresh, compared in `check_resizing`."""
    def scaled(rounding, scale):
        return [rounding(side / scale / factor) * factor for side in (width, height)]
    wide, high = scaled(round, 1)
    if wide * high > most:
        return tuple(max(factor, side) for side in scaled(math.floor, math.sqrt(width * height / most)))
    if wide * high < least:
        beta = math.sqrt(least / (width * height))
        return tuple(math.ceil(side * beta / factor) * factor for side in (width, height))
    return wide, high


def picture(file, look):
    """A picture's values [patches, 6 × patch²] and grid [1, rows, columns] by transformers, and its description."""
    image, patch = tiling.open_rgb(IMAGES / file), look.patch
    made = theirs.Qwen2VLImageProcessorPil(
        min_pixels=look.min_pixels, max_pixels=look.max_pixels, patch_size=patch, image_mean=look.mean,
        image_std=look.std)([image], return_tensors="pt")
    size = smart_resize(*image.size, look.min_pixels, look.max_pixels, patch * MERGE)
    resized = np.asarray(image.resize(size, Image.Resampling.BICUBIC))
    rows, columns = (side // patch // MERGE for side in resized.shape[:2])
    blocks = tiling.normalise(resized[None], look.mean, look.std).reshape(3, rows, MERGE, patch, columns, MERGE, patch)
    ours = np.repeat(blocks.transpose(1, 4, 2, 5, 0, 3, 6)[:, :, :, :, :, None], 2, 5).reshape(-1, 6 * patch * patch)
    assert made["image_grid_thw"].tolist() == [[1, rows * MERGE, columns * MERGE]]
    assert np.abs(ours - made["pixel_values"].numpy()).max() < 1e-5, "the same bytes, as a step is 0.007"
    return made["pixel_values"], made["image_grid_thw"], {
        "file": file, "width": image.width, "height": image.height, "grid_rows": rows, "grid_columns": columns,
        "pixels_sha256": hashlib.sha256(resized.tobytes()).hexdigest()}


def question(model, tokenizer, messages):
    """All a forward pass takes for a conversation; `vision` and `after` are there for mistakes to be made in."""
    name = name_of(model)
    pictures = [picture(part["image"], PICTURES[name]) for message in messages
                if not isinstance(message["content"], str) for part in message["content"] if part["type"] == "image"]
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    prompt = environment.from_string(template(name)).render(messages=messages, add_generation_prompt=True)
    pieces = prompt.split(MARK)
    text = pieces[0] + "".join(MARK * (image["grid_rows"] * image["grid_columns"]) + piece
                               for (_, _, image), piece in zip(pictures, pieces[1:], strict=True))
    ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False).ids])
    types = (ids == model.config.image_token_id).int()
    pixels, grids = (torch.cat(parts) if parts else None for parts in (
        [values for values, _, _ in pictures], [grid for _, grid, _ in pictures]))
    positions = model.model.get_rope_index(ids, mm_token_type_ids=types, image_grid_thw=grids)[0]
    return SimpleNamespace(
        prompt=prompt, images=[image for _, _, image in pictures], ids=ids, types=types, pixels=pixels, grids=grids,
        positions=positions, vision={}, after=lambda rows, deep: (rows, deep))


@torch.no_grad()
def forward(model, asked):
    """The prompt's output, the tower's rows, and a list of those that DeepStack adds (empty before Qwen3-VL)."""
    rows, deep, encoded = None, [], None
    if asked.pixels is not None:
        tower = model.model.visual(asked.pixels, grid_thw=asked.grids, **asked.vision)
        rows, deep = asked.after(tower.pooler_output, getattr(tower, "deepstack_features", None) or [])
        encoded = {"image": BaseModelOutputWithDeepstackFeatures(
            pooler_output=(rows,), deepstack_features=[(feature,) for feature in deep])}
    output = model(input_ids=asked.ids, position_ids=asked.positions, mm_encoder_outputs=encoded, use_cache=True)
    return output, rows, deep


@torch.no_grad()
def decode(model, output, position, shape=(3, 1, 1)):
    """Greedy steps after a prompt whose next position is `position`; the end token does not stop them.

    Positions are given (in this shape), as transformers would keep those of the last prompt with a picture.
    """
    steps = []
    for step in range(STEPS):
        best = torch.topk(torch.log_softmax(output.logits[0, -1], -1), 5)
        steps.append({"top_ids": best.indices.tolist(), "top_logprobs": [round(x, 6) for x in best.values.tolist()]})
        output = model(input_ids=best.indices[:1][None], past_key_values=output.past_key_values, use_cache=True,
                       position_ids=torch.full(shape, position + step))
    return steps


def reference(model, tokenizer, name):
    """The JSON object of one case."""
    asked = question(model, tokenizer, CASES[name])
    output, rows, deep = forward(model, asked)
    logits = output.logits[0, -1]
    steps = decode(model, output, int(asked.positions.max()) + 1)
    result = {
        "name": name, "messages": CASES[name], "prompt": asked.prompt, "images": asked.images,
        "input_ids": asked.ids[0].tolist(), "positions": asked.positions[:, 0].tolist(),
        "logits": base64_floats(logits), "greedy_ids": [step["top_ids"][0] for step in steps], "steps": steps}
    if rows is not None:
        most, some = ROWS[name_of(model)]
        if len(rows) > most:
            result["embedding_rows"] = np.linspace(0, len(rows) - 1, some).round().astype(int).tolist()
        kept = result.get("embedding_rows", slice(None))
        result["embeddings"] = base64_floats(rows[kept])
        if deep:
            result["deepstack"] = [base64_floats(feature[kept]) for feature in deep]
    return result


def write(name, golden):
    """Writes a file of references, a line for each case, and prints what matters about it."""
    content = json.dumps(golden, ensure_ascii=False, separators=(",", ":"))
    (GOLDEN / f"{name}.json").write_text(content.replace('{"name":', '\n{"name":') + "\n")
    sizes = [sum(file.stat().st_size for file in files) for files in (
        (MODELS / name).iterdir(), [GOLDEN / f"{name}.json"])]
    print(name, "checkpoint and references:", *sizes, "bytes")
    for case in golden["cases"]:
        margin = min(step["top_logprobs"][0] - step["top_logprobs"][1] for step in case["steps"])
        grids = [(image["grid_rows"], image["grid_columns"]) for image in case["images"]]
        print(f"  {case['name']:12} {len(case['input_ids']):4} ids {grids} {len(set(case['greedy_ids']))} distinct,"
              f" least margin {margin:.4f}, greedy {case['greedy_ids'][:10]}")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--check", action="store_true", help="only show that the references notice mistakes")
    arguments.add_argument("names", nargs="*", help=f"{', '.join(CLASSES)}; all when left out")
    arguments = arguments.parse_args()
    names, tokenizer = arguments.names or list(CLASSES), make_tokenizer()
    if arguments.check:
        import check_qwen_vl
        return check_qwen_vl.check(names)
    made = {name: make_model(name, tokenizer, SEEDS[name]) for name in names}
    for name, model in made.items():
        save(name, model, tokenizer)
    for name, drawn in made.items():
        model, text = load(name), drawn.config.text_config
        stored = model.state_dict()
        assert all(torch.equal(stored[key], value) for key, value in drawn.state_dict().items())
        found = [reference(model, tokenizer, case) for case in CASES]
        look = PICTURES[name]
        golden = {"models": [name], "patch": look.patch, "merge": MERGE, "image_mean": look.mean, "image_std": look.std,
                  "min_pixels": look.min_pixels, "max_pixels": look.max_pixels, "vocabulary": text.vocab_size,
                  "hidden_size": text.hidden_size, "cases": found}
        write(name, golden)


if __name__ == "__main__":
    main()
