"""What `make_smolvlm.py --check` does: proves that the golden references of SmolVLM2 and Idefics3 would notice mistakes.

Also compares transformers' own processor, configs and `generate` with them.
"""

import json

import torch
from transformers import AutoConfig, AutoTokenizer, Idefics3Processor
from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

import tiling
from check_references import floats
from fixture_paths import GOLDEN, IMAGES, MODELS
from make_smolvlm import CASES, forward, frame, processor, question
from make_llava import NOTICED, STEPS
from smolvlm_models import FAKE, KINDS, MARK, WHOLE, load, make_tokenizer, tokens_per_tile


def check_processor(name):
    """transformers' own processor and template, with the folder's files, give the golden prompts, ids and pixels."""
    folder, kind = MODELS / name, KINDS[name]
    template = (folder / "chat_template.jinja").read_text() if (folder / "chat_template.jinja").exists() else \
        json.loads((folder / "chat_template.json").read_text())["chat_template"]
    stored = json.loads((folder / "processor_config.json").read_text())
    # SmolVLM's has a part for videos that needs torchvision; what it does with pictures is Idefics3's.
    whole = Idefics3Processor(
        processor(kind), AutoTokenizer.from_pretrained(folder), image_seq_len=stored["image_seq_len"],
        chat_template=template)
    for case in json.loads((GOLDEN / f"{name}.json").read_text())["cases"]:
        assert whole.apply_chat_template(case["messages"], add_generation_prompt=True) == case["prompt"]
        images = [tiling.open_rgb(IMAGES / image["file"]) for image in case["images"]] or None
        inputs = whole(images=images, text=case["prompt"], return_tensors="pt")
        assert inputs["input_ids"][0].tolist() == case["input_ids"], case["name"]
        if images:
            made = question(name, make_tokenizer(name), case["messages"]).inputs
            assert torch.equal(inputs["pixel_values"], made["pixel_values"]), case["name"]
            assert inputs["pixel_attention_mask"].all(), "nothing is padding"
    for rows, columns in [(0, 0), (1, 3), (4, 4), (7, 2)]:
        assert frame(rows, columns, 5) == get_image_prompt_string(rows, columns, 5, FAKE, MARK, WHOLE)
    config = AutoConfig.from_pretrained(folder)
    assert config.tie_word_embeddings == kind.tied and config.text_config.rms_norm_eps == kind.text.get(
        "rms_norm_eps", 1e-6)
    side = kind.tile // 8 // kind.scale
    assert tokens_per_tile(kind) == side * side
    print(f"  {name}: the processor agrees on {len(CASES)} cases")


class Contiguous(torch.nn.Module):
    """Changes nothing but the layout in memory."""

    def forward(self, x):
        return x.contiguous()


@torch.no_grad()
def mistakes(model):
    """Names of mistakes and what makes them: each changes the model, and gives what undoes that."""
    vision, connector = model.model.vision_model, model.model.connector

    def setting(owner, key, value):
        def change():
            old = getattr(owner, key)
            setattr(owner, key, value)
            return lambda: setattr(owner, key, old)
        return change

    yield "no last norm of the tower", setting(vision, "post_layernorm", Contiguous())
    norms = [each for each in vision.modules() if isinstance(each, torch.nn.LayerNorm)]

    def epsilon():
        undo = [setting(norm, "eps", 1e-6)() for norm in norms]
        return lambda: [each() for each in undo]
    yield "another ε", epsilon
    yield "another GELU in a layer", setting(vision.encoder.layers[0].mlp, "activation_fn", torch.nn.GELU())
    shuffle = connector.pixel_shuffle

    def turned(x, factor=2):
        joined = shuffle(x, factor)
        return joined.unflatten(-1, (factor, factor, -1)).transpose(-3, -2).flatten(-3)
    yield "patches of a token column by column", setting(connector, "pixel_shuffle", turned)

    def columns(x, factor=2):
        joined = shuffle(x, factor)
        side = int(joined.shape[1] ** 0.5)
        return joined.unflatten(1, (side, side)).transpose(1, 2).flatten(1, 2)
    yield "tokens column by column", setting(connector, "pixel_shuffle", columns)
    table = vision.embeddings.position_embedding
    moved = torch.nn.Embedding.from_pretrained(table.weight.roll(1, 0))
    yield "positions moved by one", setting(vision.embeddings, "position_embedding", moved)
    features = model.model.get_image_features

    def rolled(pixel_values, mask=None, **others):
        return features(pixel_values.roll(1, 1), mask, **others)
    yield "tiles in another order", setting(model.model, "get_image_features", rolled)


@torch.no_grad()
def check_model(name):
    """Prints what every mistake does to the case with three pictures; ends on one that nothing would notice."""
    tokenizer = make_tokenizer(name)
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
        print(f"  {name} {mistake:36} logits move by {moved:8.4f}")
        assert moved > NOTICED, mistake


def check(names):
    """All checks."""
    for name in names:
        check_processor(name)
        check_model(name)
