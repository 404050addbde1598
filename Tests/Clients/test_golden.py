"""The reference's tokens over HTTP: alone, together, streamed and from the cache."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from golden import case, cases
from vireo_server import body, events, ids, new_png


@pytest.mark.parametrize("each", cases(), ids=lambda each: each.name)
def test_the_answer_is_the_references(server, each):
    answer = server.generate(each.prompt, each.images, **each.parameters())
    assert ids(answer) == each.greedy_ids
    assert answer["prompt_tokens"] == each.prompt_tokens
    assert answer["count_output_tokens"] == len(each.greedy_ids)
    assert answer["finish_reason"] == "length"
    assert isinstance(answer["generated_text"], list) and len(answer["generated_text"]) == 1


def test_img_tags_mean_the_same_as_image_tags(server):
    each = case("three-images")
    answer = server.generate(each.prompt.replace("<image>", "<img></img>"), each.images, **each.parameters())
    assert ids(answer) == each.greedy_ids


def test_concurrent_requests_keep_their_own_pictures(server):
    work = [each for each in cases() for _ in range(3)]
    with ThreadPoolExecutor(len(work)) as pool:
        answers = list(pool.map(lambda each: server.generate(each.prompt, each.images, **each.parameters()), work))
    for each, answer in zip(work, answers):
        assert ids(answer) == each.greedy_ids, each.name


def test_a_stream_gives_the_same_tokens_and_text(server):
    each = case("six-tiles")
    whole = server.generate(each.prompt, each.images, **each.parameters())
    reply = server.post("/generate_stream", body(each.prompt, each.images, **each.parameters()))
    got = events(reply)
    assert [event["token"]["id"] for event in got] == each.greedy_ids
    assert "".join(event["token"]["text"] for event in got) == whole["generated_text"][0]
    assert [event["finished"] for event in got] == [False] * (len(got) - 1) + [True]
    assert got[-1]["finish_reason"] == "length"
    assert all(event["finish_reason"] is None for event in got[:-1])
    assert [event["token"]["count_output_tokens"] for event in got] == list(range(1, len(got) + 1))
    assert b"[DONE]" not in reply.content


def test_the_second_question_about_a_picture_finds_it_in_the_cache(server):
    parameters = {"max_new_tokens": 16, "ignore_eos": True, "do_sample": False, "return_details": True}
    picture = new_png("cached")
    prompt = case("one-tile").prompt
    before = server.cache_hits()
    first = server.generate(prompt, [picture], **parameters)
    between = server.cache_hits()
    second = server.generate(prompt, [picture], **parameters)
    after = server.cache_hits()
    assert between == before, "a picture never seen before was found"
    assert after == between + 1
    assert ids(second) == ids(first)
    assert second["generated_text"] == first["generated_text"]


def test_a_second_turn_finds_the_picture_of_the_first_in_the_cache(server):
    picture = new_png("two turns")
    parameters = {"max_new_tokens": 8, "do_sample": False, "return_details": True}
    prompt = case("one-tile").prompt
    first = server.generate(prompt, [picture], **parameters)
    longer = prompt + first["generated_text"][0] + "<|im_end|>\n<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n"
    before = server.cache_hits()
    warm = server.generate(longer, [picture], **parameters)
    assert server.cache_hits() == before + 1
    assert warm["prompt_tokens"] > first["prompt_tokens"]


def test_another_cap_on_tiles_is_another_picture(server):
    each = case("six-tiles")
    limited = case("six-tiles-limited-to-four")
    assert each.files == limited.files
    for turn in (each, limited, each, limited):
        answer = server.generate(turn.prompt, turn.images, **turn.parameters())
        assert ids(answer) == turn.greedy_ids


def test_a_seed_decides_the_draws(server):
    each = case("one-tile")
    parameters = {**each.parameters(), "do_sample": True, "temperature": 1.5, "seed": 7}
    first = ids(server.generate(each.prompt, each.images, **parameters))
    again = ids(server.generate(each.prompt, each.images, **parameters))
    other = ids(server.generate(each.prompt, each.images, **{**parameters, "seed": 8}))
    assert first == again
    assert first != other


def test_top_k_one_is_greedy(server):
    each = case("one-tile")
    answer = server.generate(each.prompt, each.images, **{**each.parameters(), "do_sample": True, "top_k": 1})
    assert ids(answer) == each.greedy_ids


def test_an_answer_ends_at_a_stop_string_which_stays_in_it(server):
    each = case("one-tile")
    # The eighth token is "ist", the eleventh "ample".
    answer = server.generate(each.prompt, each.images, **{**each.parameters(), "stop_sequences": ["mple", "ist"]})
    assert answer["finish_reason"] == "stop"
    assert answer["generated_text"][0].endswith("ist")
    assert ids(answer) == each.greedy_ids[:8]
