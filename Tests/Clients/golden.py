"""The reference's answers, as far as they can be asked for over HTTP."""

import base64
import json

from vireo_server import FIXTURES, IMAGES, ids

DEFAULT_MAX_TILES = 12


class Case:
    """A conversation, its pictures and the 32 tokens that the reference answers greedily."""

    def __init__(self, record):
        self.name = record["name"]
        self.prompt = record["opengvlab_prompt"]
        self.messages = record["messages"]
        self.files = [image["file"] for image in record["images"]]
        self.images = [(IMAGES / file).read_bytes() for file in self.files]
        self.max_tiles = record["tiling"].get("max_tiles", DEFAULT_MAX_TILES)
        self.prompt_tokens = len(record["input_ids"])
        self.greedy_ids = record["greedy_ids"]

    def parameters(self):
        """Parameters of /generate that ask for the reference's tokens."""
        return {
            "max_new_tokens": len(self.greedy_ids), "ignore_eos": True, "do_sample": False, "return_details": True,
            "image_max_patch_num": self.max_tiles}


def cases():
    """All cases; a request cannot turn the thumbnail off, so those without one are left out."""
    records = json.loads((FIXTURES / "golden" / "internvl-qwen2.json").read_text())["cases"]
    return [Case(record) for record in records if record["tiling"].get("thumbnail", True)]


def case(name):
    """The case of that name."""
    return next(each for each in cases() if each.name == name)


def conversations(name):
    """The conversations of a family's checkpoint, as they stand in its file."""
    return json.loads((FIXTURES / "golden" / f"{name}.json").read_text())["cases"]


def check_answer(server, each, prompt=None):
    """The native API gives the reference's tokens for `prompt`, by default the conversation's."""
    images = [(IMAGES / image["file"]).read_bytes() for image in each["images"]]
    answer = server.generate(
        prompt or each["prompt"], images, max_new_tokens=32, ignore_eos=True, do_sample=False, return_details=True)
    assert ids(answer) == each["greedy_ids"]
    assert answer["prompt_tokens"] == len(each["input_ids"])


def check_chat(server, name, each):
    """The chat API makes a prompt as long as the reference's."""
    images = iter(each["images"])
    messages = [{**message, "content": message["content"] if isinstance(message["content"], str) else [
        part if part["type"] == "text" else {"type": "image_url", "image_url": {
            "url": "data:image/png;base64," + base64.b64encode(
                (IMAGES / next(images)["file"]).read_bytes()).decode()}}
        for part in message["content"]]} for message in each["messages"]]
    answer = server.post("/v1/chat/completions", {"model": name, "messages": messages, "max_tokens": 1})
    assert answer.status_code == 200, answer.text
    assert answer.json()["usage"]["prompt_tokens"] == len(each["input_ids"])
