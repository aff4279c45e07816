"""Rows of one of awry's generators into a Kafka topic, at a rate: NAME TOPIC RATE."""

import json
import os
import sys

from confluent_kafka import Producer

from awry.data.generate import LABELS, stream


def main(name: str, topic: str, rate: str) -> None:
    producer = Producer({"bootstrap.servers": os.environ["AWRY_KAFKA_BROKERS"]})
    for row in stream(name, rate=float(rate)):
        seen = {key: value for key, value in row.items() if key not in LABELS}
        producer.produce(topic, json.dumps(seen, default=str))
        producer.poll(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
