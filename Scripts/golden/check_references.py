"""Proves that the golden references would notice mistakes: every change below must move the logits or the embeddings.

    python check_references.py [NAME...]

Also checks our tiling against transformers' own processor, over every size in a range and over the committed pictures.
"""

import argparse
import base64
import itertools
import json

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import (
    AddedToken, AutoTokenizer, InternVLProcessor, LlamaConfig, LlamaForCausalLM, Qwen2Tokenizer,
)
from transformers.models.got_ocr2 import image_processing_pil_got_ocr2 as theirs

import tiling
from fixture_paths import GOLDEN, IMAGES, MODELS
from make_references import MEAN, PLANS, STD, TILE, folders_of, images_of, load


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


def mistakes(model, kind):
    """(name, function making the mistake in a freshly loaded model) for everything a model of that kind has."""
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

    def exchange(first, second):
        """Exchanges the values of two parameters of each layer, or the halves of one."""
        def change(fresh):
            parameters = dict(fresh.named_parameters())
            for name, parameter in parameters.items():
                if name.endswith(first):
                    other = parameters[name.replace(first, second)]
                    if other is parameter:
                        parameter.data = parameter.data.roll(len(parameter) // 2, 0)
                    else:
                        parameter.data, other.data = other.data, parameter.data
        return change

    def head_norms_over_all_heads(fresh):
        for layer in fresh.model.language_model.layers:
            for norm in (layer.self_attn.q_norm, layer.self_attn.k_norm):
                norm.forward = lambda x, norm=norm: norm.weight * torch.nn.functional.rms_norm(
                    x, x.shape[-2:], eps=norm.variance_epsilon)

    def long_rope_unscaled(fresh):
        fresh.model.language_model.rotary_emb.attention_scaling = 1.0

    def long_rope_factors(fresh):
        text = fresh.config.text_config
        text.rope_parameters["short_factor"] = text.rope_parameters["long_factor"]
        fresh.model.language_model.rotary_emb = type(fresh.model.language_model.rotary_emb)(text)

    def stacked_qkv(fresh):
        for layer in fresh.language_model.model.layers:
            attention, group = layer.attention, layer.attention.heads // layer.attention.key_heads
            order = torch.arange(len(attention.wqkv.weight)).view(attention.key_heads, group + 2, attention.dim)
            order = torch.cat([order[:, :group].flatten(), order[:, group].flatten(), order[:, group + 1].flatten()])
            for parameter in (attention.wqkv.weight, attention.wqkv.bias):
                parameter.data[order] = parameter.data.clone()

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

    yield "text norm weight left out", fill(("language_model.norm.weight", "language_model.model.norm.weight"), 1.0)
    if kind != "internlm2":
        yield "another RoPE base", other_theta
    if kind != "qwen2":
        yield "another text norm epsilon", epsilon("language_model")
    if kind == "llama":
        yield "RoPE scaling left out", plain_rope
    elif kind == "qwen2":
        yield "text k bias left out", fill("self_attn.k_proj.bias", 0.0)
        yield "text v bias left out", fill("self_attn.v_proj.bias", 0.0)
    elif kind == "qwen3":
        yield "text q norm weight left out", fill("self_attn.q_norm.weight", 1.0)
        yield "text k norm weight left out", fill("self_attn.k_norm.weight", 1.0)
        yield "text q and k norm weights exchanged", exchange("self_attn.q_norm.weight", "self_attn.k_norm.weight")
        yield "text q and k norms over all heads", head_norms_over_all_heads
        yield "another epsilon of the q and k norms alone", epsilon("self_attn.")
    elif kind == "phi3":
        yield "LongRoPE's scale left out", long_rope_unscaled
        yield "LongRoPE's long factors", long_rope_factors
        yield "gate and up exchanged", exchange("gate_up_proj.weight", "gate_up_proj.weight")
    elif kind == "internlm2":
        yield "wqkv read as stacked", stacked_qkv
        yield "wqkv bias left out", fill("attention.wqkv.bias", 0.0)
        yield "wo bias left out", fill("attention.wo.bias", 0.0)
        yield "gate and up exchanged", exchange("feed_forward.w1.weight", "feed_forward.w3.weight")
    if kind not in ("qwen2", "llama"):
        return  # The towers of these two stand for all.
    yield "layer scale 1 left out", fill("lambda_1", 1.0)
    yield "layer scale 2 left out", fill("lambda_2", 1.0)
    yield "class token left out", fill("cls_token", 0.0)
    yield "vision positions left out", fill("position_embeddings", 0.0)
    yield "projection bias left out", fill("projection_layer.bias", 0.0)
    yield "patch bias left out", fill("patch_embeddings.projection.bias", 0.0)
    yield "projector norm weight left out", fill("multi_modal_projector.layer_norm.weight", 1.0)
    yield "projector bias left out", fill("linear_2.bias", 0.0)
    yield "pixel shuffle with rows and columns exchanged", swap_shuffle
    yield "tanh GELU in the tower", tanh_gelu
    yield "tanh GELU in the projector", projector_tanh_gelu
    yield "projector norm epsilon", projector_epsilon
    yield "a norm after the tower's last layer", last_norm
    yield "vision attention scale", attention_scale
    if model.config.vision_config.use_qk_norm:
        yield "q norm weight left out", fill("q_norm.weight", 1.0)
        yield "k norm weight left out", fill("k_norm.weight", 1.0)
        yield "q and k norm over each head", norm_per_head
        yield "LayerNorm for RMSNorm", mean_instead_of_rms
    else:
        yield "another tower norm epsilon", epsilon("vision_tower")
        yield "tower q bias left out", fill("attention.q_proj.bias", 0.0)
        yield "tower v bias left out", fill("attention.v_proj.bias", 0.0)


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
        if not hasattr(model, "generate"):
            continue
        prompt = torch.tensor([ids])
        made = model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=False,
                              max_new_tokens=len(greedy), min_new_tokens=len(greedy), eos_token_id=[], **inputs)
        assert made[0].tolist()[-len(greedy):] == greedy, case["name"]
    print(f"  {len(cases)} cases decode alike with a cache, in one pass and by generate if the model has it")


def check_model(name):
    """Prints what every mistake does to a case with many tiles; ends on one that nothing would notice."""
    golden = json.loads((GOLDEN / f"internvl-{name}.json").read_text())
    cases = {case["name"]: case for case in golden["cases"]}
    greedy = {tuple(case["greedy_ids"]) for case in cases.values()}
    assert len(greedy) == len(cases), "every case must answer differently"
    folder = folders_of(name)[0].name
    fresh = load(folder)
    for case in cases.values():
        assert difference(fresh, case)[0] < 1e-5, case["name"]
    check_decoding(fresh, cases)
    variations = {item["name"]: floats(item["logits"]) for item in golden.get("rope_variations", [])}
    for first, second in itertools.combinations(variations, 2):
        moved = float((variations[first] - variations[second]).abs().max())
        print(f"  {name} RoPE {first} against {second}: {moved:.4f}")
        assert moved > 0.1
    case = cases["six-tiles" if "six-tiles" in cases else "three-images"]
    for mistake, change in mistakes(fresh, name):
        model = load(folder)
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


@torch.no_grad()
def check_internlm2():
    """Our InternLM2 against transformers' Llama with the same weights, each of its matrices cut out of `wqkv`."""
    model = load("internvl-internlm2-opengvlab")
    ours, settings = model.language_model, model.language_model.settings
    keys = ["hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "num_key_value_heads",
            "rms_norm_eps", "vocab_size", "max_position_embeddings"]
    llama = LlamaForCausalLM(LlamaConfig(
        **{key: settings[key] for key in keys}, attention_bias=True, tie_word_embeddings=False,
        attn_implementation="eager",
        rope_parameters={"rope_type": "dynamic", "rope_theta": settings["rope_theta"], "factor": 2.0})).eval()
    weights = {"lm_head.weight": ours.output.weight, "model.norm.weight": ours.model.norm.weight,
               "model.embed_tokens.weight": ours.model.tok_embeddings.weight}
    for index, layer in enumerate(ours.model.layers):
        place = f"model.layers.{index}"
        weights[f"{place}.input_layernorm.weight"] = layer.attention_norm.weight
        weights[f"{place}.post_attention_layernorm.weight"] = layer.ffn_norm.weight
        for theirs, name in (("gate", "w1"), ("up", "w3"), ("down", "w2")):
            weights[f"{place}.mlp.{theirs}_proj.weight"] = getattr(layer.feed_forward, name).weight
        dim, heads = layer.attention.dim, layer.attention.heads // layer.attention.key_heads + 2
        for kind in ("weight", "bias"):
            weights[f"{place}.self_attn.o_proj.{kind}"] = getattr(layer.attention.wo, kind)
            # A head each: the queries of a group, its key, its value.
            rows = getattr(layer.attention.wqkv, kind).split(dim)
            for letter, chosen in (("q", range(heads - 2)), ("k", [heads - 2]), ("v", [heads - 1])):
                weights[f"{place}.self_attn.{letter}_proj.{kind}"] = torch.cat(
                    [row for number, row in enumerate(rows) if number % heads in chosen])
    missing = llama.load_state_dict(weights, strict=True)
    assert not missing.missing_keys and not missing.unexpected_keys
    # Beyond the trained length too, where the base grows.
    llama.config.max_position_embeddings = settings["max_position_embeddings"] = 64
    llama.model.rotary_emb = type(llama.model.rotary_emb)(llama.config)
    for count in (50, 200):
        ids = torch.arange(count)[None] * 7 % settings["vocab_size"]
        moved = float((model(input_ids=ids).logits - llama(input_ids=ids).logits).abs().max())
        print(f"  InternLM2 and a Llama with its weights differ by {moved:.6f} over {count} tokens")
        assert moved < 1e-4


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
    arguments = argparse.ArgumentParser()
    arguments.add_argument("names", nargs="*", help="the text towers to check; all, and what they share, when left out")
    names = arguments.parse_args().names
    if not names:
        check_tiling()
        check_tokenizer()
    if not names or "internlm2" in names:
        check_internlm2()
    for name, _, _ in PLANS:
        if not names or name in names:
            check_model(name)
