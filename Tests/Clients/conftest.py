"""A real server for the client tests, and what they share. VIREO_BINARY names the program."""

import functools
import http.server
import threading

import pytest

from vireo_server import FIXTURES, IMAGES, MODEL, Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A server that computes in float32 and may fetch pictures from this machine; it outlives every test."""
    log = tmp_path_factory.mktemp("server") / "server.log"
    with Server(MODEL, log, "--data_type", "float32", "--allow_private_urls", "--model_name", "fixture") as running:
        yield running
        assert running.stop() == 0, running.log()


@pytest.fixture(scope="session")
def strict_server(tmp_path_factory):
    """A server with the default rules for addresses, started with the whole of LightLLM's launch line."""
    log = tmp_path_factory.mktemp("strict") / "server.log"
    flags = "--tp 1 --mem_fraction 0.8 --trust_remote_code --visual_infer_batch_size 2 --cache_capacity 500 " \
            "--visual_dp 1 --visual_tp 1"
    with Server(MODEL, log, *flags.split(), INTERNVL_IMAGE_LENGTH="16", LOADWORKER="12") as running:
        yield running


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """A server in float32 for each checkpoint of the fixtures that a module asks for by name."""
    started = {}

    def get(name):
        if name not in started:
            log = tmp_path_factory.mktemp(name) / "server.log"
            started[name] = Server(
                FIXTURES / "models" / name, log, "--device", "cpu", "--data_type", "float32").__enter__()
        return started[name]
    yield get
    for server in started.values():
        code = server.stop()
        server.__exit__(None, None, None)
        assert code == 0, server.log()


@pytest.fixture(autouse=True)
def still_well(request):
    """After every test that uses the server: the same process answers, and nothing is left over."""
    yield
    if "server" in request.fixturenames:
        running = request.getfixturevalue("server")
        assert running.is_running(), "the server stopped:\n" + running.log()
        running.wait_until_idle()


class Pictures(http.server.SimpleHTTPRequestHandler):
    """Serves the fixture pictures, and a few answers that are no picture."""

    def do_GET(self):
        self.server.paths.append(self.path)
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/golden-one.png")
            self.end_headers()
        elif self.path == "/page":
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html><body>no picture</body></html>")
        else:
            super().do_GET()

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def origin():
    """The address of a web server on this machine, with the paths it was asked for in `paths`."""
    handler = functools.partial(Pictures, directory=str(IMAGES))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        web.paths = []
        web.address = f"http://127.0.0.1:{web.server_address[1]}"
        thread = threading.Thread(target=web.serve_forever, daemon=True)
        thread.start()
        yield web
        web.shutdown()
        thread.join()
