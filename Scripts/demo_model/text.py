#!/usr/bin/env python3
"""Lets the untouched SmolLM2 talk to itself, for the plain text that keeps the language model's language.

    python3 text.py --work WORK --count 4096

Half of the questions come from templates over nouns, half are sampled from the model; the answers are sampled from the
model. Writes WORK/text.npz: rows of token ids, padded, with the top bit set on the tokens of the answer.
"""

import argparse
import random
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import data
import smollm2

TEMPLATES = [
    "What is a {}?",
    "Explain what a {} is.",
    "Write a short story about a {}.",
    "Tell me a fact about the {}.",
    "What is a {} used for?",
    "Describe a {} to a child.",
    "Give me three tips about a {}.",
    "Write a poem about a {}.",
    "What colour is a {} usually?",
    "How is a {} made?",
    "What is the difference between a {} and a {}?",
    "Use the word {} in a sentence.",
    "List five words that go with {}.",
    "Where would I find a {}?",
    "Why do people like the {}?",
    "What is the plural of {}?",
    "What is the capital of {}?",
    "What is {} plus {}?",
    "Who are you?",
    "Hello!",
    "Can you help me with my {}?",
    "Write one sentence about {}.",
    "Translate {} into French.",
    "What is the history of the {}?",
    "Write an email about a {}.",
]
COUNTRIES = (
    "France Spain Italy Germany Japan China India Egypt Brazil Canada Mexico Norway Poland Greece Kenya Peru".split()
)
NOUNS = (
    "dog cat horse bird fish tree flower house car boat train bicycle book pen table chair lamp clock phone computer "
    "apple bread cheese egg cake soup river mountain sea city school doctor teacher farmer king song film game ball "
    "shoe hat coat ring key door window garden road bridge star moon sun cloud storm robot rocket castle dragon"
).split()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--work", type=Path, required=True)
    arguments.add_argument("--count", type=int, default=4096)
    arguments.add_argument("--batch", type=int, default=1024)
    options = arguments.parse_args()
    weights = smollm2.weights(smollm2.GGUF(options.work / "SmolLM2-135M-Instruct.Q4_1.gguf"))
    config = LlamaConfig(
        vocab_size=smollm2.VOCABULARY,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
        max_position_embeddings=8192,
    )
    net = LlamaForCausalLM(config)
    net.load_state_dict({"model." + n: torch.from_numpy(w.copy()) for n, w in weights.items()}, strict=False)
    net.tie_weights()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = net.to(device, torch.bfloat16).eval()
    encoder = data.Encoder(str(options.work / "tokenizer.json"))
    rng = random.Random(5)
    torch.manual_seed(5)

    def sampled(prompts, tokens, temperature):
        """Continuations up to and without the end token."""
        longest = max(map(len, prompts))
        ids = torch.tensor([[smollm2.END_OF_TEXT] * (longest - len(p)) + p for p in prompts], device=device)
        mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=device)
        made = net.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=tokens,
            do_sample=True,
            temperature=temperature,
            top_p=0.95,
            top_k=0,
            eos_token_id=smollm2.IM_END,
            pad_token_id=smollm2.END_OF_TEXT,
        )
        for row in made[:, longest:].tolist():
            yield row[: row.index(smollm2.IM_END)] if smollm2.IM_END in row else row

    rows = []
    while len(rows) < options.count:
        systems = [rng.choice(data.SYSTEMS) for _ in range(options.batch)]
        heads = []
        for system in systems:
            head = encoder.prompt("", [], system)
            heads.append(head[: len(head) - len(encoder.prompt("", [])) + 3])
        questions = list(sampled(heads[: options.batch // 2], 40, 1.0))
        for _ in range(options.batch - len(questions)):
            template = rng.choice(TEMPLATES)
            fill = (
                COUNTRIES if "capital" in template else [str(n) for n in range(1, 50)] if "plus" in template else NOUNS
            )
            questions.append(encoder.ids(template.format(rng.choice(fill), rng.choice(fill))))
        tail = encoder.prompt("", [])[3:]
        prompts = [head + question + tail for head, question in zip(heads, questions)]
        for prompt, answer in zip(prompts, sampled(prompts, 130, 0.8)):
            room = data.SHORT - len(prompt) - 1
            if room < 20 or len(answer) < 2:
                continue
            reply = answer[:room] + ([smollm2.IM_END] if len(answer) <= room and len(answer) < 130 else [])
            row = np.zeros(data.SHORT, np.uint32)
            row[: len(prompt)] = prompt
            row[len(prompt) : len(prompt) + len(reply)] = np.array(reply, np.uint32) | 1 << 31
            rows.append(row)
        print(
            len(rows),
            encoder.tokenizer.decode([int(t & 0x7FFFFFFF) for t in rows[-1]])[:200].replace("\n", "|"),
            flush=True,
        )
    np.savez_compressed(options.work / "text.npz", ids=np.stack(rows[: options.count]))


if __name__ == "__main__":
    main()
