"""Writes the golden references: what transformers answers, in float32 on the CPU, for the tiny checkpoints.

Each Tests/Fixtures/golden/internvl-<text>.json serves every layout there is of that model (their weights are equal,
which is checked here). InternLM2's answers are those of internlm2.py, as transformers does not have it. The fields are
described in Tests/Fixtures/golden/README.md.

    python make_references.py [NAME...]
"""

import argparse
import base64
import hashlib
import json

import numpy as np
import torch
from jinja2.sandbox import ImmutableSandboxedEnvironment
from PIL import Image
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import InternVLForConditionalGeneration

import internlm2
import tiling
from cases import CASES, FEW, INTERNLM2_ROPE, LLAMA_ROPE, MISTRAL_WINDOWS, PHI3_ROPE
from fixture_paths import GOLDEN, IMAGES, MODELS
from make_models import internlm2_config
from opengvlab_layout import opengvlab_name_and_tensors

TILE, TOKENS_PER_TILE, STEPS = 112, 16, 32
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
MARK = "<IMG_CONTEXT>"
ALL = [case["name"] for case in CASES]
# Text tower, names of its cases, RoPE variations.
PLANS = [
    ("qwen2", ALL, []), ("llama", ALL, LLAMA_ROPE), ("qwen3", FEW, []), ("phi3", FEW, PHI3_ROPE),
    ("mistral", FEW, MISTRAL_WINDOWS),
    ("internlm2", FEW, INTERNLM2_ROPE),
]
# Every folder's templates are those of these two.
TEMPLATES = MODELS / "internvl-qwen2-hf", MODELS / "internvl-qwen2-opengvlab"


def folders_of(name):
    """The folders a text tower's checkpoint has, one a layout."""
    folders = [MODELS / f"internvl-{name}-{layout}" for layout in ("hf", "opengvlab")]
    return [folder for folder in folders if folder.exists()]


def base64_floats(tensor):
    """Little-endian float32 as base64."""
    return base64.b64encode(np.ascontiguousarray(tensor.detach().numpy(), "<f4").tobytes()).decode()


def load(name):
    """The checkpoint folder in float32 with plain attention."""
    if name == "internvl-internlm2-opengvlab":
        tokenizer = Tokenizer.from_file(str(MODELS / name / "tokenizer.json"))
        return internlm2.load(MODELS / name, internlm2_config(tokenizer))
    return InternVLForConditionalGeneration.from_pretrained(
        MODELS / name, dtype=torch.float32, attn_implementation="eager").eval()


def check_equal_weights(model, opengvlab):
    """Ends unless the OpenGVLab folder holds exactly this model's values."""
    stored = load_file(opengvlab / "model.safetensors")
    renamed = dict(opengvlab_name_and_tensors(model))
    assert stored.keys() == renamed.keys()
    assert all(torch.equal(stored[name].float(), renamed[name]) for name in stored)


def render(messages, folder):
    """The prompt text of a folder's chat template, one mark an image, before expansion."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    if (folder / "chat_template.jinja").exists():
        source = (folder / "chat_template.jinja").read_text()
    else:
        source = json.loads((folder / "tokenizer_config.json").read_text())["chat_template"]
        messages = [{**message, "content": as_string(message["content"])} for message in messages]
    return environment.from_string(source).render(messages=messages, add_generation_prompt=True, bos_token=None)


def as_string(content):
    """Content parts as one string, an image written as `<image>` and a line end."""
    if isinstance(content, str):
        return content
    return "".join("<image>\n" if part["type"] == "image" else part["text"] for part in content)


def expand(prompt, counts, mark):
    """The prompt with each image mark replaced by its tokens' text."""
    pieces = prompt.split(mark)
    assert len(pieces) == len(counts) + 1, "as many marks as images"
    text = pieces[0]
    for count, piece in zip(counts, pieces[1:]):
        text += "<img>" + MARK * (TOKENS_PER_TILE * count) + "</img>" + piece
    return text


def images_of(case):
    """Each image of a case: its file, its tiles as bytes, and the description that goes into the JSON."""
    options = {"min_tiles": 1, "max_tiles": 12, "thumbnail": True, **case.get("tiling", {})}
    names = [part["image"] for message in case["messages"] if not isinstance(message["content"], str)
             for part in message["content"] if part["type"] == "image"]
    for name in names:
        image = tiling.open_rgb(IMAGES / name)
        tiles = tiling.cut(image, TILE, options["min_tiles"], options["max_tiles"], options["thumbnail"])
        columns, rows = tiling.best_grid(*image.size, TILE, options["min_tiles"], options["max_tiles"])
        yield tiles, {
            "file": name, "width": image.width, "height": image.height, "columns": columns, "rows": rows,
            "tiles": len(tiles), "tiles_sha256": hashlib.sha256(tiles.tobytes()).hexdigest(),
            "tile_channel_sums": tiles.astype(np.int64).sum(axis=(1, 2)).tolist(),
        }


@torch.no_grad()
def answer(model, ids, pixels):
    """Prompt logits [vocabulary], image embeddings [tiles, 16, hidden] and greedy steps, eos not heeded."""
    embeddings = None
    inputs = {"input_ids": torch.tensor([ids])}
    if pixels is not None:
        inputs["pixel_values"] = pixels
        embeddings = model.get_image_features(pixels, return_dict=True).pooler_output
    output = model(**inputs, use_cache=True)
    first, steps = output.logits[0, -1], []
    logits = first
    for _ in range(STEPS):
        best = torch.topk(torch.log_softmax(logits, -1), 5)
        logprobs = [round(value, 6) for value in best.values.tolist()]
        steps.append({"top_ids": best.indices.tolist(), "top_logprobs": logprobs})
        output = model(input_ids=best.indices[:1][None], past_key_values=output.past_key_values, use_cache=True)
        logits = output.logits[0, -1]
    return first, embeddings, steps


def reference(model, tokenizer, case):
    """The JSON object of one case."""
    images = list(images_of(case))
    counts = [description["tiles"] for _, description in images]
    prompt, opengvlab_prompt = (render(case["messages"], folder) for folder in TEMPLATES)
    text = expand(prompt, counts, MARK)
    assert text == expand(opengvlab_prompt, counts, "<image>"), "both layouts ask the same"
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    pixels = None
    if images:
        tiles = np.concatenate([tiles for tiles, _ in images])
        pixels = torch.from_numpy(tiling.normalise(tiles, MEAN, STD))
        strip = Image.fromarray(tiles.reshape(-1, TILE, 3))
        (GOLDEN / "tiles").mkdir(parents=True, exist_ok=True)
        strip.save(GOLDEN / "tiles" / f"{case['name']}.png", optimize=True)
    logits, embeddings, steps = answer(model, ids, pixels)
    result = {
        "name": case["name"], "messages": case["messages"], "tiling": case.get("tiling", {}),
        "prompt": prompt, "opengvlab_prompt": opengvlab_prompt, "images": [description for _, description in images],
        "input_ids": ids, "logits": base64_floats(logits),
        "greedy_ids": [step["top_ids"][0] for step in steps], "steps": steps,
    }
    if embeddings is not None:
        rows = list(range(TOKENS_PER_TILE)) if sum(counts) <= 8 else [0, 1, TOKENS_PER_TILE - 1]
        result["tiles_file"] = f"tiles/{case['name']}.png"
        result["embedding_rows"] = rows
        result["embeddings"] = base64_floats(embeddings[:, rows])
    return result


@torch.no_grad()
def rope_variation(name, variation, ids):
    """Logits of the last position with parts of the text config replaced."""
    model = load(name)
    if "set" in variation:
        text = model.config.text_config
        for key, value in variation["set"].items():
            setattr(text, key, dict(value) if isinstance(value, dict) else value)
        rotary = type(model.model.language_model.rotary_emb)(text)
        model.model.language_model.rotary_emb = rotary
    else:
        model.language_model.settings.update(variation["text_config"])
    return model(input_ids=torch.tensor([ids])).logits[0, -1]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("names", nargs="*", help="the text towers to ask again; all when left out")
    names = arguments.parse_args().names
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, chosen, variations in PLANS:
        if names and name not in names:
            continue
        folders = folders_of(name)
        folder = folders[0]
        tokenizer, model = Tokenizer.from_file(str(folder / "tokenizer.json")), load(folder.name)
        for other in folders[1:]:
            check_equal_weights(model, other)
        cases = [reference(model, tokenizer, case) for case in CASES if case["name"] in chosen]
        golden = {
            "models": [folder.name for folder in folders], "tile": TILE, "tokens_per_tile": TOKENS_PER_TILE,
            "image_mean": MEAN, "image_std": STD, "vocabulary": model.config.text_config.vocab_size,
            "hidden_size": model.config.text_config.hidden_size, "cases": cases,
        }
        if variations:
            longest = next(case for case in cases if case["name"] == "text-only")["input_ids"]
            golden["rope_input_ids"] = longest
            golden["rope_variations"] = [
                {"name": variation["name"], "text_config": variation["text_config"],
                 "logits": base64_floats(rope_variation(folder.name, variation, longest))}
                for variation in variations
            ]
        path = GOLDEN / f"internvl-{name}.json"
        content = json.dumps(golden, ensure_ascii=False, separators=(",", ":"))
        path.write_text(content.replace('{"name":', '\n{"name":') + "\n")  # A line for each case.
        print(path.name, path.stat().st_size)
        for case in cases:
            margin = min(step["top_logprobs"][0] - step["top_logprobs"][1] for step in case["steps"])
            tiles = [image["tiles"] for image in case["images"]]
            print(f"  {case['name']:28} {len(case['input_ids']):4} ids {tiles} "
                  f"{len(set(case['greedy_ids']))} distinct, least margin {margin:.4f}, greedy {case['greedy_ids'][:10]}")


if __name__ == "__main__":
    main()
