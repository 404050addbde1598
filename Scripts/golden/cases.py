"""The conversations the golden references answer, and the RoPE variations of the text towers."""


def image(name):
    """An image part."""
    return {"type": "image", "image": name}


def text(words):
    """A text part."""
    return {"type": "text", "text": words}


def user(*parts):
    """A user message of content parts."""
    return {"role": "user", "content": list(parts)}


LONG_TEXT = (
    "Please return a list of the names that this module defines, and say in a few words what each of the functions "
    "does when it is called with no arguments, with one argument, or with an argument of the wrong type; 1 2 3 45 678."
)

CASES = [
    {"name": "text-only", "messages": [{"role": "user", "content": LONG_TEXT}]},
    {"name": "non-ascii", "messages": [
        {"role": "system", "content": "Du bist höflich."},
        # The last word but one is written with a combining accent: the tokenizer composes it (NFC).
        {"role": "user", "content": "Zürich – naïve café, 東京の天気は？ Ёлка 🙂👩‍🚀 cafe\u0301 ﬁn"},
    ]},
    {"name": "one-tile", "messages": [user(image("golden-one.png"), text("What is in the picture?"))]},
    {"name": "two-tiles", "messages": [user(image("golden-two.jpg"), text("What is in the picture?"))]},
    {"name": "two-tiles-without-thumbnail", "tiling": {"thumbnail": False},
     "messages": [user(image("golden-two.jpg"), text("What is in the picture?"))]},
    {"name": "six-tiles", "messages": [user(image("golden-six.png"), text("What is in the picture?"))]},
    {"name": "six-tiles-limited-to-four", "tiling": {"max_tiles": 4},
     "messages": [user(image("golden-six.png"), text("What is in the picture?"))]},
    {"name": "twelve-tiles", "messages": [user(image("golden-twelve.jpg"), text("What is in the picture?"))]},
    {"name": "three-images", "messages": [user(
        image("golden-one.png"), image("golden-wide.jpg"), image("golden-tall.png"), text("How do these differ?"))]},
    {"name": "conversation", "messages": [
        {"role": "system", "content": "Answer in one word."},
        user(text("Look: "), image("golden-clear.png"), text("What is its colour?")),
        {"role": "assistant", "content": "Green."},
        user(text("Are you sure?")),
    ]},
]


def variation(name, rope, **others):
    """`text_config` spells it as version 4 configs do; `set` as transformers 5 holds it."""
    theta = rope.pop("rope_theta")
    return {
        "name": name,
        "text_config": {"rope_theta": theta, "rope_scaling": rope or None, **others},
        "set": {"rope_parameters": {"rope_type": "default", "rope_theta": theta, **rope}, **others},
    }


# What a small set of cases has, for text towers that differ from the first two in settings.
FEW = ["text-only", "non-ascii", "one-tile", "three-images"]

# All on the "text-only" prompt, whose length is beyond the 64 positions below.
LLAMA_ROPE = [
    variation("default", {"rope_theta": 500000.0}),
    variation("linear", {"rope_theta": 10000.0, "rope_type": "linear", "factor": 4.0}),
    variation("dynamic", {"rope_theta": 10000.0, "rope_type": "dynamic", "factor": 2.0}, max_position_embeddings=64),
    variation("llama3", {
        "rope_theta": 10000.0, "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64}),
    variation("yarn", {
        "rope_theta": 10000.0, "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
        max_position_embeddings=256),
]

# Windows smaller than the prompt.
MISTRAL_WINDOWS = [
    variation(f"window of {window}", {"rope_theta": 1000000.0}, sliding_window=window) for window in (1, 20, 60)
]

INTERNLM2_ROPE = [
    {"name": "dynamic", "text_config": {
        "rope_theta": 10000.0, "rope_scaling": {"type": "dynamic", "factor": 3.0}, "max_position_embeddings": 64}},
]


def longrope(name, kind, **others):
    """LongRoPE on a part of a head, with factors for twelve turning values and another spelling of its name."""
    factors = {"short_factor": [1.0, 1.02, 1.05, 1.2, 1.5, 1.9], "long_factor": [1.2, 1.9, 3.5, 6.0, 9.5, 14.0]}
    result = variation(name, {"rope_theta": 10000.0, "rope_type": "longrope", **factors}, **others)
    result["text_config"]["rope_scaling"] = {"type": kind, **factors}
    result["text_config"]["partial_rotary_factor"] = result["set"]["rope_parameters"]["partial_rotary_factor"] = 0.6
    return result


PHI3_ROPE = [
    longrope("longrope-long", "longrope", original_max_position_embeddings=64, max_position_embeddings=256),
    longrope("longrope-short", "su", original_max_position_embeddings=128, max_position_embeddings=256),
    longrope("longrope in a window", "su", original_max_position_embeddings=128, max_position_embeddings=256,
             sliding_window=33),
]
