"""The client of LightLLM's multimodal guide, as it stands there but for the address and the picture."""

import base64
import json

import requests

from vireo_server import IMAGES

PICTURE = IMAGES / "golden-six.png"


def ask(server, image):
    url = server.address + "/generate"
    headers = {"Content-Type": "application/json"}
    query = "<|im_start|>user\n<img></img>\nWhat is this?<|im_end|>\n<|im_start|>assistant\n"
    system = "\n<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    data = {
        "inputs": system + query,
        "parameters": {
            "max_new_tokens": 200,
            # The space before <|endoftext|> is important.
            "stop_sequences": [" <|endoftext|>", " <|im_start|>", " <|im_end|>"],
        },
        "multimodal_params": {"images": [image]},
    }
    return requests.post(url, headers=headers, data=json.dumps(data), timeout=120)


def check(response):
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"].startswith("application/json")
    answer = response.json()
    assert isinstance(answer["generated_text"][0], str)
    assert 0 < answer["count_output_tokens"] <= 200
    assert answer["finish_reason"] in ("stop", "length")
    assert answer["prompt_tokens"] > 7 * 16
    return answer


def test_base64(server):
    check(ask(server, {"type": "base64", "data": base64.b64encode(PICTURE.read_bytes()).decode("utf-8")}))


def test_url(server, origin):
    by_url = check(ask(server, {"type": "url", "data": f"{origin.address}/{PICTURE.name}"}))
    assert f"/{PICTURE.name}" in origin.paths
    by_bytes = check(ask(server, {"type": "base64", "data": base64.b64encode(PICTURE.read_bytes()).decode("utf-8")}))
    assert by_url["generated_text"] == by_bytes["generated_text"]


def test_without_pictures(server):
    data = {"inputs": "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n", "parameters": {"max_new_tokens": 5}}
    response = requests.post(server.address + "/generate", json=data, timeout=120)
    assert response.status_code == 200, response.text


def test_several_answers_come_as_lists(server):
    answer = server.generate(
        "Hello", max_new_tokens=6, ignore_eos=True, do_sample=True, temperature=1.5, seed=1, best_of=3, n=3)
    assert len(answer["generated_text"]) == 3
    assert answer["count_output_tokens"] == [6, 6, 6]
    assert answer["finish_reason"] == ["length"] * 3
    assert [len(each) for each in answer["logprobs"]] == [6, 6, 6]
    alone = server.generate("Hello", max_new_tokens=6, ignore_eos=True, do_sample=True, temperature=1.5, seed=3)
    assert alone["generated_text"] == [answer["generated_text"][2]]


def test_prompt_logprobs(server):
    answer = server.generate([5, 6, 7], max_new_tokens=1, prompt_logprobs=0)
    assert answer["prompt_token_ids"] == [5, 6, 7]
    assert answer["prompt_logprobs"][0] is None
    assert [set(each) for each in answer["prompt_logprobs"][1:]] == [{"6"}, {"7"}]


def test_the_whole_launch_line_serves(strict_server):
    check(ask(strict_server, {"type": "base64", "data": base64.b64encode(PICTURE.read_bytes()).decode("utf-8")}))


def test_probes(server):
    for path in ("/health", "/healthz", "/liveness", "/readiness"):
        assert server.get(path).status_code == 200, path
    metrics = server.get("/metrics")
    assert metrics.headers["Content-Type"].startswith("text/plain")
