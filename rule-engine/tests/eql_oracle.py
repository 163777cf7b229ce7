"""Asks the package `eql` what it makes of queries.

Reads a JSON object a line: {"query": .., "events": [..]}. Writes one a line: {"error": ..} if the query is refused, else
{"matches": [..]} with one truth for each event.
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
    for event in events:
        found = []
        engine = eql.PythonEngine()
        engine.add_query(parsed)
        engine.add_output_hook(found.append)
        engine.stream_event(eql.Event("process", 0, event))
        engine.finalize()
        matches.append(bool(found))
    return {"matches": matches}


questions = [json.loads(line) for line in sys.stdin]
answers = [answer(question["query"], question["events"]) for question in questions]
sys.stdout.write("".join(json.dumps(one) + "\n" for one in answers))
