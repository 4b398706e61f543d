"""Binds ports to adapters: the one place that knows which. `python -m voiceapp.bootstrap node|worker NUMBER`.

Each process imports only its own half: a media node never loads a speech engine, a model client or the ORM.
"""

from __future__ import annotations

import asyncio
import logging.config
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from voiceapp.configuration import Configuration, ConfigurationError, load
from voiceapp.logs import logging_configuration

if TYPE_CHECKING:
    from agents.speech.engines import EngineChoice, SpeechSettings


def run_media_node(configuration: Configuration, number: int) -> None:
    """Runs media node `number` (from 1) until SIGTERM. Raises: OSError if one of its addresses is taken."""
    # Before numpy is imported: in huge pages the first row used of a table takes 2 MB, 11 MB of a node with few calls,
    # and 1,500 calls cost no less CPU with them.
    os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")
    from agents.pipeline import participant_factory
    from telephony.call.timers import LoopScheduler
    from voiceapp.adapters.brain_socket import BrainSocket, WorkerAddress
    from voiceapp.adapters.bus_client import socket_path
    from voiceapp.adapters.bus_local import LocalNodeBus
    from voiceapp.adapters.encryption import Keyring, secret_opener
    from voiceapp.adapters.event_log_sqlite import SqliteEventLog
    from voiceapp.media_node import MediaNode, run_loop
    from voiceapp.node_parts import NodeParts

    node = f"node{number}"
    configuration.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    configuration.spool.mkdir(mode=0o700, parents=True, exist_ok=True)

    keyring = Keyring.load(configuration.data_key)

    async def main() -> None:
        scheduler = LoopScheduler(asyncio.get_running_loop())
        brains = BrainSocket(
            [
                WorkerAddress(
                    configuration.run / f"{name}.sock", configuration.run / f"{name}.audio"
                )
                for name in worker_names(configuration)
            ]
        )
        parts = NodeParts(
            bus=LocalNodeBus(node, socket_path(configuration.run, node), scheduler),
            log=SqliteEventLog(configuration.spool_of(node), keyring),
            brains=brains,
            make_participant=participant_factory(brains),
            tap=brains,
            check_definition=check_definition,
            open_secret=secret_opener(keyring),
        )
        await MediaNode(configuration, node, number - 1, parts).serve()

    run_loop(main)


def worker_names(configuration: Configuration) -> list[str]:
    """Agent workers of this machine; their sockets are named after them."""
    return [f"worker{i}" for i in range(1, configuration.agent_workers + 1)]


def check_definition(name: str, definition: Mapping[str, Any]) -> None:
    """Raises: SnapshotError with every fault of the agent's flow."""
    from agents.conversation.flow import FlowError, parse_definition
    from telephony.dialplan import SnapshotError

    try:
        parse_definition(definition)
    except FlowError as error:
        raise SnapshotError(f"agents.{name}", "; ".join(error.problems)) from error


def run_agent_worker(configuration: Configuration, number: int) -> None:
    """Runs agent worker `number` (from 1) until SIGTERM. Raises: EngineMissingError."""
    from agents.worker import WorkerSettings, run_worker

    name = f"worker{number}"
    configuration.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = WorkerSettings(
        name,
        configuration.run / f"{name}.sock",
        configuration.run / f"{name}.audio",
        _speech(configuration),
    )
    asyncio.run(run_worker(settings))


def engine_choices(configuration: Configuration) -> tuple[EngineChoice, ...]:
    """Starts the engines as a worker would, ends them and tells which they were. Raises: EngineMissingError."""
    from agents.providers.catalog import choose_engines

    async def chosen() -> tuple[EngineChoice, ...]:
        engines = await choose_engines(_speech(configuration))
        await engines.close()
        return engines.choices

    return asyncio.run(chosen())


def _speech(configuration: Configuration) -> SpeechSettings:
    from agents.speech.engines import SpeechSettings

    fake = configuration.engines == "fake"
    return SpeechSettings(
        stt="fake" if fake else "auto",
        tts="fake" if fake else "auto",
        llm="openai" if configuration.llm_url else "none",
        stt_processes=configuration.stt_processes,
        llm_base_url=configuration.llm_url,
        llm_model=configuration.llm_model,
        llm_api_key=configuration.llm_key,
    )


def main(arguments: list[str]) -> None:
    """Entry of the processes that are not Django's."""
    try:
        configuration = load()
        kind, number = arguments[0], int(arguments[1])
        run = {"node": run_media_node, "worker": run_agent_worker}[kind]
    except (ConfigurationError, IndexError, KeyError, ValueError) as error:
        sys.exit(f"usage: python -m voiceapp.bootstrap node|worker NUMBER ({error})")
    logging.config.dictConfig(
        logging_configuration(level=configuration.log_level, personal_data=configuration.log_pii)
    )
    run(configuration, number)


if __name__ == "__main__":
    main(sys.argv[1:])
