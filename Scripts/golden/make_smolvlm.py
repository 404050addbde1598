"""Makes the tiny SmolVLM2 and Idefics3 checkpoints and their golden references, as make_llava.py does for LLaVA.

    python make_smolvlm.py [--check] [--search N] [NAME...]

With --check it writes nothing, but shows that the committed references are transformers' own answers and would notice
mistakes. With --search it tries N seeds and names the best.
"""

import argparse
import hashlib
import json
import math
import random
from types import SimpleNamespace

import numpy as np
import torch
from jinja2.sandbox import ImmutableSandboxedEnvironment
from PIL import Image
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

import cases
import tiling
from fixture_paths import IMAGES, MODELS
from make_llava import decode, margin, write
from make_references import base64_floats
from smolvlm_models import FAKE, KINDS, MARK, PATCH, SEEDS, TEMPLATE, WHOLE, load, make_model, make_tokenizer, \
    processing, save, tokens_per_tile

PROCESSORS = {"SmolVLMImageProcessor": SmolVLMImageProcessorPil, "Idefics3ImageProcessor": Idefics3ImageProcessorPil}


def in_parts(messages):
    """Messages whose content is always a list: the template knows no other."""
    return [{**message, "content": [cases.text(message["content"])] if isinstance(message["content"], str)
             else message["content"]} for message in messages]


def ask(file):
    """A question about a picture."""
    return [cases.user(cases.image(file), cases.text("What is in the picture?"))]


SHARED = {case["name"]: in_parts(case["messages"]) for case in cases.CASES}
CASES = {
    "text-only": SHARED["text-only"], "non-ascii": SHARED["non-ascii"], "one-image": SHARED["one-tile"],
    "wide": ask("golden-wide.jpg"), "dot": ask("golden-dot.png"), "thread": ask("golden-thread.png"),
    "twelve": SHARED["twelve-tiles"], "three-images": SHARED["three-images"], "conversation": SHARED["conversation"],
}


def processor(kind):
    """transformers' image processor, that without torchvision."""
    values = processing(kind)
    del values["processor_class"]
    return PROCESSORS[values.pop("image_processor_type")](**values)


def longer(size, side, even=False):
    """A size whose longer side is `side`, the other rounded down."""
    wide, high = size
    ratio = wide / high
    other = int(side / ratio) if wide >= high else int(side * ratio)
    other = max(1, other + other % 2 if even else other)
    return (side, other) if wide >= high else (other, side)


def split_size(size, tile, side):
    """The size of a picture after the first resizing, and its grid of tiles, 0 × 0 for one. Written afresh."""
    first = longer(size, side, even=True)
    if max(first) > 4096:
        first = longer(first, 4096)
    grid = [math.ceil(length / tile) for length in longer(first, math.ceil(max(first) / tile) * tile)]
    return first, grid if max(grid) > 1 else [0, 0]


def split(image, kind):
    """The bytes [n, used, used, 3] of a picture's tiles, and its grid. Written afresh."""
    lanczos, tile = Image.Resampling.LANCZOS, kind.tile
    first, (columns, rows) = split_size(image.size, tile, kind.longer)
    image = image.resize(first, lanczos)
    if columns:
        image = image.resize((columns * tile, rows * tile), lanczos)
    tiles = [image.crop((column * tile, row * tile, (column + 1) * tile, (row + 1) * tile))
             for row in range(rows) for column in range(columns)]
    used = tile // PATCH * PATCH
    return np.stack([np.asarray(each)[:used, :used] for each in [*tiles, image.resize((tile, tile), lanczos)]]), rows, columns


def frame(rows, columns, count):
    """What takes the place of a picture's mark. Written afresh."""
    marks = MARK * count
    text = "".join("".join(f"{FAKE}<row_{row}_col_{column}>{marks}" for column in range(1, columns + 1)) + "\n"
                   for row in range(1, rows + 1))
    return text + ("\n" if rows else "") + FAKE + WHOLE + marks + FAKE


def picture(file, kind):
    """A picture's values by transformers, its description, and its frame."""
    image = tiling.open_rgb(IMAGES / file)
    made = processor(kind)([image], return_tensors="pt", return_row_col_info=True)
    tiles, rows, columns = split(image, kind)
    used = tiles.shape[1]
    assert (made.pop("rows"), made.pop("cols")) == ([[rows]], [[columns]])
    ours, theirs = tiling.normalise(tiles, [0.5] * 3, [0.5] * 3), made["pixel_values"].numpy()[0]
    assert theirs.shape[0] == len(tiles) and np.abs(ours - theirs[:, :, :used, :used]).max() < 1e-5, "the same bytes"
    assert made["pixel_attention_mask"].all(), "nothing is padding"
    count = tokens_per_tile(kind)
    return made["pixel_values"], {
        "file": file, "width": image.width, "height": image.height, "tokens": len(tiles) * count, "tiles": len(tiles),
        "tiles_sha256": hashlib.sha256(np.ascontiguousarray(tiles).tobytes()).hexdigest()}, frame(rows, columns, count)


def question(name, tokenizer, messages):
    """All a forward pass takes for a conversation."""
    kind = KINDS[name]
    pictures = [picture(part["image"], kind) for message in messages for part in message["content"]
                if part["type"] == "image"]
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    prompt = environment.from_string(TEMPLATE).render(messages=messages, add_generation_prompt=True)
    pieces = prompt.split(MARK)
    text = pieces[0] + "".join(framed + piece for (_, _, framed), piece in zip(pictures, pieces[1:], strict=True))
    ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False).ids])
    inputs = {"pixel_values": torch.cat([values for values, _, _ in pictures], 1)} if pictures else {}
    return SimpleNamespace(prompt=prompt, images=[image for _, image, _ in pictures], ids=ids, inputs=inputs)


@torch.no_grad()
def forward(model, asked):
    """The prompt's output, and the rows that take the place of the marks."""
    rows = None
    if asked.inputs:
        rows = torch.cat(list(model.model.get_image_features(**asked.inputs, return_dict=True).pooler_output))
    return model(input_ids=asked.ids, use_cache=True, **asked.inputs), rows


def reference(model, asked, case):
    """The JSON object of one case."""
    output, rows = forward(model, asked)
    steps = decode(model, output)
    result = {
        "name": case, "messages": CASES[case], "prompt": asked.prompt, "images": asked.images,
        "input_ids": asked.ids[0].tolist(), "logits": base64_floats(output.logits[0, -1]),
        "greedy_ids": [step["top_ids"][0] for step in steps], "steps": steps}
    if rows is not None:
        if len(rows) > 40:
            result["embedding_rows"] = np.linspace(0, len(rows) - 1, 30).round().astype(int).tolist()
        result["embeddings"] = base64_floats(rows[result.get("embedding_rows", slice(None))])
    return result


def search(name, tokenizer, count):
    """Tries seeds; prints those whose answers are of use."""
    asked = {case: question(name, tokenizer, messages) for case, messages in CASES.items()}
    forbidden, best = {tokenizer.token_to_id(MARK)}, 0.0
    for number in range(1, count + 1):
        model = make_model(name, tokenizer, f"{name}{number}")
        narrowest, answers = 1.0, set()
        for case in CASES:
            found = reference(model, asked[case], case)
            narrowest = min(narrowest, margin(found))
            answers.add(tuple(found["greedy_ids"]))
            if narrowest <= best or len(set(found["greedy_ids"])) < 6 or forbidden & set(found["greedy_ids"]):
                break
        else:
            if len(answers) == len(CASES):
                best = narrowest
                print(f"{name}{number}: least margin {narrowest:.4f}", flush=True)


def write_splits():
    """Writes Tests/Fixtures/images/splits.json: how transformers splits pictures of many sizes for published models.

    A list for each tile and longer side; each entry is [width, height, width and height before cutting, columns, rows].
    """
    generator, sizes = random.Random(7), [(1, 1), (1, 200), (200, 1), (4000, 20), (512, 512), (513, 512), (8000, 8000)]
    while len(sizes) < 150:
        width, height = (int(2 ** generator.uniform(0, 13)) for _ in range(2))
        if max(width, height) <= 200 * min(width, height):
            sizes.append((width, height))
    found = {}
    for tile, side in [(512, 2048), (384, 1536), (364, 1456), (512, 512), (384, 6000), (65, 65), (65, 64)]:
        made = Recorder(size={"longest_edge": side}, max_image_size={"longest_edge": tile}, do_normalize=False)
        found[f"{tile} of {side}"] = rows = []
        for width, height in sizes:
            made.taken = []
            split = made(np.broadcast_to(np.uint8(0), (3, height, width)), input_data_format="channels_first",
                         return_row_col_info=True, do_rescale=False, do_pad=False)
            rows.append([width, height, *made.taken[0], split["cols"][0][0], split["rows"][0][0]])
            assert tuple(rows[-1][2:4]) == split_size((width, height), tile, side)[0]
            assert rows[-1][4:] == split_size((width, height), tile, side)[1]
    text = json.dumps(found, separators=(",", ":"))
    (IMAGES / "splits.json").write_text(text.replace('],"', '],\n"') + "\n")


class Recorder(Idefics3ImageProcessorPil):
    """An image processor that notes the sizes it resizes to, and takes no memory."""

    def _rescaled(self, image, size):
        self.taken.append([size[1], size[0]])
        return np.broadcast_to(np.uint8(0), (3, *size))

    def resize(self, image, size, resample=None, **others):
        from transformers.models.idefics3 import image_processing_pil_idefics3 as module
        if size.longest_edge:
            return self._rescaled(image, module.get_resize_output_image_size(image, size.longest_edge))
        return self._rescaled(image, (size.height, size.width))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--check", action="store_true", help="only show that the references notice mistakes")
    arguments.add_argument("--search", type=int, help="only try so many seeds")
    arguments.add_argument("names", nargs="*", help=f"{', '.join(KINDS)}; all, and the sizes, when left out")
    arguments = arguments.parse_args()
    names = arguments.names or list(KINDS)
    if arguments.check:
        import check_smolvlm
        return check_smolvlm.check(names)
    if arguments.search:
        return [search(name, make_tokenizer(name), arguments.search) for name in names]
    if not arguments.names:
        write_splits()
    for name in names:
        tokenizer = make_tokenizer(name)
        drawn = make_model(name, tokenizer, SEEDS[name])
        save(name, drawn, tokenizer)
        model, kind = load(name), KINDS[name]
        stored = model.state_dict()
        assert all(torch.equal(stored[key], value) for key, value in drawn.state_dict().items())
        found = [reference(model, question(name, tokenizer, CASES[case]), case) for case in CASES]
        write(name, {
            "models": [name], "tile": kind.tile // PATCH * PATCH, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
            "vocabulary": kind.text["vocab_size"], "hidden_size": kind.text["hidden_size"], "cases": found})


if __name__ == "__main__":
    main()
