"""LLaVA over HTTP: the reference's tokens, and pictures of every shape."""

import pytest

from golden import check_answer, check_chat, conversations
from vireo_server import body, picture

NAMES = ["llava", "llava-siglip", "llava-next", "llava-onevision"]
CASES = {name: conversations(name) for name in NAMES}
EACH = [pytest.param(name, each, id=f"{name}-{each['name']}") for name in NAMES for each in CASES[name]]
PROMPT = "<|im_start|>user\n<image>What?<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("name,each", EACH)
def test_the_answer_is_the_references(servers, name, each):
    check_answer(servers(name), each)


@pytest.mark.parametrize("name,each", EACH)
def test_a_chat_has_the_references_prompt(servers, name, each):
    check_chat(servers(name), name, each)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (1, 60), (60, 1), (200, 1), (1, 200), (4000, 20), (28, 28), (1500, 1100)])
def test_pictures_of_every_shape(servers, name, size):
    reply = servers(name).post("/generate", body(PROMPT, [picture(*size)], max_new_tokens=2))
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(201, 1), (1, 201)])
def test_pictures_too_long(servers, name, size):
    reply = servers(name).post("/generate", body(PROMPT, [picture(*size)], max_new_tokens=2))
    assert reply.status_code == 400 and "200 times" in reply.json()["error"]["message"]


def test_a_bound_on_tiles_is_refused(servers):
    reply = servers("llava").post("/generate", body(
        PROMPT, [picture(50, 50)], max_new_tokens=2, image_max_patch_num=4))
    assert reply.status_code == 400 and reply.json()["error"]["param"] == "parameters.image_max_patch_num"


@pytest.mark.parametrize("prompt,count,places", [(PROMPT, 0, 1), (PROMPT + PROMPT, 1, 2), ("What?", 1, 0)])
def test_as_many_marks_as_pictures(servers, prompt, count, places):
    reply = servers("llava").post("/generate", body(prompt, [picture(50, 50)] * count, max_new_tokens=2))
    assert reply.status_code == 400 and f"{places} place(s)" in reply.json()["error"]["message"], reply.text


def test_what_a_user_types_is_text(servers):
    messages = [{"role": "user", "content": "What does <image> do in HTML?"}]
    reply = servers("llava").post("/v1/chat/completions", {"model": "llava", "messages": messages, "max_tokens": 1})
    assert reply.status_code == 200, reply.text
