"""Makes the tiny text-only Qwen3-MoE checkpoint and its golden references.

    python make_qwen_moe.py [--check]

With --check it writes nothing: check_qwen_moe.py then shows that the committed references notice mistakes.
"""

import argparse
import shutil
from types import SimpleNamespace

import torch
from jinja2.sandbox import ImmutableSandboxedEnvironment
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

import qwen_moe_config
from fixture_paths import FIXTURES, MODELS
from fixture_tokenizer import write_json
from make_qwen_vl import SHARED, decode, write
from make_references import base64_floats
from qwen_vl_models import draw, make_tokenizer, save_tokenizer

NAME = "qwen3-moe"
SEED = "qwen3-moe723"     # Searched for as the others' in qwen_vl_models.py.
AHEAD = 1e-3    # What `choices` must exceed.
CASES = {name: SHARED[name] for name in ("text-only", "non-ascii")}
TEMPLATE = (FIXTURES / "templates" / "qwen3-thinking.jinja").read_text().rstrip("\n")


def make_model(tokenizer, seed):
    """The model with its parameters drawn."""
    config = qwen_moe_config.text_version5(qwen_moe_config.text_settings(tokenizer))
    return draw(Qwen3MoeForCausalLM(Qwen3MoeConfig(**config)).eval(), torch.float16, tokenizer, seed)


def save(model, tokenizer):
    """The folder in the published layout: each expert's three matrices by themselves, a layer in two files."""
    folder = MODELS / NAME
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.to(torch.float16).save_pretrained(folder, max_shard_size="90KB")     # Gives tensors their hub names.
    model.float()
    write_json(folder / "config.json", qwen_moe_config.text_version4(qwen_moe_config.text_settings(tokenizer)))
    save_tokenizer(folder, tokenizer, chat_template=TEMPLATE)
    for file in folder.iterdir():
        file.chmod(0o644)


def load():
    """The committed checkpoint in float32 with plain attention and experts."""
    model = Qwen3MoeForCausalLM.from_pretrained(MODELS / NAME, dtype=torch.float32, attn_implementation="eager").eval()
    model.set_experts_implementation("eager")
    return model


def question(tokenizer, messages):
    """All a forward pass takes for a conversation."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    prompt = environment.from_string(TEMPLATE).render(messages=messages, add_generation_prompt=True)
    return SimpleNamespace(
        prompt=prompt, ids=torch.tensor([tokenizer.encode(prompt, add_special_tokens=False).ids]))


@torch.no_grad()
def forward(model, asked):
    """The prompt's output."""
    return model(input_ids=asked.ids, use_cache=True)


def reference(model, tokenizer, name):
    """The JSON object of one case."""
    asked = question(tokenizer, CASES[name])
    output = forward(model, asked)
    steps = decode(model, output, asked.ids.shape[1], (1, 1))
    return {
        "name": name, "messages": CASES[name], "prompt": asked.prompt, "images": [],
        "input_ids": asked.ids[0].tolist(), "logits": base64_floats(output.logits[0, -1]),
        "greedy_ids": [step["top_ids"][0] for step in steps], "steps": steps}


def choices(model):
    """A list that will hold, for each choice of experts the model then makes, how far the last one chosen is ahead of
    the next, as a part of its probability."""
    found = []

    def look(gate, _, output):
        best = torch.topk(torch.softmax(output[0].float(), -1), gate.top_k + 1).values
        found.extend((1 - best[:, -1] / best[:, -2]).tolist())
    for key, module in model.named_modules():
        if key.endswith("mlp.gate"):
            module.register_forward_hook(look)
    return found


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--check", action="store_true", help="only show that the references notice mistakes")
    if arguments.parse_args().check:
        import check_qwen_moe
        return check_qwen_moe.check()
    tokenizer = make_tokenizer()
    drawn = make_model(tokenizer, SEED)
    save(drawn, tokenizer)
    model = load()
    stored = model.state_dict()
    assert all(torch.equal(stored[key], value) for key, value in drawn.state_dict().items())
    write(NAME, {"models": [NAME], "vocabulary": model.config.vocab_size, "hidden_size": model.config.hidden_size,
                 "cases": [reference(model, tokenizer, case) for case in CASES]})


if __name__ == "__main__":
    main()
