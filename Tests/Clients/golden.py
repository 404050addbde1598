"""The reference's answers, as far as they can be asked for over HTTP."""

import json

from vireo_server import FIXTURES, IMAGES

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
