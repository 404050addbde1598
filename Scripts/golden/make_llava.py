"""Makes the tiny LLaVA checkpoints and their golden references, as make_qwen_vl.py does for Qwen-VL.

    python make_llava.py [--check] [--search N] [NAME...]

With --check it writes nothing, but shows that the committed references are transformers' own answers and would notice
mistakes. With --search it tries N seeds and names the best.
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
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

import cases
import tiling
from fixture_paths import GOLDEN, IMAGES, MODELS
from llava_models import KINDS, MARK, PATCH, SEEDS, TEMPLATE, load, make_model, make_tokenizer, processing, save
from make_references import STEPS, base64_floats

PROCESSORS = {
    "CLIPImageProcessor": CLIPImageProcessorPil, "SiglipImageProcessor": SiglipImageProcessorPil,
    "LlavaNextImageProcessor": LlavaNextImageProcessorPil,
    "LlavaOnevisionImageProcessor": LlavaOnevisionImageProcessorPil}
SHARED = {case["name"]: case["messages"] for case in cases.CASES}
CASES = {
    "text-only": SHARED["text-only"], "non-ascii": SHARED["non-ascii"], "one-image": SHARED["one-tile"],
    "wide": [cases.user(cases.image("golden-wide.jpg"), cases.text("What is in the picture?"))],
    "six": SHARED["six-tiles"], "twelve": SHARED["twelve-tiles"], "three-images": SHARED["three-images"],
    "conversation": SHARED["conversation"],
}
NOTICED = 5e-4  # Every mistake moves the logits by more; tests compare more closely than this.


def processor(kind):
    """transformers' image processor."""
    values = processing(kind)
    return PROCESSORS[values.pop("image_processor_type")](**values)


def square(image, kind):
    """The bytes [1, used, used, 3] of the view LLaVA takes of a picture, and its number of tokens. Written afresh."""
    side = kind.side
    if kind.vision == "clip_vision_model":
        wide, high = image.size
        short = min(wide, high)
        size = tuple(side if length == short else int(side * length / short) for length in image.size)
        image = image.resize(size, Image.Resampling.BICUBIC) if image.size != size else image
        left, top = ((length - side) // 2 for length in image.size)
        image = image.crop((left, top, left + side, top + side))
    else:
        image = image.resize((side, side), Image.Resampling.BICUBIC)
    used = side // PATCH * PATCH
    tokens = (side // PATCH) ** 2
    has_class = kind.vision == "clip_vision_model"
    if kind.top["vision_feature_select_strategy"] == "full":
        tokens += has_class
    else:
        tokens -= not has_class
    return np.asarray(image)[None, :used, :used], tokens


def any_resolution(image, kind):
    """The bytes [n, used, used, 3] of all views of a picture, and its number of tokens. Written afresh."""
    (wide, high), side, per_side = image.size, kind.side, kind.side // PATCH

    def worth(resolution):
        scale = min(resolution[1] / wide, resolution[0] / high)
        return min(int(wide * scale) * int(high * scale), wide * high), -resolution[0] * resolution[1]
    height, width = max(kind.top["image_grid_pinpoints"], key=worth)    # The first of the best.
    if width / wide < height / high:
        size = width, min(math.ceil(high * (width / wide)), height)
    else:
        size = min(math.ceil(wide * (height / high)), width), height
    whole = Image.new("RGB", (width, height))
    whole.paste(image.resize(size, Image.Resampling.BICUBIC), ((width - size[0]) // 2, (height - size[1]) // 2))
    views = [image.resize((side, side), Image.Resampling.BICUBIC)] + [
        whole.crop((left, top, left + side, top + side))
        for top in range(0, height, side) for left in range(0, width, side)]
    rows, columns = height // side * per_side, width // side * per_side
    if wide / high > columns / rows:
        rows -= (rows - int(round(high * (columns / wide), 7))) // 2 * 2
    else:
        columns -= (columns - int(round(wide * (rows / high), 7))) // 2 * 2
    if "vision_aspect_ratio" in kind.top:
        ratio = math.sqrt(rows * columns / (int(kind.top["vision_aspect_ratio"][11:]) * per_side ** 2))
        if ratio > 1.1:
            rows, columns = int(rows // ratio), int(columns // ratio)
    used = per_side * PATCH
    return np.stack([np.asarray(view)[:used, :used] for view in views]), per_side ** 2 + rows * (columns + 1)


def picture(file, kind):
    """A picture's values by transformers, and its description."""
    image = tiling.open_rgb(IMAGES / file)
    made = processor(kind)([image], return_tensors="pt")
    views, tokens = (any_resolution if "image_grid_pinpoints" in kind.top else square)(image, kind)
    used = views.shape[1]
    ours = tiling.normalise(views, *kind.look)
    theirs = made["pixel_values"].numpy()
    theirs = theirs[0] if theirs.ndim == 5 else theirs
    assert theirs.shape[0] == len(views) and np.abs(ours - theirs[:, :, :used, :used]).max() < 1e-5, "the same bytes"
    return dict(made), {
        "file": file, "width": image.width, "height": image.height, "tokens": tokens, "tiles": len(views),
        "tiles_sha256": hashlib.sha256(np.ascontiguousarray(views).tobytes()).hexdigest()}


def question(name, tokenizer, messages):
    """All a forward pass takes for a conversation."""
    kind = KINDS[name]
    pictures = [picture(part["image"], kind) for message in messages
                if not isinstance(message["content"], str) for part in message["content"] if part["type"] == "image"]
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    prompt = environment.from_string(TEMPLATE).render(messages=messages, add_generation_prompt=True)
    pieces = prompt.split(MARK)
    text = pieces[0] + "".join(
        MARK * image["tokens"] + piece for (_, image), piece in zip(pictures, pieces[1:], strict=True))
    ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False).ids])
    inputs = {key: joined([values[key] for values, _ in pictures]) for key in (pictures[0][0] if pictures else [])}
    return SimpleNamespace(prompt=prompt, images=[image for _, image in pictures], ids=ids, inputs=inputs)


def joined(tensors):
    """Values of several pictures in one tensor, as the processors make it: views that others have not are zero."""
    if tensors[0].dim() == 5:
        most = max(tensor.shape[1] for tensor in tensors)
        tensors = [torch.nn.functional.pad(tensor, (0, 0) * 3 + (0, most - tensor.shape[1])) for tensor in tensors]
    return torch.cat(tensors)


@torch.no_grad()
def forward(model, asked):
    """The prompt's output, and the rows that take the place of the marks."""
    rows = None
    if asked.inputs:
        rows = torch.cat(list(model.model.get_image_features(
            **asked.inputs, **features(model), return_dict=True).pooler_output))
    return model(input_ids=asked.ids, use_cache=True, **asked.inputs), rows


def features(model):
    """Which features `get_image_features` is asked for."""
    keys = ["vision_feature_layer", "vision_feature_select_strategy", "vision_aspect_ratio"]
    return {key: getattr(model.config, key) for key in keys if hasattr(model.config, key)}


@torch.no_grad()
def decode(model, output):
    """Greedy steps after a prompt; the end token does not stop them."""
    steps = []
    for _ in range(STEPS):
        best = torch.topk(torch.log_softmax(output.logits[0, -1], -1), 5)
        steps.append({"top_ids": best.indices.tolist(), "top_logprobs": [round(x, 6) for x in best.values.tolist()]})
        output = model(input_ids=best.indices[:1][None], past_key_values=output.past_key_values, use_cache=True)
    return steps


def reference(model, name, asked, case):
    """The JSON object of one case."""
    output, rows = forward(model, asked)
    logits = output.logits[0, -1]
    steps = decode(model, output)
    result = {
        "name": case, "messages": CASES[case], "prompt": asked.prompt, "images": asked.images,
        "input_ids": asked.ids[0].tolist(), "logits": base64_floats(logits),
        "greedy_ids": [step["top_ids"][0] for step in steps], "steps": steps}
    if rows is not None:
        if len(rows) > 60:
            result["embedding_rows"] = np.linspace(0, len(rows) - 1, 40).round().astype(int).tolist()
        result["embeddings"] = base64_floats(rows[result.get("embedding_rows", slice(None))])
    return result


def margin(case):
    """How far the best token of a case's narrowest step is ahead."""
    return min(step["top_logprobs"][0] - step["top_logprobs"][1] for step in case["steps"])


def search(name, tokenizer, count):
    """Tries seeds; prints those whose answers are of use."""
    asked = {case: question(name, tokenizer, messages) for case, messages in CASES.items()}
    forbidden, best = {tokenizer.token_to_id(MARK)}, 0.0
    for number in range(1, count + 1):
        model = make_model(name, tokenizer, f"{name}{number}")
        narrowest, answers = 1.0, set()
        for case in CASES:
            found = reference(model, name, asked[case], case)
            narrowest = min(narrowest, margin(found))
            answers.add(tuple(found["greedy_ids"]))
            if narrowest <= best or len(set(found["greedy_ids"])) < 6 or forbidden & set(found["greedy_ids"]):
                break
        else:
            if len(answers) == len(CASES):
                best = narrowest
                print(f"{name}{number}: least margin {narrowest:.4f}", flush=True)


def write(name, golden):
    """Writes a file of references, a line for each case, and prints what matters about it."""
    content = json.dumps(golden, ensure_ascii=False, separators=(",", ":"))
    (GOLDEN / f"{name}.json").write_text(content.replace('{"name":', '\n{"name":') + "\n")
    sizes = [sum(file.stat().st_size for file in files) for files in (
        (MODELS / name).iterdir(), [GOLDEN / f"{name}.json"])]
    print(name, "checkpoint and references:", *sizes, "bytes")
    for case in golden["cases"]:
        print(f"  {case['name']:12} {len(case['input_ids']):4} ids {[image['tokens'] for image in case['images']]}"
              f" {len(set(case['greedy_ids']))} distinct, least margin {margin(case):.4f},"
              f" greedy {case['greedy_ids'][:10]}")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--check", action="store_true", help="only show that the references notice mistakes")
    arguments.add_argument("--search", type=int, help="only try so many seeds")
    arguments.add_argument("names", nargs="*", help=f"{', '.join(KINDS)}; all when left out")
    arguments = arguments.parse_args()
    names, tokenizer = arguments.names or list(KINDS), make_tokenizer()
    if arguments.check:
        import check_llava
        return check_llava.check(names)
    if arguments.search:
        return [search(name, tokenizer, arguments.search) for name in names]
    for name in names:
        drawn = make_model(name, tokenizer, SEEDS[name])
        save(name, drawn, tokenizer)
        model, text = load(name), drawn.config.text_config
        stored = model.state_dict()
        assert all(torch.equal(stored[key], value) for key, value in drawn.state_dict().items())
        found = [reference(model, name, question(name, tokenizer, CASES[case]), case) for case in CASES]
        write(name, {
            "models": [name], "tile": KINDS[name].side // PATCH * PATCH, "image_mean": KINDS[name].look[0],
            "image_std": KINDS[name].look[1], "vocabulary": text.vocab_size, "hidden_size": text.hidden_size,
            "cases": found})


if __name__ == "__main__":
    main()
