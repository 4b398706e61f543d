"""The port LanguageModel: the OpenAI-compatible adapter over a real socket, and its fake."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from agents.providers.openai_compatible import ModelEndpoint, OpenAiCompatible
from agents.providers.scripted import EchoModel
from agents.speech.errors import (
    ModelBusyError,
    ModelFailedError,
    ModelRefusedError,
    ModelReplyError,
    StageTimeoutError,
)
from agents.speech.ports import Done, Message, TextDelta, ToolIntent, ToolSpec
from tests.fakes.openai_server import END, HANG, fake_openai, finish, text, tool, usage

ASKED = [Message("system", "Be brief."), Message("user", "good morning")]
HAPPY = [text("good"), text(" morning"), finish(), usage(12, 2), END]


def adapter(url: str, **deadlines: Any) -> OpenAiCompatible:
    return OpenAiCompatible(ModelEndpoint(url, "small", "k-1", **deadlines))


async def all_of(model, messages=ASKED, tools=()):
    async with aclosing(model.stream(messages, tools)) as stream:
        return [event async for event in stream]


async def collect(model, events):
    async for event in model.stream(ASKED):
        events.append(event)


@pytest.fixture(params=["openai", "echo"])
async def model(request):
    if request.param == "echo":
        yield EchoModel()
        return
    async with fake_openai(script=HAPPY) as fake:
        model = adapter(fake.url)
        yield model
        await model.close()


async def test_a_reply_comes_as_deltas_and_ends_with_done(model):
    *deltas, done = await all_of(model)

    assert "".join(delta.text for delta in deltas) == "good morning"
    assert isinstance(done, Done)
    assert done.completion_tokens == 2


async def test_closing_the_stream_after_any_event_cancels_the_reply(model):
    for taken in range(3):
        async with aclosing(model.stream(ASKED)) as stream:
            got = [await anext(stream) for _ in range(taken)]
        assert all(isinstance(event, TextDelta) for event in got)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_closing_twice_is_harmless(model):
    await model.close()
    await model.close()


async def test_the_request_has_the_wire_format_and_the_key():
    spec = ToolSpec("book", "Books.", {"type": "object", "properties": {}})
    asked = [
        *ASKED,
        Message("assistant", "", tool_intents=(ToolIntent("c1", "book", {"day": "monday"}),)),
        Message("tool", "ok", tool_call_id="c1"),
    ]
    async with fake_openai(script=HAPPY) as fake:
        model = adapter(fake.url)
        await all_of(model, asked, [spec])
        await model.close()

    [sent] = fake.requests
    assert sent["line"] == "POST /v1/chat/completions HTTP/1.1"
    assert sent["stream"] is True
    assert sent["stream_options"] == {"include_usage": True}
    assert sent["tools"][0]["function"]["name"] == "book"
    assert sent["messages"][2]["tool_calls"][0]["function"]["arguments"] == '{"day": "monday"}'
    assert sent["messages"][3]["tool_call_id"] == "c1"
    assert fake.keys == ["bearer k-1"]


async def test_tool_calls_are_joined_by_index_whatever_their_order():
    script = [
        tool(0, id="a", name="book", arguments='{"day"'),
        tool(1, id="b", name="hang_up"),
        tool(0, arguments=': "monday"}'),
        tool(1, arguments="{}"),
        finish("tool_calls"),
        END,
    ]
    async with fake_openai(script=script) as fake:
        model = adapter(fake.url)
        events = await all_of(model)
        await model.close()

    assert events == [
        ToolIntent("a", "book", {"day": "monday"}),
        ToolIntent("b", "hang_up", {}),
        Done("tool_calls", None, None),
    ]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, ModelRefusedError),
        (404, ModelRefusedError),
        (302, ModelRefusedError),
        (429, ModelBusyError),
        (500, ModelFailedError),
        (503, ModelFailedError),
    ],
)
async def test_a_status_becomes_the_error_that_says_what_to_do(status, error):
    async with fake_openai(status=status, headers={"retry-after": "7"}) as fake:
        model = adapter(fake.url)
        with pytest.raises(error) as caught:
            await all_of(model)
        await model.close()

    assert type(caught.value) is error
    assert getattr(caught.value, "retry_after", 7) == 7


async def test_an_endpoint_that_is_not_there_is_a_failure():
    async with fake_openai() as fake:
        url = fake.url
    model = adapter(url)
    with pytest.raises(ModelFailedError):
        await all_of(model)
    await model.close()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([text("half"), finish()], id="closed before the end"),
        pytest.param([text("half")], id="half a reply"),
        pytest.param([], id="nothing"),
        pytest.param([text("half"), END], id="no finish_reason"),
        pytest.param([b"data: {nonsense\n\n"], id="no JSON"),
        pytest.param([b"data: [1, 2]\n\n"], id="no object"),
        pytest.param([b'data: {"choices": [7]}\n\n'], id="choice is a number"),
        pytest.param([b'data: {"choices": [{"delta": {"content": 7}}]}\n\n'], id="content number"),
        pytest.param([b"data: \xff\xfe\n\n"], id="no UTF-8"),
        pytest.param([b'data: {"error": {"message": "x"}}\n\n'], id="error inside"),
        pytest.param([b"x" * (1 << 20) + b"x"], id="endless line"),
        pytest.param(
            [tool(0, name="book", arguments="{no"), finish(), END], id="arguments no JSON"
        ),
        pytest.param([tool(0, name="book", arguments="[]"), finish(), END], id="arguments a list"),
        pytest.param([tool(0, arguments="{}"), finish(), END], id="tool without name"),
        pytest.param([tool(9_999, name="x"), finish(), END], id="index too high"),
    ],
)
async def test_a_broken_reply_is_never_taken_as_complete(script):
    events: list[Any] = []
    async with fake_openai(script=script) as fake:
        model = adapter(fake.url)
        with pytest.raises(ModelReplyError):
            await collect(model, events)
        await model.close()

    assert all(isinstance(event, TextDelta) for event in events)


async def test_unknown_events_and_fields_are_ignored():
    unknown = b': comment\n\nevent: ping\ndata: {"ping": 1}\n\nid: 4\r\n\r\n'
    async with fake_openai(script=[unknown, *HAPPY]) as fake:
        model = adapter(fake.url)
        events = await all_of(model)
        await model.close()

    assert events[:2] == [TextDelta("good"), TextDelta(" morning")]


async def test_an_event_cut_anywhere_by_the_network_is_read_all_the_same():
    whole = b"".join(HAPPY)
    async with fake_openai(script=[whole[at : at + 7] for at in range(0, len(whole), 7)]) as fake:
        model = adapter(fake.url)
        events = await all_of(model)
        await model.close()

    assert events[-1] == Done("stop", 12, 2)


@pytest.mark.parametrize(
    ("script", "stage"),
    [([HANG], "model_first_event"), ([text("half"), HANG], "model_next_event")],
)
async def test_silence_beyond_the_deadline_names_the_stage_and_drops_the_connection(script, stage):
    async with fake_openai(script=script) as fake:
        model = adapter(fake.url, first_event_seconds=0.2, next_event_seconds=0.05)
        with pytest.raises(StageTimeoutError) as caught:
            await all_of(model)
        await asyncio.wait_for(fake.dropped.wait(), 2)
        await model.close()

    assert caught.value.stage == stage


async def test_errors_name_no_text_of_the_vendor_and_no_key():
    async with fake_openai(status=401, script=[b"invalid key k-1 of Mrs Canary"]) as fake:
        model = adapter(fake.url)
        with pytest.raises(ModelRefusedError) as caught:
            await all_of(model)
        await model.close()

    assert "Canary" not in str(caught.value)
    assert "k-1" not in repr(ModelEndpoint("u", "m", "k-1"))
