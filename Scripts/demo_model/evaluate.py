#!/usr/bin/env python3
"""Measures the demo model on drawings, fonts and photos that it was not trained on, and prints its scores.

    python3 evaluate.py --packs WORK --sources SOURCES --url http://127.0.0.1:8080
    python3 evaluate.py --packs WORK --sources SOURCES --transformers models/demo

The first form asks a running server over POST /generate, greedily; the second runs transformers. --packs holds what
pack.py wrote, --sources what fetch.sh unpacked (for the Tux Paint photos and the scikit-image pictures). The questions
are drawn with a fixed seed from the held-out split, so that every run asks the same ones.
"""

import argparse
import base64
import io
import json
import re
import time
import urllib.request
from pathlib import Path

from PIL import Image

import smollm2
from assets import COLOURS, SHAPES, Assets, tiles_of
from pack import GENERIC, WordNet
from render import Renderer
from words import NUMBERS, plural

MOST_TOKENS = 60
TEXT_QUESTIONS = [  # with a pattern that a right answer has, where there is one
    ("What is the capital of France?", "paris"),
    ("What is the capital of Japan?", "tokyo"),
    ("What is the capital of Italy?", "rome"),
    ("What colour is the sky on a clear day?", "blue"),
    ("How many days are there in a week?", r"seven|\b7\b"),
    ("What is 2 plus 3?", r"five|\b5\b"),
    ("What do bees make?", "honey"),
    ("Which planet do we live on?", "earth"),
    ("What is the opposite of hot?", "cold"),
    ("What is frozen water called?", r"\bice\b"),
    ("Who wrote Romeo and Juliet?", "shakespeare"),
    ("What is the largest ocean?", "pacific"),
    ("What is the chemical symbol of water?", r"h2o|h₂o"),
    ("How many legs does a spider have?", r"eight|\b8\b"),
    ("Name three fruits.", None),
    ("Write one sentence about the sea.", None),
    ("What is a bicycle?", "wheel|pedal"),
    ("Give me a tip for sleeping well.", None),
    ("What is a library?", "book"),
    ("Hello! Who are you?", None),
]


class Server:
    """Asks a server over POST /generate."""

    def __init__(self, url):
        self.url = url

    def ask(self, question, images):
        prompt = "<|im_start|>user\n" + "<img></img>\n" * len(images) + question + "<|im_end|>\n<|im_start|>assistant\n"
        parts = []
        for image in images:
            data = io.BytesIO()
            image.save(data, "PNG")
            parts.append({"type": "base64", "data": base64.b64encode(data.getvalue()).decode()})
        body = {
            "inputs": prompt,
            "parameters": {"max_new_tokens": MOST_TOKENS, "do_sample": False},
            "multimodal_params": {"images": parts},
        }
        request = urllib.request.Request(
            self.url + "/generate", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=600) as reply:
            return json.load(reply)["generated_text"][0].replace("<|im_end|>", "").strip()


class Transformers:
    """Runs a checkpoint, or the untouched SmolLM2, with transformers on this machine."""

    def __init__(self, folder=None, gguf=None, threads=None):
        import torch
        from tokenizers import Tokenizer

        self.torch = torch
        if threads:
            torch.set_num_threads(threads)
        if gguf:
            from transformers import LlamaConfig, LlamaForCausalLM

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
            )
            self.net = LlamaForCausalLM(config)
            weights = smollm2.weights(smollm2.GGUF(gguf))
            self.net.load_state_dict(
                {"model." + n: torch.from_numpy(w.copy()) for n, w in weights.items()}, strict=False
            )
            self.net.tie_weights()
        else:
            from transformers import InternVLForConditionalGeneration

            self.net = InternVLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        self.net.eval()
        self.tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))

    def ask(self, question, images):
        torch = self.torch
        text = "<|im_start|>user\n"
        pixels = []
        for image in images:
            tiles = torch.from_numpy(tiles_of(image.convert("RGB"))).permute(0, 3, 1, 2).float() / 255
            pixels.append(
                (tiles - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
                / torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
            )
            text += "<img>" + "<IMG_CONTEXT>" * 64 * len(tiles) + "</img>\n"
        text += question + "<|im_end|>\n<|im_start|>assistant\n"
        ids = torch.tensor([self.tokenizer.encode(text, add_special_tokens=False).ids])
        more = {"pixel_values": torch.cat(pixels)} if pixels else {}
        with torch.no_grad():
            made = self.net.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=MOST_TOKENS,
                do_sample=False,
                eos_token_id=[smollm2.IM_END, smollm2.END_OF_TEXT],
                pad_token_id=smollm2.END_OF_TEXT,
                **more,
            )
        return self.tokenizer.decode(made[0, ids.shape[1] :].tolist()).strip()


def words_of(answer):
    """The words of an answer, and their singulars."""
    words = re.findall(r"[a-z]+", answer.lower())
    return set(words) | {w[:-1] for w in words if w.endswith("s")} | {w[:-2] for w in words if w.endswith("es")}


def number_in(answer):
    for word in re.findall(r"[a-z]+|\d+", answer.lower()):
        if word in NUMBERS or word == "zero":
            return max(0, NUMBERS.index(word) if word in NUMBERS else 0)
        if word.isdigit():
            return int(word)
    return None


def scene_questions(renderer, count):
    """(pictures, question, check) about composed scenes: a fifth each of colour, shape, count, and twice a relation."""
    rng, made = renderer.rng, []
    wanted = ["colour", "shape", "count", "relation", "relation"]
    while len(made) < count:
        picture, things, _ = renderer.scene()
        sort = wanted[len(made) % 5]
        numbers = {}
        for thing in things:
            numbers[thing["noun"]] = numbers.get(thing["noun"], 0) + 1
        single = [t for t in things if numbers[t["noun"]] == 1]
        if sort == "colour" and single:
            thing = rng.choice(single)
            made.append(
                (
                    [picture],
                    f"What color is the {thing['noun']}?",
                    lambda a, c=thing["colour"]: words_of(a) & set(COLOURS) == {c},
                )
            )
        elif sort == "shape" and single:
            lone = [t for t in single if sum(o["colour"] == t["colour"] for o in things) == 1]
            if lone:
                thing = rng.choice(lone)
                made.append(
                    (
                        [picture],
                        f"What shape is {thing['colour']}?",
                        lambda a, s=thing["noun"]: words_of(a) & set(SHAPES) == {s},
                    )
                )
        elif sort == "count":
            noun = rng.choice(sorted(numbers))
            many = numbers[noun]
            if many <= 5:
                made.append(([picture], f"How many {plural(noun)} are there?", lambda a, n=many: number_in(a) == n))
        elif sort == "relation" and len(single) > 1:
            a, b = rng.sample(single, 2)
            dx, dy = a["x"] - b["x"], a["y"] - b["y"]
            if max(abs(dx), abs(dy)) < 0.15 or 0.8 < abs(dx) / (abs(dy) + 1e-6) < 1.25:
                continue
            word = ("left" if dx < 0 else "right") if abs(dx) > abs(dy) else "above" if dy < 0 else "below"
            if len(made) % 5 == 3:
                made.append(
                    (
                        [picture],
                        f"Where is the {a['noun']} relative to the {b['noun']}?",
                        lambda x, w=word: words_of(x) & {"left", "right", "above", "below"} == {w},
                    )
                )
            else:
                said = (
                    word
                    if rng.random() < 0.5
                    else {"left": "right", "right": "left", "above": "below", "below": "above"}[word]
                )
                phrase = f"to the {said} of" if said in ("left", "right") else said
                made.append(
                    (
                        [picture],
                        f"Is the {a['noun']} {phrase} the {b['noun']}?",
                        lambda x, yes=said == word: x.lower().startswith("yes" if yes else "no"),
                    )
                )
    return made


def word_questions(renderer, count):
    made = []
    while len(made) < count:
        length = renderer.rng.choice([3, 4, 5, 6, 7, 8])
        word = renderer.rng.choice(renderer.assets.words_by_length[length])
        word = renderer.rng.choice([word.lower(), word.capitalize(), word.upper()])
        sign = renderer.sign([word], font=renderer.font(False))
        if sign:
            made.append(([sign[0]], "Read the text.", lambda a, w=word: a.strip('". ') == w))
    return made


def line_questions(renderer, count):
    """(pictures, question, text): lines of 15 to 36 characters on wide pictures."""
    made, rng = [], renderer.rng
    lines = [s for s in renderer.assets.sentences if 15 <= len(s) <= 36]
    while len(made) < count:
        text = rng.choice(lines)
        sign = renderer.sign([text], size=renderer.size(rng.uniform(2.7, 5)), font=renderer.font(False))
        if sign:
            made.append(([sign[0]], "Read the text.", text))
    return made


def pair_questions(renderer, count):
    made, rng = [], renderer.rng
    while len(made) < count:
        if len(made) % 2 == 0:
            noun = rng.choice(["circle", "square", "triangle", "star", "heart"])
            counts = rng.sample(range(1, 6), 2)
            images = []
            for number in counts:
                for _ in range(30):
                    picture, things, _ = renderer.scene(groups=[(noun, rng.choice(list(COLOURS)), number)])
                    if sum(t["noun"] == noun for t in things) == number == len(things):
                        images.append(picture)
                        break
            if len(images) == 2:
                right = "first" if counts[0] > counts[1] else "second"
                made.append(
                    (
                        images,
                        f"Which picture has more {noun}s?",
                        lambda a, r=right: words_of(a) & {"first", "second", "both"} == {r},
                    )
                )
        else:
            words = [rng.choice(renderer.assets.words_by_length[rng.randint(3, 6)]).lower() for _ in range(2)]
            if words[0] == words[1]:
                continue
            signs = [renderer.sign([word], font=renderer.font(False)) for word in words]
            if None not in signs:
                made.append(
                    (
                        [s[0] for s in signs],
                        "Which word differs?",
                        lambda a, w=words: set(w) <= set(re.findall(r"[a-z]+", a.lower())),
                    )
                )
    return made


def named(words):
    return lambda answer: bool(words_of(answer) & words)


def naming_questions(renderer, pool, count):
    made = []
    for entry in renderer.rng.sample(pool, min(count, len(pool))):
        words = set(entry["words"]) | set(entry["name"].lower().split()) & words_of(entry["name"])
        made.append(
            (
                [renderer.portrait(entry)[0]],
                "What is this?",
                named({w for w in words if w not in ("of", "with", "the")}),
            )
        )
    return made


def tuxpaint_questions(renderer, sources, count):
    """The photos among Tux Paint's stamps, on white, with the nouns of their English captions."""
    wordnet = WordNet(sources / "root/usr/share/wordnet")
    stamps = sources / "root/usr/share/tuxpaint/stamps"
    found = []
    for path in sorted(stamps.rglob("*.png")):
        folder = str(path.relative_to(stamps))
        caption = path.with_suffix(".txt")
        if (
            folder.startswith(("symbols", "space", "seasonal/hanukkah"))
            or "cartoon" in folder
            or "mirror" in path.stem
            or not caption.exists()
        ):
            continue
        text = caption.read_text(encoding="utf-8").split("\n")[0]
        words = {w for w in re.findall(r"[a-z]+", text.lower()) if len(w) > 2 and wordnet.thing(w) and w not in GENERIC}
        words |= {wordnet.singular(w) for w in words}
        if words:
            found.append((path, words))
    made = []
    for path, words in renderer.rng.sample(found, min(count, len(found))):
        stamp = Image.open(path).convert("RGBA")
        stamp.thumbnail((400, 400))
        side = round(max(stamp.size) * 1.1)
        picture = Image.new("RGB", (side, side), "white")
        picture.paste(stamp, ((side - stamp.width) // 2, (side - stamp.height) // 2), stamp)
        made.append(([picture], "What is this?", named(words)))
    return made


def distance(a, b):
    """The edit distance of two texts."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--packs", type=Path, required=True)
    arguments.add_argument("--sources", type=Path)
    arguments.add_argument("--url")
    arguments.add_argument("--transformers", type=Path, metavar="FOLDER")
    arguments.add_argument(
        "--untouched", type=Path, metavar="GGUF", help="ask only the text questions, of the untouched SmolLM2"
    )
    arguments.add_argument(
        "--only", nargs="*", help="the parts to run: scenes words lines emoji clipart tuxpaint photos pairs text"
    )
    arguments.add_argument("--count", type=int, default=150, help="questions a part")
    arguments.add_argument("--show", type=int, default=0, help="print this many answers of each part")
    arguments.add_argument("--save", type=Path, help="write the pictures of the answers shown here")
    arguments.add_argument("--threads", type=int)
    options = arguments.parse_args()
    if options.url:
        model = Server(options.url.rstrip("/"))
    else:
        model = Transformers(options.transformers or "models/demo", options.untouched, options.threads)
    renderer = Renderer(Assets(options.packs, "test"), 2026)
    sentences = []

    def part(name, questions, bar, seed):
        if options.only and name not in options.only or options.untouched:
            return
        renderer.rng.seed(seed)
        renderer.noise = type(renderer.noise)(type(renderer.noise.bit_generator)(seed))
        made = questions()
        right, began = 0, time.time()
        for i, (images, question, check) in enumerate(made):
            answer = model.ask(question, images)
            good = check(answer)
            right += good
            if question == "What is this?":
                sentences.append(answer)
            if i < options.show:
                print(f"    {'right' if good else 'WRONG'}  {question}  {answer}", flush=True)
                if options.save:
                    options.save.mkdir(parents=True, exist_ok=True)
                    for j, image in enumerate(images):
                        image.save(options.save / f"{name}-{i:03d}-{j}.png")
        print(
            f"{name:10s} {100 * right / len(made):5.1f} % of {len(made)} right (bar {bar} %); "
            f"{(time.time() - began) / len(made):.2f} s a question",
            flush=True,
        )

    part("scenes", lambda: scene_questions(renderer, options.count), 90, 1)
    part("words", lambda: word_questions(renderer, options.count), 85, 2)
    if (not options.only or "lines" in options.only) and not options.untouched:
        renderer.rng.seed(3)
        wrong = total = exact = 0
        made = line_questions(renderer, options.count // 2)
        for i, (images, question, text) in enumerate(made):
            answer = model.ask(question, images)
            wrong, total = wrong + min(len(text), distance(answer, text)), total + len(text)
            exact += answer == text
            if i < options.show:
                print(f"    {text!r} -> {answer!r}", flush=True)
        print(
            f"lines      {100 * (1 - wrong / total):5.1f} % of characters (bar 90 %), "
            f"{100 * exact / len(made):.1f} % of lines",
            flush=True,
        )
    assets = renderer.assets
    part("emoji", lambda: naming_questions(renderer, assets.emoji, options.count), 50, 4)
    part("clipart", lambda: naming_questions(renderer, assets.clipart, options.count), 50, 5)
    if options.sources:
        part("tuxpaint", lambda: tuxpaint_questions(renderer, options.sources, options.count), 35, 6)
    part("pairs", lambda: pair_questions(renderer, options.count), 70, 7)
    if sentences:
        fluent = sum(
            bool(re.fullmatch(r"(This|These|It|The) (is|are|picture|\w+ (is|are)) [^.\n]{2,120}\.", s))
            for s in sentences
        )
        print(
            f"sentences  {100 * fluent / len(sentences):5.1f} % of the answers to "
            f'"What is this?" are one whole sentence'
        )
    if options.sources and (not options.only or "photos" in options.only) and not options.untouched:
        for path in sorted((options.sources / "skimage/skimage/data").glob("*.*")):
            if path.stem in (
                "astronaut",
                "camera",
                "chelsea",
                "coffee",
                "coins",
                "hubble_deep_field",
                "page",
                "rocket",
                "text",
                "clock_motion",
                "brick",
                "grass",
                "cat",
                "motorcycle_left",
                "logo",
                "moon",
            ):
                print(f"    {path.name}: {model.ask('What is this?', [Image.open(path).convert('RGB')])}", flush=True)
    if not options.only or "text" in options.only:
        right = 0
        for question, pattern in TEXT_QUESTIONS:
            answer = model.ask(question, [])
            good = pattern is None or bool(re.search(pattern, answer.lower()))
            right += good and pattern is not None
            print(
                f"    {'      ' if pattern is None else 'right ' if good else 'WRONG '} {question}  {answer!r}",
                flush=True,
            )
        print(f"text       {right} of {sum(p is not None for _, p in TEXT_QUESTIONS)} questions with one right answer")


if __name__ == "__main__":
    main()
