"""What users of a running service do with its answers → judgments of the next round.

    service ─[POST /events]→ serving → log (FOLDER/events-DAY.jsonl) ─┐
    a log of the service's own (JSONL, CSV, Parquet) ────────────────┴─[run: signals]→ judgments.jsonl

    run.py      the verb `signals`: events read, grouped by prompt, judged by `judging.behaviour`; what was left out is counted
    log.py      the collector's log: only ever appended to, on disk before it is acknowledged, whole after a kill
    server.py   the collector's doors; shapes.py what goes over the wire; openapi.py the description of both
    serving.py  the folder, its token, the process

`log`, `server`, `shapes`, `openapi` and `serving` need the extra annotate; `run` needs the base install alone.
"""
