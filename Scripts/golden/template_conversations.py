"""The variables the chat templates are rendered with: conversations, tools, and what servers add to them."""


def message(role, content, **others):
    """A message."""
    return {"role": role, "content": content, **others}


def text(words):
    """A text part."""
    return {"type": "text", "text": words}


IMAGE = {"type": "image"}
LINK = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
VIDEO = {"type": "video", "video": "clip.mp4"}

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a place.",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "description": "A town, as in \"Zürich\""},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "description": "Unit"},
                "days": {"type": "integer", "description": " How many days ", "default": 3, "minimum": 1.0},
            },
            "required": ["place"],
        },
        "return": {"type": "string"},
    },
}
DRAW = {
    "type": "function",
    "function": {
        "name": "draw",
        "parameters": {
            "type": "object",
            "properties": {
                "shapes": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "number"}}},
                "style": {
                    "type": "object",
                    "description": "<b>Bold</b> & 'thin'",
                    "properties": {
                        "width": {"type": ["number", "boolean"], "description": "px"},
                        "Colour": {"type": "string", "description": "name"},
                    },
                    "required": ["width", "Colour"],
                },
                "nothing": {},
            },
            "required": [],
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "clock", "description": "Time", "parameters": {
    "type": "object", "properties": {}}}}


def call(name, arguments, identifier="abcdef123"):
    """A tool call."""
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}


HELLO = [message("user", "Hello")]
TURNS = [message("user", "Hello"), message("assistant", "Hi!"), message("user", "How are you?")]
CALLED = [
    message("system", "Be exact."),
    message("user", "Weather in Zürich?"),
    message("assistant", None, tool_calls=[call("get_weather", {"place": "Zürich", "days": 2, "wind": 1.5e-7})]),
    message("tool", "{\"sky\": \"☀\"}", tool_call_id="abcdef123", name="get_weather"),
    message("assistant", "Sunny."),
    message("user", "Thanks"),
]
THOUGHTS = [
    message("user", "2 + 2?"),
    message("assistant", "<think>\nTwo and two.\n</think>\n\n4"),
    message("user", "And 3 + 3?"),
    message("assistant", "<think>\n\nThree and three.\n</think>\n\n6\n"),
]
# Line ends, a byte order mark, combining marks, joined emoji, letters beyond the first plane, quotes, markup.
ODD = "a\r\nb\rc\n\u2028d\ufeff \u00a0e\u0301 é 👩‍🚀🇨🇭 𝒳 \\ \"q\" 'p' <b>&amp;</b> {{ x }} {% y %} \x1b\x7f\x00"


def parts(*content):
    """A user's message of parts."""
    return message("user", list(content))


CONVERSATIONS = {
    "hello": {"messages": HELLO},
    "hello-to-answer": {"messages": HELLO, "add_generation_prompt": True},
    "turns": {"messages": TURNS, "add_generation_prompt": True},
    "system": {"messages": [message("system", "  Be brief.\n"), *TURNS], "add_generation_prompt": True},
    "empty-system": {"messages": [message("system", ""), *HELLO], "add_generation_prompt": True},
    "no-messages": {"messages": [], "add_generation_prompt": True},
    "empty-text": {"messages": [message("user", "")], "add_generation_prompt": True},
    "blank-text": {"messages": [message("user", " \n\t ")], "add_generation_prompt": True},
    "ends-with-assistant": {"messages": TURNS[:2]},
    "two-users": {"messages": [HELLO[0], HELLO[0]], "add_generation_prompt": True},
    "late-system": {"messages": [*TURNS[:2], message("system", "Stop."), *TURNS[2:]]},
    "unknown-role": {"messages": [message("critic", "Bad.")], "add_generation_prompt": True},
    "odd-text": {"messages": [message("system", ODD), message("user", ODD)], "add_generation_prompt": True},
    "other-scripts": {
        "messages": [message("user", "東京の天気は？ Привет ΣΊΣΥΦΟΣ ǆ ß ﬁ"), message("assistant", "はい\u3000"), *HELLO],
        "add_generation_prompt": True},
    "indented-text": {"messages": [message("user", "\n  def f():\n\n      return 1\n\n"), *TURNS[1:]]},
    "one-part": {"messages": [parts(text("Hello"))], "add_generation_prompt": True},
    "one-image": {"messages": [parts(IMAGE, text("What is this?"))], "add_generation_prompt": True},
    "text-before-image": {"messages": [parts(text(" Look: "), IMAGE)], "add_generation_prompt": True},
    "many-images": {
        "messages": [
            message("system", [text("See well.")]), parts(IMAGE, LINK, text("Compare"), IMAGE, VIDEO),
            message("assistant", [text("Alike.")]), parts(text("And "), IMAGE, text("?"))],
        "add_generation_prompt": True, "add_vision_id": True},
    "image-in-system": {"messages": [message("system", [IMAGE]), *HELLO]},
    "no-parts": {"messages": [message("user", [])], "add_generation_prompt": True},
    "unknown-part": {"messages": [parts({"type": "smell", "smell": [1, 2.50, None]})]},
    "text-with-image-mark": {"messages": [message("user", "<image>\nWhat?<image>")], "add_generation_prompt": True},
    "one-tool": {"messages": HELLO, "tools": [WEATHER], "add_generation_prompt": True},
    "three-tools": {"messages": TURNS, "tools": [WEATHER, DRAW, CLOCK], "add_generation_prompt": True},
    "no-tools": {"messages": TURNS, "tools": [], "add_generation_prompt": True},
    "tools-in-system": {
        "messages": CALLED[:2], "tools": [DRAW], "tools_in_user_message": False, "date_string": "1 May 2025"},
    "called": {"messages": CALLED, "tools": [WEATHER], "add_generation_prompt": True},
    "called-builtin": {
        "messages": [*HELLO, message("assistant", "", tool_calls=[call("search", {"q": "a", "n": "b"})])],
        "builtin_tools": ["search"], "custom_tools": [CLOCK]},
    "called-twice": {
        "messages": [
            *HELLO,
            message("assistant", "Two calls.", tool_calls=[
                call("draw", {"shapes": [{"r": 1}, [], {}], "deep": {"b": [True, None], "A": -0.0}}),
                call("clock", {}, "x")]),
            message("tool", "ok", tool_call_id="abcdef123"), message("tool", "12:00", tool_call_id="x")],
        "tools": [DRAW, CLOCK], "add_generation_prompt": True},
    "arguments-as-text": {
        "messages": [*HELLO, message("assistant", None, tool_calls=[call("clock", "{\"zone\": \"UTC\"}")])]},
    "structured-result": {
        "messages": [*CALLED[:3], message("tool", {"content": [1, "a"], "n": 10**15}, tool_call_id="abcdef123")]},
    "thoughts": {"messages": THOUGHTS, "add_generation_prompt": True},
    "thoughts-kept": {"messages": [*THOUGHTS, *HELLO], "keep_past_thinking": True, "add_generation_prompt": True},
    "no-thinking": {"messages": THOUGHTS[:3], "enable_thinking": False, "add_generation_prompt": True},
    "reasoning-apart": {
        "messages": [*HELLO, message("assistant", "Hi", reasoning_content="\nGreet.\n")], "enable_thinking": True},
    "response-as-user": {
        "messages": [*HELLO, message("assistant", "x"), message("user", "<tool_response>\n1\n</tool_response>")]},
    "names": {"messages": [message("user", "I am Ann.", name="ann"), message("assistant", "Hi", name="bot")]},
    "documents": {
        "messages": HELLO,
        "documents": [{"title": "Über", "text": "a \"b\"\n\tc"}, "plain ünïcode 🙂", 3.0, {"n": [], "o": {}}]},
    "long": {
        "messages": [message("assistant" if i % 2 else "user", f"Message {i}\n" * (i % 3 + 1)) for i in range(24)],
        "add_generation_prompt": True},
}
