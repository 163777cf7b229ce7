"""Asks the package `eql` what it makes of queries.

Reads a JSON object a line: {"query": .., "events": [..]}. Writes one a line: {"error": ..} if the query is refused, else
{"matches": [..]} with one truth for each event: for a sequence, whether the event completes one. Events come in their
order, at their "@timestamp" in milliseconds.
"""

import json
import sys

import eql
from eql.parser import allow_negation, allow_runs, elasticsearch_syntax


def answer(query, events):
    try:
        with elasticsearch_syntax, allow_runs, allow_negation:
            parsed = eql.parse_query(query)
    except eql.EqlError as error:
        return {"error": str(error).splitlines()[0]}
    matches = []
    found = []
    engine = eql.PythonEngine()
    engine.add_query(parsed)
    engine.add_output_hook(found.append)
    for event in events:
        before = len(found)
        # Its clock ticks every 100 ns.
        engine.stream_event(eql.Event("process", event.get("@timestamp", 0) * 10_000, event))
        matches.append(len(found) > before)
    return {"matches": matches}


questions = [json.loads(line) for line in sys.stdin]
answers = [answer(question["query"], question["events"]) for question in questions]
sys.stdout.write("".join(json.dumps(one) + "\n" for one in answers))
