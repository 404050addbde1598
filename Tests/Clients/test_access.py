"""API keys, pages of other origins, TLS: over the real clients."""

import ssl

import openai
import pytest
import requests

from vireo_server import FIXTURES, MODEL, Server, free_port, run

TLS = FIXTURES / "tls"
KEYS = ["sk-first", "sk-second", "sk-of-the-environment"]


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A server that wants a key, speaks HTTPS and lets one origin's pages through."""
    log = tmp_path_factory.mktemp("closed") / "server.log"
    flags = ["--api_key", KEYS[0], "--api-key", KEYS[1], "--tls_cert", TLS / "server.pem", "--tls_key", TLS / "server.key",
             "--cors_origins", "https://page.example,http://localhost:3000", "--model_name", "fixture"]
    with Server(MODEL, log, *map(str, flags), authority=str(TLS / "ca.pem"), VIREO_API_KEY=KEYS[2]) as running:
        yield running
        assert running.stop() == 0, running.log()


def ask(server, key=None, path="/v1/models", **headers):
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    return requests.get(server.address + path, headers=headers, verify=server.authority, timeout=60)


def test_only_with_a_key(closed):
    assert [ask(closed, key).status_code for key in KEYS] == [200, 200, 200]
    for key in (None, "", "sk-firs", "sk-first-and-more"):
        reply = ask(closed, key)
        assert reply.status_code == 401
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert reply.json()["error"]["type"] == "authentication_error"
    assert ask(closed, path="/metrics").status_code == 401
    for path in ("/health", "/healthz", "/liveness", "/readiness"):
        assert ask(closed, path=path).status_code == 200


def test_the_openai_client(closed):
    def client(key):
        http = openai.DefaultHttpxClient(verify=ssl.create_default_context(cafile=closed.authority))
        return openai.OpenAI(base_url=closed.address + "/v1", api_key=key, http_client=http, max_retries=0, timeout=60)

    with client(KEYS[1]) as opened:
        reply = opened.completions.create(model="fixture", prompt="Hello", max_tokens=2)
        assert reply.usage.completion_tokens <= 2
    with client("sk-wrong") as opened, pytest.raises(openai.AuthenticationError) as refusal:
        opened.completions.create(model="fixture", prompt="Hello", max_tokens=2)
    assert refusal.value.code == "invalid_api_key"


def test_what_the_server_tells_of_itself_has_no_key(closed):
    reply = ask(closed, KEYS[0], "/get_server_info")
    assert reply.json()["cors_origins"] == ["https://page.example", "http://localhost:3000"]
    assert not any(key in reply.text for key in [*KEYS, "server.key"])
    assert not any(key in closed.log() for key in KEYS)
    assert "ready on https://" in closed.log()


def test_pages_of_other_origins(closed):
    allowed = ask(closed, KEYS[0], Origin="https://page.example")
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://page.example"
    refused = ask(closed, KEYS[0], Origin="https://other.example")
    assert "Access-Control-Allow-Origin" not in refused.headers
    assert refused.headers["Vary"] == "Origin"
    question = requests.options(
        closed.address + "/v1/completions", verify=closed.authority, timeout=60,
        headers={"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"})
    assert question.status_code == 204
    assert "POST" in question.headers["Access-Control-Allow-Methods"]


def test_the_certificate_is_checked_by_clients(closed):
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(closed.address + "/health", timeout=60, verify=True)


@pytest.mark.parametrize("flags, words", [
    (["--tls_cert", TLS / "server.pem"], ["--tls_key"]),
    (["--tls_cert", TLS / "nothing-here.pem", "--tls_key", TLS / "server.key"], ["nothing-here.pem", "cannot be read"]),
    (["--tls_cert", TLS / "server.pem", "--tls_key", TLS / "ca.pem"], ["ca.pem", "no private key"]),
    (["--tls_cert", TLS / "ca.pem", "--tls_key", TLS / "server.key"], ["does not belong"]),
    (["--api_key", ""], ["--api_key"]),
    (["--api_key", "two words"], ["--api_key"]),
    (["--cors_origins", "page.example"], ["--cors_origins"]),
    (["--cors_origins", "https://page.example/"], ["--cors_origins"]),
    (["--image_url_ca", TLS / "server.key"], ["server.key", "no certificate"]),
], ids=lambda value: " ".join(str(part).rsplit("/", 1)[-1] for part in value))
def test_flags_that_are_refused(flags, words):
    code, output = run("serve", "--model_dir", MODEL, "--port", free_port(), *flags)
    assert code > 0, output
    for word in words:
        assert word in output, output
    assert "Fatal error" not in output


def test_a_bad_key_in_the_environment_is_refused():
    code, output = run("serve", "--model_dir", MODEL, "--port", free_port(), VIREO_API_KEY="two words")
    assert code > 0 and "VIREO_API_KEY" in output
    assert "two words" not in output
