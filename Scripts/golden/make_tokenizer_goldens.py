"""Trains small tokenizers with the published pipelines and writes what `tokenizers` makes of many texts.

Writes Tests/Fixtures/tokenizers: the tokenizers, `texts.json`, and `goldens.json` with a 32-bit hash for each text
and tokenizer (FNV-1a over the ids as little-endian bytes, or over the decoded UTF-8).
"""

import base64
import json
from pathlib import Path

from fixture_tokenizer import QWEN2_SPLIT, training_text
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizer_texts import SENTENCES, texts

TESTS = Path(__file__).resolve().parents[2] / "Tests"
FOLDER = TESTS / "Fixtures" / "tokenizers"
LLAMA3_SPLIT = QWEN2_SPLIT.replace(r"\p{N}|", r"\p{N}{1,3}|")
MARKS_SPLIT = QWEN2_SPLIT.replace(r"?\p{L}+", r"?[\p{L}\p{M}]+").replace(r"[^\s\p{L}\p{N}]", r"[^\s\p{L}\p{M}\p{N}]")
ADDED = ["<|endoftext|>", "<|im_start|>", "<img>", "</img>", "<IMG_CONTEXT>", "<|begin_of_text|>", "<|eot_id|>", "<left>", " <left>  ",
         "<right>", "  <right> \n", "word", " word ", "words", "<soft>", "<soft><softer>", "<softer>", "caf\u00e9", "cafe\u0301", "\u0120x", "tool\u2581call", "<|",
         "<both>", " <both> "]


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False)


def byte_level(use_regex=False, prefix=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix, trim_offsets=False, use_regex=use_regex)


def train(pre_tokenizer, entries):
    """The JSON of a tokenizer trained with that pre-tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=entries, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    lines = (text for number, text in enumerate(training_text()) if number % 8 == 0)
    tokenizer.train_from_iterator([*lines, *SENTENCES * 4], trainer)
    return json.loads(tokenizer.to_str())


def add(content, text, **flags):
    """Adds a token to a tokenizer's JSON, under the next id unless the vocabulary has it."""
    vocabulary = content["model"]["vocab"]
    free = 1 + max([*vocabulary.values(), *(token["id"] for token in content["added_tokens"])])
    token = {"id": vocabulary.get(text, free), "content": text, "single_word": False, "lstrip": False,
             "rstrip": False, "normalized": False, "special": True}
    content["added_tokens"].append({**token, **flags})
    return content["added_tokens"][-1]["id"]


def template(content, before, after=()):
    """A post-processor that puts tokens round the text."""
    ids = {token["content"]: token["id"] for token in content["added_tokens"]}
    piece = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    text = [{"Sequence": {"id": "A", "type_id": 0}}]
    return {
        "type": "TemplateProcessing", "single": [*map(piece, before), *text, *map(piece, after)],
        "pair": [*text, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in [*before, *after]},
    }


def gpt2():
    """GPT-2: the byte-level pattern, merges as strings, a post-processor that adds nothing."""
    content = train(byte_level(use_regex=True), 900)
    content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
    content["post_processor"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    add(content, "<|endoftext|>", normalized=True)
    return content


def llama3():
    """Llama 3: groups of three digits, whole tokens before merges, a template inside a sequence."""
    content = train(pre_tokenizers.Sequence([split(LLAMA3_SPLIT), byte_level()]), 900)
    content["model"]["ignore_merges"] = True
    for word in ["\u0120unreachable", "hello", "\u0120fox"]:
        content["model"]["vocab"].setdefault(word, len(content["model"]["vocab"]))
    for text in ["<|begin_of_text|>", "<|eot_id|>"]:
        add(content, text)
    content["post_processor"] = {"type": "Sequence", "processors": [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
        template(content, ["<|begin_of_text|>"])]}
    return content


def smollm2():
    """SmolLM2: single digits, then the byte-level pattern; special tokens inside the vocabulary."""
    content = train(pre_tokenizers.Sequence([pre_tokenizers.Digits(True), byte_level(use_regex=True)]), 900)
    content["model"]["vocab"]["<|im_start|>"] = len(content["model"]["vocab"])
    for text in ["<|im_start|>", "<|endoftext|>"]:
        add(content, text)
    return content


def flags():
    """Added tokens of every kind, NFC, grouped digits, a space before every piece, marks that count as letters."""
    content = train(pre_tokenizers.Sequence([pre_tokenizers.Digits(False), split(MARKS_SPLIT), byte_level(prefix=True)]), 600)
    content["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFC"}]}
    for text, options in [
        ("<|endoftext|>", {}), ("<left>", {"lstrip": True}), ("<right>", {"rstrip": True}),
        ("<both>", {"lstrip": True, "rstrip": True, "special": False, "normalized": True}),
        ("word", {"single_word": True, "special": False, "normalized": True}), ("<soft>", {"special": False}),
        ("<soft><softer>", {}), ("<softer>", {"special": False, "normalized": True}), ("cafe\u0301", {"special": False, "normalized": True}),
        ("\u0120x", {"special": False}), ("tool\u2581call", {}), ("<|", {"single_word": True}),
    ]:
        add(content, text, **options)
    content["post_processor"] = template(content, ["<left>", "<soft>"], ["<|endoftext|>"])
    return content


def sparse():
    """A vocabulary without most bytes, with a token for the unknown and repeated merges."""
    vocabulary = {text: number for number, text in enumerate(["<unk>", "a", "b", "c", "\u0120", "e", "ab", "abc", "bc", "\u0120a", "aa", "aaaa"])}
    merges = [["a", "b"], ["b", "c"], ["ab", "c"], ["\u0120", "a"], ["a", "a"], ["aa", "aa"], ["a", "b"], ["a", "bc"]]
    stage = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": stage, "post_processor": None, "decoder": stage,
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": "", "end_of_word_suffix": "",
                  "fuse_unk": True, "byte_fallback": False, "ignore_merges": False, "vocab": vocabulary, "merges": merges},
    }


def fnv(data):
    """FNV-1a, 32 bits."""
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def packed(hashes):
    """Hashes as base64 of little-endian words."""
    return base64.b64encode(b"".join(value.to_bytes(4, "little") for value in hashes)).decode()


def of_ids(ids):
    return fnv(b"".join(number.to_bytes(4, "little") for number in ids))


def sequences(count, limit):
    """The same random ids as the tests make (splitmix64), a few beyond the vocabulary."""
    state = 7

    def number():
        nonlocal state
        state = state + 0x9E3779B97F4A7C15 & (1 << 64) - 1
        z = state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
        z = (z ^ z >> 27) * 0x94D049BB133111EB & (1 << 64) - 1
        return z ^ z >> 31

    return [[number() % (limit + 3) for _ in range(number() % 24)] for _ in range(count)]


def golden(paths, sample):
    """The expected answers for tokenizer files of equal content."""
    tokenizer = Tokenizer.from_file(str(paths[0]))
    parsed = [tokenizer.encode(text, add_special_tokens=False).ids for text in sample]
    framed = [tokenizer.encode(text, add_special_tokens=True).ids for text in sample[:400]]
    tokenizer.encode_special_tokens = True
    plain = [tokenizer.encode(text, add_special_tokens=False).ids for text in sample]
    tokenizer.encode_special_tokens = False
    limit = 1 + max(tokenizer.get_vocab().values())
    decode = lambda ids, skip: fnv(tokenizer.decode(ids, skip_special_tokens=skip).encode())
    random_ids = sequences(400, limit)
    return {
        "files": [str(path.relative_to(TESTS.parent)) for path in paths], "vocabularyCount": limit,
        "example": {"text": sample[15], "ids": parsed[15]},
        "parsed": packed(map(of_ids, parsed)), "plain": packed(map(of_ids, plain)), "framed": packed(map(of_ids, framed)),
        "decoded": packed(decode(ids, False) for ids in parsed), "random": packed(decode(ids, False) for ids in random_ids),
        "randomWithoutSpecial": packed(decode(ids, True) for ids in random_ids),
    }


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    dump = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"
    makers = [gpt2, llama3, smollm2, flags, sparse]
    for make in makers:
        (FOLDER / f"{make.__name__}.json").write_text(dump(make()), encoding="utf-8")
    sample = texts(ADDED)
    (FOLDER / "texts.json").write_text(dump(sample), encoding="utf-8")
    files = [FOLDER / f"{make.__name__}.json" for make in makers]
    files += sorted((TESTS / "Fixtures" / "models").glob("*/tokenizer.json"))
    files.append(TESTS.parent / "DemoModel" / "random" / "tokenizer.json")
    groups = {}
    for path in files:
        groups.setdefault(path.read_bytes(), []).append(path)
    (FOLDER / "goldens.json").write_text(dump([golden(paths, sample) for paths in groups.values()]), encoding="utf-8")
    print(len(sample), "texts,", len(groups), "tokenizers")


if __name__ == "__main__":
    main()
