"""What `make_llava.py --check` does: proves that the golden references of LLaVA would notice mistakes.

Also compares the processors' prompts, ids and pixels and `generate` with transformers'.
"""

import json

import torch
from transformers import AutoTokenizer, LlavaNextProcessor, LlavaOnevisionProcessor, LlavaProcessor
from transformers.activations import QuickGELUActivation

import tiling
from check_references import floats
from fixture_paths import GOLDEN, IMAGES, MODELS
from llava_models import KINDS, MARK, load, make_tokenizer
from make_llava import CASES, NOTICED, STEPS, forward, processor, question


def check_processor(name, tokenizer):
    """transformers' own processor and template, with the folder's files, give the golden prompts, ids and pixels."""
    folder, kind = MODELS / name, KINDS[name]
    processor_class = {"LlavaForConditionalGeneration": LlavaProcessor, "LlavaNextForConditionalGeneration":
                       LlavaNextProcessor}.get(kind.model.__name__, LlavaOnevisionProcessor)
    processor_class.check_argument_for_proper_class = lambda *arguments: None   # Its video part needs torchvision.
    stored = json.loads((folder / "processor_config.json").read_text())
    settings = {key: value for key, value in stored.items() if key not in ("image_processor", "processor_class")}
    whole = processor_class(
        processor(kind), AutoTokenizer.from_pretrained(folder),
        chat_template=(folder / "chat_template.jinja").read_text(), **settings)
    for case in json.loads((GOLDEN / f"{name}.json").read_text())["cases"]:
        assert whole.apply_chat_template(case["messages"], add_generation_prompt=True) == case["prompt"]
        images = [tiling.open_rgb(IMAGES / image["file"]) for image in case["images"]] or None
        inputs = whole(images=images, text=case["prompt"], return_tensors="pt")
        assert inputs["input_ids"][0].tolist() == case["input_ids"], case["name"]
        if images:
            made = question(name, tokenizer, case["messages"]).inputs
            assert all(torch.equal(inputs[key], made[key]) for key in made), case["name"]
    print(f"  {name}: the processor agrees on {len(CASES)} cases")


@torch.no_grad()
def mistakes(model):
    """Names of mistakes and what makes them: each changes the model, and gives what undoes that."""
    vision, config = model.model.vision_tower, model.config

    def setting(owner, key, value):
        def change():
            old = getattr(owner, key)
            setattr(owner, key, value)
            return lambda: setattr(owner, key, old)
        return change

    layers = config.vision_feature_layer
    other = [layers[1], layers[0]] if isinstance(layers, list) else layers + (1 if layers < -1 else -1)
    yield "another layer", setting(config, "vision_feature_layer", other)
    for block in vision.encoder.layers[:1]:
        for kind in (torch.nn.GELU(), torch.nn.GELU(approximate="tanh"), QuickGELUActivation()):
            values = torch.arange(-3, 3, 0.1)
            if (kind(values) - block.mlp.activation_fn(values)).abs().max() > 1e-5:
                yield "another GELU in a layer", setting(block.mlp, "activation_fn", kind)
    for kind in (torch.nn.GELU(approximate="tanh"), QuickGELUActivation()):
        yield "another GELU in the projector", setting(model.model.multi_modal_projector, "act", kind)
    if hasattr(vision, "pre_layrnorm"):
        yield "no first norm", setting(vision, "pre_layrnorm", torch.nn.Identity())
        yield "another ε", setting(vision.pre_layrnorm, "eps", 1e-5)
    if hasattr(model.model, "pack_image_features"):
        pack = model.model.pack_image_features
        newline = model.model.image_newline

        def repacked(change):
            def packed(features, sizes, **others):
                return change([part.clone() for part in features], sizes, others)
            return setting(model.model, "pack_image_features", packed)

        def turned(features, sizes, others):
            return pack([torch.cat([part[:1], part[1:].flip(0)]) for part in features], sizes, **others)

        def moved(features, sizes, others):
            found, lengths = pack(features, sizes, **others)
            count = features[0].shape[1]
            return [torch.cat([rows[count:], rows[:count]]) for rows in found], lengths

        def zeroed(features, sizes, others):
            return pack(features, sizes, **{**others, "image_newline": torch.zeros_like(newline)})

        def early(features, sizes, others):
            found, lengths = pack(features, sizes, **others)
            return [torch.cat([rows[:features[0].shape[1]], rows[features[0].shape[1]:].roll(1, 0)])
                    for rows in found], lengths
        yield "tiles in another order", repacked(turned)
        yield "the whole picture last", repacked(moved)
        yield "no newlines", repacked(zeroed)
        yield "newlines first", repacked(early)


@torch.no_grad()
def check_model(name, tokenizer):
    """Prints what every mistake does to the case with three pictures; ends on one that nothing would notice."""
    golden = {case["name"]: case for case in json.loads((GOLDEN / f"{name}.json").read_text())["cases"]}
    assert len({tuple(case["greedy_ids"]) for case in golden.values()}) == len(CASES), "every case answers differently"
    model = load(name)
    for case, messages in CASES.items():
        asked, stored = question(name, tokenizer, messages), golden[case]
        assert asked.ids[0].tolist() == stored["input_ids"]
        assert (forward(model, asked)[0].logits[0, -1] - floats(stored["logits"])).abs().max() < 1e-5, case
        made = model.generate(
            input_ids=asked.ids, attention_mask=torch.ones_like(asked.ids), do_sample=False, max_new_tokens=STEPS,
            min_new_tokens=STEPS, eos_token_id=[], **asked.inputs)
        assert made[0, -STEPS:].tolist() == stored["greedy_ids"], case
        assert tokenizer.token_to_id(MARK) not in stored["greedy_ids"], case
    print(f"  {name}: {len(CASES)} cases decode as transformers' generate does")
    asked, expected = question(name, tokenizer, CASES["three-images"]), floats(golden["three-images"]["logits"])
    for mistake, change in mistakes(model):
        undo = change()
        moved = float((forward(model, asked)[0].logits[0, -1] - expected).abs().max())
        undo()
        print(f"  {name} {mistake:34} logits move by {moved:8.4f}")
        assert moved > NOTICED, mistake


def check(names):
    """All checks."""
    tokenizer = make_tokenizer()
    for name in names:
        check_processor(name, tokenizer)
        check_model(name, tokenizer)
