"""Renders the chat templates of Tests/Fixtures with jinja2, as transformers sets it up, for the tests of Sources/Jinja.

    python make_template_goldens.py

Writes Tests/Fixtures/templates/conversations.json (every template with every conversation) and snippets.json (small
templates, one idea each). A result is a text, {"raised": message} where the template refused, or {"error": true}.
"""

import datetime
import json

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from fixture_paths import FIXTURES
from template_conversations import CONVERSATIONS
from template_snippets import SNIPPETS, VARIABLES

TEMPLATES = FIXTURES / "templates"
MODELS = FIXTURES / "models"
# What strftime_now shows: a Wednesday.
MOMENT = datetime.datetime(2024, 2, 7, 15, 4, 9, tzinfo=datetime.timezone.utc)
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


class Refusal(Exception):
    """The template called raise_exception."""


class Generation(jinja2.ext.Extension):
    """`{% generation %}`, which marks the assistant's words and writes them as they are."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_write"), [], [], body).set_lineno(line)

    def _write(self, caller):
        return caller()


def environment():
    """jinja2 with the settings and functions chat templates count on."""
    def raise_exception(message):
        raise Refusal(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(
            value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    result = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    result.filters["tojson"] = tojson
    result.globals["raise_exception"] = raise_exception
    result.globals["strftime_now"] = MOMENT.strftime
    return result


def rendered(environment, source, variables):
    """The text, or why there is none."""
    try:
        return environment.from_string(source).render(**variables)
    except Refusal as refusal:
        return {"raised": str(refusal)}
    except Exception:  # What fails in jinja2 has to fail, whatever the reason.
        return {"error": True}


def sources():
    """(path below Tests/Fixtures, source) of all templates."""
    paths = sorted(TEMPLATES.glob("*.jinja")) + sorted(MODELS.glob("*/chat_template.jinja"))
    result = [(path.relative_to(FIXTURES).as_posix(), path.read_text()) for path in paths]
    for path in sorted(MODELS.glob("*/tokenizer_config.json")):
        template = json.loads(path.read_text()).get("chat_template")
        if isinstance(template, str):
            result.append((path.relative_to(FIXTURES).as_posix(), template))
    return result


def write(name, content):
    """Writes a fixture, a line for each item of its last list."""
    head = {key: value for key, value in content.items() if not isinstance(value, list)}
    lines = [json.dumps(key, ensure_ascii=False) + ": " + json.dumps(value, ensure_ascii=False)
             for key, value in head.items()]
    for key, items in content.items():
        if isinstance(items, list):
            rows = ",\n".join(json.dumps(item, ensure_ascii=False, separators=(",", ":")) for item in items)
            lines.append(f"{json.dumps(key)}: [\n{rows}\n]")
    (TEMPLATES / name).write_text("{\n" + ",\n".join(lines) + "\n}\n", newline="\n")


def main():
    jinja = environment()
    texts = []
    places = {}

    def place(result):
        """Where a result stands in the list of all different ones."""
        key = json.dumps(result)
        if key not in places:
            places[key] = len(texts)
            texts.append(result)
        return places[key]

    templates = []
    for path, source in sources():
        results = [place(rendered(jinja, source, {**TOKENS, **case})) for case in CONVERSATIONS.values()]
        templates.append({"path": path, "results": results})
        good = sum(isinstance(texts[result], str) for result in results)
        print(f"{path}: {good} of {len(results)} rendered")
    write("conversations.json", {
        "moment": int(MOMENT.timestamp()),
        "conversations": [{"name": name, "variables": {**TOKENS, **case}} for name, case in CONVERSATIONS.items()],
        "templates": templates,
        "results": texts,
    })
    snippets = [[source, rendered(jinja, source, VARIABLES)] for source in SNIPPETS]
    for source, result in snippets:
        if isinstance(result, dict):
            print("fails:", source)
    write("snippets.json", {"variables": VARIABLES, "snippets": snippets})


if __name__ == "__main__":
    main()
