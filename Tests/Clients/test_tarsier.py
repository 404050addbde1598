"""Tarsier2 over HTTP: Qwen2-VL's fixture in Tarsier's layout gives the reference's tokens."""

import json
import shutil
import struct

import pytest

from golden import check_answer, conversations
from vireo_server import FIXTURES, Server, ids

PLAIN = FIXTURES / "models" / "qwen2-vl"
CASES = conversations("qwen2-vl")


def renamed(name):
    """What Tarsier calls one of Qwen2-VL's tensors."""
    return name.replace("visual.", "vision_tower.", 1) if name.startswith("visual.") else f"language_model.{name}"


def write_layout(folder):
    """Qwen2-VL's fixture as Tarsier's files have it, the tensors in their old places."""
    for file in PLAIN.iterdir():
        if file.suffix == ".safetensors":
            content = file.read_bytes()
            length = struct.unpack("<Q", content[:8])[0]
            header = {name if name == "__metadata__" else renamed(name): entry
                      for name, entry in json.loads(content[8:8 + length]).items()}
            written = json.dumps(header).encode()
            (folder / file.name).write_bytes(struct.pack("<Q", len(written)) + written + content[8 + length:])
        elif file.name == "model.safetensors.index.json":
            index = json.loads(file.read_text())
            index["weight_map"] = {renamed(name): part for name, part in index["weight_map"].items()}
            (folder / file.name).write_text(json.dumps(index))
        else:
            shutil.copy(file, folder)
    text = json.loads((PLAIN / "config.json").read_text())
    vision = {"model_type": "qwen2_vl", **text.pop("vision_config")}
    text.update(model_type="qwen2_vl", architectures=["Qwen2VLForCausalLM"])
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["TarsierForConditionalGeneration"], "model_type": "llava", "image_token_index": 693,
        "projection_head": None, "text_config": text, "vision_config": vision, "torch_dtype": "float16"}))


@pytest.fixture(scope="module")
def tarsier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tarsier2")
    write_layout(folder)
    with Server(folder, folder / "server.log", "--device", "cpu", "--data_type", "float32") as running:
        yield running
        assert running.stop() == 0, running.log()


@pytest.mark.parametrize("each", CASES, ids=lambda each: each["name"])
def test_the_answer_is_the_references(tarsier, each):
    check_answer(tarsier, each)
