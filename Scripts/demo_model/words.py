"""English for questions and answers: articles, plurals and lists."""

import re

NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
MASS = set(
    "cheese bread rice bacon milk water fire snow honey butter salt money wine beer coffee tea sake fog rain "
    "ice fruit food clothing paper furniture corn broccoli garlic ginger lettuce meat spaghetti sushi".split()
)


def article(noun):
    first = noun.split()[0]
    if re.match(r"(?i)(hour|honest|heir|x-ray)", first) or (
        noun[0].lower() in "aeiou" and not re.match(r"(?i)(uni|use|eu|one|ut|ufo)", first)
    ):
        return "an " + noun
    return "a " + noun


def is_plural(noun):
    last = noun.split(" with ")[0].split(" of ")[0].split()[-1]
    return (
        last.endswith("s")
        and not last.endswith(("ss", "us", "is", "as", "os"))
        or last in ("people", "men", "women", "dice")
    )


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
    for one, many in (
        ("man", "men"),
        ("foot", "feet"),
        ("tooth", "teeth"),
        ("mouse", "mice"),
        ("leaf", "leaves"),
        ("fish", "fish"),
        ("sheep", "sheep"),
        ("deer", "deer"),
        ("knife", "knives"),
    ):
        if head == one or head.endswith(" " + one):
            return head[: -len(one)] + many
    return head + "s"


def this_is(noun):
    return f"These are {noun}." if is_plural(noun) else f"This is {noun_phrase(noun)}."


def joined(parts):
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
