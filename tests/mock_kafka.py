"""A Kafka broker for tests: librdkafka's mock cluster in a process of its own.

    python tests/mock_kafka.py TOPIC < messages

Each line of standard input is a partition, a tab and a message. Prints the broker's address once
all of them are there, and lives until it is killed. SIGUSR1 cuts the broker's connections and lets
nobody connect, SIGUSR2 lets them again.
"""

from __future__ import annotations

import ctypes
import signal
import sys
from pathlib import Path
from typing import Any

import confluent_kafka
from confluent_kafka import Producer

_SIGNALS = {signal.SIGUSR1: "rd_kafka_mock_broker_set_down",
            signal.SIGUSR2: "rd_kafka_mock_broker_set_up"}  # fmt: skip


def cluster(producer: Producer) -> tuple[ctypes.CDLL, Any]:
    """librdkafka, and its mock cluster inside of ``producer``, which Python does not show."""
    [path] = Path(confluent_kafka.__file__).parents[1].glob("confluent_kafka.libs/librdkafka*")
    library = ctypes.CDLL(str(path))
    library.rd_kafka_handle_mock_cluster.restype = ctypes.c_void_p
    # The first field of the object is the client's handle.
    handle = ctypes.c_void_p.from_address(id(producer) + object.__basicsize__)
    return library, ctypes.c_void_p(library.rd_kafka_handle_mock_cluster(handle))


def main(topic: str) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    producer = Producer({"test.mock.num.brokers": 1, "linger.ms": 20})
    for line in sys.stdin.buffer:
        partition, _, message = line.rstrip(b"\n").partition(b"\t")
        while True:
            try:
                producer.produce(topic, message, partition=int(partition))
                break
            except BufferError:
                producer.poll(0.05)
    assert producer.flush(30) == 0
    brokers = producer.list_topics(timeout=10).brokers
    sys.stdout.write(",".join(f"{b.host}:{b.port}" for b in brokers.values()) + "\n")
    sys.stdout.flush()
    library, mock = cluster(producer)
    while True:
        library[_SIGNALS[signal.sigwait(_SIGNALS)]](mock, 1)


if __name__ == "__main__":
    main(sys.argv[1])
