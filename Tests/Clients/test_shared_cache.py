"""Replicas that share embeddings through a Redis server of Debian's: one that works, and ones that do not."""

import concurrent.futures
import shutil
import signal
import subprocess
import time

import pytest

from vireo_server import MODEL, Server, free_port, ids, new_png, run

pytestmark = pytest.mark.skipif(
    not (shutil.which("redis-server") and shutil.which("redis-cli")),
    reason="redis-server is not installed (apt-get install redis-server)")
PREFIX = "vireo_shared_image_cache_"


class Redis:
    """A server on a port of its own that keeps nothing on disk."""

    def __init__(self, folder, *flags):
        self.port = free_port()
        self.command = [
            "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--dir", str(folder), *flags]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while "PONG" not in self.ask("PING") and "NOAUTH" not in self.ask("PING"):
            assert time.monotonic() < deadline and self.process.poll() is None, "no redis-server"
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def ask(self, *words):
        done = subprocess.run(["redis-cli", "-p", str(self.port), *words], stdout=subprocess.PIPE, timeout=10)
        return done.stdout.decode(errors="replace")

    def url(self, credentials=""):
        return f"redis://{credentials}127.0.0.1:{self.port}/0"


def replica(tmp_path, url, *flags, name="replica", model=MODEL):
    return Server(
        model, tmp_path / f"{name}.log", "--device", "cpu", "--data_type", "float32", "--cache_redis_url", url, *flags)


def shared(server):
    """The samples of the shared cache, without their prefix."""
    found = {name.removeprefix(PREFIX): value for name, value in server.metrics().items() if name.startswith(PREFIX)}
    assert found, "nothing of a shared cache in /metrics"
    return {name.removesuffix("_total"): value for name, value in found.items()}


def settled(server, seconds=20):
    """The same when every picture that was encoded has been left in the cache or dropped."""
    deadline = time.monotonic() + seconds
    while True:
        found = shared(server)
        if found["puts"] + found["dropped_puts"] == server.metric("vireo_images_encoded_total"):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def answer(server, *pictures):
    """The tokens of an answer about pictures."""
    return ids(server.generate(
        "<image>\n" * len(pictures) + "What?", pictures, max_new_tokens=12, ignore_eos=True, return_details=True))


def test_a_second_replica_encodes_nothing(tmp_path):
    pictures = [new_png(1, side=320), new_png(2)]
    # The same model elsewhere is the same model.
    elsewhere = shutil.copytree(MODEL, tmp_path / "elsewhere")
    with Redis(tmp_path) as redis:
        with replica(tmp_path, redis.url()) as first:
            told = answer(first, *pictures)
            found = settled(first)
            assert (found["puts"], found["misses"], found["hits"], found["errors"]) == (2, 2, 0, 0)
        keys = redis.ask("--raw", "KEYS", "vireo:image:*").split()
        assert len(keys) == 2 and 0 < int(redis.ask("TTL", keys[0]).split()[-1]) <= 86_400
        with replica(tmp_path, redis.url(), model=elsewhere) as second:
            assert answer(second, *pictures) == told
            found = settled(second)
            assert (found["hits"], found["misses"], found["puts"]) == (2, 0, 0)
            assert second.metric("vireo_image_tiles_encoded_total") == 0
            # Now in its own cache.
            assert answer(second, *pictures) == told and shared(second)["hits"] == 2
        redis.ask("SETRANGE", keys[0], "200", "damaged")
        redis.ask("DEL", keys[1])
        redis.ask("LPUSH", keys[1], "a list")
        with replica(tmp_path, redis.url(), "--cache_redis_ttl", "50") as third:
            assert answer(third, *pictures) == told
            found = settled(third)
            assert (found["hits"], found["misses"], found["unsound"], found["puts"]) == (0, 2, 1, 2)
            assert found["errors"] == 0 and found["paused"] == 0
            # Replaced, both.
            for key in keys:
                assert 0 < int(redis.ask("TTL", key).split()[-1]) <= 50


def test_another_model_shares_nothing(tmp_path):
    picture = new_png(3)
    with Redis(tmp_path) as redis:
        with replica(tmp_path, redis.url()) as first:
            answer(first, picture)
            settled(first)
        other = shutil.copytree(MODEL, tmp_path / "other")
        weights = other / "model.safetensors"
        data = bytearray(weights.read_bytes())
        # One bit of the last tensor.
        data[-1] ^= 1
        weights.write_bytes(data)
        with replica(tmp_path, redis.url(), model=other) as second:
            answer(second, picture)
            assert settled(second)["hits"] == 0
        assert redis.ask("DBSIZE").split()[-1] == "2"


def test_a_server_that_dies_under_load(tmp_path):
    with Redis(tmp_path) as redis, replica(tmp_path, redis.url()) as server:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(answer, server, new_png(seed)) for seed in range(100, 140)]
            next(concurrent.futures.as_completed(asked)).result()
            redis.kill()
            for each in asked:
                assert len(each.result()) == 12
        found = settled(server)
        assert found["errors"] > 0 and found["dropped_puts"] > 0 and found["paused"] > 0
        assert server.get("/health").status_code == 200


def test_a_server_that_hangs_is_not_waited_for(tmp_path):
    with Redis(tmp_path) as redis, replica(tmp_path, redis.url()) as server:
        answer(server, new_png(150))
        assert settled(server)["puts"] == 1
        redis.process.send_signal(signal.SIGSTOP)
        start = time.monotonic()
        for seed in range(151, 159):
            assert len(answer(server, new_png(seed))) == 12
        # Three times a tenth of a second; then the server is left alone.
        assert time.monotonic() - start < 10
        found = shared(server)
        assert found["errors"] >= 3 and found["paused"] >= 1 and found["hits"] == 0
        redis.process.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + 20
        for seed in range(160, 400):
            answer(server, new_png(seed))
            if shared(server)["paused"] == 0 and settled(server)["puts"] > 1:
                break
            assert time.monotonic() < deadline, shared(server)
            time.sleep(0.2)


def test_a_server_that_is_full(tmp_path):
    with Redis(tmp_path, "--maxmemory", "100kb", "--maxmemory-policy", "noeviction") as redis:
        with replica(tmp_path, redis.url()) as server:
            for seed in range(200, 206):
                assert len(answer(server, new_png(seed))) == 12
            found = settled(server)
            assert (found["puts"], found["dropped_puts"], found["errors"]) == (0, 6, 3)


def test_a_wrong_password_is_told_and_harms_nothing(tmp_path):
    with Redis(tmp_path, "--requirepass", "right-secret") as redis:
        with replica(tmp_path, redis.url(":wrong-secret@")) as server:
            assert len(answer(server, new_png(300))) == 12
            assert "warning: the shared image cache" in server.log() and "WRONGPASS" in server.log()
            assert "wrong-secret" not in server.log() + server.get("/get_server_info").text
        with replica(tmp_path, redis.url(":right-secret@")) as server:
            answer(server, new_png(300))
            assert settled(server)["puts"] == 1 and "warning" not in server.log()


def test_a_server_that_is_not_there_at_start(tmp_path):
    with replica(tmp_path, f"redis://127.0.0.1:{free_port()}") as server:
        assert "warning: the shared image cache" in server.log() and "cannot be reached" in server.log()
        assert len(answer(server, new_png(301))) == 12


@pytest.mark.parametrize("url", ["localhost:6379", "redis://", "redis://host:x", "redis://host/x", "rediss://host"])
def test_a_url_that_is_none(url):
    code, output = run("serve", "--model_dir", MODEL, "--cache_redis_url", url)
    assert code > 0 and "--cache_redis_url is no URL like" in output, output
