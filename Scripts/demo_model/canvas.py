"""Draws single pictures: backgrounds, shapes, drawings and text, with a label picture that says what is where."""

import io
import math
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from assets import COLOURS, SHAPES


class Canvas:
    """Draws with random choices that a seed decides."""

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
        return tuple(
            min(255, max(0, c + self.rng.randint(-spread, spread) // (2 if name in ("black", "white", "gray") else 1)))
            for c in COLOURS[name]
        )

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
            return [
                (radius * math.sin(2 * math.pi * i / count), -radius * math.cos(2 * math.pi * i / count))
                for i in range(count)
            ]

        if shape == "circle":
            draw.ellipse((x - r * 0.92, y - r * 0.92, x + r * 0.92, y + r * 0.92), fill=colour)
        elif shape == "ring":
            draw.ellipse(
                (x - r * 0.92, y - r * 0.92, x + r * 0.92, y + r * 0.92), outline=colour, width=max(3, round(r * 0.3))
            )
        elif shape == "square":
            polygon([(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)])
        elif shape == "rectangle":
            polygon([(-1, -0.5), (1, -0.5), (1, 0.5), (-1, 0.5)])
        elif shape == "oval":
            polygon([(math.cos(t * math.pi / 18), 0.58 * math.sin(t * math.pi / 18)) for t in range(36)])
        elif shape == "triangle":
            polygon([(0, -0.9), (0.95, 0.75), (-0.95, 0.75)])
        elif shape == "diamond":
            polygon([(0, -1), (0.68, 0), (0, 1), (-0.68, 0)])
        elif shape == "star":
            polygon(
                [
                    (
                        (1 if i % 2 == 0 else 0.42) * math.sin(math.pi * i / 5),
                        -(1 if i % 2 == 0 else 0.42) * math.cos(math.pi * i / 5),
                    )
                    for i in range(10)
                ]
            )
        elif shape == "heart":
            points = []
            for t in range(0, 360, 8):
                a = math.radians(t)
                points.append(
                    (
                        math.sin(a) ** 3,
                        -(13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a)) / 16,
                    )
                )
            polygon(points)
        elif shape == "pentagon":
            polygon(regular(5, 0.95))
        elif shape == "hexagon":
            polygon(regular(6, 0.95))
        elif shape == "cross":
            w = 0.32
            polygon(
                [
                    (-w, -0.9),
                    (w, -0.9),
                    (w, -w),
                    (0.9, -w),
                    (0.9, w),
                    (w, w),
                    (w, 0.9),
                    (-w, 0.9),
                    (-w, w),
                    (-0.9, w),
                    (-0.9, -w),
                    (-w, -w),
                ]
            )
        elif shape == "arrow":
            polygon([(-1, -0.25), (0.1, -0.25), (0.1, -0.65), (1, 0), (0.1, 0.65), (0.1, 0.25), (-1, 0.25)])
        elif shape == "crescent":
            outer = [(0.95 * math.cos(math.radians(t)), 0.95 * math.sin(math.radians(t))) for t in range(60, 301, 10)]
            inner = [
                (0.35 + 0.82 * math.cos(math.radians(t)), 0.82 * math.sin(math.radians(t))) for t in range(280, 79, -10)
            ]
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
                things = [
                    (entry, None, rng.choice([1, 1, 1, 1, 2, 3]))
                    for entry in rng.sample(self.assets.simple, rng.choice([1, 2, 2, 3, 3, 4]))
                ]
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
                    result.append(
                        {
                            "noun": noun if colour else noun["name"],
                            "colour": colour,
                            "entry": noun,
                            "x": x / size[0],
                            "y": y / size[1],
                            "r": r / side,
                        }
                    )
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
        cx, cy, c, s = (
            x + turned.width / 2,
            y + turned.height / 2,
            math.cos(math.radians(angle)),
            math.sin(math.radians(angle)),
        )
        for left, right, letter in stamp.spans:
            away = (left + right) / 2 - stamp.width / 2
            px, py, w, h = cx + away * c, cy - away * s, (right - left) / 2, stamp.height / 2
            self.mark(letter, (px - w, py - h, px + w, py + h))

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
        self.paste(
            picture, entry, size[0] / 2 + rng.uniform(-1, 1) * slack_x, size[1] / 2 + rng.uniform(-1, 1) * slack_y, r
        )
        return self.finished(picture), ground

    # Text

    def word(self, longest=10):
        rng, style = self.rng, self.rng.random()
        longest = min(longest, 2 if self.progress < 0.03 else 4 if self.progress < 0.08 else longest)
        if style < (0.80 if longest > 2 else 0.3):
            length = min(longest, rng.choice([2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 10]))
            text = rng.choice(self.assets.words_by_length[length])
            case = rng.random()
            return (
                text.lower()
                if case < 0.4
                else text.capitalize() if case < 0.65 else text.upper() if case < 0.9 else text
            )
        if style < 0.90:
            letters = rng.choice(["abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"])
            return "".join(rng.choice(letters) for _ in range(rng.randint(1, min(longest, 7))))
        return rng.choice(
            [
                lambda: str(rng.randint(0, 99)),
                lambda: str(rng.randint(100, 99999)),
                lambda: f"{rng.randint(0, 23)}:{rng.randint(0, 59):02d}",
                lambda: f"${rng.randint(1, 99)}",
                lambda: f"{rng.randint(1, 99)}%",
                lambda: str(rng.randint(1900, 2030)),
                lambda: f"{rng.choice('ABCDEFGHKLMNPRSTUVWXZ')}{rng.randint(1, 99)}",
            ]
        )()

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
        if style < self.shares["sentences"]:
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
        scale = min(
            share * size[0] / max(s.width for s in stamps),
            rng.uniform(0.6, 0.92) * size[1] / len(stamps) / max(s.height for s in stamps) * 0.9,
            3.2 if len(lines[0]) < 3 else 9,
        )
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
        x0 = (
            rng.uniform(0.03, 0.97 - max(s.width for s in stamps) / size[0])
            if max(s.width for s in stamps) < 0.9 * size[0]
            else 0.03
        )
        for stamp in stamps:
            angle = (
                rng.uniform(-8, 8) if len(stamps) == 1 and rng.random() < 0.25 and stamp.width < 0.85 * size[0] else 0
            )
            x = x0 * size[0] if left or len(stamps) == 1 else (size[0] - stamp.width) / 2
            self.place(picture, stamp, x, y, angle)
            y += stamp.height + gap
        return self.finished(picture), ground, lines
