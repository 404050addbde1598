"""Asks and answers questions about pictures whose contents are known."""

from assets import COLOURS, SHAPES
from words import NUMBERS, article, joined, noun_phrase, plural, this_is


class Questions:
    """The turns of conversations; part of the Renderer, whose random choices and assets it uses."""

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
            question = rng.choice(
                [
                    "How many {} are there?",
                    "How many {} are in the picture?",
                    "Count the {}.",
                    "How many {} do you see?",
                ]
            ).format(plural(noun))
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
                    return brief(
                        rng.choice(
                            [
                                f"What color is the {noun}?",
                                f"Which color is the {noun}?",
                                f"What is the color of the {noun}?",
                            ]
                        ),
                        f"The {noun} is {colour}.",
                        colour,
                    )
                return brief(f"What color are the {plural(noun)}?", f"The {plural(noun)} are {colour}.", colour)

            def shape_of():
                colours = [
                    c
                    for c in {t["colour"] for t in things}
                    if len({t["noun"] for t in things if t["colour"] == c}) == 1
                ]
                if not colours:
                    return None
                colour = rng.choice(sorted(colours))
                noun = next(t["noun"] for t in things if t["colour"] == colour)
                many = sum(t["colour"] == colour for t in things)
                if many == 1:
                    return brief(
                        rng.choice(
                            [
                                f"What shape is {colour}?",
                                f"Which shape is {colour}?",
                                f"What is the {colour} shape?",
                                f"What shape is the {colour} one?",
                            ]
                        ),
                        f"The {noun} is {colour}.",
                        noun,
                    )
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
                    word, other = (
                        ("to the left of", "to the right of") if dx < 0 else ("to the right of", "to the left of")
                    )
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
                    return (
                        rng.choice(
                            [
                                f"Where is the {first} relative to the {second}?",
                                f"Where is the {first} compared to the {second}?",
                            ]
                        ),
                        f"The {first} is {word} the {second}.",
                    )
                return (f"What is {word} the {second}?", f"The {first} is {word} the {second}.")
            return None

        options += [relation] * 4

        def where():
            clear = []
            for thing in unique:
                column = [
                    n
                    for n, low, high in (("left", 0, 0.36), ("middle", 0.42, 0.58), ("right", 0.64, 1))
                    if low <= thing["x"] <= high
                ]
                row = [
                    n
                    for n, low, high in (("top", 0, 0.36), ("middle", 0.42, 0.58), ("bottom", 0.64, 1))
                    if low <= thing["y"] <= high
                ]
                if column and row:
                    place = (
                        "in the middle"
                        if column == row == ["middle"]
                        else (
                            "at the " + row[0]
                            if column == ["middle"]
                            else "on the " + column[0] if row == ["middle"] else f"in the {row[0]} {column[0]} corner"
                        )
                    )
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
            options.append(
                lambda: (
                    rng.choice(["What color is the background?", "What is the background color?"]),
                    f"The background is {ground}.",
                )
            )

        def total():
            many = len(things)
            return (
                f"How many {group} are there?" if rng.random() < 0.7 else f"How many {group} are there in total?",
                f"There is one {group[:-1]}." if many == 1 else f"There are {NUMBERS[many]} {group}.",
            )

        options.append(total)

        def describe():
            parts = []
            for (colour, noun), many in coloured.items():
                what = f"{colour} {noun}" if colour else noun
                parts.append(noun_phrase(what) if many == 1 else f"{NUMBERS[many]} {plural(what)}")
            tail = f" on a {ground} background" if ground and rng.random() < 0.5 else ""
            tail = tail.replace("a orange", "an orange")
            if rng.random() < 0.35:
                return (
                    rng.choice(["What is this?", "What is in the picture?", "What do you see?"]),
                    f"This is a picture of {joined(parts)}.",
                )
            return (
                rng.choice(
                    [
                        "Describe the picture.",
                        "Describe this image.",
                        "What does the picture show?",
                        "What is in this image?",
                    ]
                ),
                f"The picture shows {joined(parts)}{tail}.",
            )

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

    def name_turns(self, entry, ground, most=3):
        rng, name, kind = self.rng, entry["name"], entry["kind"]
        turns = []
        style = rng.random()
        if style < 0.5:
            turns.append(
                (
                    rng.choice(
                        [
                            "What is this?",
                            "What is this?",
                            "What is it?",
                            "What do you see?",
                            "What is in the picture?",
                            "What is shown here?",
                        ]
                    ),
                    this_is(name),
                )
            )
        elif style < 0.75:
            turns.append(
                (
                    rng.choice(
                        [
                            "Describe the picture.",
                            "Describe this image.",
                            "What does the picture show?",
                            "What is in this image?",
                        ]
                    ),
                    f"The picture shows {noun_phrase(name)}"
                    + (f" on {article(ground + ' background')}." if ground and rng.random() < 0.4 else "."),
                )
            )
        elif style < 0.9:
            turns.append(
                (
                    rng.choice(
                        [
                            "Name the thing in the picture.",
                            "Name this.",
                            "What is this? Answer briefly.",
                            "What is this? Answer with one word.",
                        ]
                    ),
                    name,
                )
            )
        if kind and rng.random() < 0.5:
            turns.append(
                (rng.choice(["What kind of thing is this?", "What kind of thing is it?"]), f"It is {article(kind)}.")
            )
        if rng.random() < 0.5:
            if rng.random() < 0.5:
                turns.append((f"Is this {noun_phrase(name)}?", f"Yes, this is {noun_phrase(name)}."))
            else:
                same = (
                    [e for e in rng.sample(self.assets.things, 24) if e["kind"] == kind and e["name"] != name]
                    if rng.random() < 0.6
                    else []
                )
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

    def read_turns(self, text, ground, word):
        rng, style = self.rng, self.rng.random()
        if style < 0.45:
            turns = [
                (
                    rng.choice(
                        [
                            "Read the text.",
                            "Read the word." if word else "Read the line.",
                            "Transcribe the text.",
                            "What is written here? Answer with the text only.",
                        ]
                    ),
                    text,
                )
            ]
        elif style < 0.9:
            turns = [
                (
                    rng.choice(
                        [
                            "What does it say?",
                            "What does the text say?",
                            "What is written in the picture?",
                            "What does the sign say?",
                            "What is written here?",
                        ]
                    ),
                    f'It says "{text}".',
                )
            ]
        else:
            kind = "word" if word else "text"
            turns = [
                (
                    rng.choice(["What is this?", "Describe the picture.", "What is in the picture?"]),
                    f'This is a picture of the {kind} "{text}".',
                )
            ]
        if ground and rng.random() < 0.15:
            turns.append(("What color is the background?", f"The background is {ground}."))
        return turns
