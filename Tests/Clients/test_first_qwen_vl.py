"""The first Qwen-VL over HTTP: the reference's tokens, pictures of every shape, and what LightLLM's clients write."""

import pytest

from golden import check_answer, check_chat, conversations
from vireo_server import FIXTURES, Server, body, ids, picture, png

NAME = "qwen-vl"
CASES = conversations(NAME)
PROMPT = "<|im_start|>user\n<img></img>What?<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    log = tmp_path_factory.mktemp("qwen-vl") / "server.log"
    flags = ["--device", "cpu", "--data_type", "float32", "--tp", "2", "--visual_dp", "1", "--visual_tp", "2"]
    with Server(FIXTURES / "models" / NAME, log, *flags) as running:
        yield running
        assert running.stop() == 0, running.log()


@pytest.mark.parametrize("each", CASES, ids=lambda each: each["name"])
def test_the_answer_is_the_references(qwen, each):
    check_answer(qwen, each)


@pytest.mark.parametrize("each", CASES, ids=lambda each: each["name"])
def test_a_chat_has_the_references_prompt(qwen, each):
    check_chat(qwen, NAME, each)


def test_a_client_of_lightllm(qwen):
    """Two pictures, stop texts with a space before them; an address between the marks counts for nothing."""
    pictures = [picture(60, 50), picture(50, 60)]
    counts = set()
    for marks in ("<img></img>\n<img></img>\n", "<img>a.jpg</img>\n<img>https://b/c.png</img>\n"):
        prompt = f"<|im_start|>user\n{marks}Which?<|im_end|>\n<|im_start|>assistant\n"
        answer = qwen.generate(
            prompt, pictures, max_new_tokens=4, ignore_eos=True, return_details=True, do_sample=False,
            stop_sequences=[" <|endoftext|>", " <|im_start|>", " <|im_end|>"])
        counts.add((answer["prompt_tokens"], tuple(ids(answer))))
    assert len(counts) == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (60, 1), (200, 1), (1, 200), (4000, 20), (28, 28), (1500, 1100)])
def test_pictures_of_every_shape(qwen, size):
    reply = qwen.post("/generate", body(PROMPT, [picture(*size)], max_new_tokens=2))
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize("size", [(201, 1), (1, 201)])
def test_pictures_too_long(qwen, size):
    reply = qwen.post("/generate", body(PROMPT, [picture(*size)], max_new_tokens=2))
    assert reply.status_code == 400 and "200 times" in reply.json()["error"]["message"]


@pytest.mark.parametrize("prompt,count,places", [
    (PROMPT, 0, 1), (PROMPT + PROMPT, 1, 2), ("What?", 1, 0), ("<img>x</img>", 0, 1), ("<img>", 1, 0)])
def test_as_many_marks_as_pictures(qwen, prompt, count, places):
    reply = qwen.post("/generate", body(prompt, [picture(50, 50)] * count, max_new_tokens=2))
    assert reply.status_code == 400 and f"{places} place(s)" in reply.json()["error"]["message"], reply.text


def test_a_prompt_beyond_the_trained_length(qwen):
    reply = qwen.post("/generate", body("a b " * 400, max_new_tokens=2))
    assert reply.status_code == 400 and "at most 511" in reply.json()["error"]["message"], reply.text


def test_what_a_user_types_is_text(qwen):
    messages = [{"role": "user", "content": "What do <img></img> and <image> do in HTML?"}]
    reply = qwen.post("/v1/chat/completions", {"model": NAME, "messages": messages, "max_tokens": 1})
    assert reply.status_code == 200, reply.text
