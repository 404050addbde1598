"""What pictures are made of and cut into: drawings, fonts, words, the names of things, and the model's tiles."""

import io
import json
import zipfile

import numpy as np
from PIL import Image

from words import is_plural

TILE = 224
MOST_TILES = 3  # besides the thumbnail
COLOURS = {
    "red": (215, 35, 35),
    "orange": (245, 140, 25),
    "yellow": (250, 220, 40),
    "green": (40, 160, 60),
    "blue": (40, 85, 215),
    "purple": (130, 50, 170),
    "pink": (250, 130, 180),
    "brown": (125, 75, 40),
    "black": (20, 20, 20),
    "white": (250, 250, 250),
    "gray": (135, 135, 135),
}
SHAPES = [
    "circle",
    "square",
    "triangle",
    "star",
    "heart",
    "diamond",
    "rectangle",
    "oval",
    "pentagon",
    "hexagon",
    "cross",
    "ring",
    "arrow",
    "crescent",
]


def canvas_grid(width, height):
    """(columns, rows) of tiles for a picture of this size, as transformers' get_optimal_tiled_canvas chooses them."""
    ratios = sorted(
        {(i, j) for i in range(1, MOST_TILES + 1) for j in range(1, MOST_TILES + 1) if i * j <= MOST_TILES},
        key=lambda grid: grid[0] * grid[1],
    )
    best, least = (1, 1), float("inf")
    for grid in ratios:
        difference = abs(width / height - grid[0] / grid[1])
        if difference < least:
            best, least = grid, difference
        elif difference == least and width * height > 0.5 * TILE * TILE * grid[0] * grid[1]:
            best = grid
    return best


def tiles_of(picture):
    """The tiles of a picture, with a thumbnail when there are several, as uint8 (tiles, 224, 224, 3)."""
    columns, rows = canvas_grid(*picture.size)
    whole = np.asarray(picture.resize((TILE * columns, TILE * rows), Image.Resampling.BICUBIC))
    tiles = [whole[r * TILE : (r + 1) * TILE, c * TILE : (c + 1) * TILE] for r in range(rows) for c in range(columns)]
    if len(tiles) > 1:
        tiles.append(np.asarray(picture.resize((TILE, TILE), Image.Resampling.BICUBIC)))
    return np.stack(tiles)


def labels_of(picture, cells):
    """What is drawn where, as class numbers (tiles, cells, cells) for the tiles that tiles_of makes; 0 is nothing."""
    columns, rows = canvas_grid(*picture.size)
    whole = np.asarray(picture.labels.resize((cells * columns, cells * rows), Image.Resampling.NEAREST))
    tiles = [
        whole[r * cells : (r + 1) * cells, c * cells : (c + 1) * cells] for r in range(rows) for c in range(columns)
    ]
    if len(tiles) > 1:
        tiles.append(np.asarray(picture.labels.resize((cells, cells), Image.Resampling.NEAREST)))
    return np.stack(tiles).astype(np.int16)


def class_names(drawings):
    """The names of everything that a labelled place of a picture can show; number 0 is nothing."""
    letters = [chr(code) for code in range(33, 127)]
    shapes = [f"{colour} {shape}" for shape in [*SHAPES, "house", "car"] for colour in COLOURS]
    return ["", *letters, *shapes, "green tree", "yellow sun", "moon", *sorted(drawings - {"moon"} - set(letters))]


class Assets:
    """The drawings, fonts and words of one split ("train" or "test")."""

    def __init__(self, folder, split):
        self.pictures = zipfile.ZipFile(f"{folder}/pictures.zip")
        self.entries = [e for e in json.loads(self.pictures.read("index.json")) if e["split"] == split]
        self.data = {e["file"]: self.pictures.read(e["file"]) for e in self.entries}
        archive = zipfile.ZipFile(f"{folder}/fonts.zip")
        self.fonts = [f for f in json.loads(archive.read("index.json")) if f["split"] == split]
        self.font_data = {f["file"]: archive.read(f["file"]) for f in self.fonts}
        families = {}
        for font in self.fonts:
            families.setdefault(font["family"], []).append(font)
        self.families = list(families.values())
        self.words = archive.read("words.txt").decode().split("\n")
        self.sentences = archive.read("sentences.txt").decode().split("\n")
        self.by_name, self.cache = {}, {}
        for entry in self.entries:
            self.by_name.setdefault(entry["name"], []).append(entry)
        self.flags = [e for e in self.entries if e["group"] == "Flags"]
        self.things = [e for e in self.entries if e["group"] != "Flags"]
        self.emoji = [e for e in self.things if e["source"] != "clipart"]
        self.clipart = [e for e in self.things if e["source"] == "clipart"]
        self.simple = [
            e
            for e in self.things
            if len(e["name"].split()) <= 2
            and not is_plural(e["name"])
            and e["kind"] not in ("face", None, "part of the body")
            and not e["name"].endswith("ing")
            and (e["kind"] != "person" or " " not in e["name"])
        ]
        self.words_by_length = {}
        for word in self.words:
            self.words_by_length.setdefault(len(word), []).append(word)
        self.classes = class_names({e["name"] for e in self.entries})
        self.class_of = {name: index for index, name in enumerate(self.classes)}

    def drawing(self, entry):
        if entry["file"] not in self.cache:
            self.cache[entry["file"]] = Image.open(io.BytesIO(self.data[entry["file"]])).convert("RGBA")
        return self.cache[entry["file"]]
