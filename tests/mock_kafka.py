"""A Kafka broker for tests: librdkafka's mock cluster in a process of its own.

    python tests/mock_kafka.py TOPIC < messages

Each line of standard input is a partition, a tab and a message. Prints the broker's address once
all of them are there, and lives until it is killed.
"""

from __future__ import annotations

import sys
import threading

from confluent_kafka import Producer


def main(topic: str) -> None:
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
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
