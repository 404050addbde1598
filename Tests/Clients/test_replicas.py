"""Several replicas of a model in one server."""

import concurrent.futures
import shutil
import time

import pytest

from golden import cases
from test_shared_cache import Redis
from vireo_server import MODEL, Server, body, events, ids, new_png, run


@pytest.fixture(scope="module")
def replicas(tmp_path_factory):
    """A server of two replicas."""
    log = tmp_path_factory.mktemp("replicas") / "server.log"
    with Server(MODEL, log, "--device", "cpu", "--data_type", "float32", "--dp", "2", "--max_total_token_num", "16384",
                "--embed_cache_storage_size", "0.2") as running:
        yield running
        running.wait_until_idle()
        assert running.stop() == 0, running.log()


def of_each(server, name):
    """The samples of a metric that has one for each replica."""
    prefix = f"vireo_replica_{name}{{replica="
    return [float(line.split()[-1]) for line in server.get("/metrics").text.splitlines() if line.startswith(prefix)]


def streamed_ids(server, case):
    """The tokens of a streamed answer."""
    reply = server.post("/generate_stream", body(case.prompt, case.images, **case.parameters()))
    return [event["token"]["id"] for event in events(reply) if event["token"]["id"] >= 0]


def test_many_streams_at_once_have_the_tokens_of_one_replica(replicas):
    asked = cases() * 4
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda case: streamed_ids(replicas, case), asked))
    for case, answer in zip(asked, answers):
        assert answer == case.greedy_ids, case.name
    finished = of_each(replicas, "requests_submitted_total")
    assert len(finished) == 2 and min(finished) > 0 and sum(finished) >= len(asked)


def test_a_repeated_prompt_goes_where_it_was_and_is_found(replicas):
    case = cases()[0]
    assert ids(replicas.generate(case.prompt, case.images, **case.parameters())) == case.greedy_ids
    before = of_each(replicas, "requests_submitted_total")
    encoded = replicas.metric("vireo_images_encoded_total")
    for _ in range(5):
        answer = replicas.generate(case.prompt, case.images, **case.parameters())
        assert ids(answer) == case.greedy_ids
    assert replicas.metric("vireo_images_encoded_total") == encoded
    assert replicas.metric("vireo_replica_requests_submitted_total") == sum(before) + 5


def test_one_picture_at_once_is_encoded_once_a_replica_at_most(replicas):
    picture, before = new_png(77), of_each(replicas, "images_encoded_total")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: replicas.generate("<image>\nWhat?", [picture], max_new_tokens=4), range(64)))
    after = of_each(replicas, "images_encoded_total")
    assert all(now - then <= 1 for now, then in zip(after, before)) and sum(after) > sum(before)


def test_load_and_health(replicas):
    load = replicas.get("/token_load").json()
    assert set(load) == {"current_load", "logical_max_load", "dynamic_max_load"}
    assert all(len(parts) == 2 and all(0 <= part <= 1 for part in parts) for parts in load.values())
    assert replicas.get("/health").status_code == 200
    assert replicas.get("/get_server_info").json()["dp"] == 2


def test_replicas_of_ranks(tmp_path):
    with Server(MODEL, tmp_path / "log", "--device", "cpu", "--data_type", "float32", "--dp", "2", "--tp", "2",
                "--max_total_token_num", "8192", "--embed_cache_storage_size", "0.2") as server:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = pool.map(
                lambda case: ids(server.generate(case.prompt, case.images, **case.parameters())), cases())
            for case, answer in zip(cases(), answers):
                assert answer == case.greedy_ids, case.name
        assert "2 replicas, each on 2 × CPU" in server.log()


@pytest.mark.skipif(not (shutil.which("redis-server") and shutil.which("redis-cli")), reason="needs redis-server")
def test_a_picture_that_one_has_encoded_reaches_the_other_through_redis(tmp_path):
    case = cases()[0]
    with Redis(tmp_path) as redis, Server(
            MODEL, tmp_path / "log", "--device", "cpu", "--data_type", "float32", "--dp", "2",
            "--cache_redis_url", redis.url()) as server:
        picture = new_png(5)
        server.generate("<image>\nWhat?", [picture], max_new_tokens=2)
        deadline = time.monotonic() + 10
        while server.metric("vireo_shared_image_cache_puts_total") < 1:
            assert time.monotonic() < deadline, server.log()
            time.sleep(0.05)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(
                lambda _: server.generate("<image>\nWhat?", [picture], max_new_tokens=20, ignore_eos=True), range(64)))
        assert min(of_each(server, "requests_submitted_total")) > 0
        assert server.metric("vireo_images_encoded_total") == 1
        assert server.metric("vireo_shared_image_cache_hits_total") == 1
        assert ids(server.generate(case.prompt, case.images, **case.parameters())) == case.greedy_ids
        assert server.stop() == 0, server.log()


@pytest.mark.parametrize("flags, words", [
    ("--dp 0", "--dp must be from 1 to 64"), ("--dp x", "--dp"),
    ("--dp 2 --tp 2 --nnodes 2", "--dp 2 replicas are not supported with --nnodes 2")])
def test_what_is_refused(flags, words):
    code, output = run("serve", "--model_dir", MODEL, "--device", "cpu", *flags.split())
    assert code > 0 and words in output and "Fatal error" not in output, output


@pytest.mark.parametrize("command", [
    ["generate", "--model_dir", MODEL, "--prompt", "x"], ["bench", "step", "--model_dir", MODEL], ["check"]])
def test_only_serve_has_replicas(command):
    code, output = run(*command, "--device", "cpu", "--dp", "2")
    assert code > 0 and "--dp 2 is for vireo serve alone" in output, output


def test_help_tells_of_replicas():
    _, usage = run("serve", "--help")
    assert "--dp" in usage
