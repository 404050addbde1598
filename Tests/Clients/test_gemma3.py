"""Gemma 3 over HTTP: the reference's tokens, and pictures of every shape."""

import pytest

from golden import check_answer, check_chat, conversations
from vireo_server import FIXTURES, Server, body, picture

NAMES = ["gemma3", "gemma3-heads", "gemma3-text"]
PICTURED = NAMES[:2]
CASES = {name: conversations(name) for name in NAMES}
EACH = [pytest.param(name, each, id=f"{name}-{each['name']}") for name in NAMES for each in CASES[name]]
PROMPT = "<start_of_turn>user\n<start_of_image>What?<end_of_turn>\n<start_of_turn>model\n"


@pytest.mark.parametrize("name,each", EACH)
def test_the_answer_is_the_references(servers, name, each):
    # The tokenizer begins every prompt with <bos>.
    check_answer(servers(name), each, each["prompt"].removeprefix("<bos>"))


@pytest.mark.parametrize("name,each", EACH)
def test_a_chat_has_the_references_prompt(servers, name, each):
    check_chat(servers(name), name, each)


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
