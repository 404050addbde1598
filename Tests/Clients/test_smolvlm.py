"""SmolVLM2 and Idefics3 over HTTP: the reference's tokens, and pictures of every shape."""

import pytest

from golden import check_answer, check_chat, conversations
from vireo_server import FIXTURES, body, free_port, picture, run

NAMES = ["smolvlm", "idefics3"]
CASES = {name: conversations(name) for name in NAMES}
EACH = [pytest.param(name, each, id=f"{name}-{each['name']}") for name in NAMES for each in CASES[name]]
PROMPT = "<|im_start|>User:<image>What?<end_of_utterance>\nAssistant:"


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
    reply = servers("smolvlm").post("/generate", body(
        PROMPT, [picture(50, 50)], max_new_tokens=2, image_max_patch_num=4))
    assert reply.status_code == 400 and reply.json()["error"]["param"] == "parameters.image_max_patch_num"


@pytest.mark.parametrize("prompt,count,places", [(PROMPT, 0, 1), (PROMPT + PROMPT, 1, 2), ("What?", 1, 0)])
def test_as_many_marks_as_pictures(servers, prompt, count, places):
    reply = servers("smolvlm").post("/generate", body(prompt, [picture(50, 50)] * count, max_new_tokens=2))
    assert reply.status_code == 400 and f"{places} place(s)" in reply.json()["error"]["message"], reply.text


def test_what_a_user_types_is_text(servers):
    messages = [{"role": "user", "content": "What do <image> and <row_1_col_1> do?"}]
    reply = servers("smolvlm").post("/v1/chat/completions", {"model": "smolvlm", "messages": messages, "max_tokens": 1})
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize("name", NAMES)
def test_text_may_come_as_a_string(servers, name):
    counts = []
    for content in ("What is this?", [{"type": "text", "text": "What is this?"}]):
        reply = servers(name).post("/v1/chat/completions", {
            "model": name, "messages": [{"role": "user", "content": content}], "max_tokens": 1})
        assert reply.status_code == 200, reply.text
        counts.append(reply.json()["usage"]["prompt_tokens"])
    assert counts[0] == counts[1] > 10


def test_videos_are_refused(servers):
    messages = [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}]}]
    reply = servers("smolvlm").post("/v1/chat/completions", {"model": "smolvlm", "messages": messages})
    assert reply.status_code == 400 and '"image_url"' in reply.json()["error"]["message"]


def test_inspect_and_a_bound_on_tiles():
    model = FIXTURES / "models" / "smolvlm"
    code, output = run("inspect", "--model_dir", model)
    assert code == 0 and "up to 10 tiles of 50 pixels" in output, output
    code, output = run("serve", "--model_dir", model, "--port", free_port(), "--max_tiles", 4)
    assert code > 0 and "--max_tiles" in output and "fixed by its configuration" in output, output
