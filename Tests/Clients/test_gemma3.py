"""Gemma 3 over HTTP: the reference's tokens, and pictures of every shape."""

import base64
import json

import pytest

from vireo_server import FIXTURES, IMAGES, Server, body, ids, png

NAMES = ["gemma3", "gemma3-heads", "gemma3-text"]
PICTURED = NAMES[:2]
CASES = {name: json.loads((FIXTURES / "golden" / f"{name}.json").read_text())["cases"] for name in NAMES}
EACH = [pytest.param(name, each, id=f"{name}-{each['name']}") for name in NAMES for each in CASES[name]]
PROMPT = "<start_of_turn>user\n<start_of_image>What?<end_of_turn>\n<start_of_turn>model\n"


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    started = {}

    def get(name):
        if name not in started:
            log = tmp_path_factory.mktemp(name) / "server.log"
            started[name] = Server(
                FIXTURES / "models" / name, log, "--device", "cpu", "--data_type", "float32").__enter__()
        return started[name]
    yield get
    for server in started.values():
        code = server.stop()
        server.__exit__(None, None, None)
        assert code == 0, server.log()


def picture(width, height):
    """A red PNG of that size."""
    return png(width, height, (b"\0" + b"\xc8\x1e\x3c" * width) * height)


@pytest.mark.parametrize("name,each", EACH)
def test_the_answer_is_the_references(servers, name, each):
    images = [(IMAGES / image["file"]).read_bytes() for image in each["images"]]
    # The tokenizer begins every prompt with <bos>.
    answer = servers(name).generate(
        each["prompt"].removeprefix("<bos>"), images, max_new_tokens=32, ignore_eos=True, do_sample=False,
        return_details=True)
    assert ids(answer) == each["greedy_ids"]
    assert answer["prompt_tokens"] == len(each["input_ids"])


@pytest.mark.parametrize("name,each", EACH)
def test_a_chat_has_the_references_prompt(servers, name, each):
    images = iter(each["images"])
    messages = [{**message, "content": message["content"] if isinstance(message["content"], str) else [
        part if part["type"] == "text" else {"type": "image_url", "image_url": {
            "url": "data:image/png;base64," + base64.b64encode(
                (IMAGES / next(images)["file"]).read_bytes()).decode()}}
        for part in message["content"]]} for message in each["messages"]]
    answer = servers(name).post("/v1/chat/completions", {"model": name, "messages": messages, "max_tokens": 1})
    assert answer.status_code == 200, answer.text
    assert answer.json()["usage"]["prompt_tokens"] == len(each["input_ids"])


@pytest.mark.parametrize("name", PICTURED)
@pytest.mark.parametrize("size", [(1, 1), (1, 60), (200, 1), (1, 200), (4000, 20), (1500, 1100)])
def test_pictures_of_every_shape(servers, name, size):
    reply = servers(name).post("/generate", body(PROMPT, [picture(*size)], max_new_tokens=2))
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize("name", PICTURED)
@pytest.mark.parametrize("size", [(201, 1), (1, 201)])
def test_pictures_too_long(servers, name, size):
    reply = servers(name).post("/generate", body(PROMPT, [picture(*size)], max_new_tokens=2))
    assert reply.status_code == 400 and "200 times" in reply.json()["error"]["message"]


@pytest.mark.parametrize("prompt,count,places", [(PROMPT, 0, 1), (PROMPT + PROMPT, 1, 2), ("What?", 1, 0)])
def test_as_many_marks_as_pictures(servers, prompt, count, places):
    reply = servers("gemma3").post("/generate", body(prompt, [picture(50, 50)] * count, max_new_tokens=2))
    assert reply.status_code == 400 and f"{places} place(s)" in reply.json()["error"]["message"], reply.text


def test_what_a_user_types_is_text(servers):
    messages = [{"role": "user", "content": "Is <start_of_image> a word?"}]
    reply = servers("gemma3").post("/v1/chat/completions", {"model": "gemma3", "messages": messages, "max_tokens": 1})
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize("flag", ["--chunked_prefill_size", "--batch_max_tokens"])
def test_steps_smaller_than_a_picture_are_refused(tmp_path, flag):
    with pytest.raises(Exception) as caught:
        with Server(FIXTURES / "models" / "gemma3", tmp_path / "log", "--device", "cpu", flag, "8"):
            pass
    assert f"{flag} is 8, but must be at least 16" in str(caught.value) + (tmp_path / "log").read_text()
