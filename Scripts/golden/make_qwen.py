"""Makes the tiny Qwen-VL checkpoint and its golden references, which are those of qwen.py.

    python make_qwen.py [--check | --search N]

With --check it writes nothing, but shows that the committed references would notice mistakes, and that the resampler's
stored positions are the published ones. With --search it tries N seeds and names the best.
"""

import argparse
import base64
import hashlib
import json
import shutil
import unicodedata

import numpy as np
import tiktoken
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import tiling
from fixture_paths import FIXTURES, GOLDEN, IMAGES, MODELS
from fixture_tokenizer import QWEN2_SPLIT, write_json
from make_llava import CASES, margin, write
from make_references import STEPS, base64_floats
from qwen import POSITIONS, Qwen, plane_waves, stretched

NAME = "qwen-vl"
SEED = "qwen-vl260"    # Searched for: no greedy step of any case is a near tie, none writes an image mark.
RANKS = 320
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|extra_{index}|>" for index in range(205)),
                  "<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>", "<img>", "</img>", "<imgpad>"]
IDS = {text: RANKS + index for index, text in enumerate(SPECIAL_TOKENS)}
START, END, PAD = (IDS[text] for text in ("<img>", "</img>", "<imgpad>"))
NOTICED = 5e-4  # Every mistake moves the logits by more; tests compare more closely than this.


def settings():
    """config.json: the published one's keys, and `n_queries`, which that leaves at 256."""
    return {
        "architectures": ["QWenLMHeadModel"], "attn_dropout_prob": 0.0, "bf16": False, "emb_dropout_prob": 0.0,
        "fp16": False, "fp32": False, "hidden_size": 128, "initializer_range": 0.02, "intermediate_size": 96,
        "kv_channels": 32, "layer_norm_epsilon": 1e-2, "max_position_embeddings": 1024, "model_type": "qwen",
        "no_bias": True, "num_attention_heads": 4, "num_hidden_layers": 2, "onnx_safe": None, "rotary_emb_base": 10000,
        "rotary_pct": 1.0, "scale_attn_weights": True, "seq_length": 512, "tie_word_embeddings": False,
        "tokenizer_type": "QWenTokenizer", "torch_dtype": "bfloat16", "transformers_version": "4.31.0",
        "use_cache": True, "use_dynamic_ntk": True, "use_flash_attn": False, "use_logn_attn": True,
        "visual": {"heads": 3, "image_size": 56, "image_start_id": START, "layers": 2, "mlp_ratio": 1.55,
                   "n_queries": 16, "output_dim": 128, "patch_size": 8, "width": 48},
        "vocab_size": 544}


def ranks():
    """The tokens and their ranks, the first of a committed file."""
    lines = (FIXTURES / "pieces" / "tiny.tiktoken").read_text().splitlines()[:RANKS]
    assert len(lines) == RANKS
    return lines


def make_tokenizer():
    """The tokenizer, by the library the published one uses."""
    pairs = (line.split() for line in ranks())
    return tiktoken.Encoding(
        "fixture", pat_str=QWEN2_SPLIT, mergeable_ranks={base64.b64decode(text): int(rank) for text, rank in pairs},
        special_tokens=IDS)


@torch.no_grad()
def make_model(seed):
    """The model, every parameter drawn from its name and the seed and rounded to a few bits, as they pack well."""
    model = Qwen(settings()).eval()
    quiet = torch.ones(544, 1)
    quiet[IDS["<|extra_0|>"]:] = 0.0    # Tokens without a use, but for these.
    quiet[IDS["<ref>"]:PAD + 1] = 0.1
    for key, parameter in model.named_parameters():
        digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:6], "little"))
        noise = torch.randn(parameter.shape, generator=generator)
        if ".ln_" in key and key.endswith("weight"):
            value = 1.0 + 0.3 * noise
        elif key.endswith("bias"):
            value = 0.3 * noise - (1.5 if key.endswith("c_fc.bias") else 0.0)    # There the GELUs differ.
        elif key.endswith("wte.weight"):
            value = noise * quiet
        elif key == "lm_head.weight":
            value = noise * quiet * 3.0 / parameter.shape[1] ** 0.5
        elif key.endswith(("positional_embedding", ".query")):
            value = 0.7 * noise
        elif key.endswith("pos_embed"):
            value = parameter.data
        else:
            gain = 3.0 if key.endswith("in_proj_weight") else 1.5
            value = gain * noise / parameter[0].numel() ** 0.5
        if not key.endswith("pos_embed"):
            mantissa, exponent = torch.frexp(value)
            value = torch.ldexp((mantissa * 8).round() / 8, exponent)
        parameter.data.copy_(value.bfloat16().float())
    return model


def load():
    """The committed checkpoint."""
    model = Qwen(json.loads((MODELS / NAME / "config.json").read_text())).eval()
    stored = load_file(MODELS / NAME / "model.safetensors")
    model.load_state_dict({key: value.float() for key, value in stored.items()})
    return model


def save(model):
    """The folder of the checkpoint."""
    folder = MODELS / NAME
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_file({key: value.bfloat16().contiguous() for key, value in model.state_dict().items()},
              folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", settings())
    write_json(folder / "generation_config.json", {
        "chat_format": "chatml", "do_sample": True, "eos_token_id": IDS["<|endoftext|>"], "max_new_tokens": 512,
        "max_window_size": 6144, "pad_token_id": IDS["<|endoftext|>"], "top_k": 0, "top_p": 0.3,
        "transformers_version": "4.31.0"})
    write_json(folder / "tokenizer_config.json", {"model_max_length": 512, "tokenizer_class": "QWenTokenizer"})
    (folder / "qwen.tiktoken").write_text("".join(f"{line}\n" for line in ranks()))
    for file in folder.iterdir():
        file.chmod(0o644)


def render(messages):
    """A conversation in ChatML, with the marks that a client writes for a picture."""
    if messages[0]["role"] != "system":
        messages = [{"role": "system", "content": "You are a helpful assistant."}, *messages]

    def content(parts):
        return parts if isinstance(parts, str) else "".join(
            part["text"] if part["type"] == "text" else "<img></img>" for part in parts)
    turns = [f"<|im_start|>{message['role']}\n{content(message['content'])}<|im_end|>\n" for message in messages]
    return "".join(turns) + "<|im_start|>assistant\n"


def numbered(prompt):
    """The prompt with the number before each picture and a line end behind it, as LightLLM writes them."""
    for place in range(prompt.count("<img>"), 0, -1):
        before = "<img>".join(prompt.split("<img>")[:place])
        prompt = f"{before}Picture {place}:{prompt[len(before):]}"
    return prompt.replace("</img>", "</img>\n")


def picture(file):
    """A picture's values [3, side, side], and its description."""
    image, visual = tiling.open_rgb(IMAGES / file), settings()["visual"]
    side = visual["image_size"]
    view = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))[None]
    return torch.from_numpy(tiling.normalise(view, MEAN, STD))[0], {
        "file": file, "width": image.width, "height": image.height, "tokens": visual["n_queries"], "tiles": 1,
        "tiles_sha256": hashlib.sha256(np.ascontiguousarray(view).tobytes()).hexdigest()}


def question(tokenizer, messages):
    """The prompt of a conversation, its pictures and its ids [T]."""
    pictures = [picture(part["image"]) for message in messages if not isinstance(message["content"], str)
                for part in message["content"] if part["type"] == "image"]
    prompt = render(messages)
    # Composed, as the published tokenizer does first.
    text = unicodedata.normalize("NFC", numbered(prompt))
    text = text.replace("<img></img>", "<img>" + "<imgpad>" * settings()["visual"]["n_queries"] + "</img>")
    return prompt, pictures, torch.tensor(tokenizer.encode(text, allowed_special="all"))


@torch.no_grad()
def embed(model, pictures):
    """The rows of all pictures; None without any."""
    return torch.cat([model.transformer.visual(pixels) for pixels, _ in pictures]) if pictures else None


@torch.no_grad()
def reference(model, asked, case):
    """The JSON object of one case; the end token does not stop the answer."""
    prompt, pictures, ids = asked
    rows, steps, first = embed(model, pictures), [], None
    sequence = ids
    for _ in range(STEPS):
        logits = model(sequence, rows)[-1]
        first = logits if first is None else first
        best = torch.topk(torch.log_softmax(logits, -1), 5)
        steps.append({"top_ids": best.indices.tolist(), "top_logprobs": [round(x, 6) for x in best.values.tolist()]})
        sequence = torch.cat([sequence, best.indices[:1]])
    result = {
        "name": case, "messages": CASES[case], "prompt": prompt, "images": [image for _, image in pictures],
        "input_ids": ids.tolist(), "logits": base64_floats(first),
        "greedy_ids": [step["top_ids"][0] for step in steps], "steps": steps}
    if rows is not None:
        if len(rows) > 20:
            result["embedding_rows"] = np.linspace(0, len(rows) - 1, 20).round().astype(int).tolist()
        result["embeddings"] = base64_floats(rows[result.get("embedding_rows", slice(None))])
    return result


def search(tokenizer, count):
    """Tries seeds; prints those whose answers are of use."""
    asked, best = {case: question(tokenizer, messages) for case, messages in CASES.items()}, 0.0
    for number in range(1, count + 1):
        model, narrowest, answers = make_model(f"{NAME}{number}"), 1.0, set()
        for case in CASES:
            found = reference(model, asked[case], case)
            narrowest = min(narrowest, margin(found))
            answers.add(tuple(found["greedy_ids"]))
            chosen = set(found["greedy_ids"])
            if narrowest <= best or len(chosen) < 6 or max(chosen) >= IDS["<|extra_0|>"]:
                break
        else:
            if len(answers) == len(CASES):
                best = narrowest
                print(f"{NAME}{number}: least margin {narrowest:.4f}", flush=True)


def mistakes(model):
    """Names of mistakes and what makes them: each changes the model and gives what undoes that."""
    tower, layer = model.transformer.visual, model.transformer.h[0]
    block, pool = tower.transformer.resblocks[0], tower.attn_pool

    def setting(owner, key, value):
        def change():
            old = getattr(owner, key)
            setattr(owner, key, value)
            return lambda: setattr(owner, key, old)
        return change

    def matrix(parameter, value):
        def change():
            old = parameter.data
            parameter.data = value
            return lambda: setattr(parameter, "data", old)
        return change
    yield "gate and other half swapped", setting(layer.mlp, "w1", layer.mlp.w2)
    yield "another base", setting(layer.attn, "base", 1000.0)
    weight = block.attn.in_proj.weight.data
    yield "queries, keys and values stacked", matrix(
        block.attn.in_proj.weight, weight.view(3, 3, 16, 48).transpose(0, 1).reshape(144, 48))
    yield "another GELU", setting(block, "gelu", torch.nn.GELU(approximate="tanh"))
    for name in ("ln_pre", "ln_post"):
        yield f"no {name}", setting(tower, name, torch.nn.Identity())
    for name in ("ln_q", "ln_kv"):
        yield f"no {name}", setting(pool, name, torch.nn.Identity())
    yield "projection on its side", matrix(tower.proj, tower.proj.data.T.contiguous())
    yield "no places of patches", matrix(tower.positional_embedding, torch.zeros_like(tower.positional_embedding))
    corner = tower.positional_embedding.data.view(POSITIONS, POSITIONS, -1)[:7, :7].reshape(49, -1)
    yield "the first places, not stretched", matrix(tower.positional_embedding, corner)
    yield "no places of queries and keys", matrix(pool.pos_embed, torch.zeros_like(pool.pos_embed))

    def with_places_in_values(x):
        x = pool.ln_kv(pool.kv_proj(x))
        keys = x + stretched(pool.pos_embed, len(x))
        return pool.attn(pool.ln_q(pool.query) + pool.pos_embed, keys, keys, need_weights=False)[0]

    def without_places_in_keys(x):
        x = pool.ln_kv(pool.kv_proj(x))
        return pool.attn(pool.ln_q(pool.query) + pool.pos_embed, x, x, need_weights=False)[0]
    yield "places in values too", setting(pool, "forward", with_places_in_values)
    yield "no places in keys", setting(pool, "forward", without_places_in_keys)


@torch.no_grad()
def check(tokenizer):
    """Prints what every mistake does to the case with three pictures; ends on one that nothing would notice."""
    golden = {case["name"]: case for case in json.loads((GOLDEN / f"{NAME}.json").read_text())["cases"]}
    model = load()
    assert (model.transformer.visual.attn_pool.pos_embed - plane_waves(128, 4)).abs().max() < 1e-2
    for case, messages in CASES.items():
        found = reference(model, question(tokenizer, messages), case)
        assert json.loads(json.dumps(found)) == golden[case], case
    _, pictures, ids = question(tokenizer, CASES["three-images"])
    expected = model(ids, embed(model, pictures))[-1]
    for mistake, change in mistakes(model):
        undo = change()
        moved = float((model(ids, embed(model, pictures))[-1] - expected).abs().max())
        undo()
        print(f"  {NAME} {mistake:34} logits move by {moved:8.4f}")
        assert moved > NOTICED, mistake


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--check", action="store_true", help="only show that the references notice mistakes")
    arguments.add_argument("--search", type=int, help="only try so many seeds")
    arguments = arguments.parse_args()
    tokenizer = make_tokenizer()
    if arguments.check:
        return check(tokenizer)
    if arguments.search:
        return search(tokenizer, arguments.search)
    save(make_model(SEED))
    model = load()
    write(NAME, {
        "models": [NAME], "tile": settings()["visual"]["image_size"], "image_mean": MEAN, "image_std": STD,
        "vocabulary": settings()["vocab_size"], "hidden_size": settings()["hidden_size"],
        "cases": [reference(model, question(tokenizer, messages), case) for case, messages in CASES.items()]})


if __name__ == "__main__":
    main()
