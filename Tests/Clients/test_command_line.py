"""The command line: what is refused at start, with words that say what to do; and how the server ends."""

import json
import shutil
import socket
import time

import pytest
import requests

from vireo_server import MODEL, Server, free_port, run


def serve(*flags, model=MODEL, **variables):
    """Exit code and output of a `vireo serve` that is expected not to start."""
    return run("serve", "--model_dir", model, "--port", free_port(), *flags, **variables)


def refused(result, *words):
    """Checks that the program ended with an error that has these words, and not by a trap."""
    code, output = result
    assert code > 0, f"exit code {code}\n{output}"
    for word in words:
        assert word in output, output
    assert "Fatal error" not in output


@pytest.fixture
def checkpoint(tmp_path):
    """A copy of the checkpoint to break."""
    return shutil.copytree(MODEL, tmp_path / "checkpoint")


def test_an_unknown_flag():
    refused(serve("--no_such_flag"), "no_such_flag")


@pytest.mark.parametrize("flags, words", [
    ("--nnodes 2", "--tp 1 is not a multiple of --nnodes 2"), ("--nnodes 2 --tp 2 --node_rank 2", "--node_rank"),
    ("--nnodes 2 --tp 2 --nccl_port 0", "--nccl_port"), ("--nnodes 2 --tp 8 --visual_dp 1 --visual_tp 8", "heads"),
    ("--nnodes 4 --tp 8 --visual_dp 2 --visual_tp 4", "may be 8 · 1, 4 · 2, 1 · 8")])
def test_divisions_over_machines_that_do_not_come_out(flags, words):
    refused(serve(*flags.split(), "--device", "cpu"), words)


@pytest.mark.parametrize("command", [
    ["generate", "--model_dir", MODEL, "--prompt", "x"], ["bench", "step", "--model_dir", MODEL], ["check"]])
def test_only_serve_runs_on_several_machines(command):
    refused(run(*command, "--device", "cpu", "--nnodes", "2", "--tp", "2"), "--nnodes 2 is for vireo serve alone")


def test_a_port_for_the_other_machines_that_is_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused(serve("--nnodes", "2", "--tp", "2", "--device", "cpu", "--nccl_port", port), "--nccl_port")


@pytest.mark.parametrize("flags, words", [
    ("--tp 2 --visual_dp 2 --visual_tp 2", "1 · 2, 2 · 1"), ("--tp 4 --visual_dp 3", "1 · 4, 2 · 2, 4 · 1"),
    ("--visual_tp 2", "--tp 1"), ("--tp 3", "attention heads"), ("--gpu_ids 0,x", "--gpu_ids"),
    ("--tp 2 --gpu_ids 0,1 --visual_gpu_ids 2,3", "not the GPUs of --gpu_ids")])
def test_divisions_that_do_not_come_out(flags, words):
    refused(serve(*flags.split(), "--device", "cpu"), words)


@pytest.mark.parametrize("flag, value", [
    ("--port", "70000"), ("--port", "x"), ("--mem_fraction", "1.5"), ("--cache_capacity", "-1"), ("--tp", "0"),
    ("--data_type", "int3"), ("--quant_type", "int3"), ("--max_tiles", "0"), ("--running_max_req_size", "0")])
def test_values_out_of_range(flag, value):
    refused(run("serve", "--model_dir", MODEL, flag, value), flag.removeprefix("--"))


def test_no_model_folder():
    refused(run("serve"), "model_dir")


def test_a_folder_that_is_not_there(tmp_path):
    refused(serve(model=tmp_path / "nothing-here"), "nothing-here")


def test_flags_may_be_spelled_with_hyphens(tmp_path):
    refused(run("serve", "--model-dir", tmp_path / "nothing-here"), "nothing-here")


def test_a_folder_without_a_configuration(tmp_path):
    refused(serve(model=tmp_path), "config.json")


def test_an_unknown_family(checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**config, "model_type": "unheard_of"}))
    refused(serve(model=checkpoint), "unheard_of")


def test_a_configuration_of_nonsense(checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    config["text_config"]["num_attention_heads"] = 2**62
    (checkpoint / "config.json").write_text(json.dumps(config))
    refused(serve(model=checkpoint))


def test_weights_that_are_cut_off(checkpoint):
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    refused(serve(model=checkpoint), "model.safetensors")


def test_weights_that_are_not_there(checkpoint):
    (checkpoint / "model.safetensors").unlink()
    refused(serve(model=checkpoint), "safetensors")


def test_only_pickled_weights(checkpoint):
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / "pytorch_model.bin").write_bytes(b"\x80\x02.")
    refused(serve(model=checkpoint), "safetensors")


def test_a_tensor_that_is_missing(checkpoint):
    weights = checkpoint / "model.safetensors"
    raw = weights.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + length])
    name = next(name for name in header if name.endswith("layers.1.self_attn.q_proj.weight"))
    renamed = raw[8:8 + length].replace(name.encode(), name.replace("q_proj.weight", "q_proj.weighd").encode())
    weights.write_bytes(raw[:8] + renamed + raw[8 + length:])
    refused(serve(model=checkpoint), "layers.1.self_attn.q_proj.weight")


def test_an_image_length_that_is_not_the_towers():
    refused(serve(INTERNVL_IMAGE_LENGTH="256"), "INTERNVL_IMAGE_LENGTH", "16")


def test_a_port_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused(run("serve", "--model_dir", MODEL, "--host", "127.0.0.1", "--port", port), str(port))


def test_sigterm_ends_an_idle_server(tmp_path):
    with Server(MODEL, tmp_path / "log") as server:
        assert server.stop(seconds=15) == 0, server.log()


def test_sigterm_lets_a_running_answer_finish(tmp_path):
    wanted = {"inputs": "Hello", "parameters": {"max_new_tokens": 300, "ignore_eos": True}}
    with Server(MODEL, tmp_path / "log") as server:
        with server.post("/generate_stream", wanted, stream=True) as reply:
            lines = (line for line in reply.iter_lines() if line)
            next(lines)
            server.process.terminate()
            last = list(lines)[-1]
        assert json.loads(last[len(b"data:"):])["finished"] is True
        assert server.process.wait(60) == 0, server.log()
        with pytest.raises(requests.ConnectionError):
            server.get("/health")


def test_a_second_sigterm_ends_it_at_once(tmp_path):
    wanted = {"inputs": "Hello", "parameters": {"max_new_tokens": 900, "ignore_eos": True}}
    with Server(MODEL, tmp_path / "log", "--threads", "1", "--data_type", "float32") as server:
        streams = [server.post("/generate_stream", wanted, stream=True).iter_lines() for _ in range(32)]
        for stream in streams:
            next(stream)
        server.process.terminate()
        deadline = time.monotonic() + 10
        while requests.get(server.address + "/readiness", timeout=5).status_code == 200:
            assert time.monotonic() < deadline
        start = time.monotonic()
        server.process.terminate()
        server.process.wait(10)
        assert time.monotonic() - start < 5
        # Whoever was waiting is told, or cut off; nobody is left hanging.
        finished = 0
        for stream in streams:
            try:
                last = [line for line in stream if line][-1]
            except (requests.RequestException, IndexError):
                continue
            finished += b'"finished":true' in last
        assert finished < len(streams)


def test_help_and_inspect():
    code, output = run("--help")
    assert code == 0
    for name in ("serve", "generate", "inspect"):
        assert name in output
    code, output = run("inspect", "--model_dir", MODEL)
    assert code == 0, output
    assert "internvl" in output
