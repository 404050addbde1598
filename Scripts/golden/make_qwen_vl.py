"""Makes the tiny Qwen2-VL and Qwen2.5-VL checkpoints and their golden references, as make_models.py and
make_references.py do for InternVL.

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
from PIL import Image
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.qwen2_vl import image_processing_pil_qwen2_vl as theirs

import cases
import tiling
from fixture_paths import GOLDEN, IMAGES, MODELS
from make_references import STEPS, base64_floats, render
from qwen_vl_models import (
    CLASSES, MARK, MAX_PIXELS, MEAN, MERGE, MIN_PIXELS, PATCH, SEEDS, STD, load, make_model, make_tokenizer, save,
)

ALL_ROWS, SOME_ROWS = 60, 24    # Rows of embeddings: all up to so many, and how many of more.
SHARED = {case["name"]: case["messages"] for case in cases.CASES}
CASES = {
    "text-only": SHARED["text-only"], "non-ascii": SHARED["non-ascii"], "one-image": SHARED["one-tile"],
    "wide": [cases.user(cases.image("golden-wide.jpg"), cases.text("What is in the picture?"))],
    "six": SHARED["six-tiles"], "twelve": SHARED["twelve-tiles"], "three-images": SHARED["three-images"],
    "conversation": SHARED["conversation"],
}


def smart_resize(width, height, least=MIN_PIXELS, most=MAX_PIXELS, factor=PATCH * MERGE):
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


def picture(name):
    """A picture's values [patches, 1176] and grid [1, rows, columns] by transformers, and its description."""
    image = tiling.open_rgb(IMAGES / name)
    made = theirs.Qwen2VLImageProcessorPil(min_pixels=MIN_PIXELS, max_pixels=MAX_PIXELS)([image], return_tensors="pt")
    resized = np.asarray(image.resize(smart_resize(*image.size), Image.Resampling.BICUBIC))
    rows, columns = (side // PATCH // MERGE for side in resized.shape[:2])
    blocks = tiling.normalise(resized[None], MEAN, STD).reshape(3, rows, MERGE, PATCH, columns, MERGE, PATCH)
    ours = np.repeat(blocks.transpose(1, 4, 2, 5, 0, 3, 6)[:, :, :, :, :, None], 2, 5).reshape(-1, 6 * PATCH * PATCH)
    assert made["image_grid_thw"].tolist() == [[1, rows * MERGE, columns * MERGE]]
    assert np.abs(ours - made["pixel_values"].numpy()).max() < 1e-5, "the same bytes, as a step is 0.014"
    return made["pixel_values"], made["image_grid_thw"], {
        "file": name, "width": image.width, "height": image.height, "grid_rows": rows, "grid_columns": columns,
        "pixels_sha256": hashlib.sha256(resized.tobytes()).hexdigest()}


def question(model, tokenizer, messages):
    """All a forward pass takes for a conversation; `vision` and `after` are there for mistakes to be made in."""
    pictures = [picture(part["image"]) for message in messages if not isinstance(message["content"], str)
                for part in message["content"] if part["type"] == "image"]
    prompt = render(messages, MODELS / "qwen2_5-vl")    # Both folders' templates are this one.
    pieces = prompt.split(MARK)
    text = pieces[0] + "".join(MARK * (image["grid_rows"] * image["grid_columns"]) + piece
                               for (_, _, image), piece in zip(pictures, pieces[1:], strict=True))
    ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False).ids])
    types = (ids == model.config.image_token_id).int()
    pixels, grids = (torch.cat(parts) if parts else None for parts in (
        [values for values, _, _ in pictures], [grid for _, grid, _ in pictures]))
    positions = model.model.get_rope_index(ids, mm_token_type_ids=types, image_grid_thw=grids)[0]
    return SimpleNamespace(prompt=prompt, images=[image for _, _, image in pictures], ids=ids, types=types,
                           pixels=pixels, grids=grids, positions=positions, vision={}, after=lambda rows: rows)


@torch.no_grad()
def forward(model, asked):
    """The prompt's output, and the tower's rows."""
    rows, encoded = None, None
    if asked.pixels is not None:
        rows = asked.after(model.model.visual(asked.pixels, grid_thw=asked.grids, **asked.vision).pooler_output)
        encoded = {"image": BaseModelOutputWithPooling(pooler_output=(rows,))}
    return model(input_ids=asked.ids, position_ids=asked.positions, mm_encoder_outputs=encoded, use_cache=True), rows


@torch.no_grad()
def decode(model, output, position):
    """Greedy steps after a prompt whose next position is `position`; the end token does not stop them.

    Positions are given, as transformers would keep those of the last prompt with a picture.
    """
    steps = []
    for step in range(STEPS):
        best = torch.topk(torch.log_softmax(output.logits[0, -1], -1), 5)
        steps.append({"top_ids": best.indices.tolist(), "top_logprobs": [round(x, 6) for x in best.values.tolist()]})
        output = model(input_ids=best.indices[:1][None], past_key_values=output.past_key_values, use_cache=True,
                       position_ids=torch.full((3, 1, 1), position + step))
    return steps


def reference(model, tokenizer, name):
    """The JSON object of one case."""
    asked = question(model, tokenizer, CASES[name])
    output, rows = forward(model, asked)
    logits = output.logits[0, -1]
    steps = decode(model, output, int(asked.positions.max()) + 1)
    result = {
        "name": name, "messages": CASES[name], "prompt": asked.prompt, "images": asked.images,
        "input_ids": asked.ids[0].tolist(), "positions": asked.positions[:, 0].tolist(),
        "logits": base64_floats(logits), "greedy_ids": [step["top_ids"][0] for step in steps], "steps": steps}
    if rows is not None:
        if len(rows) > ALL_ROWS:
            result["embedding_rows"] = np.linspace(0, len(rows) - 1, SOME_ROWS).round().astype(int).tolist()
        result["embeddings"] = base64_floats(rows[result.get("embedding_rows", slice(None))])
    return result


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--check", action="store_true", help="only show that the references notice mistakes")
    arguments.add_argument("names", nargs="*", help="qwen2-vl, qwen2_5-vl; both when left out")
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
        golden = {"models": [name], "patch": PATCH, "merge": MERGE, "image_mean": MEAN, "image_std": STD,
                  "min_pixels": MIN_PIXELS, "max_pixels": MAX_PIXELS, "vocabulary": text.vocab_size,
                  "hidden_size": text.hidden_size, "cases": found}
        content = json.dumps(golden, ensure_ascii=False, separators=(",", ":"))
        (GOLDEN / f"{name}.json").write_text(content.replace('{"name":', '\n{"name":') + "\n")  # A line for each case.
        sizes = [sum(file.stat().st_size for file in files) for files in (
            (MODELS / name).iterdir(), [GOLDEN / f"{name}.json"])]
        print(name, "checkpoint and references:", *sizes, "bytes")
        for case in found:
            margin = min(step["top_logprobs"][0] - step["top_logprobs"][1] for step in case["steps"])
            grids = [(image["grid_rows"], image["grid_columns"]) for image in case["images"]]
            print(f"  {case['name']:12} {len(case['input_ids']):4} ids {grids} {len(set(case['greedy_ids']))} distinct,"
                  f" least margin {margin:.4f}, greedy {case['greedy_ids'][:10]}")


if __name__ == "__main__":
    main()
