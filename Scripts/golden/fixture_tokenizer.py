"""Trains small byte-level BPE tokenizers and writes them as Hugging Face folders have them.

The pre-tokenizer is Qwen2's: an NFC normalizer, its Split pattern, then ByteLevel without a prefix space. The training
text is the English in the running Python's own library (docstrings), so another Python gives other merges: the scripts
reuse a committed tokenizer unless told to train.
"""

import ast
import json
import sysconfig
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# In the order in which they get their ids, after every ordinary token.
SPECIAL_TOKENS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>",
    "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>", "<video>",
]

# Content is a string or a list of parts; an image part becomes one context mark and a line end.
PARTS_TEMPLATE = """\
{%- for message in messages %}
    {{- '<|im_start|>' ~ message.role ~ '\\n' }}
    {%- if message.content is string %}
        {{- message.content }}
    {%- else %}
        {%- for part in message.content %}
            {%- if part.type == 'image' %}
                {{- '<IMG_CONTEXT>\\n' }}
            {%- elif part.type == 'video' %}
                {{- '<video>\\n' }}
            {%- elif part.type == 'text' %}
                {{- part.text }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

# Content is always a string; `<image>` marks are already in it.
STRING_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def training_text():
    """Docstrings of the standard library's modules, in the order of their file names."""
    library = Path(sysconfig.get_paths()["stdlib"])
    patterns = ("*.py", "email/*.py", "asyncio/*.py")
    for path in (path for pattern in patterns for path in sorted(library.glob(pattern))):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                text = ast.get_docstring(node)
                if text:
                    yield text


def train(entries):
    """A byte-level BPE of `entries` tokens, the special tokens included."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=entries - len(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(training_text(), trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL_TOKENS])
    return tokenizer


def tokenizer_config(tokenizer, max_length, hugging_face_layout):
    """The contents of tokenizer_config.json for one of the two InternVL layouts."""
    config = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(tokenizer.token_to_id(text)): {
                "content": text, "lstrip": False, "normalized": False, "rstrip": False,
                "single_word": False, "special": True,
            } for text in SPECIAL_TOKENS
        },
        "additional_special_tokens": SPECIAL_TOKENS[1:],
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": max_length,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    if hugging_face_layout:
        config["extra_special_tokens"] = {
            "context_image_token": "<IMG_CONTEXT>", "end_image_token": "</img>",
            "start_image_token": "<img>", "video_token": "<video>",
        }
        config.update({key: value for key, value in config["extra_special_tokens"].items()})
        config["processor_class"] = "InternVLProcessor"
    else:
        config["chat_template"] = STRING_TEMPLATE
    return config


def save(tokenizer, folder, max_length, hugging_face_layout):
    """Writes tokenizer.json, tokenizer_config.json and the template; for OpenGVLab also the slow tokenizer's files."""
    content = json.loads(tokenizer.to_str())
    (folder / "tokenizer.json").write_text(
        json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    write_json(folder / "tokenizer_config.json", tokenizer_config(tokenizer, max_length, hugging_face_layout))
    if hugging_face_layout:
        (folder / "chat_template.jinja").write_text(PARTS_TEMPLATE, encoding="utf-8")
        return
    # OpenGVLab's Qwen2 folders hold these and no tokenizer.json; ours hold both, and they agree.
    vocabulary, merges = content["model"]["vocab"], content["model"]["merges"]
    (folder / "vocab.json").write_text(
        json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges), encoding="utf-8")
    write_json(folder / "added_tokens.json", {text: tokenizer.token_to_id(text) for text in SPECIAL_TOKENS})


def write_json(path, value):
    """Writes `value` as indented JSON with a final line end."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
