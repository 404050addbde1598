"""What `make_qwen_moe.py --check` does: proves that the golden references of Qwen3-MoE would notice mistakes.

Also compares the experts in both folders' files with what the models compute with, and both spellings of the config,
the tokenizer's prompts and `generate` with transformers'.
"""

import json

import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, Qwen3MoeConfig

import make_qwen_moe
import qwen_moe_config
import qwen_moe_mistakes
import qwen_vl_models
from check_qwen_vl import compare_spellings, report
from check_references import floats
from fixture_paths import GOLDEN, MODELS
from make_qwen_moe import AHEAD, CASES, NAME, choices, forward, load, question
from make_references import STEPS
from qwen_vl_models import make_tokenizer


def tensors(name):
    """All tensors in a folder's files, in float32."""
    return {key: tensor.float() for file in sorted((MODELS / name).glob("*.safetensors"))
            for key, tensor in load_file(file).items()}


def check_experts(name, model):
    """The experts of a layer, computed with from the files alone, give what the model does; prints their shapes."""
    stored, states, seen = tensors(name), torch.linspace(-1, 1, 7 * model.config.get_text_config().hidden_size), []
    states = states.view(7, -1).sin()
    for key, module in model.named_modules():
        if not key.endswith("mlp.experts"):
            continue
        seen.append(key)
        for expert in range(module.num_experts):
            if name == NAME:
                gate, up, down = (stored[f"{key}.{expert}.{part}_proj.weight"].T for part in ("gate", "up", "down"))
            else:
                gate, up = stored[f"{key}.gate_up_proj"][expert].chunk(2, 1)
                down = stored[f"{key}.down_proj"][expert]
            ours = (torch.nn.functional.silu(states @ gate) * (states @ up)) @ down
            made = module(states, torch.full((7, 1), expert), torch.ones(7, 1))
            assert (ours - made).abs().max() < 1e-5, (key, expert)
    first = seen[0].removesuffix("experts")
    shown = {key.removeprefix(first): list(tensor.shape) for key, tensor in stored.items()
             if key.startswith((f"{first}gate.", f"{first}experts.0.", f"{first}experts.gate", f"{first}experts.down"))}
    print(f"  {name}: experts in {len(seen)} layers are as stored; {shown}")


@torch.no_grad()
def check_model(tokenizer):
    """Prints what every mistake does to both cases; ends on one that nothing would notice."""
    golden, model = json.loads((GOLDEN / f"{NAME}.json").read_text())["cases"], load()
    published, ahead = AutoTokenizer.from_pretrained(MODELS / NAME), choices(model)
    assert [case["name"] for case in golden] == list(CASES)
    for case in golden:
        asked = question(tokenizer, case["messages"])
        assert asked.ids[0].tolist() == case["input_ids"]
        assert published.apply_chat_template(
            case["messages"], add_generation_prompt=True, tokenize=False) == case["prompt"]
        assert published(case["prompt"])["input_ids"] == case["input_ids"]
        assert (forward(model, asked).logits[0, -1] - floats(case["logits"])).abs().max() < 1e-5
        made = model.generate(asked.ids, attention_mask=torch.ones_like(asked.ids), do_sample=False,
                              max_new_tokens=STEPS, min_new_tokens=STEPS, eos_token_id=[])
        assert made[0, -STEPS:].tolist() == case["greedy_ids"]
    assert min(ahead) > AHEAD, "a near tie between experts"
    print(f"  {NAME}: {len(CASES)} cases decode as transformers' generate does")
    for case in golden:
        asked = question(tokenizer, case["messages"])
        for mistake, change in qwen_moe_mistakes.text_mistakes():
            fresh = load()
            change(fresh, asked)
            report(NAME, f"{case['name']}: {mistake}", forward(fresh, asked).logits[0, -1], floats(case["logits"]))


@torch.no_grad()
def check():
    """All checks."""
    tokenizer = make_tokenizer()
    text = qwen_moe_config.text_settings(tokenizer)
    compare_spellings(NAME, [Qwen3MoeConfig.from_pretrained(MODELS / NAME)] + [
        Qwen3MoeConfig(**spelling(text)) for spelling in (
            qwen_moe_config.text_version4, qwen_moe_config.text_version5)])
    check_experts(NAME, make_qwen_moe.load())
    check_experts("qwen3-vl-moe", qwen_vl_models.load("qwen3-vl-moe"))
    check_model(tokenizer)
