"""Qwen2.5-VL over HTTP, divided over two ranks: the reference's tokens, and pictures of every shape."""

import base64
import json

import pytest

from vireo_server import FIXTURES, IMAGES, Server, body, ids, png

NAME = "qwen2_5-vl"
CASES = json.loads((FIXTURES / "golden" / f"{NAME}.json").read_text())["cases"]
PROMPT = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>What?<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    log = tmp_path_factory.mktemp("qwen") / "server.log"
    flags = ["--device", "cpu", "--data_type", "float32", "--tp", "2", "--visual_dp", "2", "--visual_tp", "1"]
    with Server(FIXTURES / "models" / NAME, log, *flags) as running:
        yield running
        assert running.stop() == 0, running.log()


def picture(width, height):
    """A red PNG of that size."""
    return png(width, height, (b"\0" + b"\xc8\x1e\x3c" * width) * height)


def ask(server, image, **parameters):
    return server.post("/generate", body(PROMPT, [image], max_new_tokens=2, **parameters))


@pytest.mark.parametrize("each", CASES, ids=lambda each: each["name"])
def test_the_answer_is_the_references(qwen, each):
    images = [(IMAGES / image["file"]).read_bytes() for image in each["images"]]
    answer = qwen.generate(
        each["prompt"], images, max_new_tokens=32, ignore_eos=True, do_sample=False, return_details=True)
    assert ids(answer) == each["greedy_ids"]
    assert answer["prompt_tokens"] == len(each["input_ids"])


@pytest.mark.parametrize("each", CASES, ids=lambda each: each["name"])
def test_a_chat_has_the_references_prompt(qwen, each):
    images = iter(each["images"])
    messages = [{**message, "content": message["content"] if isinstance(message["content"], str) else [
        part if part["type"] == "text" else {"type": "image_url", "image_url": {
            "url": "data:image/png;base64," + base64.b64encode(
                (IMAGES / next(images)["file"]).read_bytes()).decode()}}
        for part in message["content"]]} for message in each["messages"]]
    answer = qwen.post("/v1/chat/completions", {"model": NAME, "messages": messages, "max_tokens": 1})
    assert answer.status_code == 200, answer.text
    assert answer.json()["usage"]["prompt_tokens"] == len(each["input_ids"])


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (60, 1), (200, 1), (4000, 20), (28, 28), (1500, 1100)])
def test_pictures_of_every_shape(qwen, size):
    assert ask(qwen, picture(*size)).status_code == 200


@pytest.mark.parametrize("size", [(201, 1), (1, 201)])
def test_pictures_too_long(qwen, size):
    reply = ask(qwen, picture(*size))
    assert reply.status_code == 400 and "200 times" in reply.json()["error"]["message"]


def test_a_bound_on_tiles_is_refused(qwen):
    reply = ask(qwen, picture(50, 50), image_max_patch_num=4)
    assert reply.status_code == 400 and reply.json()["error"]["param"] == "parameters.image_max_patch_num"


def test_marks_without_a_picture_are_text(qwen):
    assert qwen.generate(PROMPT, [], max_new_tokens=2)["count_output_tokens"] == 2


def test_more_marks_than_pictures(qwen):
    reply = qwen.post("/generate", body(PROMPT + PROMPT, [picture(50, 50)], max_new_tokens=2))
    assert reply.status_code == 400 and "2 place(s)" in reply.json()["error"]["message"]
