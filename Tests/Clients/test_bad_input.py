"""What no client should send: a clear error each, and the server goes on."""

import base64
import json

import pytest
import requests

from golden import case
from vireo_server import IMAGES, base64_item, body, ids, new_png

PROMPT = "<|im_start|>user\n<image>\nWhat?<|im_end|>\n<|im_start|>assistant\n"
PNG = (IMAGES / "golden-one.png").read_bytes()
JPEG = (IMAGES / "golden-two.jpg").read_bytes()


def error_of(reply, status):
    """The error of a JSON reply with that status."""
    assert reply.status_code == status, f"{reply.status_code}: {reply.text[:300]}"
    assert reply.headers["Content-Type"].startswith("application/json"), reply.headers
    error = reply.json()["error"]
    assert isinstance(error["message"], str) and error["message"]
    assert {"message", "type", "param", "code"} <= set(error)
    return error


@pytest.fixture(autouse=True)
def same_answer_afterwards(server):
    """After each of these tests a known request gives the known answer."""
    yield
    each = case("one-tile")
    assert ids(server.generate(each.prompt, each.images, **each.parameters())) == each.greedy_ids


@pytest.mark.parametrize("path", ["/generate", "/generate_stream"])
@pytest.mark.parametrize("images", [
    pytest.param([PNG[:len(PNG) * 7 // 10]], id="truncated PNG"),
    pytest.param([JPEG[:len(JPEG) * 7 // 10]], id="truncated JPEG"),
    pytest.param([b""], id="no bytes"),
    pytest.param([b"\x89"], id="one byte"),
    pytest.param([b"<svg xmlns='http://www.w3.org/2000/svg'/>"], id="SVG"),
    pytest.param([b"BM" + bytes(100)], id="BMP"),
    pytest.param([PNG[:16] + b"\x7f\xff\xff\xff\x7f\xff\xff\xff" + PNG[24:]], id="huge size in the header"),
    pytest.param([PNG[:16] + bytes(8) + PNG[24:]], id="size zero in the header"),
    pytest.param([{"type": "base64", "data": "@@@@"}], id="no base64"),
    pytest.param([{"type": "base64", "data": base64.b64encode(PNG).decode()[:-1]}], id="base64 of a wrong length"),
    pytest.param([{"type": "base64", "data": "\n" + base64.b64encode(PNG).decode()}], id="base64 with a line break"),
    pytest.param([{"type": "base64"}], id="no data"),
    pytest.param([{"data": "AAAA"}], id="no type"),
    pytest.param([{"type": "nonsense", "data": "AAAA"}], id="unknown type"),
    pytest.param([{"type": "base64", "data": 5}], id="data that is a number"),
    pytest.param([{"type": "image_size", "data": [64, 64]}], id="only a size"),
    pytest.param([PNG, PNG], id="one tag, two pictures"),
    pytest.param([PNG] * 300, id="more pictures than are allowed"),
])
def test_pictures_that_are_refused(server, path, images):
    error = error_of(server.post(path, body(PROMPT, images, max_new_tokens=4)), 400)
    assert error["type"] == "BadRequestError"
    assert error["code"] == 400


@pytest.mark.parametrize("inputs, count", [
    ("<|im_start|>user\nWhat?<|im_end|>\n<|im_start|>assistant\n", 1),
    (PROMPT.replace("<image>", "<image>\n<image>"), 1),
    (PROMPT.replace("<image>", "<image>" * 10_000), 1),
], ids=["no tag", "two tags", "ten thousand tags"])
def test_as_many_tags_as_pictures(server, inputs, count):
    error_of(server.post("/generate", body(inputs, [PNG] * count, max_new_tokens=4)), 400)


def test_a_good_picture_beside_a_bad_one_is_not_kept_in_use(server):
    inputs = PROMPT.replace("<image>", "<image>\n<image>")
    error_of(server.post("/generate", body(inputs, [new_png("beside"), PNG[:40]], max_new_tokens=4)), 400)
    server.wait_until_idle()


HELLO = {"inputs": "Hello", "parameters": {"max_new_tokens": 2}}


@pytest.mark.parametrize("text", [
    b'{"inputs":', b"", b"[]", b"null", b'"x"', b"{} trailing", b"\xff", b'{"inputs": "\xff", "parameters": {}}',
    b'{"inputs": "\\ud800", "parameters": {}}', json.dumps(HELLO).encode("utf-16"),
    b'{"inputs":' + b"[" * 100_000, b'{"a":' * 100_000,
], ids=lambda text: repr(text[:24]))
def test_bodies_that_are_refused(server, text):
    error_of(server.post("/generate", text), 400)


@pytest.mark.parametrize("changes", [
    {"inputs": None}, {"inputs": 5}, {"inputs": {}}, {"inputs": ""}, {"inputs": [-1]}, {"inputs": [1.5]},
    {"inputs": [2**40]}, {"inputs": "word " * 20_000},
    {"parameters": None}, {"parameters": []}, {"parameters": "x"},
    {"multimodal_params": []}, {"multimodal_params": {"images": {}}}, {"multimodal_params": {"images": [5]}},
    {"multimodal_params": {"images": "AAAA"}},
], ids=lambda changes: str(changes)[:50])
def test_fields_of_the_wrong_kind(server, changes):
    error_of(server.post("/generate", {**HELLO, **changes}), 400)


def test_a_request_without_inputs(server):
    assert error_of(server.post("/generate", {"parameters": HELLO["parameters"]}), 400)["param"] == "inputs"
    error_of(server.post("/generate", {}), 400)


@pytest.mark.parametrize("parameter", [
    '"max_new_tokens": 0', '"max_new_tokens": -1', '"max_new_tokens": 1e30', '"max_new_tokens": 9223372036854775808',
    '"max_new_tokens": "5"', '"max_new_tokens": 1.5', '"min_new_tokens": 5', '"min_new_tokens": 2147483648',
    '"temperature": -1', '"temperature": 1e400', '"temperature": "NaN"', '"temperature": NaN',
    '"top_p": 0', '"top_p": 1.01', '"top_k": -2', '"top_k": 2147483648',
    '"seed": -2', '"seed": 9223372036854775808', '"ignore_eos": "yes"',
    '"stop_sequences": 5', '"stop_sequences": ["a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a"]',
    '"stop_sequences": [""]', '"image_max_patch_num": 1e30', '"image_max_patch_num": "many"',
    '"repetition_penalty": 0', '"repetition_penalty": NaN', '"presence_penalty": -1e308', '"frequency_penalty": 1e308',
    '"min_p": 1.1', '"exponential_decay_length_penalty": [1]', '"exponential_decay_length_penalty": [-1, 2.0]',
    '"best_of": 0', '"best_of": 9', '"best_of": 16384', '"best_of": 2147483648', '"n": 2', '"prompt_logprobs": 1000000000',
    '"allowed_token_ids": [100000]', '"allowed_token_ids": [-1]', '"logit_bias": {"100000": 1}', '"logit_bias": {"5": 101}',
    '"stop_token_ids": [100000]', '"stop_token_ids": [-1]', '"stop_token_ids": [2147483648]', '"stop_sequences": [1, "a"]',
    '"stop_sequences": [[]]', '"stop_sequences": [[100000]]', '"regular_constraint": "a+"', '"guided_json": "{}"',
])
def test_parameters_that_are_refused(server, parameter):
    name = parameter.split('"')[1]
    fields = parameter if name == "max_new_tokens" else '"max_new_tokens": 2, ' + parameter
    text = '{"inputs": "Hello", "parameters": {' + fields + "}}"
    for path in ("/generate", "/generate_stream"):
        error_of(server.post(path, text.encode()), 400)


def test_parameters_at_their_defaults_are_taken(server):
    reply = server.generate(
        "Hello", max_new_tokens=2, do_sample=False, temperature=1.0, top_p=1.0, top_k=-1, seed=-1, best_of=1, n=1,
        repetition_penalty=1.0, presence_penalty=0.0, frequency_penalty=0.0, stop_sequences=[], logit_bias={},
        allowed_token_ids=[], image_max_patch_num=-1, add_special_tokens=True, an_unknown_one="ignored")
    assert reply["count_output_tokens"] <= 2


def test_a_request_for_more_tokens_than_fit_is_cut(server):
    answer = server.generate("Hello", max_new_tokens=100_000, ignore_eos=True)
    assert answer["finish_reason"] == "length"
    assert answer["prompt_tokens"] + answer["count_output_tokens"] <= 1024


def test_routes_and_methods(server):
    for path in ("/no/such/route", "/generate/more", "/v1/nothing"):
        error_of(server.get(path), 404)
    for path in ("/generate", "/generate_stream", "/v1/chat/completions"):
        error_of(server.get(path), 405)


def test_a_body_that_is_too_long_is_refused(server):
    # The server may close before it has read everything, which a client sees as a broken connection.
    try:
        reply = server.post("/generate", b'{"inputs": "' + b"x" * (80 << 20) + b'"}')
    except requests.ConnectionError:
        return
    error_of(reply, 413)


@pytest.mark.parametrize("path", ["redirect", "missing", "page"])
def test_urls_without_a_picture(server, origin, path):
    before = len(origin.paths)
    item = {"type": "url", "data": f"{origin.address}/{path}"}
    error = error_of(server.post("/generate", body(PROMPT, [item], max_new_tokens=2)), 400)
    assert origin.paths[before:] == [f"/{path}"], "one request, and no redirect followed"
    assert "no picture" not in error["message"]


@pytest.mark.parametrize("url", [
    "file:///dev/null", "/dev/null", "ftp://127.0.0.1/x", "http:127.0.0.1", "//127.0.0.1/x", "http://", "",
    "data:image/png;base64," + base64_item(PNG)["data"], "http://127.0.0.1:1/closed.png", "http://user@127.0.0.1:1/",
])
def test_urls_that_are_refused(server, url):
    error_of(server.post("/generate", body(PROMPT, [{"type": "url", "data": url}], max_new_tokens=2)), 400)


@pytest.mark.parametrize("host", [
    "127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_private_addresses_are_refused_by_default(strict_server, origin, host):
    before = len(origin.paths)
    port = origin.server_address[1]
    item = {"type": "url", "data": f"http://{host}:{port}/golden-one.png"}
    error_of(strict_server.post("/generate", body(PROMPT, [item], max_new_tokens=2)), 400)
    assert len(origin.paths) == before, "the address was asked"


def test_a_client_that_goes_away_ends_its_request(server):
    wanted = body("Hello", max_new_tokens=900, ignore_eos=True)
    for _ in range(5):
        with server.post("/generate_stream", wanted, stream=True) as reply:
            assert next(reply.iter_lines())
    server.wait_until_idle(seconds=5)
