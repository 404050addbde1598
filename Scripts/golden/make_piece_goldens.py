"""Trains small SentencePiece models, writes them in every form, and what the libraries make of many texts.

Writes Tests/Fixtures/pieces: `*.model` (SentencePiece), `*.json` (the same models and others as `tokenizers` has them),
`tiny.tiktoken`, and `goldens.json` with hashes as in make_tokenizer_goldens.py. The texts are every second one of
Tests/Fixtures/tokenizers/texts.json and those listed in the golden file.
"""

import base64
import io
import json
import re
import unicodedata

import sentencepiece
import tiktoken
from fixture_tokenizer import QWEN2_SPLIT, training_text
from make_tokenizer_goldens import TESTS, add, byte_level, fnv, of_ids, packed, sequences, split, template, train
from tokenizer_texts import CODE, SENTENCES
from tokenizers import Tokenizer, decoders, pre_tokenizers

FOLDER = TESTS / "Fixtures" / "pieces"
SPACE = "\u2581"
TEXTS = [
    SPACE, SPACE * 2, f"a{SPACE}b", f" {SPACE} ", "<0x0A>", "<0xE4>", "<s>", " <s> ", "<s></s>", "a<s>b", "<s> a", "a </s>b <unk> c", "</s> </s>",
    "[INST] a [/INST]", "  [INST]  ", "\uff21\uff22 \ufb01x", "\u2460 e\u0301e\u0323\u0301", "\u3000a\u3000", "\u3000", "\u00ad\u00ad", "x\u00ad y", "word words wor wo",
    "caf\u00e9 cafe\u0301", "  word  word ", "\u33ff\u337f", "hello\u200d", "\U0001f600\U0001f600", "\u0e01\u0e33", " \u00a0 ", "a  b   c    d",
]
RULES = [
    ("\uff21", "A"), ("\uff22", "B"), ("\ufb01", "fi"), ("\u2460", "1"), ("e\u0301", "\u00e9"), ("\u3000", " "), ("\u00a0", " "), ("\u00ad", ""), ("\u337f", "\u682a\u5f0f \u4f1a\u793e"),
    ("\t", " "), ("\n", " "), ("A", "a"), ("\u0301", ""), ("e\u0323\u0301", "\u1eb9"), ("\U0001f600", ":) "),
]


def trained(name, **options):
    """Trains a SentencePiece model and writes it."""
    lines = [line for number, text in enumerate(training_text()) if number % 8 == 0 for line in text.split("\n") if line.strip()]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*lines, *SENTENCES * 4, *CODE * 3]), model_writer=model, num_threads=1, minloglevel=2, hard_vocab_limit=False, **options)
    path = FOLDER / f"{name}.model"
    path.write_bytes(model.getvalue())
    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def make_models():
    """A Llama-like model, and one with kept symbols and a map of characters, both ways; one that adds no space."""
    rules = FOLDER / "rules.tsv"
    spell = lambda text: " ".join(f"{ord(letter):X}" for letter in text)
    rules.write_text("".join(f"{spell(old)}\t{spell(new)}\n" for old, new in RULES))
    llama = {"byte_fallback": True, "split_digits": True, "normalization_rule_name": "identity", "remove_extra_whitespaces": False,
             "allow_whitespace_only_pieces": True, "character_coverage": 0.99}
    symbols = {"user_defined_symbols": ["<left>", "word", "wor", "caf\u00e9"], "control_symbols": ["[INST]"], "normalization_rule_tsv": str(rules),
               "character_coverage": 0.995, "split_by_whitespace": False}
    models = {
        "bpe": trained("bpe", model_type="bpe", vocab_size=800, **llama), "unigram": trained("unigram", model_type="unigram", vocab_size=800, **llama),
        "bpe-symbols": trained("bpe-symbols", model_type="bpe", vocab_size=600, **symbols),
        "unigram-symbols": trained("unigram-symbols", model_type="unigram", vocab_size=600, **symbols),
        "unigram-bare": trained("unigram-bare", model_type="unigram", vocab_size=500, character_coverage=0.98, normalization_rule_name="identity", add_dummy_prefix=False),
    }
    rules.unlink()
    return models


def bpe(processor, **options):
    """The JSON of a `tokenizers` model with the processor's pieces, its merges in the order of their scores."""
    pieces = {processor.id_to_piece(number): number for number in range(processor.get_piece_size())}
    merges = []
    for piece, number in pieces.items():
        if processor.is_control(number) or processor.is_unknown(number) or processor.is_byte(number):
            continue
        parts = [(piece[:cut], piece[cut:]) for cut in range(1, len(piece)) if piece[:cut] in pieces and piece[cut:] in pieces]
        merges += [(-processor.get_score(number), pair) for pair in sorted(parts, key=lambda pair: (pieces[pair[0]], pieces[pair[1]]))]
    merges = [list(pair) for _, pair in sorted(merges, key=lambda merge: merge[0])]
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": True,
             "byte_fallback": True, "ignore_merges": False, "vocab": pieces, "merges": merges}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
            "post_processor": None, "decoder": None, "model": {**model, **options}}


def unigram(processor, **options):
    """The JSON of a `tokenizers` Unigram model with the processor's pieces."""
    vocabulary = [[processor.id_to_piece(number), processor.get_score(number)] for number in range(processor.get_piece_size())]
    model = {"type": "Unigram", "unk_id": processor.unk_id(), "vocab": vocabulary, "byte_fallback": False}
    return {**bpe(processor), "model": {**model, **options}}


def special(content):
    """Adds Llama's special tokens, the first of them before every text."""
    vocabulary = content["model"]["vocab"]
    if isinstance(vocabulary, list):
        content["model"]["vocab"] = {piece: number for number, (piece, _) in enumerate(vocabulary)}
    for text in ["<unk>", "<s>", "</s>"]:
        add(content, text)
    content["model"]["vocab"] = vocabulary
    content["post_processor"] = template(content, ["<s>"])
    return content


def replace(old, new):
    return {"type": "Replace", "pattern": {"String": old}, "content": new}


def sequence(kind, *steps):
    return {"type": "Sequence", kind: list(steps)}


def metaspace(scheme, splits):
    return {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": splits}


FUSE = [{"type": "ByteFallback"}, {"type": "Fuse"}]
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}


def make_files(models):
    """Tokenizers in JSON, each with other stages."""
    space = replace(SPACE, " ")
    llama = special(bpe(models["bpe"]))
    llama["normalizer"] = sequence("normalizers", {"type": "Prepend", "prepend": SPACE}, replace(" ", SPACE))
    llama["decoder"] = sequence("decoders", space, *FUSE, STRIP)
    add(llama, "word", special=False, normalized=True, single_word=True)

    first = special(bpe(models["bpe"]))
    first["pre_tokenizer"] = metaspace("first", False)
    first["decoder"] = sequence("decoders", space, *FUSE, STRIP)
    add(first, "<left>", lstrip=True)
    add(first, "<right>", rstrip=True, special=False)

    always = special(bpe(models["bpe"], byte_fallback=False, fuse_unk=False))
    always["pre_tokenizer"] = metaspace("always", True)
    always["decoder"] = metaspace("always", True)
    add(always, "<both>", lstrip=True, rstrip=True, special=False, normalized=True)

    lower = bpe(models["bpe"], ignore_merges=True)
    lower["normalizer"] = sequence("normalizers", {"type": "Strip", "strip_left": True, "strip_right": True}, {"type": "NFC"}, {"type": "Lowercase"}, replace(" ", SPACE))
    lower["decoder"] = sequence("decoders", space, *FUSE)

    pieces = special(unigram(models["unigram"], byte_fallback=True))
    pieces["normalizer"] = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
    pieces["pre_tokenizer"] = metaspace("always", True)
    pieces["decoder"] = sequence("decoders", space, *FUSE, STRIP)

    words = special(unigram(models["unigram-symbols"]))
    words["pre_tokenizer"] = sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace("first", True))
    words["decoder"] = metaspace("first", True)

    # Few bytes have a token, merges cross the space mark, and one makes a special token.
    names = ["<unk>", "a", "b", "c", SPACE, "ab", f"b{SPACE}", f"b{SPACE}a", "abc", "<0xC3>", "<0xA9>", "<0x0A>", "<", "s", ">", "<s", "<s>"]
    few = bpe(models["bpe"], vocab={name: number for number, name in enumerate(names)},
              merges=[["b", SPACE], [f"b{SPACE}", "a"], ["a", "b"], ["ab", "c"], ["<", "s"], ["<s", ">"]])
    few["normalizer"] = replace(" ", SPACE)
    few["decoder"] = sequence("decoders", space, *FUSE)
    add(few, "<s>")
    return {"llama": llama, "first": first, "always": always, "lower": lower, "unigram": pieces, "words": words, "few": few}


def record(path, sample, limit, parse, plain, frame, decode, random_ids, example="The quick brown fox"):
    """The golden answers for a file."""
    parsed = [parse(text) for text in sample]
    hashes = lambda sequences: packed(fnv(decode(ids).encode()) for ids in sequences)
    return {
        "files": [str(path.relative_to(TESTS.parent))], "vocabularyCount": limit, "example": {"text": example, "ids": parse(example)},
        "parsed": packed(map(of_ids, parsed)), "plain": packed(of_ids(plain(text)) for text in sample),
        "framed": packed(of_ids(frame(text)) for text in sample[:400]), "decoded": hashes(parsed),
        "random": "", "randomWithoutSpecial": hashes(random_ids),
    }


def without_special(content):
    """The same tokenizer whose model cannot make a special token: `tokenizers` lets it, even where they are not parsed."""
    names = {token["content"] for token in content["added_tokens"] if token["special"]}
    model = content["model"]
    if model["type"] == "Unigram":
        model["vocab"] = [["\U0010fffd" * 9 + piece if piece in names else piece, score] for piece, score in model["vocab"]]
    else:
        model["merges"] = [merge for merge in model["merges"] if "".join(merge) not in names]
    return content


def golden_json(path, sample):
    """What `tokenizers` makes; of bytes in random ids only ASCII, since it gives up a whole run with an ill-formed character."""
    tokenizer = Tokenizer.from_file(str(path))
    content = json.loads(path.read_text(encoding="utf-8"))
    plainly = Tokenizer.from_str(json.dumps(without_special(content)))
    plainly.encode_special_tokens = True
    ids = lambda tokenizer, text, add: tokenizer.encode(text, add_special_tokens=add).ids
    limit = 1 + max(tokenizer.get_vocab().values())
    joins = "ByteFallback" in json.dumps(content["decoder"])
    high = {number for token, number in tokenizer.get_vocab().items() if joins and re.fullmatch("<0x[89A-F].>", token)}
    random_ids = [[number for number in numbers if number not in high] for numbers in sequences(400, limit)]
    return record(
        path, sample, limit, lambda text: ids(tokenizer, text, False), lambda text: ids(plainly, text, False), lambda text: ids(tokenizer, text, True),
        lambda numbers: tokenizer.decode(numbers, skip_special_tokens=True), random_ids)


def golden_model(path, processor, sample):
    """What `sentencepiece` makes, text by text between the special tokens."""
    limit = processor.get_piece_size()
    tokens = {processor.id_to_piece(number): number for number in range(limit) if processor.is_control(number) or processor.is_unknown(number)}
    pattern = re.compile("(" + "|".join(map(re.escape, tokens)) + ")")

    def parse(text):
        parts = [part for part in pattern.split(text) if part]
        return [number for part in parts for number in ([tokens[part]] if part in tokens else processor.encode(part))]

    return record(
        path, sample, limit, parse, processor.encode, lambda text: [1, *parse(text)],
        lambda numbers: processor.decode([number for number in numbers if number < limit and number not in tokens.values()]), sequences(400, limit))


def golden_ranks(sample):
    """A small tiktoken file, and what `tiktoken` makes of it."""
    alphabet = {letter: number for number, letter in zip(
        [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100), *range(0x21), *range(0x7F, 0xA1), 0xAD],
        [*map(chr, [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]), *map(chr, range(0x100, 0x144))])}
    vocabulary = train(pre_tokenizers.Sequence([split(QWEN2_SPLIT), byte_level()]), 700)["model"]["vocab"]
    ranks = {bytes(alphabet[letter] for letter in token): number for token, number in vocabulary.items()}
    path = FOLDER / "tiny.tiktoken"
    path.write_text("".join(f"{base64.b64encode(token).decode()} {number}\n" for token, number in ranks.items()))
    tokens = {text: len(ranks) + place for place, text in enumerate(["<s>", "</s>", "[INST]"])}
    encoding = tiktoken.Encoding("tiny", pat_str=QWEN2_SPLIT, mergeable_ranks=ranks, special_tokens=tokens)
    normal = lambda text: unicodedata.normalize("NFC", text)
    parse = lambda text: encoding.encode(normal(text), allowed_special="all")
    limit = len(ranks) + len(tokens)
    return record(
        path, sample, limit, parse, lambda text: encoding.encode_ordinary(normal(text)), parse,
        lambda numbers: encoding.decode([number for number in numbers if number < len(ranks)]), sequences(400, limit))


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    dump = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"
    models = make_models()
    files = make_files(models)
    for name, content in files.items():
        (FOLDER / f"{name}.json").write_text(dump(content), encoding="utf-8")
    # sentencepiece's Python binding takes text as a C string in places, so that none has a zero in it.
    sample = json.loads((TESTS / "Fixtures" / "tokenizers" / "texts.json").read_text(encoding="utf-8"))[::2] + TEXTS
    goldens = [golden_json(FOLDER / f"{name}.json", sample) for name in files]
    goldens += [golden_model(FOLDER / f"{name}.model", processor, sample) for name, processor in models.items()]
    goldens.append(golden_ranks(sample))
    (FOLDER / "goldens.json").write_text(dump({"texts": TEXTS, "goldens": goldens}), encoding="utf-8")
    print(len(sample), "texts,", len(goldens), "tokenizers")


if __name__ == "__main__":
    main()
