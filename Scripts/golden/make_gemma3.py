"""Makes the tiny Gemma 3 checkpoints and their golden references, as make_llava.py does for LLaVA.

    python make_gemma3.py [--check] [--search N] [NAME...]

With --check it writes nothing, but shows that the committed references are transformers' own answers and would notice
mistakes. With --search it tries N seeds and names the best.
"""

import argparse
import hashlib
import json
from types import SimpleNamespace

import numpy as np
import torch
from jinja2.sandbox import ImmutableSandboxedEnvironment
from PIL import Image
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

import cases
import tiling
from fixture_paths import GOLDEN, IMAGES, MODELS
from gemma3_models import (
    END, HALF, KINDS, MARK, SEEDS, START, TEMPLATE, load, make_model, make_tokenizer, processing, save,
)
from make_llava import decode, margin
from make_references import STEPS, base64_floats

SHARED = {case["name"]: case["messages"] for case in cases.CASES}
TEXTS = {"text-only": SHARED["text-only"], "non-ascii": SHARED["non-ascii"], "turns": [
    {"role": "system", "content": "Answer in one word."}, cases.user(cases.text("Look: what is a list?")),
    {"role": "assistant", "content": "A row of things."}, cases.user(cases.text("Are you sure?"))]}
PICTURES = {
    "one-image": SHARED["one-tile"],
    "wide": [cases.user(cases.image("golden-wide.jpg"), cases.text("What is in the picture?"))],
    # Line ends beside those of a picture become one token with them.
    "lines": [cases.user(cases.text("Look\n\n"), cases.image("golden-twelve.jpg"), cases.text("\n\nAnd?"))],
    "dot": [cases.user(cases.text("A dot:"), cases.image("gemma-dot.png"), cases.image("gemma-line.png"))],
    "three-images": SHARED["three-images"], "conversation": SHARED["conversation"],
}
SIDE, TOKENS = 48, 16


def cases_of(name):
    """The conversations of a fixture."""
    return TEXTS if name == "gemma3-text" else {**TEXTS, **PICTURES}


def make_images():
    """A picture of one pixel and one of a single row."""
    for file, size in (("gemma-dot.png", (1, 1)), ("gemma-line.png", (150, 1))):
        pixels = np.arange(size[0] * 3, dtype=np.uint8).reshape(size[1], size[0], 3) * 37 + 90
        Image.fromarray(pixels).save(IMAGES / file)


def picture(file):
    """A picture's values by transformers, and its description. The resizing is written afresh."""
    image = tiling.open_rgb(IMAGES / file)
    settings = {key: value for key, value in processing().items()
                if key not in ("image_processor_type", "image_seq_length")}
    values = Gemma3ImageProcessorPil(**settings)([image], return_tensors="pt")["pixel_values"]
    view = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))[None]
    assert np.abs(tiling.normalise(view, HALF, HALF) - values.numpy()).max() < 1e-5, "the same bytes"
    return values, {
        "file": file, "width": image.width, "height": image.height, "tokens": TOKENS, "tiles": 1,
        "tiles_sha256": hashlib.sha256(np.ascontiguousarray(view).tobytes()).hexdigest()}


def question(tokenizer, messages):
    """All a forward pass takes for a conversation."""
    pictures = [picture(part["image"]) for message in messages if not isinstance(message["content"], str)
                for part in message["content"] if part["type"] == "image"]

    def refuse(message):
        raise ValueError(message)
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    prompt = environment.from_string(TEMPLATE).render(messages=messages, add_generation_prompt=True, bos_token="<bos>")
    text = prompt.replace(START, f"\n\n{START}{MARK * TOKENS}{END}\n\n")
    ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False).ids])
    inputs = {}
    if pictures:
        inputs = {"pixel_values": torch.cat([values for values, _ in pictures]),
                  "token_type_ids": (ids == tokenizer.token_to_id(MARK)).long()}
    return SimpleNamespace(prompt=prompt, images=[image for _, image in pictures], ids=ids, inputs=inputs)


@torch.no_grad()
def forward(model, asked):
    """The prompt's output, and the rows that take the place of the marks."""
    rows = None
    if asked.inputs:
        features = model.model.get_image_features(asked.inputs["pixel_values"], return_dict=True)
        rows = features.pooler_output.flatten(0, 1)
    return model(input_ids=asked.ids, use_cache=True, **asked.inputs), rows


def reference(model, asked, case, messages):
    """The JSON object of one case."""
    output, rows = forward(model, asked)
    logits = output.logits[0, -1]
    steps = decode(model, output)
    result = {
        "name": case, "messages": messages, "prompt": asked.prompt, "images": asked.images,
        "input_ids": asked.ids[0].tolist(), "logits": base64_floats(logits),
        "greedy_ids": [step["top_ids"][0] for step in steps], "steps": steps}
    if rows is not None:
        result["embeddings"] = base64_floats(rows)
    return result


def search(name, tokenizer, count):
    """Tries seeds; prints those whose answers are of use."""
    asked = {case: question(tokenizer, messages) for case, messages in cases_of(name).items()}
    forbidden, best = {tokenizer.token_to_id(text) for text in (START, MARK, END)}, 0.0
    for number in range(1, count + 1):
        model = make_model(name, tokenizer, f"{name}{number}")
        narrowest, answers = 1.0, set()
        for case, messages in cases_of(name).items():
            found = reference(model, asked[case], case, messages)
            narrowest = min(narrowest, margin(found))
            answers.add(tuple(found["greedy_ids"]))
            if narrowest <= best or len(set(found["greedy_ids"])) < 6 or forbidden & set(found["greedy_ids"]):
                break
        else:
            if len(answers) == len(asked):
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
        print(f"  {case['name']:12} {len(case['input_ids']):4} ids {len(set(case['greedy_ids']))} distinct,"
              f" least margin {margin(case):.4f}, greedy {case['greedy_ids'][:10]}")


@torch.no_grad()
def mistakes(model):
    """Names of mistakes and what makes them: each changes the model, and gives what undoes that."""
    def setting(owner, key, value):
        def change():
            old = getattr(owner, key)
            setattr(owner, key, value)
            return lambda: setattr(owner, key, old)
        return change

    text = getattr(model.model, "language_model", model.model)
    window = model.config.get_text_config()
    yield "a window of one more", setting(window, "sliding_window", window.sliding_window + 1)
    rotary = text.rotary_emb
    yield "one base for all layers", setting(rotary, "sliding_attention_inv_freq", rotary.full_attention_inv_freq)
    if window.rope_parameters["full_attention"]["rope_type"] == "linear":
        yield "no scaling", setting(rotary, "full_attention_inv_freq", rotary.full_attention_inv_freq * 2)
    yield "embeddings as they are", setting(text.embed_tokens, "embed_scale", torch.tensor(1.0))
    layer = text.layers[0]
    for gate in (torch.nn.SiLU(), torch.nn.GELU()):
        yield f"a gate with {type(gate).__name__}", setting(layer.mlp, "act_fn", gate)
    if window.head_dim != window.query_pre_attn_scalar:
        yield "scores by the head's size", setting(layer.self_attn, "scaling", window.head_dim ** -0.5)
    for norm in ("post_attention_layernorm", "post_feedforward_layernorm"):
        yield f"no {norm}", setting(layer, norm, torch.nn.Identity())
    yield "no norm of keys", setting(layer.self_attn, "k_norm", torch.nn.Identity())
    if text is not model.model:
        yield "no last norm of the tower", setting(model.model.vision_tower, "post_layernorm", torch.nn.Identity())
        projector = model.model.multi_modal_projector
        yield "the largest of a square", setting(projector, "avg_pool", torch.nn.MaxPool2d(3, 3))
        yield "another ε in the projector", setting(projector.mm_soft_emb_norm, "eps", 1e-6)


@torch.no_grad()
def check(name, tokenizer):
    """Prints what every mistake does to a case; ends on one that nothing would notice."""
    golden = {case["name"]: case for case in json.loads((GOLDEN / f"{name}.json").read_text())["cases"]}
    assert len({tuple(case["greedy_ids"]) for case in golden.values()}) == len(cases_of(name))
    model = load(name)
    if name != "gemma3-text":
        check_processor(name, golden)
    for case, messages in cases_of(name).items():
        asked, stored = question(tokenizer, messages), golden[case]
        assert asked.ids[0].tolist() == stored["input_ids"]
        assert base64_floats(forward(model, asked)[0].logits[0, -1]) == stored["logits"], case
        made = model.generate(
            input_ids=asked.ids, attention_mask=torch.ones_like(asked.ids), do_sample=False, max_new_tokens=STEPS,
            min_new_tokens=STEPS, eos_token_id=[], **asked.inputs)
        assert made[0, -STEPS:].tolist() == stored["greedy_ids"], case
    print(f"  {name}: {len(golden)} cases decode as transformers' generate does")
    case = "text-only" if name == "gemma3-text" else "three-images"
    asked = question(tokenizer, cases_of(name)[case])
    expected = forward(model, asked)[0].logits[0, -1]
    changes = list(mistakes(model))
    for mistake, change in changes:
        undo = change()
        moved = float((forward(model, asked)[0].logits[0, -1] - expected).abs().max())
        undo()
        print(f"  {name} {mistake:34} logits move by {moved:8.4f}")
        assert moved > 5e-4, mistake
    if asked.inputs:
        asked.inputs.pop("token_type_ids")
        moved = float((forward(model, asked)[0].logits[0, -1] - expected).abs().max())
        print(f"  {name} {'pictures seen as words are':34} logits move by {moved:8.4f}")
        assert moved > 5e-4


def check_processor(name, golden):
    """transformers' own processor, with the folder's files, gives the golden prompts, ids, pixels and types."""
    from transformers import AutoTokenizer, Gemma3Processor
    Gemma3Processor.check_argument_for_proper_class = lambda *arguments: None   # Its other processor needs torchvision.
    folder = MODELS / name
    settings = {key: value for key, value in processing().items()
                if key not in ("image_processor_type", "image_seq_length")}
    tokenizer = AutoTokenizer.from_pretrained(
        folder, extra_special_tokens={"boi_token": START, "eoi_token": END, "image_token": MARK})
    whole = Gemma3Processor(
        Gemma3ImageProcessorPil(**settings), tokenizer, chat_template=TEMPLATE, image_seq_length=TOKENS)
    for case in golden.values():
        assert whole.apply_chat_template(case["messages"], add_generation_prompt=True) == case["prompt"], case["name"]
        images = [tiling.open_rgb(IMAGES / image["file"]) for image in case["images"]] or None
        inputs = whole(images=[images] if images else None, text=[case["prompt"]], add_special_tokens=False,
                       return_tensors="pt")
        assert inputs["input_ids"][0].tolist() == case["input_ids"], case["name"]
        if images:
            marks = (inputs["input_ids"] == tokenizer.convert_tokens_to_ids(MARK)).long()
            assert torch.equal(inputs["token_type_ids"], marks)
    print(f"  {name}: the processor agrees on {len(golden)} cases")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--check", action="store_true", help="only show that the references notice mistakes")
    arguments.add_argument("--search", type=int, help="only try so many seeds")
    arguments.add_argument("names", nargs="*", help=f"{', '.join(KINDS)}; all when left out")
    arguments = arguments.parse_args()
    names, tokenizer = arguments.names or list(KINDS), make_tokenizer()
    if not arguments.check:
        make_images()
    for name in names:
        if arguments.check:
            check(name, tokenizer)
            continue
        if arguments.search:
            search(name, tokenizer, arguments.search)
            continue
        drawn = make_model(name, tokenizer, SEEDS[name])
        save(name, drawn, tokenizer)
        model, text = load(name), drawn.config.get_text_config()
        stored = model.state_dict()
        assert all(torch.equal(stored[key], value) for key, value in drawn.state_dict().items())
        found = [reference(model, question(tokenizer, messages), case, messages)
                 for case, messages in cases_of(name).items()]
        write(name, {
            "models": [name], "tile": SIDE, "image_mean": HALF, "image_std": HALF, "vocabulary": text.vocab_size,
            "hidden_size": text.hidden_size, "cases": found})


if __name__ == "__main__":
    main()
