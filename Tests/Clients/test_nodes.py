"""One model over two machines: two processes, in two network namespaces where that can be had."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
import requests

from golden import cases
from vireo_server import BINARY, IMAGES, MODEL, REPLY_SECONDS, START_SECONDS, Server, body, environment, free_port, ids

LEADER, FOLLOWER = "10.231.77.1", "10.231.77.2"
GONE_SECONDS = 5


def line(host, port, *flags, model=MODEL):
    """The launch line that all nodes have in common."""
    return ["--model_dir", str(model), "--device", "cpu", "--data_type", "float32", "--tp", "2", "--nnodes", "2",
            "--nccl_host", host, "--nccl_port", str(port), "--max_total_token_num", "8192",
            "--embed_cache_storage_size", "0.1", *flags]


class Node:
    """A process of the model, in the namespace `space` (None for this one)."""

    def __init__(self, log, rank, flags, space=None, http=None):
        self.log_path = log
        self.port = http
        inside = ["ip", "netns", "exec", space] if space else []
        http_flags = ["--host", "0.0.0.0", "--port", str(http)] if http else []
        with open(log, "wb") as file:
            self.process = subprocess.Popen(
                [*inside, BINARY, "serve", *flags, "--node_rank", str(rank), *http_flags],
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, env=environment({}))

    def log(self):
        """What it has said."""
        return self.log_path.read_text(errors="replace")

    def wait_for(self, words, seconds=START_SECONDS):
        """Waits until it has said `words`."""
        deadline = time.monotonic() + seconds
        while words not in self.log():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def end(self, seconds):
        """Waits for its end; its exit code."""
        return self.process.wait(seconds)

    def kill(self):
        """Ends it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def spaces():
    """Two namespaces with a cable between them, and an address of node 0 that this process reaches; skips without."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and ip")
    names = [f"vireo-{os.getpid()}-{rank}" for rank in range(2)]
    ends = [f"vireo{os.getpid() % 100000}{letter}" for letter in "ab"]

    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    try:
        try:
            for name in names:
                ip("netns", "add", name)
            ip("link", "add", ends[0], "netns", names[0], "type", "veth", "peer", "name", ends[1], "netns", names[1])
            for name, end, address in zip(names, ends, (LEADER, FOLLOWER)):
                ip("-n", name, "addr", "add", f"{address}/24", "dev", end)
                ip("-n", name, "link", "set", end, "up")
                ip("-n", name, "link", "set", "lo", "up")
        except (subprocess.CalledProcessError, OSError) as error:
            pytest.skip(f"no network namespaces here: {getattr(error, 'stderr', error)}")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)


@contextlib.contextmanager
def two_nodes(tmp_path, spaces=(None, None), host="127.0.0.1", follower_first=True):
    """Both nodes, ready."""
    http, port = free_port(), free_port()
    nodes = {}

    def start(rank):
        nodes[rank] = Node(
            tmp_path / f"node{rank}.log", rank, line(host, port), spaces[rank], http if rank == 0 else None)

    try:
        for rank in (1, 0) if follower_first else (0, 1):
            start(rank)
            time.sleep(0.3)
        nodes[0].wait_for("ready on")
        nodes[1].wait_for("node 1 is ready")
        yield nodes[0], nodes[1]
    finally:
        for node in nodes.values():
            node.kill()


def ask(node, case, space=None, **parameters):
    """The reply of /generate, asked from within the namespace: (status, tokens or None)."""
    url = f"http://127.0.0.1:{node.port}/generate"
    content = body(case.prompt, case.images, **{**case.parameters(), **parameters})
    if space is None:
        reply = requests.post(url, json=content, timeout=REPLY_SECONDS)
        return reply.status_code, ids(reply.json()) if reply.status_code == 200 else None
    script = ("import json,sys,requests; r=requests.post(sys.argv[1],data=sys.stdin.buffer.read(),"
              "headers={'Content-Type':'application/json'},timeout=100); "
              "print(json.dumps([r.status_code,r.json()]))")
    import json
    import sys
    done = subprocess.run(
        ["ip", "netns", "exec", space, sys.executable, "-c", script, url], input=json.dumps(content).encode(),
        stdout=subprocess.PIPE, check=True, timeout=REPLY_SECONDS)
    status, answer = json.loads(done.stdout)
    return status, ids(answer) if status == 200 else None


def test_two_machines_give_the_tokens_of_one_and_end_together(tmp_path, spaces):
    with two_nodes(tmp_path, spaces, LEADER) as (leader, follower):
        for case in cases()[:3]:
            assert ask(leader, case, spaces[0]) == (200, case.greedy_ids), case.name
        leader.process.send_signal(signal.SIGTERM)
        assert leader.end(20) == 0, leader.log()
        assert follower.end(GONE_SECONDS) == 0, follower.log()


def asking(leader, case):
    """A long request on its way; gives its thread and the list that its status comes into."""
    replies = []

    def run():
        try:
            replies.append(ask(leader, case, max_new_tokens=2000)[0])
        except requests.RequestException as error:
            replies.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(1)
    assert not replies, "the request was to take longer"
    return thread, replies


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
def test_a_follower_that_goes_ends_the_request_and_the_server(tmp_path, sign):
    with two_nodes(tmp_path, follower_first=False) as (leader, follower):
        thread, replies = asking(leader, cases()[0])
        start = time.monotonic()
        follower.process.send_signal(sign)
        thread.join()
        assert replies == [500], (replies, leader.log())
        code = leader.end(GONE_SECONDS)
        assert code > 0 and time.monotonic() - start < GONE_SECONDS
        assert "node 1 is gone" in leader.log()


def test_a_leader_that_goes_ends_the_follower(tmp_path):
    with two_nodes(tmp_path) as (leader, follower):
        leader.process.kill()
        assert follower.end(2) > 0
        assert "node 0 is gone" in follower.log()


def test_another_checkpoint_and_strangers_are_refused(tmp_path):
    http, port = free_port(), free_port()
    nodes, strangers = [], []
    other = shutil.copytree(MODEL, tmp_path / "other")
    weights = other / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    try:
        leader = Node(tmp_path / "node0.log", 0, line("127.0.0.1", port), http=http)
        nodes.append(leader)
        leader.wait_for("node 0 waits")
        time.sleep(0.2)
        for said in (b"", b"\xff" * 100_000, b"GET / HTTP/1.1\r\n\r\n", b"vireo-nn" + b"\xff" * 8):
            stranger = socket.create_connection(("127.0.0.1", port))
            strangers.append(stranger)
            with contextlib.suppress(OSError):
                stranger.sendall(said)
        wrong = Node(tmp_path / "wrong.log", 1, line("127.0.0.1", port, model=other))
        nodes.append(wrong)
        assert wrong.end(START_SECONDS) > 0
        assert "node 1 has another checkpoint" in wrong.log()
        leader.wait_for("node 1 has another checkpoint")
        follower = Node(tmp_path / "node1.log", 1, line("127.0.0.1", port))
        nodes.append(follower)
        leader.wait_for("ready on")
        case = cases()[0]
        assert ask(leader, case) == (200, case.greedy_ids)
    finally:
        for stranger in strangers:
            stranger.close()
        for node in nodes:
            node.kill()
