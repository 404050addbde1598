#!/usr/bin/env python3
"""Lets the untouched SmolLM2 talk to itself, for the plain text that keeps the language model's language.

    python3 text.py --work WORK --count 4096 [--sources SOURCES --definitions 2048]

Half of the questions come from templates over nouns, half are sampled from the model; the answers are sampled from the
model. Definitions from WordNet can be added; what the model would say there is learned too, by its distribution. The
questions that evaluate.py asks are left out. Writes WORK/text.npz after every batch: rows of token ids, padded,
with the top bit set on the tokens of the answer.
"""

import argparse
import random
import re
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import data
import smollm2
from evaluate import TEXT_QUESTIONS
from pack import WordNet
from words import article

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
FACTS = {  # short questions with short answers
    "What is the capital of {}?": "Spain Germany China India Egypt Brazil Canada Mexico Norway Poland Greece Kenya Peru",
    "What is the opposite of {}?": "big fast old rich light happy wet strong early open full loud high hard near good",
    "What colour is {}?": "grass snow blood coal milk chocolate sand gold a_banana a_carrot a_tomato an_elephant",
    "What do {} eat?": "cows lions horses rabbits birds pandas sharks frogs cats monkeys owls mice sheep whales",
    "What do {} give us?": "cows sheep hens trees goats silkworms oysters",
    "How many legs does {} have?": "a_dog a_bird an_ant a_crab a_horse a_chair a_beetle an_octopus a_snake a_person",
    "How many {} are there in a year?": "days weeks months seasons",
    "How many {} are there in an hour?": "minutes seconds",
    "Who wrote {}?": "Hamlet Don_Quixote Oliver_Twist War_and_Peace The_Odyssey Moby_Dick Frankenstein Faust 1984",
    "Who painted {}?": "the_Mona_Lisa The_Starry_Night Guernica The_Scream The_Last_Supper",
    "What is the largest {}?": "animal planet country desert lake island continent bird mammal city",
    "What is the smallest {}?": "planet country bird ocean continent prime_number",
    "What is the chemical symbol of {}?": "gold silver iron oxygen carbon salt helium copper hydrogen lead",
    "What is {} made of?": "glass paper bread steel a_candle wine cheese a_shirt a_diamond a_cloud a_pencil",
    "What is a baby {} called?": "dog cat cow sheep horse goat bear kangaroo swan lion frog",
    "Which planet is {}?": "the_closest_to_the_sun the_largest known_for_its_rings called_the_red_planet",
    "In which country is {}?": "London Berlin Madrid Cairo Sydney Toronto Moscow Mumbai the_Eiffel_Tower Mount_Fuji",
    "Name three {}.": "animals colours countries planets vegetables cities birds tools drinks sports flowers",
    "What is {} plus two?": "one three four five six seven eight",
    "What does a {} do?": "teacher baker pilot farmer doctor clock fridge compass painter plumber judge nurse",
    "What is {}?": "a_car a_hospital a_museum a_guitar a_volcano a_desert a_bakery a_passport gravity steam rain winter",
}
COUNTRIES = (
    "France Spain Italy Germany Japan China India Egypt Brazil Canada Mexico Norway Poland Greece Kenya Peru".split()
)
NOUNS = (
    "dog cat horse bird fish tree flower house car boat train bicycle book pen table chair lamp clock phone computer "
    "apple bread cheese egg cake soup river mountain sea city school doctor teacher farmer king song film game ball "
    "shoe hat coat ring key door window garden road bridge star moon sun cloud storm robot rocket castle dragon"
).split()


def plain(text):
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


ASKED = {plain(question) for question, _ in TEXT_QUESTIONS}


def packed(ids, mask):
    """A row of token ids with the top bit set on the tokens of the answers."""
    return np.array(ids, np.uint32) | np.array(mask, np.uint32) << 31


def definitions(folder, encoder, rng, count):
    """Rows of conversations about what common nouns mean, four to a row where they fit."""
    wordnet = WordNet(folder)
    glosses = {
        line.split()[0]: line.split(" | ")[1].split(";")[0].strip()
        for line in open(folder / "data.noun", encoding="latin-1")
        if not line.startswith("  ")
    }
    turns = []
    for noun in sorted(wordnet.common & set(wordnet.index)):
        gloss = glosses[wordnet.index[noun][0]]
        name = noun.replace("_", " ")
        if not re.fullmatch(r"(an?|the) [A-Za-z ,'-]{15,110}", gloss) or not re.fullmatch(r"[a-z]{3,20}", name):
            continue
        thing = article(name)
        for form in ("What is {}?", "Explain what {} is.", "Define {}."):
            turns.append((form.format(thing), f"{thing[0].upper()}{thing[1:]} is {gloss}."))
    turns = [turn for turn in turns if plain(turn[0]) not in ASKED]
    rng.shuffle(turns)
    print(len(turns), "definitions")
    rows = (
        encoder.sample(turns[at : at + 4], [], rng.choice(data.SYSTEMS), data.SHORT) for at in range(0, 4 * count, 4)
    )
    return [packed(*row) for row in rows if row]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--work", type=Path, required=True)
    arguments.add_argument("--count", type=int, default=4096)
    arguments.add_argument("--sources", type=Path, help="the folder that fetch.sh filled, for --definitions")
    arguments.add_argument("--definitions", type=int, default=0, help="rows of definitions from WordNet")
    arguments.add_argument("--batch", type=int, default=1024)
    arguments.add_argument("--facts", type=float, default=0.5, help="the share of FACTS among the templates")
    arguments.add_argument("--longest", type=int, default=130, help="tokens of an answer")
    arguments.add_argument("--seed", type=int, default=5)
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
    rng = random.Random(options.seed)
    torch.manual_seed(options.seed)

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
    if options.definitions:
        rows = definitions(options.sources / "root/usr/share/wordnet", encoder, rng, options.definitions)
    options.count += len(rows)
    while len(rows) < options.count:
        systems = [rng.choice(data.SYSTEMS) for _ in range(options.batch)]
        heads = []
        for system in systems:
            head = encoder.prompt("", [], system)
            heads.append(head[: len(head) - len(encoder.prompt("", [])) + 3])
        questions = list(sampled(heads[: options.batch // 2], 40, 1.0))
        for _ in range(options.batch - len(questions)):
            if rng.random() < options.facts:
                template = rng.choice(list(FACTS))
                questions.append(encoder.ids(template.format(rng.choice(FACTS[template].split()).replace("_", " "))))
                continue
            template = rng.choice(TEMPLATES)
            fill = (
                COUNTRIES if "capital" in template else [str(n) for n in range(1, 50)] if "plus" in template else NOUNS
            )
            questions.append(encoder.ids(template.format(rng.choice(fill), rng.choice(fill))))
        tail = encoder.prompt("", [])[3:]
        prompts = [head + question + tail for head, question in zip(heads, questions)]
        for prompt, question, answer in zip(prompts, questions, sampled(prompts, options.longest, 0.8)):
            room = data.SHORT - len(prompt) - 1
            text = plain(encoder.tokenizer.decode(question))
            if room < 20 or len(answer) < 2 or any(known in text for known in ASKED):
                continue
            reply = answer[:room] + ([smollm2.IM_END] if len(answer) <= room and len(answer) < options.longest else [])
            rest = [0] * (data.SHORT - len(prompt) - len(reply))
            rows.append(packed(prompt + reply + rest, [0] * len(prompt) + [1] * len(reply) + rest))
        np.savez_compressed(options.work / "part.npz", ids=np.stack(rows[: options.count]))
        (options.work / "part.npz").replace(options.work / "text.npz")
        print(
            len(rows),
            encoder.tokenizer.decode([int(t & 0x7FFFFFFF) for t in rows[-1]])[:200].replace("\n", "|"),
            flush=True,
        )


if __name__ == "__main__":
    main()
