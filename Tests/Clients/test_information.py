"""LightLLM's routes that count tokens and tell what runs."""

import re

import pytest
import requests

from golden import cases
from vireo_server import base64_item, body, run


def count(server, text, images=(), **parameters):
    items = body(text, images, **parameters)
    return server.post("/tokens", {"text": text, "parameters": parameters, "multimodal_params": items["multimodal_params"]})


@pytest.mark.parametrize("each", cases(), ids=lambda each: each.name)
def test_tokens_are_counted_exactly(server, each):
    reply = count(server, each.prompt, each.images, image_max_patch_num=each.max_tiles)
    assert reply.json() == {"ntokens": each.prompt_tokens}


def test_a_size_stands_for_a_picture(server, origin):
    by_size = count(server, "<image>\nWhat?", [{"type": "image_size", "data": [640, 480]}]).json()
    twice = count(server, "<image><image>\nWhat?", [{"type": "image_size", "data": [640, 480]}] * 2).json()
    assert twice["ntokens"] > by_size["ntokens"] > 2 * 16
    by_url = count(server, "<image>", [{"type": "url", "data": f"{origin.address}/golden-one.png"}])
    assert by_url.status_code == 200


def test_get_may_have_a_body(server):
    reply = requests.get(server.address + "/tokens", json={"text": "Hello"}, timeout=60)
    assert reply.json()["ntokens"] >= 1


def test_what_cannot_be_counted(server):
    for images in ([base64_item(b"nothing")], [{"type": "image_size", "data": [0, 1]}], [{"type": "image_size"}]):
        assert count(server, "<image>", images).status_code == 400
    assert count(server, "no tag", [{"type": "image_size", "data": [9, 9]}]).status_code == 400


def test_the_name_and_the_load(server):
    for ask in (requests.get, requests.post):
        assert ask(server.address + "/get_model_name", timeout=60).json() == {"model_name": "fixture"}
    load = server.get("/token_load").json()
    assert set(load) == {"current_load", "logical_max_load", "dynamic_max_load"}
    assert all(0 <= value <= 1 for value in load.values())


def test_every_flag_is_told(server):
    told = server.get("/get_server_info").json()
    _, usage = run("serve", "--help")
    flags = set(re.findall(r"--([a-z][a-z0-9_]*)", usage)) - {"help", "version", "api_key", "tls_key"}
    hyphened = {flag for flag in flags if "_" not in flag and flag not in told}
    assert flags - hyphened <= set(told), flags - set(told)
    assert told["model_name"] == "fixture" and told["data_type"] == "float32" and told["port"] == server.port
