"""Proves that the golden references would notice mistakes: every change below must move the logits or the embeddings.

    python check_references.py

Also checks our tiling against transformers' own processor, over every size in a range and over the committed pictures.
"""

import base64
import itertools
import json

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AddedToken, AutoTokenizer, InternVLProcessor, Qwen2Tokenizer
from transformers.models.got_ocr2 import image_processing_pil_got_ocr2 as theirs

import tiling
from fixture_paths import GOLDEN, IMAGES, MODELS
from make_references import MEAN, STD, TILE, images_of, load


# Tests compare logits more closely than this.
NOTICED = 5e-4


def floats(text):
    """The values of a base64 field."""
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), "<f4").copy())


def pixels_of(case):
    """Model input of a case, or nothing."""
    tiles = [tiles for tiles, _ in images_of(case)]
    return torch.from_numpy(tiling.normalise(np.concatenate(tiles), MEAN, STD)) if tiles else None


@torch.no_grad()
def difference(model, case, pixels=None):
    """Greatest change of the prompt's logits, and whether the first greedy token changes."""
    pixels = pixels_of(case) if pixels is None else pixels
    inputs = {} if pixels is None else {"pixel_values": pixels}
    logits = model(input_ids=torch.tensor([case["input_ids"]]), **inputs).logits[0, -1]
    golden = floats(case["logits"])
    return float((logits - golden).abs().max()), int(logits.argmax()) != int(golden.argmax())


def mistakes(model):
    """(name, function making the mistake in a freshly loaded model) for everything the model has."""
    def fill(ending, value):
        def change(fresh):
            for name, parameter in fresh.named_parameters():
                if name.endswith(ending):
                    parameter.data.fill_(value)
        return change

    def swap_shuffle(fresh):
        fresh.model.pixel_shuffle = lambda features, scale_factor: type(fresh.model).pixel_shuffle(
            fresh.model, features, scale_factor).permute(0, 2, 1, 3).contiguous()

    def tanh_gelu(fresh):
        for layer in fresh.model.vision_tower.encoder.layer:
            layer.mlp.activation_fn = torch.nn.GELU(approximate="tanh")

    def projector_tanh_gelu(fresh):
        fresh.model.multi_modal_projector.act = torch.nn.GELU(approximate="tanh")

    def projector_epsilon(fresh):
        fresh.model.multi_modal_projector.layer_norm.eps = 1e-2

    def norm_per_head(fresh):
        for layer in fresh.model.vision_tower.encoder.layer:
            attention = layer.attention
            for norm in (attention.q_norm, attention.k_norm):
                norm.forward = lambda x, norm=norm, heads=attention.num_heads: (
                    torch.nn.functional.rms_norm(x.unflatten(-1, (heads, -1)), (x.shape[-1] // heads,), eps=1e-6)
                    .flatten(-2) * norm.weight)

    def mean_instead_of_rms(fresh):
        for layer in fresh.model.vision_tower.encoder.layer:
            for name in ("layernorm_before", "layernorm_after"):
                old = getattr(layer, name)
                new = torch.nn.LayerNorm(old.weight.shape[0], eps=1e-6)
                new.weight, new.bias = old.weight, torch.nn.Parameter(torch.zeros_like(old.weight))
                setattr(layer, name, new)

    def epsilon(kind):
        def change(fresh):
            for name, module in fresh.named_modules():
                if kind in name and "multi_modal" not in name:
                    for attribute in ("eps", "variance_epsilon"):
                        if hasattr(module, attribute):
                            setattr(module, attribute, 1e-5)
        return change

    def last_norm(fresh):
        fresh.model.vision_tower.layernorm = torch.nn.LayerNorm(fresh.config.vision_config.hidden_size, eps=1e-6)

    def attention_scale(fresh):
        for layer in fresh.model.vision_tower.encoder.layer:
            layer.attention.scale = fresh.config.vision_config.hidden_size ** -0.5

    def plain_rope(fresh):
        text = fresh.config.text_config
        text.rope_parameters = {"rope_type": "default", "rope_theta": text.rope_parameters["rope_theta"]}
        fresh.model.language_model.rotary_emb = type(fresh.model.language_model.rotary_emb)(text)

    def other_theta(fresh):
        text = fresh.config.text_config
        text.rope_parameters = {**text.rope_parameters, "rope_theta": 50000.0}
        fresh.model.language_model.rotary_emb = type(fresh.model.language_model.rotary_emb)(text)

    yield "layer scale 1 left out", fill("lambda_1", 1.0)
    yield "layer scale 2 left out", fill("lambda_2", 1.0)
    yield "class token left out", fill("cls_token", 0.0)
    yield "vision positions left out", fill("position_embeddings", 0.0)
    yield "projection bias left out", fill("projection_layer.bias", 0.0)
    yield "patch bias left out", fill("patch_embeddings.projection.bias", 0.0)
    yield "projector norm weight left out", fill("multi_modal_projector.layer_norm.weight", 1.0)
    yield "projector bias left out", fill("linear_2.bias", 0.0)
    yield "text norm weight left out", fill("language_model.norm.weight", 1.0)
    yield "pixel shuffle with rows and columns exchanged", swap_shuffle
    yield "tanh GELU in the tower", tanh_gelu
    yield "tanh GELU in the projector", projector_tanh_gelu
    yield "projector norm epsilon", projector_epsilon
    yield "a norm after the tower's last layer", last_norm
    yield "vision attention scale", attention_scale
    yield "another RoPE base", other_theta
    if model.config.vision_config.use_qk_norm:
        yield "q norm weight left out", fill("q_norm.weight", 1.0)
        yield "k norm weight left out", fill("k_norm.weight", 1.0)
        yield "q and k norm over each head", norm_per_head
        yield "LayerNorm for RMSNorm", mean_instead_of_rms
        yield "RoPE scaling left out", plain_rope
        yield "another text norm epsilon", epsilon("language_model")
    else:
        yield "another tower norm epsilon", epsilon("vision_tower")
        yield "tower q bias left out", fill("attention.q_proj.bias", 0.0)
        yield "tower v bias left out", fill("attention.v_proj.bias", 0.0)
        yield "text k bias left out", fill("self_attn.k_proj.bias", 0.0)
        yield "text v bias left out", fill("self_attn.v_proj.bias", 0.0)


@torch.no_grad()
def check_decoding(model, cases):
    """The steps with a cache against one pass over everything, and against `generate`."""
    for case in cases.values():
        pixels = pixels_of(case)
        inputs = {} if pixels is None else {"pixel_values": pixels}
        ids, greedy = case["input_ids"], case["greedy_ids"]
        logits = model(input_ids=torch.tensor([ids + greedy[:-1]]), **inputs).logits[0, len(ids) - 1:]
        assert logits.argmax(-1).tolist() == greedy, case["name"]
        top = torch.log_softmax(logits, -1).topk(5)
        stored = torch.tensor([step["top_logprobs"] for step in case["steps"]])
        assert (top.values - stored).abs().max() < 1e-4, case["name"]
        prompt = torch.tensor([ids])
        made = model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=False,
                              max_new_tokens=len(greedy), min_new_tokens=len(greedy), eos_token_id=[], **inputs)
        assert made[0].tolist()[-len(greedy):] == greedy, case["name"]
    print(f"  {len(cases)} cases decode alike with a cache, in one pass and by generate")


def check_model(name):
    """Prints what every mistake does to the case with six tiles; ends on one that nothing would notice."""
    golden = json.loads((GOLDEN / f"internvl-{name}.json").read_text())
    cases = {case["name"]: case for case in golden["cases"]}
    greedy = {tuple(case["greedy_ids"]) for case in cases.values()}
    assert len(greedy) == len(cases), "every case must answer differently"
    fresh = load(f"internvl-{name}-hf")
    for case in cases.values():
        assert difference(fresh, case)[0] < 1e-5, case["name"]
    check_decoding(fresh, cases)
    variations = {item["name"]: floats(item["logits"]) for item in golden.get("rope_variations", [])}
    for first, second in itertools.combinations(variations, 2):
        moved = float((variations[first] - variations[second]).abs().max())
        print(f"  {name} RoPE {first} against {second}: {moved:.4f}")
        assert moved > 0.1
    case = cases["six-tiles"]
    for mistake, change in mistakes(fresh):
        model = load(f"internvl-{name}-hf")
        change(model)
        moved, token = difference(model, case)
        print(f"  {name} {mistake:48} logits move by {moved:8.4f}{'  first token changes' if token else ''}")
        assert moved > NOTICED, mistake
    pixels = pixels_of(case)
    for mistake, changed in [
        ("tiles in another order", pixels.flip(0)), ("thumbnail first", pixels.roll(1, 0)),
        ("blue and red exchanged", pixels.flip(1)), ("picture mirrored", pixels.flip(3)),
        ("one 8-bit step in one channel", pixels + torch.tensor([1 / 255 / 0.229, 0, 0])[None, :, None, None]),
    ]:
        moved, token = difference(fresh, case, changed)
        print(f"  {name} {mistake:48} logits move by {moved:8.4f}{'  first token changes' if token else ''}")
        assert moved > NOTICED, mistake


def check_tiling():
    """Our grids against transformers' for many sizes, and its tiles against ours for the committed pictures."""
    compared = 0
    for maximum in (1, 2, 4, 6, 12, 24, 40):
        theirs.get_optimal_tiled_canvas.cache_clear()
        for width in range(1, 1400, 31):
            for height in range(1, 1400, 29):
                ours = tiling.best_grid(width, height, TILE, 1, maximum)
                expected = theirs.get_optimal_tiled_canvas((height, width), (TILE, TILE), 1, maximum)
                assert ours == expected, (width, height)
                compared += 1
        for side in range(1, 2000):
            assert tiling.best_grid(side, side, TILE, 1, maximum) == theirs.get_optimal_tiled_canvas(
                (side, side), (TILE, TILE), 1, maximum), side
    print(f"  grids equal for {compared} sizes and for squares")
    processor = theirs.GotOcr2ImageProcessorPil(
        image_mean=MEAN, image_std=STD, size={"height": TILE, "width": TILE}, crop_to_patches=True)
    for path in sorted(IMAGES.glob("golden-*")):
        image = tiling.open_rgb(path)
        expected = processor(image, return_tensors="np")
        tiles = tiling.cut(image, TILE, 1, 12, True)
        values = tiling.normalise(tiles, MEAN, STD)
        reference = np.asarray(expected["pixel_values"])
        assert list(expected["num_patches"]) == [len(tiles)] and reference.shape == values.shape, path.name
        step = np.abs(reference - values).max() * 255 * min(STD)
        print(f"  {path.name}: {len(tiles)} tiles, greatest difference {step:.6f} of an 8-bit step")


def check_tokenizer():
    """Every way of reading a folder's tokenizer, and transformers' own processor, give the golden ids."""
    # Its video part needs torchvision, which no image needs.
    InternVLProcessor.check_argument_for_proper_class = lambda *arguments: None
    for name in ("qwen2", "llama"):
        golden = json.loads((GOLDEN / f"internvl-{name}.json").read_text())
        folder, opengvlab = MODELS / f"internvl-{name}-hf", MODELS / f"internvl-{name}-opengvlab"
        direct, automatic = Tokenizer.from_file(str(folder / "tokenizer.json")), AutoTokenizer.from_pretrained(folder)
        merges = [tuple(line.split(" ")) for line in (opengvlab / "merges.txt").read_text().splitlines()[1:]]
        slow = Qwen2Tokenizer(vocab=json.loads((opengvlab / "vocab.json").read_text()), merges=merges)
        added = json.loads((opengvlab / "added_tokens.json").read_text())
        slow.add_tokens([AddedToken(text, special=True, normalized=False) for text in added])
        processor = InternVLProcessor(
            image_processor=theirs.GotOcr2ImageProcessorPil(
                image_mean=MEAN, image_std=STD, size={"height": TILE, "width": TILE}),
            tokenizer=automatic, image_seq_length=16, chat_template=(folder / "chat_template.jinja").read_text())
        compared = 0
        for case in golden["cases"]:
            ids = direct.encode(case["prompt"], add_special_tokens=False).ids
            assert automatic(case["prompt"])["input_ids"] == ids, case["name"]
            assert slow(case["prompt"])["input_ids"] == ids, case["name"]
            assert processor.apply_chat_template(case["messages"], add_generation_prompt=True) == case["prompt"]
            if case["tiling"]:
                continue
            pictures = [tiling.open_rgb(IMAGES / image["file"]) for image in case["images"]] or None
            inputs = processor(images=pictures, text=case["prompt"], return_tensors="pt")
            assert inputs["input_ids"][0].tolist() == case["input_ids"], case["name"]
            compared += 1
        print(f"  {name}: tokenizers agree on {len(golden['cases'])} prompts, the processor on {compared} cases")


if __name__ == "__main__":
    check_tiling()
    check_tokenizer()
    for name in ("qwen2", "llama"):
        check_model(name)
