"""Qwen2.5-VL over HTTP, divided over two ranks: the reference's tokens, and pictures of every shape."""

import pytest

from golden import check_answer, check_chat, conversations
from vireo_server import FIXTURES, Server, body, ids, picture

NAME = "qwen2_5-vl"
CASES = conversations(NAME)
PROMPT = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>What?<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    log = tmp_path_factory.mktemp("qwen") / "server.log"
    flags = ["--device", "cpu", "--data_type", "float32", "--tp", "2", "--visual_dp", "2", "--visual_tp", "1"]
    with Server(FIXTURES / "models" / NAME, log, *flags) as running:
        yield running
        assert running.stop() == 0, running.log()


def ask(server, image, **parameters):
    return server.post("/generate", body(PROMPT, [image], max_new_tokens=2, **parameters))


@pytest.mark.parametrize("each", CASES, ids=lambda each: each["name"])
def test_the_answer_is_the_references(qwen, each):
    check_answer(qwen, each)


@pytest.mark.parametrize("each", CASES, ids=lambda each: each["name"])
def test_a_chat_has_the_references_prompt(qwen, each):
    check_chat(qwen, NAME, each)


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
