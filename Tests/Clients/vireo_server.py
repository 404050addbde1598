"""Starts and stops `vireo serve`, and asks it."""

import base64
import json
import os
import pathlib
import random
import re
import socket
import struct
import subprocess
import time
import zlib

import requests

BINARY = os.environ.get("VIREO_BINARY", "vireo")
FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "Fixtures"
IMAGES = FIXTURES / "images"
MODEL = FIXTURES / "models" / "internvl-qwen2-hf"
START_SECONDS = 120
REPLY_SECONDS = 120
READ_VARIABLES = ("INTERNVL_IMAGE_LENGTH", "LOADWORKER", "MAX_PATCH_NUM", "VIREO_API_KEY")


def free_port():
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(extra):
    """This process's environment without the variables the server reads, and with `extra`."""
    kept = {name: value for name, value in os.environ.items() if name not in READ_VARIABLES}
    return {**kept, **extra}


def run(*arguments, seconds=60, **variables):
    """Runs the program to its end; gives its exit code and all it said."""
    done = subprocess.run(
        [BINARY, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=seconds, env=environment(variables))
    return done.returncode, done.stdout.decode(errors="replace")


class Server:
    """A running `vireo serve`; leaving the `with` block stops it. With `authority` it speaks HTTPS."""

    def __init__(self, model, log, *flags, authority=None, **variables):
        self.log_path = log
        self.port = free_port()
        self.authority = authority
        self.address = f"{'https' if authority else 'http'}://127.0.0.1:{self.port}"
        self.command = [
            BINARY, "serve", "--model_dir", str(model), "--host", "127.0.0.1", "--port", str(self.port), *flags]
        self.variables = variables
        self.process = None

    def __enter__(self):
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=environment(self.variables))
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if not self.is_running() or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"the server did not become ready: {' '.join(self.command)}\n{self.log()}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, seconds=60):
        """Asks the process to end (once), and gives its exit code."""
        if self.is_running():
            self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def is_running(self):
        """Whether the process has not ended."""
        return self.process.poll() is None

    def is_ready(self):
        """Whether /readiness says so."""
        try:
            return requests.get(
                self.address + "/readiness", timeout=5, verify=self.authority or True).status_code == 200
        except requests.RequestException:
            return False

    def log(self):
        """What the process has said, at most its last 8 KiB."""
        return pathlib.Path(self.log_path).read_bytes()[-8192:].decode(errors="replace")

    def get(self, path):
        """The reply to a GET."""
        return requests.get(self.address + path, timeout=REPLY_SECONDS)

    def post(self, path, body, **options):
        """The reply to a POST of JSON, or of bytes as they are."""
        what = {"data": body} if isinstance(body, bytes) else {"json": body}
        headers = {"Content-Type": "application/json"}
        return requests.post(self.address + path, headers=headers, timeout=REPLY_SECONDS, **what, **options)

    def generate(self, inputs, images=(), **parameters):
        """A successful answer of /generate."""
        reply = self.post("/generate", body(inputs, images, **parameters))
        assert reply.status_code == 200, reply.text
        return reply.json()

    def metrics(self):
        """The samples of /metrics, summed over their labels."""
        totals = {}
        for line in self.get("/metrics").text.splitlines():
            found = re.match(r"([A-Za-z_:][\w:]*)(?:\{.*\})? ([^ ]+)", line)
            if found:
                totals[found[1]] = totals.get(found[1], 0) + float(found[2])
        return totals

    def metric(self, name):
        """A sample of /metrics."""
        return self.metrics()[name]

    def cache_hits(self):
        """How often a picture's embeddings were found."""
        return self.metrics()["vireo_image_cache_hits_total"]

    def load(self):
        """The gauges of work and of pictures in use that are not zero."""
        gauge = re.compile(r"vireo_\w*(running|waiting|referenced)(?!\w*_(total|seconds|sum|count|bucket))")
        found = {name: value for name, value in self.metrics().items() if gauge.match(name)}
        assert found, "no gauge of running requests in /metrics"
        return {name: value for name, value in found.items() if value}

    def wait_until_idle(self, seconds=10):
        """Waits until nothing runs and no picture is in use."""
        deadline = time.monotonic() + seconds
        while self.load():
            assert time.monotonic() < deadline, f"left over: {self.load()}"
            time.sleep(0.05)


def body(inputs, images=(), **parameters):
    """A body of /generate; `images` are bytes, or items of multimodal_params as they are."""
    items = [image if isinstance(image, dict) else base64_item(image) for image in images]
    return {"inputs": inputs, "parameters": parameters, "multimodal_params": {"images": items}}


def base64_item(picture):
    """A picture's bytes as an item of multimodal_params."""
    return {"type": "base64", "data": base64.b64encode(picture).decode()}


def data_url(name):
    """A fixture picture as a data URL."""
    kind = "jpeg" if name.endswith(".jpg") else "png"
    return f"data:image/{kind};base64," + base64.b64encode((IMAGES / name).read_bytes()).decode()


def ids(answer):
    """The token ids of an answer with return_details."""
    return [token["id"] for token in answer["tokens"]]


def events(reply):
    """The events of a stream, parsed; fails unless it is one."""
    assert reply.status_code == 200, reply.text
    assert reply.headers["Content-Type"].startswith("text/event-stream")
    parsed = []
    for block in reply.content.decode().split("\n\n"):
        if block.strip() and not block.startswith(":"):
            assert block.startswith("data:"), block
            parsed.append(json.loads(block[len("data:"):]))
    return parsed


def new_png(seed, side=96):
    """A PNG of random blocks, equal for equal seeds, that no other seed gives."""
    draw = random.Random(seed)
    row_blocks = []
    for _ in range(0, side, 16):
        colours = [bytes(draw.randrange(256) for _ in range(3)) for _ in range(0, side, 16)]
        row_blocks.append(b"\0" + b"".join(colour * 16 for colour in colours))
    return png(side, side, b"".join(row * 16 for row in row_blocks))


def png(width, height, raw):
    """A PNG of RGB rows, each with a zero before it."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def picture(width, height):
    """A red PNG of that size."""
    return png(width, height, (b"\0" + b"\xc8\x1e\x3c" * width) * height)
