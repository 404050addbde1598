"""Draws the pictures that the demo model is trained and tested on, with questions and answers about them.

Everything is drawn on the fly from drawings.zip-style packs (see pack.py): shapes, emoji drawings, clip art, words and
sentences in many fonts, bar charts and small landscapes. A sample is one or two pictures and some question-answer turns.
"""

import io
import json
import math
import random
import re
import zipfile
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

TILE = 224
MOST_TILES = 3  # besides the thumbnail
NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
COLOURS = {
    "red": (215, 35, 35), "orange": (245, 140, 25), "yellow": (250, 220, 40), "green": (40, 160, 60), "blue": (40, 85, 215),
    "purple": (130, 50, 170), "pink": (250, 130, 180), "brown": (125, 75, 40), "black": (20, 20, 20),
    "white": (250, 250, 250), "gray": (135, 135, 135),
}
SHAPES = ["circle", "square", "triangle", "star", "heart", "diamond", "rectangle", "oval", "pentagon", "hexagon", "cross",
          "ring", "arrow", "crescent"]
MASS = set("cheese bread rice bacon milk water fire snow honey butter salt money wine beer coffee tea sake fog rain "
           "ice fruit food clothing paper furniture corn broccoli garlic ginger lettuce meat spaghetti sushi".split())


@dataclass
class Sample:
    images: list
    turns: list = field(default_factory=list)


def article(noun):
    first = noun.split()[0]
    if re.match(r"(?i)(hour|honest|heir|x-ray)", first) or (noun[0].lower() in "aeiou"
                                                           and not re.match(r"(?i)(uni|use|eu|one|ut|ufo)", first)):
        return "an " + noun
    return "a " + noun


def is_plural(noun):
    last = noun.split(" with ")[0].split(" of ")[0].split()[-1]
    return last.endswith("s") and not last.endswith(("ss", "us", "is", "as", "os")) or last in ("people", "men", "women", "dice")


def noun_phrase(noun):
    if noun.startswith("flag of"):
        return "the " + noun
    if is_plural(noun) or noun.split()[-1] in MASS:
        return noun
    return article(noun)


def plural(noun):
    if is_plural(noun):
        return noun
    head = noun
    if re.search(r"(s|x|z|ch|sh)$", head):
        return head + "es"
    if re.search(r"[^aeiou]y$", head):
        return head[:-1] + "ies"
    for one, many in (("man", "men"), ("foot", "feet"), ("tooth", "teeth"), ("mouse", "mice"), ("leaf", "leaves"),
                      ("fish", "fish"), ("sheep", "sheep"), ("deer", "deer"), ("knife", "knives")):
        if head == one or head.endswith(" " + one):
            return head[:-len(one)] + many
    return head + "s"


def this_is(noun):
    return f"These are {noun}." if is_plural(noun) else f"This is {noun_phrase(noun)}."


def joined(parts):
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def canvas_grid(width, height):
    """(columns, rows) of tiles for a picture of this size, as transformers' get_optimal_tiled_canvas chooses them."""
    ratios = sorted({(i, j) for i in range(1, MOST_TILES + 1) for j in range(1, MOST_TILES + 1) if i * j <= MOST_TILES},
                    key=lambda grid: grid[0] * grid[1])
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
    tiles = [whole[r * TILE:(r + 1) * TILE, c * TILE:(c + 1) * TILE] for r in range(rows) for c in range(columns)]
    if len(tiles) > 1:
        tiles.append(np.asarray(picture.resize((TILE, TILE), Image.Resampling.BICUBIC)))
    return np.stack(tiles)


def labels_of(picture, cells):
    """What is drawn where, as class numbers (tiles, cells, cells) for the tiles that tiles_of makes; 0 is nothing."""
    columns, rows = canvas_grid(*picture.size)
    whole = np.asarray(picture.labels.resize((cells * columns, cells * rows), Image.Resampling.NEAREST))
    tiles = [whole[r * cells:(r + 1) * cells, c * cells:(c + 1) * cells] for r in range(rows) for c in range(columns)]
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
        self.simple = [e for e in self.things if len(e["name"].split()) <= 2 and not is_plural(e["name"])
                       and e["kind"] not in ("face", None, "part of the body") and not e["name"].endswith("ing")
                       and (e["kind"] != "person" or " " not in e["name"])]
        self.words_by_length = {}
        for word in self.words:
            self.words_by_length.setdefault(len(word), []).append(word)
        self.classes = class_names({e["name"] for e in self.entries})
        self.class_of = {name: index for index, name in enumerate(self.classes)}

    def drawing(self, entry):
        if entry["file"] not in self.cache:
            self.cache[entry["file"]] = Image.open(io.BytesIO(self.data[entry["file"]])).convert("RGBA")
        return self.cache[entry["file"]]


class Renderer:
    def __init__(self, assets, seed):
        self.assets = assets
        self.rng = random.Random(seed)
        self.noise = np.random.default_rng(seed)
        self.progress = 1.0  # the share of training that has passed: texts are short at first
        self.labels = None  # class numbers, painted along with the picture being drawn

    def mark(self, name, box):
        """Notes in the label picture that the box shows the named thing."""
        number = self.assets.class_of.get(name)
        if number:
            ImageDraw.Draw(self.labels).rectangle(box, fill=number)

    # Colours and backgrounds

    def shade(self, name, spread=22):
        return tuple(min(255, max(0, c + self.rng.randint(-spread, spread) // (2 if name in ("black", "white", "gray") else 1)))
                     for c in COLOURS[name])

    def background(self, size, name=None, plain=False):
        """(picture, colour name or None)"""
        rng = self.rng
        style = rng.random()
        self.labels = Image.new("I", size)
        if name is None and style < 0.35:
            name = "white"
        if name is None and (plain or style < 0.72):
            name = rng.choice(list(COLOURS))
        if name:
            colour = COLOURS["white"] if name == "white" and rng.random() < 0.5 else self.shade(name, 14)
            if name not in ("white", "black", "gray", "yellow") and rng.random() < 0.4:
                pale = rng.uniform(0.3, 0.6)  # a pale tint of the colour
                colour = tuple(round(c + (255 - c) * pale) for c in colour)
                if name in ("red", "brown"):  # pale red is pink
                    name = None
            return Image.new("RGB", size, colour), name
        low = rng.choice([(2, 2), (2, 2), (4, 4), (9, 9), (24, 24)])
        base = np.array([rng.randint(60, 255) for _ in range(3)])
        field = np.clip(base + self.noise.normal(0, rng.uniform(8, 45), (*low, 3)), 0, 255).astype(np.uint8)
        return Image.fromarray(field).resize(size, Image.Resampling.BICUBIC), None

    def ink(self, backdrop, far=110):
        """A colour that stands out from the average of the backdrop."""
        mean = np.asarray(backdrop.resize((1, 1), Image.Resampling.BOX), np.int32)[0, 0]
        for _ in range(12):
            name = self.rng.choice(["black", "white", *COLOURS])
            colour = self.shade(name)
            if np.abs(mean - colour).sum() > 2 * far:
                return colour
        return (0, 0, 0) if mean.sum() > 380 else (255, 255, 255)

    def finished(self, picture):
        """The picture after the small damage that files bring: blur or JPEG."""
        rng = self.rng
        if rng.random() < 0.08:
            picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.0)))
        if rng.random() < 0.15:
            data = io.BytesIO()
            picture.save(data, "JPEG", quality=rng.randint(40, 92))
            picture = Image.open(data).convert("RGB")
        picture.labels = self.labels
        return picture

    def size(self, ratio=None):
        """A size in pixels; a ratio of None means one that needs a single tile."""
        rng = self.rng
        if ratio is None:
            ratio = 1 if rng.random() < 0.4 else rng.uniform(0.78, 1.46)
        area = rng.uniform(215, 340) ** 2 * (max(ratio, 1 / ratio) if ratio > 1.5 or ratio < 0.7 else 1)
        return round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))

    # Shapes

    def draw_shape(self, draw, shape, x, y, r, colour, angle):
        def polygon(points):
            c, s = math.cos(angle), math.sin(angle)
            draw.polygon([(x + r * (a * c - b * s), y + r * (a * s + b * c)) for a, b in points], fill=colour)

        def regular(count, radius=1.0):
            return [(radius * math.sin(2 * math.pi * i / count), -radius * math.cos(2 * math.pi * i / count))
                    for i in range(count)]

        if shape == "circle":
            draw.ellipse((x - r * .92, y - r * .92, x + r * .92, y + r * .92), fill=colour)
        elif shape == "ring":
            draw.ellipse((x - r * .92, y - r * .92, x + r * .92, y + r * .92), outline=colour, width=max(3, round(r * 0.3)))
        elif shape == "square":
            polygon([(-.8, -.8), (.8, -.8), (.8, .8), (-.8, .8)])
        elif shape == "rectangle":
            polygon([(-1, -.5), (1, -.5), (1, .5), (-1, .5)])
        elif shape == "oval":
            polygon([(math.cos(t * math.pi / 18), 0.58 * math.sin(t * math.pi / 18)) for t in range(36)])
        elif shape == "triangle":
            polygon([(0, -.9), (.95, .75), (-.95, .75)])
        elif shape == "diamond":
            polygon([(0, -1), (.68, 0), (0, 1), (-.68, 0)])
        elif shape == "star":
            polygon([((1 if i % 2 == 0 else .42) * math.sin(math.pi * i / 5),
                      -(1 if i % 2 == 0 else .42) * math.cos(math.pi * i / 5)) for i in range(10)])
        elif shape == "heart":
            points = []
            for t in range(0, 360, 8):
                a = math.radians(t)
                points.append((math.sin(a) ** 3, -(13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a)
                                                   - math.cos(4 * a)) / 16))
            polygon(points)
        elif shape == "pentagon":
            polygon(regular(5, .95))
        elif shape == "hexagon":
            polygon(regular(6, .95))
        elif shape == "cross":
            w = .32
            polygon([(-w, -.9), (w, -.9), (w, -w), (.9, -w), (.9, w), (w, w), (w, .9), (-w, .9), (-w, w), (-.9, w),
                     (-.9, -w), (-w, -w)])
        elif shape == "arrow":
            polygon([(-1, -.25), (.1, -.25), (.1, -.65), (1, 0), (.1, .65), (.1, .25), (-1, .25)])
        elif shape == "crescent":
            outer = [(.95 * math.cos(math.radians(t)), .95 * math.sin(math.radians(t))) for t in range(60, 301, 10)]
            inner = [(.35 + .82 * math.cos(math.radians(t)), .82 * math.sin(math.radians(t))) for t in range(280, 79, -10)]
            polygon(outer + inner)

    def places(self, count, size, radii):
        """Non-overlapping centres for discs of these radii; None if they do not fit."""
        rng, (width, height) = self.rng, size
        placed = []
        for r in radii:
            for _ in range(40):
                x, y = rng.uniform(r, width - r), rng.uniform(r, height - r)
                if all((x - a) ** 2 + (y - b) ** 2 > (1.06 * (r + c)) ** 2 for a, b, c in placed):
                    placed.append((x, y, r))
                    break
            else:
                return None
        return placed

    def scene(self, size=None, groups=None, drawings=False):
        """A picture of things in groups, and the list of things: dicts of noun, colour, x, y, r (in fractions)."""
        rng = self.rng
        size = size or self.size()
        backdrop, ground = self.background(size)
        mean = np.asarray(backdrop.resize((1, 1), Image.Resampling.BOX), np.int32)[0, 0]
        for _ in range(30):
            things = groups
            if things is None:
                things, used = [], set()
                for _ in range(rng.choice([1, 1, 2, 2, 2, 3, 3])):
                    noun = rng.choice(SHAPES[:6] if rng.random() < 0.6 else SHAPES)
                    colour = rng.choice(list(COLOURS))
                    if (noun, colour) in used:
                        continue
                    used.add((noun, colour))
                    things.append((noun, colour, rng.choice([1, 1, 1, 2, 2, 3, 4, 5])))
            if drawings:
                things = [(entry, None, rng.choice([1, 1, 1, 1, 2, 3])) for entry in
                          rng.sample(self.assets.simple, rng.choice([1, 2, 2, 3, 3, 4]))]
                if len({entry["name"] for entry, _, _ in things}) < len(things):
                    continue
            total = sum(count for *_, count in things)
            if total > 8 or any(colour and colour == ground for _, colour, _ in things):
                continue
            side = min(size)
            top = side * min(0.34, 0.58 / math.sqrt(total + 0.3)) * (max(size) / side) ** 0.3
            same = rng.random() < 0.5
            base = rng.uniform(0.5, 1) * top
            radii = [max(base if same else rng.uniform(0.42, 1) * top, side * 0.06) for _ in range(total)]
            centres = self.places(total, size, radii)
            if centres is None:
                continue
            shades = {}
            result = []
            picture = backdrop.copy()
            self.labels = Image.new("I", size)
            draw, marks = ImageDraw.Draw(picture), ImageDraw.Draw(self.labels)
            bad = False
            i = 0
            for noun, colour, count in things:
                for _ in range(count):
                    x, y, r = centres[i]
                    i += 1
                    if colour:
                        if colour not in shades:
                            shades[colour] = self.shade(colour)
                            bad |= np.abs(mean - shades[colour]).sum() < 90
                        angle = rng.uniform(-0.25, 0.25) if rng.random() < 0.6 else 0
                        if noun == "arrow":
                            angle = rng.uniform(0, 6.28)
                        self.draw_shape(draw, noun, x, y, r, shades[colour], angle)
                        self.draw_shape(marks, noun, x, y, r, self.assets.class_of[f"{colour} {noun}"], angle)
                    else:
                        self.paste(picture, noun, x, y, r)
                    result.append({"noun": noun if colour else noun["name"], "colour": colour, "entry": noun,
                                   "x": x / size[0], "y": y / size[1], "r": r / side})
            if not bad:
                return self.finished(picture), result, ground
        return self.scene(size, None, drawings)

    def paste(self, picture, entry, x, y, r, turn=True):
        """Pastes a drawing into the disc of radius r around (x, y)."""
        rng = self.rng
        drawing = self.assets.drawing(entry)
        scale = 2 * r / math.hypot(*drawing.size) * 1.12
        drawing = drawing.resize([max(2, round(side * scale)) for side in drawing.size], Image.Resampling.BILINEAR)
        if turn and rng.random() < 0.5 and "left" not in entry["name"] and entry["group"] != "Flags":
            drawing = drawing.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if turn and rng.random() < 0.35:
            drawing = drawing.rotate(rng.uniform(-20, 20), Image.Resampling.BILINEAR, expand=True)
        picture.paste(drawing, (round(x - drawing.width / 2), round(y - drawing.height / 2)), drawing)
        half = [drawing.width * 0.45, drawing.height * 0.45]
        self.mark(entry["name"], (x - half[0], y - half[1], x + half[0], y + half[1]))

    def place(self, picture, stamp, x, y, angle=0):
        """Pastes a stamp of text with its upper left corner at (x, y), turned about its middle."""
        turned = stamp.rotate(angle, Image.Resampling.BICUBIC, expand=True) if angle else stamp
        picture.paste(turned, (round(x), round(y)), turned)
        cx, cy, c, s = x + turned.width / 2, y + turned.height / 2, math.cos(math.radians(angle)), math.sin(math.radians(angle))
        for left, right, letter in stamp.spans:
            away = (left + right) / 2 - stamp.width / 2
            px, py, w, h = cx + away * c, cy - away * s, (right - left) / 2, stamp.height / 2
            self.mark(letter, (px - w, py - h, px + w, py + h))

    # Questions about scenes

    def scene_turns(self, things, ground, most=4):
        rng = self.rng
        turns = []
        counts, coloured = {}, {}
        for thing in things:
            counts[thing["noun"]] = counts.get(thing["noun"], 0) + 1
            key = (thing["colour"], thing["noun"])
            coloured[key] = coloured.get(key, 0) + 1
        shapes = things[0]["colour"] is not None
        group = "shapes" if shapes else "things"
        unique = [t for t in things if counts[t["noun"]] == 1]

        def there(count, noun):
            return f"There is one {noun}." if count == 1 else f"There are {NUMBERS[count]} {plural(noun)}."

        def brief(question, answer, word):
            if rng.random() < 0.12:
                return (question + rng.choice([" Answer with one word.", " Answer in one word."]), word)
            return (question, answer)

        options = []

        def count_turn():
            noun = rng.choice(list(counts)) if rng.random() < 0.85 else rng.choice(SHAPES)
            if not shapes and noun not in counts:
                noun = rng.choice(self.assets.simple)["name"]
            many = counts.get(noun, 0)
            question = rng.choice(["How many {} are there?", "How many {} are in the picture?", "Count the {}.",
                                   "How many {} do you see?"]).format(plural(noun))
            return brief(question, there(many, noun), NUMBERS[many] if many else "zero")
        options += [count_turn] * 3
        if shapes:
            def coloured_count():
                colour, noun = rng.choice(list(coloured))
                if rng.random() < 0.25:
                    many = sum(t["colour"] == colour for t in things)
                    verb = "is one" if many == 1 else f"are {NUMBERS[many]}"
                    return (f"How many {colour} shapes are there?", f"There {verb} {colour} shape{'s' * (many > 1)}.")
                many = coloured[colour, noun]
                return (f"How many {colour} {plural(noun)} are there?", there(many, f"{colour} {noun}"))

            def colour_of():
                nouns = [n for n in counts if len({t["colour"] for t in things if t["noun"] == n}) == 1]
                if not nouns:
                    return None
                noun = rng.choice(nouns)
                colour = next(t["colour"] for t in things if t["noun"] == noun)
                if counts[noun] == 1:
                    return brief(rng.choice([f"What color is the {noun}?", f"Which color is the {noun}?",
                                             f"What is the color of the {noun}?"]), f"The {noun} is {colour}.", colour)
                return brief(f"What color are the {plural(noun)}?", f"The {plural(noun)} are {colour}.", colour)

            def shape_of():
                colours = [c for c in {t["colour"] for t in things} if len({t["noun"] for t in things if t["colour"] == c}) == 1]
                if not colours:
                    return None
                colour = rng.choice(sorted(colours))
                noun = next(t["noun"] for t in things if t["colour"] == colour)
                many = sum(t["colour"] == colour for t in things)
                if many == 1:
                    return brief(rng.choice([f"What shape is {colour}?", f"Which shape is {colour}?",
                                             f"What is the {colour} shape?", f"What shape is the {colour} one?"]),
                                 f"The {noun} is {colour}.", noun)
                return (f"Which shapes are {colour}?", f"The {plural(noun)} are {colour}.")
            options += [coloured_count, colour_of, colour_of, shape_of, shape_of]

        def exists():
            if rng.random() < 0.5:
                thing = rng.choice(things)
                what = f"{thing['colour']} {thing['noun']}" if shapes and rng.random() < 0.6 else thing["noun"]
                return (f"Is there {article(what)}?", f"Yes, there is {article(what)}.")
            noun = rng.choice([*counts, *SHAPES]) if shapes else rng.choice(self.assets.simple)["name"]
            what = noun
            if shapes and (noun in counts or rng.random() < 0.5):
                what = f"{rng.choice(list(COLOURS))} {noun}"
                if any(f"{t['colour']} {t['noun']}" == what for t in things):
                    return (f"Is there {article(what)}?", f"Yes, there is {article(what)}.")
            elif noun in counts:
                return None
            return (f"Is there {article(what)}?", f"No, there is no {what}.")
        options.append(exists)

        def full(thing):
            return f"{thing['colour']} {thing['noun']}" if shapes and rng.random() < 0.3 else thing["noun"]

        def relation():
            pairs = [(a, b) for a in unique for b in unique if a is not b]
            rng.shuffle(pairs)
            for a, b in pairs:
                dx, dy = a["x"] - b["x"], a["y"] - b["y"]
                word = None
                if abs(dx) > 0.14 and abs(dx) > 1.15 * abs(dy):
                    word, other = ("to the left of", "to the right of") if dx < 0 else ("to the right of", "to the left of")
                elif abs(dy) > 0.14 and abs(dy) > 1.15 * abs(dx):
                    word, other = ("above", "below") if dy < 0 else ("below", "above")
                if not word:
                    continue
                first, second = full(a), full(b)
                style = rng.random()
                if style < 0.3:
                    return (f"Is the {first} {word} the {second}?", f"Yes, the {first} is {word} the {second}.")
                if style < 0.6:
                    return (f"Is the {first} {other} the {second}?", f"No, the {first} is {word} the {second}.")
                if style < 0.85 or len(unique) != len(things) or len(things) > 2:
                    return (rng.choice([f"Where is the {first} relative to the {second}?",
                                        f"Where is the {first} compared to the {second}?"]),
                            f"The {first} is {word} the {second}.")
                return (f"What is {word} the {second}?", f"The {first} is {word} the {second}.")
            return None
        options += [relation] * 4

        def where():
            clear = []
            for thing in unique:
                column = [n for n, low, high in (("left", 0, .36), ("middle", .42, .58), ("right", .64, 1)) if low <= thing["x"] <= high]
                row = [n for n, low, high in (("top", 0, .36), ("middle", .42, .58), ("bottom", .64, 1)) if low <= thing["y"] <= high]
                if column and row:
                    place = "in the middle" if column == row == ["middle"] else "at the " + row[0] if column == ["middle"] \
                        else "on the " + column[0] if row == ["middle"] else f"in the {row[0]} {column[0]} corner"
                    clear.append((thing, place))
            if not clear:
                return None
            thing, place = rng.choice(clear)
            noun = full(thing)
            if rng.random() < 0.35 and "corner" in place:
                return (f"What is {place}?", f"{article(noun).capitalize()} is {place}.")
            return (f"Where is the {noun}?", f"The {noun} is {place}.")
        options += [where, where]

        def larger():
            if len(unique) < 2:
                return None
            a, b = rng.sample(unique, 2)
            if not 1.35 < max(a["r"] / b["r"], b["r"] / a["r"]):
                return None
            big = a if a["r"] > b["r"] else b
            small = b if big is a else a
            if rng.random() < 0.5:
                return (f"Which is larger, the {a['noun']} or the {b['noun']}?", f"The {big['noun']} is larger.")
            return (f"Which is smaller, the {a['noun']} or the {b['noun']}?", f"The {small['noun']} is smaller.")
        options.append(larger)

        if ground:
            options.append(lambda: (rng.choice(["What color is the background?", "What is the background color?"]),
                                    f"The background is {ground}."))

        def total():
            many = len(things)
            return (f"How many {group} are there?" if rng.random() < 0.7 else f"How many {group} are there in total?",
                    f"There is one {group[:-1]}." if many == 1 else f"There are {NUMBERS[many]} {group}.")
        options.append(total)

        def describe():
            parts = []
            for (colour, noun), many in coloured.items():
                what = f"{colour} {noun}" if colour else noun
                parts.append(noun_phrase(what) if many == 1 else f"{NUMBERS[many]} {plural(what)}")
            tail = f" on a {ground} background" if ground and rng.random() < 0.5 else ""
            tail = tail.replace("a orange", "an orange")
            if rng.random() < 0.35:
                return (rng.choice(["What is this?", "What is in the picture?", "What do you see?"]),
                        f"This is a picture of {joined(parts)}.")
            return (rng.choice(["Describe the picture.", "Describe this image.", "What does the picture show?",
                                "What is in this image?"]), f"The picture shows {joined(parts)}{tail}.")
        options += [describe, describe]
        rng.shuffle(options)
        seen = set()
        for option in options:
            turn = option()
            if turn and turn[0] not in seen:
                seen.add(turn[0])
                turns.append(turn)
            if len(turns) == most:
                break
        turns.sort(key=lambda turn: turn[1].startswith(("The picture shows", "This is a picture")))
        if rng.random() < 0.12:
            turns.reverse()
        return turns

    # One drawing

    def pick(self):
        """A drawing to name: emoji and clip art about equally, flags now and then."""
        rng, assets = self.rng, self.assets
        style = rng.random()
        if style < 0.03 and assets.flags:
            return rng.choice(assets.flags)
        return rng.choice(assets.emoji if style < 0.55 and assets.emoji else assets.clipart or assets.emoji)

    def portrait(self, entry, size=None):
        """A picture of one drawing on a background."""
        rng = self.rng
        size = size or self.size()
        picture, ground = self.background(size)
        r = min(size) * (rng.uniform(0.4, 0.62) if rng.random() < 0.8 else rng.uniform(0.22, 0.4))
        slack_x, slack_y = max(0, size[0] / 2 - r * 0.72), max(0, size[1] / 2 - r * 0.72)
        self.paste(picture, entry, size[0] / 2 + rng.uniform(-1, 1) * slack_x, size[1] / 2 + rng.uniform(-1, 1) * slack_y, r)
        return self.finished(picture), ground

    def name_turns(self, entry, ground, most=3):
        rng, name, kind = self.rng, entry["name"], entry["kind"]
        turns = []
        style = rng.random()
        if style < 0.5:
            turns.append((rng.choice(["What is this?", "What is this?", "What is it?", "What do you see?",
                                      "What is in the picture?", "What is shown here?"]), this_is(name)))
        elif style < 0.75:
            turns.append((rng.choice(["Describe the picture.", "Describe this image.", "What does the picture show?",
                                      "What is in this image?"]),
                          f"The picture shows {noun_phrase(name)}"
                          + (f" on {article(ground + ' background')}." if ground and rng.random() < 0.4 else ".")))
        elif style < 0.9:
            turns.append((rng.choice(["Name the thing in the picture.", "Name this.", "What is this? Answer briefly.",
                                      "What is this? Answer with one word."]), name))
        if kind and rng.random() < 0.5:
            turns.append((rng.choice(["What kind of thing is this?", "What kind of thing is it?"]),
                          f"It is {article(kind)}."))
        if rng.random() < 0.5:
            if rng.random() < 0.5:
                turns.append((f"Is this {noun_phrase(name)}?", f"Yes, this is {noun_phrase(name)}."))
            else:
                same = [e for e in rng.sample(self.assets.things, 24) if e["kind"] == kind and e["name"] != name] \
                    if rng.random() < 0.6 else []
                other = (same or [rng.choice(self.assets.things)])[0]["name"]
                if not set(other.split()) & set(entry["words"] + name.split()):
                    turns.append((f"Is this {noun_phrase(other)}?", f"No, this is {noun_phrase(name)}."))
        if ground and rng.random() < 0.25:
            turns.append(("What color is the background?", f"The background is {ground}."))
        if not turns:
            turns.append(("What is this?", this_is(name)))
        first = turns[0]
        rng.shuffle(turns)
        if rng.random() < 0.5:
            turns.remove(first)
            turns.insert(0, first)
        return turns[:most]

    # Text

    def word(self, longest=10):
        rng, style = self.rng, self.rng.random()
        longest = min(longest, 2 if self.progress < 0.03 else 4 if self.progress < 0.08 else longest)
        if style < (0.80 if longest > 2 else 0.3):
            length = min(longest, rng.choice([2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 10]))
            text = rng.choice(self.assets.words_by_length[length])
            case = rng.random()
            return text.lower() if case < 0.4 else text.capitalize() if case < 0.65 else text.upper() if case < 0.9 else text
        if style < 0.90:
            letters = rng.choice(["abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"])
            return "".join(rng.choice(letters) for _ in range(rng.randint(1, min(longest, 7))))
        return rng.choice([lambda: str(rng.randint(0, 99)), lambda: str(rng.randint(100, 99999)),
                           lambda: f"{rng.randint(0, 23)}:{rng.randint(0, 59):02d}", lambda: f"${rng.randint(1, 99)}",
                           lambda: f"{rng.randint(1, 99)}%", lambda: str(rng.randint(1900, 2030)),
                           lambda: f"{rng.choice('ABCDEFGHKLMNPRSTUVWXZ')}{rng.randint(1, 99)}"])()

    def font(self, capitals_allowed=True):
        while True:
            font = self.rng.choice(self.rng.choice(self.assets.families))
            if font["display"] and self.rng.random() < 0.7:
                continue
            if capitals_allowed or not font["capitals"]:
                return font

    def line(self):
        """A short line of text."""
        rng, style = self.rng, self.rng.random()
        if self.progress < 0.08:
            return " ".join(self.word(5) for _ in range(rng.randint(1, 2)))
        if style < 0.6:
            text = rng.choice(self.assets.sentences)
            if len(text) > 40:
                words, text = text.split(), ""
                while words and len(text) + len(words[0]) < 36:
                    text = (text + " " + words.pop(0)).strip()
            if rng.random() < 0.6:
                text = text[0].upper() + text[1:]
            if rng.random() < 0.1:
                text = text.upper()
            return text
        return " ".join(self.word(9) for _ in range(rng.randint(2, 4)))[:38].strip()

    def stamp(self, text, font, height, colour):
        """The text as a transparent picture, cut to its ink."""
        face = ImageFont.truetype(io.BytesIO(self.assets.font_data[font["file"]]), max(8, round(height)))
        box = face.getbbox(text)
        pad = max(2, round(height / 8))
        mask = Image.new("L", (max(1, box[2] - box[0]) + 2 * pad, max(1, box[3] - box[1]) + 2 * pad))
        ImageDraw.Draw(mask).text((pad - box[0], pad - box[1]), text, font=face, fill=255)
        ink = mask.getbbox()
        if not ink:
            return None
        mask = mask.crop(ink)
        picture = Image.new("RGBA", mask.size, (*colour, 255))
        picture.putalpha(mask)
        ends = [face.getlength(text[:i]) + pad - box[0] - ink[0] for i in range(len(text) + 1)]
        picture.spans = [(a, b, letter) for a, b, letter in zip(ends, ends[1:], text) if b > a]
        return picture

    def sign(self, lines, size=None, font=None, fill=None):
        """A picture of lines of text, one font; None if the text cannot be set."""
        rng = self.rng
        size = size or self.size()
        picture, ground = self.background(size)
        colour = self.ink(picture)
        font = font or self.font()
        if font["capitals"]:
            lines = [line.upper() for line in lines]
        stamps = [self.stamp(line, font, 64, colour) for line in lines]
        if any(s is None for s in stamps):
            return None
        share = fill or (rng.uniform(0.55, 0.95) if rng.random() < 0.8 else rng.uniform(0.35, 0.6))
        scale = min(share * size[0] / max(s.width for s in stamps),
                    rng.uniform(0.6, 0.92) * size[1] / len(stamps) / max(s.height for s in stamps) * 0.9,
                    3.2 if len(lines[0]) < 3 else 9)
        stamps = [self.stamp(line, font, 64 * scale, colour) for line in lines]
        if any(s is None or s.width > size[0] for s in stamps):
            return None
        heights = sum(s.height for s in stamps)
        gap = min(size[1] * 0.12, (size[1] - heights) / (len(stamps) + 1))
        if gap < 0:
            return None
        block = heights + gap * (len(stamps) - 1)
        y = (size[1] - block) / 2 + rng.uniform(-1, 1) * (size[1] - block) * 0.4
        left = rng.random() < 0.3
        x0 = rng.uniform(0.03, 0.97 - max(s.width for s in stamps) / size[0]) if max(s.width for s in stamps) < 0.9 * size[0] else 0.03
        for stamp in stamps:
            angle = rng.uniform(-8, 8) if len(stamps) == 1 and rng.random() < 0.25 and stamp.width < 0.85 * size[0] else 0
            x = x0 * size[0] if left or len(stamps) == 1 else (size[0] - stamp.width) / 2
            self.place(picture, stamp, x, y, angle)
            y += stamp.height + gap
        return self.finished(picture), ground, lines

    def read_turns(self, text, ground, word):
        rng, style = self.rng, self.rng.random()
        if style < 0.45:
            turns = [(rng.choice(["Read the text.", "Read the word." if word else "Read the line.", "Transcribe the text.",
                                  "What is written here? Answer with the text only."]), text)]
        elif style < 0.9:
            turns = [(rng.choice(["What does it say?", "What does the text say?", "What is written in the picture?",
                                  "What does the sign say?", "What is written here?"]), f'It says "{text}".')]
        else:
            kind = "word" if word else "text"
            turns = [(rng.choice(["What is this?", "Describe the picture.", "What is in the picture?"]),
                      f'This is a picture of the {kind} "{text}".')]
        if ground and rng.random() < 0.15:
            turns.append(("What color is the background?", f"The background is {ground}."))
        return turns

    # Charts and landscapes

    def chart(self):
        rng = self.rng
        size = self.size()
        dark = rng.random() < 0.2
        picture = Image.new("RGB", size, (30, 30, 40) if dark else (255, 255, 255))
        self.labels = Image.new("I", size)
        draw = ImageDraw.Draw(picture)
        pen = (230, 230, 230) if dark else (30, 30, 30)
        count = rng.randint(2, 5)
        labels = rng.sample(rng.choice([list("ABCDEFGH"), ["Mon", "Tue", "Wed", "Thu", "Fri"], ["Jan", "Feb", "Mar", "Apr", "May"],
                                        ["2021", "2022", "2023", "2024", "2025"]]), count)
        values = rng.sample(range(1, 10), count)
        colours = rng.sample([c for c in COLOURS if c not in ("white", "black")], count)
        font = self.font()
        left, bottom, top = size[0] * 0.1, size[1] * 0.84, size[1] * 0.1
        step = (size[0] * 0.96 - left) / count
        draw.line((left, top, left, bottom), fill=pen, width=2)
        draw.line((left, bottom, size[0] * 0.98, bottom), fill=pen, width=2)
        for i, (label, value, colour) in enumerate(zip(labels, values, colours)):
            x = left + step * (i + 0.15)
            y = bottom - (bottom - top - 14) * value / 9
            draw.rectangle((x, y, x + step * 0.7, bottom), fill=self.shade(colour))
            for text, place in ((label, bottom + 4), (str(value), y - size[1] * 0.075)):
                stamp = self.stamp(text, font, size[1] * 0.075, pen)
                if stamp:
                    self.place(picture, stamp, x + step * 0.35 - stamp.width / 2, place)
        best, least = labels[values.index(max(values))], labels[values.index(min(values))]
        i = rng.randrange(count)
        turns = [
            ("What is this?", f"This is a bar chart with {NUMBERS[count]} bars."),
            (rng.choice(["Which bar is the tallest?", "Which bar is the highest?"]), f'The bar "{best}" is the tallest.'),
            (rng.choice(["Which bar is the shortest?", "Which bar is the lowest?"]), f'The bar "{least}" is the shortest.'),
            (f'What is the value of "{labels[i]}"?', f'The value of "{labels[i]}" is {values[i]}.'),
            (f'What color is the bar "{labels[i]}"?', f'The bar "{labels[i]}" is {colours[i]}.'),
            ("How many bars are there?", f"There are {NUMBERS[count]} bars."),
        ]
        return Sample([self.finished(picture)], rng.sample(turns, 3))

    def landscape(self, size=None):
        """Sky and ground with some of: house, tree, car, sun, moon, cloud, drawings, and perhaps a word."""
        rng = self.rng
        width, height = size = size or self.size(rng.uniform(1.0, 1.46))
        night = rng.random() < 0.15
        sky = (25, 30, 70) if night else (rng.randint(120, 190), rng.randint(185, 220), rng.randint(235, 255))
        picture = Image.new("RGB", size, sky)
        self.labels = Image.new("I", size)
        draw = ImageDraw.Draw(picture)
        horizon = height * rng.uniform(0.6, 0.75)
        if rng.random() < 0.5 and not night:
            for y in range(round(horizon)):
                draw.line((0, y, width, y), fill=tuple(min(255, round(c + (250 - c) * y / height)) for c in sky))
        draw.rectangle((0, horizon, width, height), fill=(rng.randint(70, 130), rng.randint(145, 190), rng.randint(60, 100)))
        if rng.random() < 0.5:
            road = horizon + (height - horizon) * rng.uniform(0.3, 0.5)
            draw.rectangle((0, road, width, road + height * 0.1), fill=(95, 95, 100))
        things = []
        columns = rng.sample([0.18, 0.5, 0.82], rng.choice([1, 2, 3, 3]))
        kinds = rng.sample(["house", "tree", "car"], len(columns)) if rng.random() < 0.7 else \
            [rng.choice(["house", "tree", "car", "drawing"]) for _ in columns]
        for kind, cx in sorted(zip(kinds, columns), key=lambda pair: pair[1]):
            x = cx * width
            s = min(width, height) * rng.uniform(0.22, 0.34)
            base = horizon + (height - horizon) * rng.uniform(0.02, 0.3)
            colour = rng.choice(["red", "blue", "yellow", "white", "orange", "purple", "pink", "brown", "gray", "green"])
            if kind == "house":
                wall = self.shade(colour)
                draw.rectangle((x - s / 2, base - s * .8, x + s / 2, base), fill=wall)
                draw.polygon([(x - s * .62, base - s * .8), (x, base - s * 1.35), (x + s * .62, base - s * .8)],
                             fill=self.shade(rng.choice(["brown", "black", "gray", "red"]), 10))
                draw.rectangle((x - s * .1, base - s * .42, x + s * .12, base), fill=(90, 55, 30))
                for side in (-1, 1):
                    draw.rectangle((x + side * s * .32 - s * .09, base - s * .66, x + side * s * .32 + s * .09, base - s * .48),
                                   fill=(235, 240, 250), outline=(60, 40, 30))
                things.append((f"{colour} house", "house", colour))
                self.mark(f"{colour} house", (x - s / 2, base - s, x + s / 2, base))
            elif kind == "tree":
                draw.rectangle((x - s * .08, base - s * .6, x + s * .08, base), fill=(105, 70, 40))
                green = (rng.randint(25, 60), rng.randint(115, 150), rng.randint(40, 70))
                if rng.random() < 0.6:
                    for dx, dy, r in ((0, -1.0, .38), (-.28, -.72, .3), (.28, -.72, .3)):
                        draw.ellipse((x + (dx - r) * s, base + (dy - r) * s, x + (dx + r) * s, base + (dy + r) * s), fill=green)
                else:
                    for dy, r in ((-.4, .48), (-.75, .4), (-1.05, .3)):
                        draw.polygon([(x - r * s, base + dy * s), (x, base + (dy - .5) * s), (x + r * s, base + dy * s)], fill=green)
                things.append(("green tree", "tree", "green"))
                self.mark("green tree", (x - s * .4, base - s * 1.2, x + s * .4, base - s * .2))
            elif kind == "car":
                body = self.shade(colour)
                base = min(height - s * 0.1, base + (height - horizon) * 0.3)
                draw.rounded_rectangle((x - s * .62, base - s * .42, x + s * .62, base - s * .12), s * .06, fill=body)
                draw.polygon([(x - s * .42, base - s * .4), (x - s * .26, base - s * .66), (x + s * .24, base - s * .66),
                              (x + s * .42, base - s * .4)], fill=tuple(min(255, c + 25) for c in body))
                for side in (-1, 1):
                    cx2 = x + side * s * .36
                    draw.ellipse((cx2 - s * .14, base - s * .26, cx2 + s * .14, base + s * .02), fill=(25, 25, 28))
                    draw.ellipse((cx2 - s * .05, base - s * .17, cx2 + s * .05, base - s * .07), fill=(200, 200, 205))
                things.append((f"{colour} car", "car", colour))
                self.mark(f"{colour} car", (x - s * .6, base - s * .6, x + s * .6, base))
            else:
                entry = rng.choice(self.assets.simple)
                self.paste(picture, entry, x, base - s * .35, s * .55)
                things.append((entry["name"], entry["name"], None))
        sky_name = None
        spots = [0.12, 0.5, 0.88]
        rng.shuffle(spots)
        if rng.random() < 0.7:
            x, y, r = spots[0] * width, height * rng.uniform(0.14, 0.2), min(width, height) * rng.uniform(0.06, 0.1)
            if night:
                draw.ellipse((x - r, y - r, x + r, y + r), fill=(240, 240, 215))
                sky_name = "a moon"
            else:
                draw.ellipse((x - r, y - r, x + r, y + r), fill=(rng.randint(245, 255), rng.randint(205, 225), rng.randint(30, 80)))
                sky_name = "a yellow sun"
            self.mark("moon" if night else "yellow sun", (x - r, y - r, x + r, y + r))
        text = None
        if rng.random() < 0.55:
            text = self.word(8)
            font = self.font()
            text = text.upper() if font["capitals"] else text
            stamp = self.stamp(text, font, height * rng.uniform(0.1, 0.16), (240, 240, 240) if night else (20, 30, 60))
            if stamp and stamp.width < 0.55 * width:
                x = min(max(spots[1] * width - stamp.width / 2, 5), width - stamp.width - 5)
                if sky_name and abs(x + stamp.width / 2 - spots[0] * width) < stamp.width / 2 + min(width, height) * 0.12:
                    x = 5 if spots[0] > 0.4 else width - stamp.width - 5
                    if spots[0] == 0.5 and stamp.width > 0.35 * width:
                        text = None
                if text:
                    self.place(picture, stamp, x, height * rng.uniform(0.06, 0.2))
            else:
                text = None
        parts = [noun_phrase(name) for name, *_ in things] + ([sky_name] if sky_name else [])
        if len({name for name, *_ in things}) < len(things):
            return self.landscape(size)
        tail = f', with the word "{text}"' if text else ""
        turns = [(rng.choice(["Describe the picture.", "What is this?", "What does the picture show?", "What do you see?"]),
                  f"The picture shows {joined(parts)}{tail}." if rng.random() < .7 else f"This is a picture of {joined(parts)}{tail}.")]
        if text:
            turns.append((rng.choice(["What does it say?", "What word is in the picture?", "What is written in the picture?"]),
                          f'It says "{text}".'))
        nouns = [noun for _, noun, _ in things]
        for name, noun, colour in things:
            if colour and nouns.count(noun) == 1:
                turns.append((f"What color is the {noun}?", f"The {noun} is {colour}."))
        if len(set(nouns)) == len(nouns) > 1:
            i = rng.randrange(len(nouns) - 1)
            if rng.random() < 0.5:
                turns.append((f"What is to the left of the {nouns[i + 1]}?", f"The {nouns[i]} is to the left of the {nouns[i + 1]}.")
                             if i == 0 else (f"Is the {nouns[i]} to the left of the {nouns[i + 1]}?",
                                             f"Yes, the {nouns[i]} is to the left of the {nouns[i + 1]}."))
            else:
                turns.append((f"Is the {nouns[i]} to the right of the {nouns[i + 1]}?",
                              f"No, the {nouns[i]} is to the left of the {nouns[i + 1]}."))
        for noun in ("house", "tree", "car"):
            turns.append((f"Is there a {noun}?", f"Yes, there is a {noun}." if noun in nouns else f"No, there is no {noun}."))
        first = turns.pop(0)
        rng.shuffle(turns)
        turns = turns[:2]
        turns.insert(0 if rng.random() < 0.5 else len(turns), first)
        return Sample([self.finished(picture)], turns)

    # Samples

    def captioned(self):
        """One drawing with a word under it."""
        rng = self.rng
        entry = self.pick()
        size = self.size()
        picture, ground = self.background(size, plain=True)
        self.paste(picture, entry, size[0] / 2, size[1] * 0.4, min(size) * 0.38)
        font = self.font()
        text = entry["name"] if rng.random() < 0.3 and len(entry["name"]) < 10 else self.word(8)
        text = text.upper() if font["capitals"] else text
        stamp = self.stamp(text, font, size[1] * rng.uniform(0.1, 0.17), self.ink(picture))
        if not stamp or stamp.width > size[0] * 0.95:
            return self.naming()
        self.place(picture, stamp, (size[0] - stamp.width) / 2, size[1] * 0.79)
        turns = [(rng.choice(["What does it say?", "What word is in the picture?", "What does the text say?"]), f'It says "{text}".'),
                 (rng.choice(["What is in the picture?", "What is shown above the text?", "What is the drawing?"]),
                  this_is(entry["name"])),
                 ("Describe the picture.", f'The picture shows {noun_phrase(entry["name"])} above the word "{text}".')]
        return Sample([self.finished(picture)], rng.sample(turns, 2))

    def naming(self, size=None):
        entry = self.pick()
        picture, ground = self.portrait(entry, size)
        return Sample([picture], self.name_turns(entry, ground))

    def reading(self, size=None):
        while True:
            lines = [self.word()]
            if self.rng.random() < 0.12:
                lines.append(self.word())
            made = self.sign(lines, size)
            if made:
                picture, ground, lines = made
                return Sample([picture], self.read_turns(" ".join(lines), ground, len(lines) == 1))

    def reading_line(self, size):
        rng = self.rng
        while True:
            text = self.line()
            lines = [text]
            if (size[0] / size[1] < 2.5 and rng.random() < 0.6 or size[0] < size[1]) and " " in text:
                words = text.split()
                parts = min(len(words), rng.choice([2, 2, 3]) if size[0] > size[1] else rng.choice([3, 4, 5]))
                cut = [round(len(words) * i / parts) for i in range(parts + 1)]
                lines = [" ".join(words[a:b]) for a, b in zip(cut, cut[1:])]
            made = self.sign(lines, size)
            if made:
                picture, ground, lines = made
                return Sample([picture], self.read_turns(" ".join(lines), ground, False))

    def single(self):
        """A sample of one picture that needs one tile."""
        style = self.rng.random()
        if style < 0.26:
            return self.naming()
        if style < 0.49:
            picture, things, ground = self.scene()
            return Sample([picture], self.scene_turns(things, ground))
        if style < 0.55:
            picture, things, ground = self.scene(drawings=True)
            return Sample([picture], self.scene_turns(things, ground))
        if style < 0.87:
            return self.reading()
        if style < 0.90:
            return self.captioned()
        if style < 0.92:
            return self.chart()
        return self.landscape()

    def wide(self, tiles):
        """A sample of one picture that needs this many tiles, the thumbnail counted: 3 or 4."""
        rng = self.rng
        if tiles == 4:
            ratio = rng.uniform(2.6, 5.5) if rng.random() < 0.85 else 1 / rng.uniform(2.5, 3.5)
        else:
            ratio = rng.uniform(1.53, 2.45) if rng.random() < 0.7 else 1 / rng.uniform(1.4, 2.3)
        size = self.size(ratio)
        columns, rows = canvas_grid(*size)
        if columns * rows + 1 != tiles:
            return self.wide(tiles)
        style = rng.random()
        if style < (0.8 if tiles == 4 else 0.45) and ratio > 0.45:
            return self.reading_line(size)
        if style < 0.62:
            return self.reading(size)
        if style < 0.72:
            return self.naming(size)
        if style < 0.95 or tiles == 4 or ratio < 1:
            picture, things, ground = self.scene(size, drawings=rng.random() < 0.35)
            return Sample([picture], self.scene_turns(things, ground))
        return self.landscape(size)

    def pair(self):
        """A sample of two pictures to compare."""
        rng, style = self.rng, self.rng.random()
        turns = []
        order = ["first", "second"]
        if style < 0.40:  # numbers of one shape
            noun, colours = rng.choice(SHAPES[:8]), rng.sample(list(COLOURS), 2)
            extra = rng.choice([s for s in SHAPES if s != noun])
            counts = [rng.randint(1, 6), rng.randint(1, 6)]
            images = []
            for count, colour in zip(counts, colours):
                groups = [(noun, colour, count)]
                if rng.random() < 0.35 and count < 6:
                    groups.append((extra, rng.choice([c for c in COLOURS if c != colour]), 1))
                for _ in range(20):
                    picture, things, _ = self.scene(groups=groups)
                    if sum(t["noun"] == noun for t in things) == count:
                        break
                else:
                    return self.pair()
                images.append(picture)
            more = rng.random() < 0.7
            which = rng.choice([f"Which picture has {'more' if more else 'fewer'} {plural(noun)}?",
                                f"Which image has {'more' if more else 'fewer'} {plural(noun)}, the first or the second?"])
            if counts[0] == counts[1]:
                turns.append((which, f"Both pictures have {NUMBERS[counts[0]]} {plural(noun) if counts[0] > 1 else noun}."))
            else:
                winner = (counts[0] > counts[1]) != more
                turns.append((which, f"The {order[winner]} picture has {'more' if more else 'fewer'} {plural(noun)}."))
            i = rng.randrange(2)
            turns.append((f"How many {plural(noun)} are in the {order[i]} picture?",
                          f"There is one {noun} in the {order[i]} picture." if counts[i] == 1 else
                          f"There are {NUMBERS[counts[i]]} {plural(noun)} in the {order[i]} picture."))
            if colours[0] != colours[1]:
                turns.append((f"What color are the {plural(noun)} in the {order[i]} picture?" if counts[i] > 1 else
                              f"What color is the {noun} in the {order[i]} picture?",
                              f"The {plural(noun) if counts[i] > 1 else noun} in the {order[i]} picture "
                              f"{'are' if counts[i] > 1 else 'is'} {colours[i]}."))
        elif style < 0.72:  # words
            first = self.word(8)
            second = first if rng.random() < 0.4 else self.word(8)
            shared = []
            if rng.random() < 0.35:
                shared = [self.word(6) for _ in range(rng.randint(1, 2))]
            fonts = [self.font(False), self.font(False)]
            at = rng.randint(0, len(shared))
            made = []
            for text, font in zip((first, second), fonts):
                lines = shared[:at] + [text] + shared[at:]
                made.append(self.sign(lines, None, font))
            if None in made:
                return self.pair()
            images = [m[0] for m in made]
            if first == second:
                answer = f'Both pictures say "{" ".join(made[0][2])}".'
                turns.append((rng.choice(["Which word differs?", "Do the two pictures say the same?",
                                          "Do the pictures show the same word?"]), answer))
            else:
                turns.append((rng.choice(["Which word differs?", "Which word is different?", "What differs between the pictures?",
                                          "Do the two pictures say the same?", "Do the pictures show the same word?"]),
                              f'The first picture says "{first}" and the second picture says "{second}".'))
            i = rng.randrange(2)
            turns.append((f"What does the {order[i]} picture say?", f'The {order[i]} picture says "{" ".join(made[i][2])}".'))
        else:  # drawings
            entries = [self.pick(), self.pick()]
            if entries[0]["name"] == entries[1]["name"]:
                return self.pair()
            images = [self.portrait(e)[0] for e in entries]
            phrases = [noun_phrase(e["name"]) for e in entries]
            i = rng.randrange(2)
            turns = [(rng.choice(["What are these?", "Describe the pictures.", "Compare the pictures.", "What differs?"]),
                      f"The first picture shows {phrases[0]} and the second picture shows {phrases[1]}."),
                     (f"What is in the {order[i]} picture?", f"The {order[i]} picture shows {phrases[i]}."),
                     (f"Which picture shows {phrases[1 - i]}?", f"The {order[1 - i]} picture shows {phrases[1 - i]}.")]
        rng.shuffle(turns)
        if rng.random() < 0.5 and len(turns) > 1:
            turns = turns[:2]
        return Sample(images, turns)
