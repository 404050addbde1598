"""Draws the pictures that the demo model is trained and tested on, with questions and answers about them.

Everything is drawn on the fly from the packs that pack.py writes: shapes, emoji drawings, clip art, words and sentences
in many fonts, bar charts and small landscapes. A sample is one or two pictures and some turns of question and answer.
"""

from dataclasses import dataclass, field

from PIL import Image, ImageDraw

from assets import COLOURS, SHAPES, canvas_grid
from canvas import Canvas
from questions import Questions
from words import NUMBERS, joined, noun_phrase, plural, this_is

SHARES = {
    # of the samples of one tile
    "naming": 0.26,
    "scenes": 0.23,
    "drawings": 0.06,
    "reading": 0.32,
    "captions": 0.03,
    "charts": 0.02,
    "landscapes": 0.08,
    # of the samples of four tiles, and of the lines of text
    "lines": 0.8,
    "sentences": 0.6,
}
SINGLE = list(SHARES)[:7]


@dataclass
class Sample:
    images: list
    turns: list = field(default_factory=list)


class Renderer(Canvas, Questions):
    """Draws samples of every sort, in the shares of SHARES."""

    def __init__(self, assets, seed, shares=()):
        super().__init__(assets, seed)
        self.shares = {**SHARES, **dict(shares)}

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
        labels = rng.sample(
            rng.choice(
                [
                    list("ABCDEFGH"),
                    ["Mon", "Tue", "Wed", "Thu", "Fri"],
                    ["Jan", "Feb", "Mar", "Apr", "May"],
                    ["2021", "2022", "2023", "2024", "2025"],
                ]
            ),
            count,
        )
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
            (
                rng.choice(["Which bar is the tallest?", "Which bar is the highest?"]),
                f'The bar "{best}" is the tallest.',
            ),
            (
                rng.choice(["Which bar is the shortest?", "Which bar is the lowest?"]),
                f'The bar "{least}" is the shortest.',
            ),
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
        draw.rectangle(
            (0, horizon, width, height), fill=(rng.randint(70, 130), rng.randint(145, 190), rng.randint(60, 100))
        )
        if rng.random() < 0.5:
            road = horizon + (height - horizon) * rng.uniform(0.3, 0.5)
            draw.rectangle((0, road, width, road + height * 0.1), fill=(95, 95, 100))
        things = []
        columns = rng.sample([0.18, 0.5, 0.82], rng.choice([1, 2, 3, 3]))
        kinds = (
            rng.sample(["house", "tree", "car"], len(columns))
            if rng.random() < 0.7
            else [rng.choice(["house", "tree", "car", "drawing"]) for _ in columns]
        )
        for kind, cx in sorted(zip(kinds, columns), key=lambda pair: pair[1]):
            x = cx * width
            s = min(width, height) * rng.uniform(0.22, 0.34)
            base = horizon + (height - horizon) * rng.uniform(0.02, 0.3)
            colour = rng.choice(
                ["red", "blue", "yellow", "white", "orange", "purple", "pink", "brown", "gray", "green"]
            )
            if kind == "house":
                wall = self.shade(colour)
                draw.rectangle((x - s / 2, base - s * 0.8, x + s / 2, base), fill=wall)
                draw.polygon(
                    [(x - s * 0.62, base - s * 0.8), (x, base - s * 1.35), (x + s * 0.62, base - s * 0.8)],
                    fill=self.shade(rng.choice(["brown", "black", "gray", "red"]), 10),
                )
                draw.rectangle((x - s * 0.1, base - s * 0.42, x + s * 0.12, base), fill=(90, 55, 30))
                for side in (-1, 1):
                    draw.rectangle(
                        (
                            x + side * s * 0.32 - s * 0.09,
                            base - s * 0.66,
                            x + side * s * 0.32 + s * 0.09,
                            base - s * 0.48,
                        ),
                        fill=(235, 240, 250),
                        outline=(60, 40, 30),
                    )
                things.append((f"{colour} house", "house", colour))
                self.mark(f"{colour} house", (x - s / 2, base - s, x + s / 2, base))
            elif kind == "tree":
                draw.rectangle((x - s * 0.08, base - s * 0.6, x + s * 0.08, base), fill=(105, 70, 40))
                green = (rng.randint(25, 60), rng.randint(115, 150), rng.randint(40, 70))
                if rng.random() < 0.6:
                    for dx, dy, r in ((0, -1.0, 0.38), (-0.28, -0.72, 0.3), (0.28, -0.72, 0.3)):
                        draw.ellipse(
                            (x + (dx - r) * s, base + (dy - r) * s, x + (dx + r) * s, base + (dy + r) * s), fill=green
                        )
                else:
                    for dy, r in ((-0.4, 0.48), (-0.75, 0.4), (-1.05, 0.3)):
                        draw.polygon(
                            [(x - r * s, base + dy * s), (x, base + (dy - 0.5) * s), (x + r * s, base + dy * s)],
                            fill=green,
                        )
                things.append(("green tree", "tree", "green"))
                self.mark("green tree", (x - s * 0.4, base - s * 1.2, x + s * 0.4, base - s * 0.2))
            elif kind == "car":
                body = self.shade(colour)
                base = min(height - s * 0.1, base + (height - horizon) * 0.3)
                draw.rounded_rectangle(
                    (x - s * 0.62, base - s * 0.42, x + s * 0.62, base - s * 0.12), s * 0.06, fill=body
                )
                draw.polygon(
                    [
                        (x - s * 0.42, base - s * 0.4),
                        (x - s * 0.26, base - s * 0.66),
                        (x + s * 0.24, base - s * 0.66),
                        (x + s * 0.42, base - s * 0.4),
                    ],
                    fill=tuple(min(255, c + 25) for c in body),
                )
                for side in (-1, 1):
                    cx2 = x + side * s * 0.36
                    draw.ellipse((cx2 - s * 0.14, base - s * 0.26, cx2 + s * 0.14, base + s * 0.02), fill=(25, 25, 28))
                    draw.ellipse(
                        (cx2 - s * 0.05, base - s * 0.17, cx2 + s * 0.05, base - s * 0.07), fill=(200, 200, 205)
                    )
                things.append((f"{colour} car", "car", colour))
                self.mark(f"{colour} car", (x - s * 0.6, base - s * 0.6, x + s * 0.6, base))
            else:
                entry = rng.choice(self.assets.simple)
                self.paste(picture, entry, x, base - s * 0.35, s * 0.55)
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
                draw.ellipse(
                    (x - r, y - r, x + r, y + r),
                    fill=(rng.randint(245, 255), rng.randint(205, 225), rng.randint(30, 80)),
                )
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
                if (
                    sky_name
                    and abs(x + stamp.width / 2 - spots[0] * width) < stamp.width / 2 + min(width, height) * 0.12
                ):
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
        turns = [
            (
                rng.choice(
                    ["Describe the picture.", "What is this?", "What does the picture show?", "What do you see?"]
                ),
                (
                    f"The picture shows {joined(parts)}{tail}."
                    if rng.random() < 0.7
                    else f"This is a picture of {joined(parts)}{tail}."
                ),
            )
        ]
        if text:
            turns.append(
                (
                    rng.choice(
                        ["What does it say?", "What word is in the picture?", "What is written in the picture?"]
                    ),
                    f'It says "{text}".',
                )
            )
        nouns = [noun for _, noun, _ in things]
        for name, noun, colour in things:
            if colour and nouns.count(noun) == 1:
                turns.append((f"What color is the {noun}?", f"The {noun} is {colour}."))
        if len(set(nouns)) == len(nouns) > 1:
            i = rng.randrange(len(nouns) - 1)
            if rng.random() < 0.5:
                turns.append(
                    (
                        f"What is to the left of the {nouns[i + 1]}?",
                        f"The {nouns[i]} is to the left of the {nouns[i + 1]}.",
                    )
                    if i == 0
                    else (
                        f"Is the {nouns[i]} to the left of the {nouns[i + 1]}?",
                        f"Yes, the {nouns[i]} is to the left of the {nouns[i + 1]}.",
                    )
                )
            else:
                turns.append(
                    (
                        f"Is the {nouns[i]} to the right of the {nouns[i + 1]}?",
                        f"No, the {nouns[i]} is to the left of the {nouns[i + 1]}.",
                    )
                )
        for noun in ("house", "tree", "car"):
            turns.append(
                (f"Is there a {noun}?", f"Yes, there is a {noun}." if noun in nouns else f"No, there is no {noun}.")
            )
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
        turns = [
            (
                rng.choice(["What does it say?", "What word is in the picture?", "What does the text say?"]),
                f'It says "{text}".',
            ),
            (
                rng.choice(["What is in the picture?", "What is shown above the text?", "What is the drawing?"]),
                this_is(entry["name"]),
            ),
            ("Describe the picture.", f'The picture shows {noun_phrase(entry["name"])} above the word "{text}".'),
        ]
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
        (sort,) = self.rng.choices(SINGLE, [self.shares[name] for name in SINGLE])
        if sort in ("scenes", "drawings"):
            picture, things, ground = self.scene(drawings=sort == "drawings")
            return Sample([picture], self.scene_turns(things, ground))
        draw = {
            "naming": self.naming,
            "reading": self.reading,
            "captions": self.captioned,
            "charts": self.chart,
            "landscapes": self.landscape,
        }
        return draw[sort]()

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
        if style < (self.shares["lines"] if tiles == 4 else 0.45) and ratio > 0.45:
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
            which = rng.choice(
                [
                    f"Which picture has {'more' if more else 'fewer'} {plural(noun)}?",
                    f"Which image has {'more' if more else 'fewer'} {plural(noun)}, the first or the second?",
                ]
            )
            if counts[0] == counts[1]:
                turns.append(
                    (which, f"Both pictures have {NUMBERS[counts[0]]} {plural(noun) if counts[0] > 1 else noun}.")
                )
            else:
                winner = (counts[0] > counts[1]) != more
                turns.append((which, f"The {order[winner]} picture has {'more' if more else 'fewer'} {plural(noun)}."))
            i = rng.randrange(2)
            turns.append(
                (
                    f"How many {plural(noun)} are in the {order[i]} picture?",
                    (
                        f"There is one {noun} in the {order[i]} picture."
                        if counts[i] == 1
                        else f"There are {NUMBERS[counts[i]]} {plural(noun)} in the {order[i]} picture."
                    ),
                )
            )
            if colours[0] != colours[1]:
                turns.append(
                    (
                        (
                            f"What color are the {plural(noun)} in the {order[i]} picture?"
                            if counts[i] > 1
                            else f"What color is the {noun} in the {order[i]} picture?"
                        ),
                        f"The {plural(noun) if counts[i] > 1 else noun} in the {order[i]} picture "
                        f"{'are' if counts[i] > 1 else 'is'} {colours[i]}.",
                    )
                )
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
                turns.append(
                    (
                        rng.choice(
                            [
                                "Which word differs?",
                                "Do the two pictures say the same?",
                                "Do the pictures show the same word?",
                            ]
                        ),
                        answer,
                    )
                )
            else:
                turns.append(
                    (
                        rng.choice(
                            [
                                "Which word differs?",
                                "Which word is different?",
                                "What differs between the pictures?",
                                "Do the two pictures say the same?",
                                "Do the pictures show the same word?",
                            ]
                        ),
                        f'The first picture says "{first}" and the second picture says "{second}".',
                    )
                )
            i = rng.randrange(2)
            turns.append(
                (f"What does the {order[i]} picture say?", f'The {order[i]} picture says "{" ".join(made[i][2])}".')
            )
        else:  # drawings
            entries = [self.pick(), self.pick()]
            if entries[0]["name"] == entries[1]["name"]:
                return self.pair()
            images = [self.portrait(e)[0] for e in entries]
            phrases = [noun_phrase(e["name"]) for e in entries]
            i = rng.randrange(2)
            turns = [
                (
                    rng.choice(["What are these?", "Describe the pictures.", "Compare the pictures.", "What differs?"]),
                    f"The first picture shows {phrases[0]} and the second picture shows {phrases[1]}.",
                ),
                (f"What is in the {order[i]} picture?", f"The {order[i]} picture shows {phrases[i]}."),
                (f"Which picture shows {phrases[1 - i]}?", f"The {order[1 - i]} picture shows {phrases[1 - i]}."),
            ]
        rng.shuffle(turns)
        if rng.random() < 0.5 and len(turns) > 1:
            turns = turns[:2]
        return Sample(images, turns)
