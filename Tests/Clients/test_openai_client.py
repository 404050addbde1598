"""The `openai` package against /v1."""

import openai
import pytest

from golden import case
from vireo_server import data_url

MODEL = "fixture"


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=server.address + "/v1", api_key="none", max_retries=0, timeout=120) as opened:
        yield opened


def chat_messages(each, url=data_url):
    """A golden case's messages in OpenAI's form."""
    def part(item):
        if item["type"] == "image":
            return {"type": "image_url", "image_url": {"url": url(item["image"])}}
        return item

    return [
        {**message, "content": message["content"] if isinstance(message["content"], str)
         else [part(item) for item in message["content"]]}
        for message in each.messages]


def greedy(each):
    return {"model": MODEL, "temperature": 0, "max_tokens": len(each.greedy_ids), "extra_body": {"ignore_eos": True}}


@pytest.mark.parametrize("name", ["one-tile", "twelve-tiles", "three-images", "conversation"])
def test_a_chat_answers_as_generate_does(client, server, name):
    each = case(name)
    reply = client.chat.completions.create(messages=chat_messages(each), **greedy(each))
    native = server.generate(each.prompt, each.images, **each.parameters())
    assert reply.object == "chat.completion"
    assert reply.choices[0].message.role == "assistant"
    assert reply.choices[0].message.content == native["generated_text"][0]
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.prompt_tokens == each.prompt_tokens
    assert reply.usage.completion_tokens == len(each.greedy_ids)
    assert reply.usage.total_tokens == each.prompt_tokens + len(each.greedy_ids)


def test_a_picture_by_url(client, server, origin):
    each = case("two-tiles")
    messages = chat_messages(each, lambda name: f"{origin.address}/{name}")
    reply = client.chat.completions.create(messages=messages, **greedy(each))
    native = server.generate(each.prompt, each.images, **each.parameters())
    assert reply.choices[0].message.content == native["generated_text"][0]


def test_a_streamed_chat(client):
    each = case("three-images")
    whole = client.chat.completions.create(messages=chat_messages(each), **greedy(each))
    chunks = list(client.chat.completions.create(
        messages=chat_messages(each), stream=True, stream_options={"include_usage": True}, **greedy(each)))
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert all(chunk.object == "chat.completion.chunk" for chunk in chunks)
    assert len({chunk.id for chunk in chunks}) == 1
    assert choices[0].delta.role == "assistant"
    assert "".join(choice.delta.content or "" for choice in choices) == whole.choices[0].message.content
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["length"]
    assert chunks[-1].usage == whole.usage


def test_stop_text_is_cut_off(client):
    each = case("three-images")
    messages = chat_messages(each)
    # The answer begins with the tokens " ma", "iv", "bject".
    reply = client.chat.completions.create(messages=messages, stop=["vbj"], **greedy(each))
    assert reply.choices[0].message.content == " mai"
    assert reply.choices[0].finish_reason == "stop"
    chunks = client.chat.completions.create(messages=messages, stop=["vbj"], stream=True, **greedy(each))
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed == reply.choices[0].message.content


def test_the_models(client):
    models = client.models.list()
    assert [model.id for model in models] == [MODEL]
    assert models.data[0].object == "model"


def hello(**changes):
    return {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4, **changes}


def picture(url):
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]


@pytest.mark.parametrize("changes", [
    {"messages": []},
    {"messages": [{"role": "user", "content": 5}]},
    {"messages": [{"role": "user", "content": [{"type": "nonsense"}]}]},
    {"temperature": -1},
    {"top_p": 0},
    {"max_tokens": 0},
    {"max_tokens": -5},
    {"stop": ["x"] * 11},
    {"messages": picture("data:image/png;base64,AAAA")},
    {"messages": picture("data:image/png;base64,@@@@")},
    {"messages": picture("data:text/plain;base64,AAAA")},
    {"messages": picture("ftp://127.0.0.1/picture.png")},
    {"messages": picture("file:///dev/null")},
], ids=lambda changes: str(changes)[-48:])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_bad_request_is_refused_before_the_first_token(client, changes, stream):
    with pytest.raises(openai.BadRequestError) as refusal:
        client.chat.completions.create(**hello(**changes), stream=stream)
    error = refusal.value.body
    assert error["message"]
    assert error["type"] == "invalid_request_error"


def test_a_parameter_that_is_not_supported_is_refused_unless_it_says_nothing(client):
    client.chat.completions.create(**hello(response_format={"type": "text"}))
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(**hello(response_format={"type": "json_object"}))


def test_penalties_and_biases(client):
    def answer(**changes):
        reply = client.chat.completions.create(**hello(
            max_tokens=8, temperature=0, logprobs=True, extra_body={"ignore_eos": True}, **changes))
        return [entry.token for entry in reply.choices[0].logprobs.content]

    assert len(set(answer(logit_bias={"77": 100}))) == 1
    assert len(set(answer(logit_bias={"77": 100}, presence_penalty=100))) > 1
    with pytest.raises(openai.BadRequestError) as refusal:
        answer(logit_bias={"100000": 1})
    assert refusal.value.param == "logit_bias"


def test_several_choices(client):
    asked = hello(n=3, seed=5, temperature=1.5, max_tokens=8, extra_body={"ignore_eos": True})
    whole = client.chat.completions.create(**asked)
    texts = [choice.message.content for choice in whole.choices]
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    assert len(set(texts)) == 3
    assert whole.usage.completion_tokens == 24
    streamed = ["", "", ""]
    for chunk in client.chat.completions.create(stream=True, **asked):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert streamed == texts


def test_another_models_name_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as refusal:
        client.chat.completions.create(**hello(model="another"))
    assert refusal.value.code == "model_not_found"


def test_an_unknown_route_is_not_found(client):
    with pytest.raises(openai.NotFoundError):
        client.post("/no/such/route", body={}, cast_to=object)
