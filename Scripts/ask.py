#!/usr/bin/env python3
"""Asks a running server what is in a picture, by POST /generate and /generate_stream, and prints answer and timings."""

import argparse
import base64
import json
import sys
import time
import urllib.error
import urllib.request

PROMPT = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n<img></img>\nWhat is this?<|im_end|>\n<|im_start|>assistant\n"
)


def is_ready(address):
    """Whether the server says that it is ready."""
    try:
        with urllib.request.urlopen(address + "/readiness", timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False


def post(url, body):
    """The open reply to a POST of JSON."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return urllib.request.urlopen(request, timeout=600)


def printable(text):
    """The text on one line, without characters that a terminal would act on."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()


def ask(address, picture, tokens):
    """Asks twice: once for the whole answer, once token by token with the picture in the server's cache."""
    body = {
        "inputs": PROMPT,
        "parameters": {"max_new_tokens": tokens, "do_sample": False},
        "multimodal_params": {"images": [{"type": "base64", "data": base64.b64encode(picture).decode()}]},
    }
    start = time.monotonic()
    with post(address + "/generate", body) as reply:
        answer = json.load(reply)
    whole = time.monotonic() - start
    print(f"Question:  What is this?\nAnswer:    {printable(answer['generated_text'][0])}\n")
    print(f"POST /generate: {answer['prompt_tokens']} prompt tokens, {answer['count_output_tokens']} answer tokens, "
          f"{answer['finish_reason']}, {whole:.2f} s")

    start, first, count = time.monotonic(), None, 0
    with post(address + "/generate_stream", body) as reply:
        for line in reply:
            if not line.startswith(b"data:"):
                continue
            event = json.loads(line[len(b"data:"):])
            if "error" in event:
                sys.exit(f"error: {event['error']['message']}")
            if event["token"]["id"] >= 0:  # -1: the end, after a token that is not part of the answer
                count += 1
                first = first or time.monotonic()
    end = time.monotonic()
    if first:
        rate = f", then {(count - 1) / (end - first):.1f} tokens/s" if count > 1 else ""
        print(f"POST /generate_stream, same picture again: first token after {first - start:.2f} s{rate}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=8080)
    arguments.add_argument("--image", default="DemoModel/sample.jpg", help="a JPEG, PNG, WebP or GIF file")
    arguments.add_argument("--tokens", type=int, default=64, help="the longest answer")
    arguments.add_argument("--is-ready", action="store_true", help="only say by the exit code whether the server is ready")
    options = arguments.parse_args()
    address = f"http://127.0.0.1:{options.port}"
    if options.is_ready:
        sys.exit(0 if is_ready(address) else 1)
    with open(options.image, "rb") as file:
        picture = file.read()
    try:
        ask(address, picture, options.tokens)
    except urllib.error.HTTPError as error:
        sys.exit(f"error: status {error.code}: {error.read().decode(errors='replace')}")
    except OSError as error:
        sys.exit(f"error: no answer from {address}: {error}")


if __name__ == "__main__":
    main()
