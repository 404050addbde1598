"""The `openai` package against /v1/completions."""

import openai
import pytest

MODEL = "fixture"
PROMPT = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=server.address + "/v1", api_key="none", max_retries=0, timeout=120) as opened:
        yield opened


def ask(client, prompt=PROMPT, tokens=8, **options):
    return client.completions.create(
        model=MODEL, prompt=prompt, max_tokens=tokens, temperature=0, extra_body={"ignore_eos": True}, **options)


def test_a_completion_is_what_generate_gives(client, server):
    reply = ask(client)
    native = server.generate(PROMPT, max_new_tokens=8, ignore_eos=True)
    assert reply.object == "text_completion"
    assert reply.choices[0].text == native["generated_text"][0]
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.prompt_tokens == native["prompt_tokens"]
    assert reply.usage.total_tokens == native["prompt_tokens"] + 8


def test_a_streamed_completion(client):
    whole = ask(client)
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.text for choice in choices) == whole.choices[0].text
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["length"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens


def test_prompts_in_lists(client):
    prompts = ["One", "Two and three", PROMPT]
    alone = [ask(client, prompt).choices[0].text for prompt in prompts]
    reply = ask(client, prompts)
    assert [choice.text for choice in reply.choices] == alone
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    ids = ask(client, [[5, 6, 7], [8, 9]])
    assert [choice.text for choice in ids.choices] == [ask(client, [5, 6, 7]).choices[0].text,
                                                       ask(client, [8, 9]).choices[0].text]


def test_log_probabilities(client):
    reply = client.completions.create(
        model=MODEL, prompt=PROMPT, max_tokens=8, temperature=0, logprobs=3,
        extra_body={"ignore_eos": True, "skip_special_tokens": False})
    found = reply.choices[0].logprobs
    assert len(found.token_logprobs) == len(found.top_logprobs) == len(found.text_offset) == 8
    for token, logprob, top, offset in zip(
            found.tokens, found.token_logprobs, found.top_logprobs, found.text_offset):
        assert top[token] == pytest.approx(logprob)
        # A token that is a part of a character has no text of its own.
        if "\ufffd" not in token:
            assert reply.choices[0].text[offset:offset + len(token)] == token


def test_echo_and_stop(client):
    text = ask(client).choices[0].text
    assert ask(client, echo=True).choices[0].text == PROMPT + text
    assert ask(client, stop=text[4:6]).choices[0].text == text[:text.index(text[4:6])]


def test_several_answers(client):
    reply = client.completions.create(model=MODEL, prompt=["One", "Two"], max_tokens=4, n=2, seed=5)
    assert [choice.index for choice in reply.choices] == [0, 1, 2, 3]


@pytest.mark.parametrize("options", [
    {"suffix": "x"}, {"logprobs": 6}, {"prompt": []}, {"prompt": ["x"] * 9}, {"prompt": ["a", "b"], "stream": True},
    {"prompt": ""}, {"tokens": 0}, {"prompt": [-1]}, {"prompt": [2**40]}, {"stop": ""},
], ids=str)
def test_what_is_refused(client, options):
    with pytest.raises(openai.BadRequestError) as refusal:
        ask(client, **options)
    assert refusal.value.body["type"] == "invalid_request_error"


def test_another_models_name_is_not_found(client):
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="another", prompt="x")
